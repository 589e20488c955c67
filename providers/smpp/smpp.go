// Package smpp hands deliveries to a short message service centre with SMPP
// 3.4, over one connection that it keeps, and takes its delivery receipts.
package smpp

import (
	"context"
	"crypto/tls"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/smstext"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "smpp"

const (
	// maxValidity is the longest that fits a relative time without months.
	maxValidity = 30 * 24 * time.Hour
	// segmentOctets is what a short message carries on the air.
	segmentOctets = 140
)

//go:embed codes.json
var codesJSON []byte

// Provider sends over a connection of its own. It connects at the first
// attempt, stays connected while there is something to send or to hear, and
// connects again by itself while receipts are awaited.
type Provider struct {
	config *config
	codes  *providers.Codes
	tls    *tls.Config // nil without TLS
	pace   pace
	dial   func(context.Context) (net.Conn, error)

	notes   Notes // nil: what is in memory is all that is known
	window  *window
	ledger  *ledger
	link    *link
	report  atomic.Pointer[reporter]
	message atomic.Uint32 // numbers the messages, for their receipts
	long    atomic.Uint32 // numbers those of many parts, for the phone
}

type reporter func(context.Context, []push.Receipt) error

// Opener returns an opener whose providers keep their messages in notes.
func Opener(notes Notes) providers.Opener {
	return func(credentials []byte) (providers.Provider, error) { return newProvider(credentials, notes) }
}

// newProvider opens a provider. It does not connect yet.
func newProvider(credentials []byte, notes Notes) (providers.Provider, error) {
	c, err := parse(credentials)
	if err != nil {
		return nil, err
	}
	codes, err := providers.ParseCodes(codesJSON)
	if err != nil {
		return nil, err
	}
	p := &Provider{config: c, codes: codes, pace: usual, notes: notes, window: newWindow(c.Window), ledger: newLedger()}
	if c.TLS {
		if p.tls, err = providers.TLS(c.CA); err != nil {
			return nil, &push.Invalid{Faults: []push.Fault{{Field: "ca", Detail: "holds no certificate in PEM"}}}
		}
		p.tls.ServerName, _, _ = net.SplitHostPort(c.Address) // parse has seen that it can be split
	}
	p.dial = func(ctx context.Context) (net.Conn, error) {
		return providers.Dialer().DialContext(ctx, "tcp", c.Address)
	}
	p.link = newLink(p)
	// A restart begins elsewhere, so that a late receipt is not taken for another's.
	p.message.Store(rand.Uint32())
	p.long.Store(rand.Uint32())
	return p, nil
}

// Reports implements [providers.Reporter]. Without it no receipts are asked for.
func (p *Provider) Reports(report func(context.Context, []push.Receipt) error) {
	r := reporter(report)
	p.report.Store(&r)
}

var _ providers.Reporter = (*Provider)(nil)

// Send implements [providers.Provider]. The parts of a long message are
// submitted one after the other, so that nothing more is paid for after one is
// refused: the phone shows nothing until it has them all.
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	t, err := p.weigh(d)
	if err != nil {
		return push.Answer{}, err
	}
	if d.Address.Token == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no phone number"}
	}
	to, ok := destOf(d.Address.Token)
	if !ok {
		return push.Answer{}, p.refused(statusDestination)
	}
	p.link.enter()
	defer p.link.leave()
	answer := push.Answer{Stage: push.Accepted, Bytes: t.octets, CostMicros: p.cost(t)}
	now := time.Now()
	j := newJourney(d, to.Number, len(t.parts), now)
	m := pdu.Message{
		Source: p.config.source, Dest: to, DataCoding: byte(t.coding), Validity: validity(providers.Sooner(d.ExpiresAt, t.TTL), now), Registered: p.registered(),
	}
	if t.From != "" {
		m.Source = sourceOf(t.From)
	}
	header := p.header(len(t.parts))
	for i, part := range t.parts {
		m.Text = smstext.Encode(part, t.coding)
		if header != nil {
			header[len(header)-1] = byte(i + 1)
			m.ESMClass, m.Text = pdu.HasHeader, append(slices.Clip(header), m.Text...)
		}
		a := &awaited{journey: j, part: i}
		id, err := p.submit(ctx, m, a)
		if err != nil {
			return push.Answer{}, p.partly(ctx, err, i, j)
		}
		p.keep(ctx, a, id)
		if i == 0 {
			answer.ID = id
		}
	}
	return answer, nil
}

// submit makes one submit_sm and waits for its answer.
func (p *Provider) submit(ctx context.Context, m pdu.Message, a *awaited) (id string, failure *push.Error) {
	epoch, err := p.window.acquire(ctx)
	if err != nil {
		return "", unsent("not sent in time", err)
	}
	s, failure := p.link.session(ctx)
	if failure != nil {
		p.window.release(epoch, silent)
		return "", failure
	}
	a.reference = uint16(p.message.Add(1))
	if s.options {
		m.TLVs = []pdu.TLV{{Tag: pdu.UserReference, Value: binary.BigEndian.AppendUint16(nil, a.reference)}}
	}
	body, err := m.Body()
	if err != nil {
		p.window.release(epoch, silent)
		return "", &push.Error{Provider: name, Kind: push.ErrRejected, Detail: "the message cannot be written", Err: err}
	}
	return s.submit(ctx, body, &request{awaited: a, epoch: epoch, answer: make(chan reply, 1)})
}

// partly is the error of a message whose first parts were taken. A refusal of
// the next stays what it is: the phone shows nothing of a message that lacks a
// part. Where there is no answer nobody knows what the phone has.
func (p *Provider) partly(ctx context.Context, err *push.Error, before int, j *journey) *push.Error {
	if before > 0 && err.Code == "" {
		err.Kind = push.ErrUnknown
	}
	if !errors.Is(err.Kind, push.ErrUnknown) {
		p.ledger.abandon(j)
		if before > 0 {
			p.void(ctx, j)
		}
	}
	return err
}

// Weigh implements [providers.Provider]. The size is in octets on the air.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	t, err := p.weigh(d)
	w := push.Payload{Bytes: t.octets, Limit: segmentOctets * p.config.Segments, Segments: len(t.parts), CostMicros: p.cost(t)}
	return w, err
}

// CloseIdleConnections says goodbye once nothing is being sent. Receipts that
// are still awaited go to whoever binds next, and are not understood there.
func (p *Provider) CloseIdleConnections() { p.link.retire() }

// text is what the person reads, cut into parts.
type text struct {
	options

	coding smstext.Coding
	parts  []string
	octets int
}

// weigh returns an untyped nil for what can be sent.
func (p *Provider) weigh(d *push.Delivery) (text, error) {
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return text{}, err
	}
	t := text{options: o}
	whole := o.Whole(d)
	if whole == "" {
		return t, &push.Error{Provider: name, Kind: push.ErrRejected, Detail: "there is neither title nor body"}
	}
	t.coding, t.parts = smstext.Split(whole, p.config.headerOctets())
	for _, part := range t.parts {
		n := len(smstext.Encode(part, t.coding))
		if t.coding == smstext.GSM7 {
			n = (n*7 + 7) / 8
		}
		if len(t.parts) > 1 {
			n += p.config.headerOctets()
		}
		t.octets += min(n, segmentOctets) // a header's last bit may share an octet
	}
	if len(t.parts) > p.config.Segments {
		return t, &push.Error{
			Provider: name, Kind: push.ErrRejected,
			Detail: fmt.Sprintf("the text takes %d short messages; %d are allowed", len(t.parts), p.config.Segments),
		}
	}
	return t, nil
}

// cost is the price of a text, in millionths of the app's currency.
func (p *Provider) cost(t text) int64 { return int64(len(t.parts)) * p.config.micros }

// headerOctets is the length of a header that joins parts.
func (c *config) headerOctets() int {
	if c.ReferenceBits == 16 {
		return 7
	}
	return 6
}

// header is the user data header of a message in parts (3GPP TS 23.040, sections
// 9.2.3.24.1 and 9.2.3.24.8), nil for one. Its last octet is the part's number.
func (p *Provider) header(parts int) []byte {
	if parts == 1 {
		return nil
	}
	reference := p.long.Add(1)
	if p.config.ReferenceBits == 16 {
		return []byte{6, 8, 4, byte(reference >> 8), byte(reference), byte(parts), 0}
	}
	return []byte{5, 0, 3, byte(reference), byte(parts), 0}
}

// registered asks for a receipt of the outcome if somebody wants it.
func (p *Provider) registered() byte {
	if p.report.Load() == nil {
		return 0
	}
	return 1
}

// validity is how long the service may try, as a relative time (section 7.1.1):
// no clock of theirs has to agree with ours.
func validity(until, now time.Time) string {
	if until.IsZero() {
		return ""
	}
	left := int(min(max(until.Sub(now), time.Second), maxValidity).Seconds())
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", left/86400, left/3600%24, left/60%60, left%60)
}

// Statuses that mean more to us than their kind (section 5.1.3).
const (
	statusCommand     = 0x03 // we do not know the command
	statusUnbound     = 0x04
	statusQueueFull   = 0x14
	statusDestination = 0x0b
	statusThrottled   = 0x58
	statusTryAgain    = 0x64 // as an answer of ours: bring it again
	statusRefused     = 0x66 // as an answer of ours: it makes no sense
	statusUnknown     = 0xff
)

// refused is the error for a status of the service.
func (p *Provider) refused(status uint32) *push.Error {
	word := fmt.Sprintf("0x%02X", status)
	e := p.codes.Error(name, 0, word)
	e.Code = word
	return e
}

func unsent(detail string, err error) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: detail, Err: err}
}
