package sandbox

import (
	"bufio"
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/providers/smpp/pdu"
)

// smppErrors are values of command_status that a message or a bind may meet
// (section 5.1.3 of the SMPP Protocol Specification v3.4), and whether they are
// a bind's.
var smppErrors = map[string]bool{
	"0x01": false, "0x04": false, "0x08": false, "0x0A": false, "0x0B": false, "0x14": false, "0x45": false, "0x58": false,
	"0x61": false, "0x64": false, "0x65": false, "0xFE": false, "0xFF": false,
	"0x05": true, "0x0D": true, "0x0E": true, "0x0F": true,
}

const (
	smppSystem = "herald"
	smppFrom   = "+15550100"
	smppProto  = "SMPP/3.4"

	bindReceiver    pdu.Command = 0x01
	bindTransmitter pdu.Command = 0x02

	smppUnknownCommand = 0x03
)

// centre plays a short message service centre.
type centre struct {
	*vendor
	password string
	mail     *mail

	mu      sync.Mutex
	bound   map[*smppSession]struct{} // those that take receipts
	waiting []*pdu.Message            // receipts that nobody has taken yet
	texts   map[string]*longText      // whose parts have not all come
}

func newCentre(v *vendor, id *identity, m *mail) *centre {
	c := &centre{
		vendor: v, password: smppPassword(id), mail: m,
		bound: make(map[*smppSession]struct{}), texts: make(map[string]*longText),
	}
	v.words = words{
		internal: "0x08", limited: "0x58", tell: tellTurn,
		knows:   func(word string) bool { _, known := smppErrors[word]; return known },
		opening: func(word string) bool { return smppErrors[word] },
	}
	return c
}

// smppPassword has the eight octets that the protocol gives it.
func smppPassword(id *identity) string { return madeSecret(id, "smpp")[:8] }

func (s *Sandbox) smppCredentials() map[string]any {
	return map[string]any{
		"address": strings.TrimPrefix(s.URL("smpp"), "smpp://"), "system_id": smppSystem, "password": smppPassword(s.id),
		"tls": true, "ca": s.id.CA, "from": smppFrom, "price_per_segment": 0.0079,
	}
}

// smppSession is one connection.
type smppSession struct {
	line

	kind pdu.Command // of its bind; 0 before

	mu       sync.Mutex
	gone     bool
	sequence uint32
	asked    map[uint32]*pdu.Message // receipts without an answer
}

// talk serves a connection until it ends.
func (c *centre) talk(ctx context.Context, conn net.Conn) {
	s := &smppSession{line: line{conn: conn}, asked: make(map[uint32]*pdu.Message)}
	var busy sync.WaitGroup
	defer busy.Wait()
	defer c.forget(s)
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	room := make(chan struct{}, wireAtOnce)
	_ = conn.SetReadDeadline(time.Now().Add(wireHello)) // one that cannot ends at the first read
	in := bufio.NewReader(conn)
	for {
		unit, err := pdu.Read(in)
		if err != nil {
			return
		}
		switch unit.Command {
		case bindReceiver, bindTransmitter, pdu.BindTransceiver:
			if !c.bind(ctx, s, unit) {
				return
			}
		case pdu.SubmitSM:
			select {
			case room <- struct{}{}:
				kind := s.kind
				busy.Go(func() {
					c.submit(ctx, s, kind, unit)
					<-room
				})
			default:
				c.counts.refuse("0x14") // its queue is full
				s.answer(unit, 0x14, nil)
			}
		case pdu.DeliverSMResp:
			c.acknowledged(s, unit)
		case pdu.EnquireLink:
			if !c.mute() {
				s.answer(unit, 0, nil)
				c.bringAgain()
			}
		case pdu.Unbind:
			s.answer(unit, 0, nil)
			return
		default:
			if !unit.Command.IsResponse() {
				nack := pdu.PDU{Command: pdu.GenericNack, Status: smppUnknownCommand, Sequence: unit.Sequence}
				s.say(nack.Append(nil))
			}
		}
	}
}

func (s *smppSession) answer(to pdu.PDU, status uint32, body []byte) {
	unit := pdu.PDU{Command: to.Command | pdu.GenericNack, Status: status, Sequence: to.Sequence, Body: body}
	s.say(unit.Append(nil))
}

// bind lets a client in, and reports whether it was.
func (c *centre) bind(ctx context.Context, s *smppSession, unit pdu.PDU) bool {
	b, err := pdu.ParseBind(unit.Body)
	if err != nil {
		return false
	}
	said := map[string]any{"system_id": b.SystemID, "system_type": b.SystemType}
	t := c.take(ctx, smppProto, "bind", said, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case c.greets(w, r):
		case s.kind != 0:
			c.refuse(w, "0x05")
		case b.SystemID != smppSystem:
			c.refuse(w, "0x0F")
		case subtle.ConstantTimeCompare([]byte(b.Password), []byte(c.password)) != 1:
			c.refuse(w, "0x0E")
		default:
			_, _ = w.Write([]byte(smppSystem))
		}
	})
	whose := pdu.Answer{ID: smppSystem, TLVs: []pdu.TLV{{Tag: pdu.InterfaceVersion, Value: []byte{pdu.Version}}}}
	if !s.reply(unit, t, whose) {
		return false
	}
	s.kind = unit.Command
	_ = s.conn.SetReadDeadline(time.Time{}) // as above
	if s.kind != bindTransmitter {
		c.mu.Lock()
		c.bound[s] = struct{}{}
		c.mu.Unlock()
		c.bringAgain()
	}
	return true
}

// reply tells a client what came of its request, and reports whether it was
// taken.
func (s *smppSession) reply(unit pdu.PDU, t *turn, good pdu.Answer) bool {
	switch {
	case t.cut:
		slam(s.conn)
		return false
	case t.foreign():
		s.say(t.body.Bytes())
		_ = s.conn.Close() // it is of no more use, whatever this says
		return false
	case t.word() != "":
		status, _ := strconv.ParseUint(t.word(), 0, 32) // the table's words are numbers
		s.answer(unit, uint32(status), nil)
		return false
	case t.status == 0:
		return false // it hangs until the client leaves
	}
	body, err := good.Body()
	if err != nil {
		return false // a name of ours always fits
	}
	s.answer(unit, 0, body)
	if t.ends() {
		goodbye := pdu.PDU{Command: pdu.Unbind, Sequence: s.next(nil)}
		s.say(goodbye.Append(nil))
	}
	return true
}

// submit takes one message.
func (c *centre) submit(ctx context.Context, s *smppSession, bound pdu.Command, unit pdu.PDU) {
	m, err := pdu.ParseMessage(unit.Body)
	if err != nil {
		s.answer(unit, 0x02, nil) // ESME_RINVCMDLEN
		return
	}
	part := readPart(&m)
	id := newHex()[:16]
	t := c.take(ctx, smppProto, "submit_sm", part, func(w http.ResponseWriter, r *http.Request) {
		if c.meddle(w, r) {
			return
		}
		if word := smppFault(bound, &m, part); word != "" {
			c.refuse(w, word)
			return
		}
		_, _ = w.Write([]byte(id))
	})
	if s.reply(unit, t, pdu.Answer{ID: t.body.String()}) {
		c.arrived(&smppReceipt{id: t.body.String(), of: m, at: time.Now()}, part)
	}
}

// smppFault finds what the service refuses at once.
func smppFault(bound pdu.Command, m *pdu.Message, part *textPart) string {
	switch {
	case bound != bindTransmitter && bound != pdu.BindTransceiver:
		return "0x04"
	case m.Source.Number == "":
		return "0x0A"
	case !isPhone(part.To):
		return "0x0B"
	case part.Text == "":
		return "0x01"
	}
	return ""
}

// arrived shows a message once all its parts are there, and has its receipts
// brought.
func (c *centre) arrived(r *smppReceipt, part *textPart) {
	whole, of := c.join(r, part)
	if whole == nil {
		return
	}
	payload, err := json.Marshal(whole)
	if err != nil {
		return // strings always encode
	}
	stat, code := "DELIVRD", "000"
	if _, dead := c.since(whole.To); dead {
		c.counts.accepted.Add(1)
		c.counts.lost.Add(1)
		stat, code = "UNDELIV", "001" // unknown subscriber
	} else if !c.accept(record{token: whole.To, id: of[0].id, payload: payload, read: readPhone}) {
		return // and nobody ever says what became of it
	}
	var letters []letter
	for _, r := range of {
		// Section 5.2.17: 1 asks for every outcome, 2 for failures.
		if asks := r.of.Registered & 3; asks == 1 || asks == 2 && stat != "DELIVRD" {
			letters = append(letters, letter{counts: &c.counts, hand: func() { c.bring(r.unit(stat, code, whole.Text)) }})
		}
	}
	s := c.settings.Load()
	c.mail.post(s.receiptDelay(), s, letters)
}

func readPhone(payload []byte, m *Message) {
	var t textPart
	_ = json.Unmarshal(payload, &t) // it was written here
	m.Body = t.Text
}

// smppReceipt is a part that wants to be told of.
type smppReceipt struct {
	id string
	of pdu.Message
	at time.Time
}

// unit is the receipt as it is brought: in the words of appendix B and in
// parameters.
func (r *smppReceipt) unit(stat, code, text string) *pdu.Message {
	const minutes = "0601021504"
	done := "001"
	state := byte(2) // section 5.2.28
	if stat != "DELIVRD" {
		done, state = "000", 5
	}
	words := fmt.Sprintf("id:%s sub:001 dlvrd:%s submit date:%s done date:%s stat:%s err:%s text:%s",
		r.id, done, r.at.UTC().Format(minutes), time.Now().UTC().Format(minutes), stat, code, beginning(text))
	m := &pdu.Message{
		Source: r.of.Dest, Dest: r.of.Source, ESMClass: 0x04, Text: []byte(words),
		TLVs: []pdu.TLV{
			{Tag: pdu.ReceiptedMessageID, Value: append([]byte(r.id), 0)},
			{Tag: pdu.MessageState, Value: []byte{state}},
		},
	}
	if ours := pdu.Find(r.of.TLVs, pdu.UserReference); ours != nil {
		m.TLVs = append(m.TLVs, pdu.TLV{Tag: pdu.UserReference, Value: ours})
	}
	return m
}

// bring hands a receipt to whoever is bound, or keeps it until somebody is.
func (c *centre) bring(m *pdu.Message) {
	body, err := m.Body()
	if err != nil {
		c.counts.callbacksLost.Add(1) // what came in cannot be written back
		return
	}
	s, sequence := c.taker(m)
	if s == nil {
		return
	}
	unit := pdu.PDU{Command: pdu.DeliverSM, Sequence: sequence, Body: body}
	s.say(unit.Append(nil))
}

// taker finds a session for a receipt. Without one the receipt is kept.
func (c *centre) taker(m *pdu.Message) (*smppSession, uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.bound {
		if sequence := s.next(m); sequence != 0 {
			return s, sequence
		}
	}
	c.keep(m)
	return nil, 0
}

// keep has a receipt wait. The lock is held.
func (c *centre) keep(m *pdu.Message) {
	if len(c.waiting) >= maxPending {
		c.counts.callbacksLost.Add(1)
		return
	}
	c.waiting = append(c.waiting, m)
}

// bringAgain brings what has waited.
func (c *centre) bringAgain() {
	c.mu.Lock()
	waited := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, m := range waited {
		c.bring(m)
	}
}

// next is the sequence of a request of ours, which may be a receipt; 0 if the
// session is gone.
func (s *smppSession) next(receipt *pdu.Message) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return 0
	}
	s.sequence = s.sequence%0x7fffffff + 1
	if receipt != nil {
		s.asked[s.sequence] = receipt
	}
	return s.sequence
}

// acknowledged notes what a client says to a receipt. One that it could not
// keep is brought again at its next sign of life.
func (c *centre) acknowledged(s *smppSession, unit pdu.PDU) {
	s.mu.Lock()
	m := s.asked[unit.Sequence]
	delete(s.asked, unit.Sequence)
	s.mu.Unlock()
	switch {
	case m == nil:
	case unit.Status == 0:
		c.counts.callbacks.Add(1)
	default:
		c.counts.callbacksFailed.Add(1)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keep(m)
	}
}

// forget keeps what a client that has left did not take.
func (c *centre) forget(s *smppSession) {
	c.mu.Lock()
	delete(c.bound, s)
	c.mu.Unlock()
	s.mu.Lock()
	s.gone = true
	left := s.asked
	s.asked = nil
	s.mu.Unlock()
	for _, m := range left {
		c.bring(m)
	}
}
