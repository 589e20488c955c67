package sandbox

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// xmppErrors are conditions of RFC 6120 with the type of a stanza's error
// (8.3.3). Those of a stream (4.9.3) have "stream-" before them and no type: a
// component hears them when it connects.
var xmppErrors = map[string]string{
	"bad-request": "modify", "forbidden": "auth", "gone": "cancel", "internal-server-error": "cancel", "item-not-found": "cancel",
	"jid-malformed": "modify", "not-acceptable": "modify", "not-allowed": "cancel", "not-authorized": "auth",
	"policy-violation": "modify", "recipient-unavailable": "wait", "remote-server-not-found": "cancel",
	"remote-server-timeout": "wait", "resource-constraint": "wait", "service-unavailable": "cancel", "undefined-condition": "cancel",

	"stream-conflict": "", "stream-host-unknown": "", "stream-internal-server-error": "", "stream-invalid-from": "",
	"stream-invalid-namespace": "", "stream-not-authorized": "", "stream-not-well-formed": "", "stream-policy-violation": "",
	"stream-resource-constraint": "", "stream-restricted-xml": "", "stream-system-shutdown": "",
}

const (
	xmppDomain    = "push.sandbox.example"
	xmppProto     = "XMPP"
	xmppMaxStanza = 256 << 10
	xmppComponent = "jabber:component:accept"
	xmppStreams   = "http://etherx.jabber.org/streams"
)

// jabber plays an XMPP server that takes an external component (XEP-0114), and
// the clients of all its people.
type jabber struct {
	*vendor
	secret string
	mail   *mail

	mu        sync.Mutex
	component *line // nil while none is connected
}

func newJabber(v *vendor, id *identity, m *mail) *jabber {
	v.words = words{
		internal: "internal-server-error", limited: "resource-constraint", quota: "policy-violation", tell: tellTurn,
		knows:   func(word string) bool { _, known := xmppErrors[word]; return known },
		opening: func(word string) bool { return strings.HasPrefix(word, "stream-") },
	}
	return &jabber{vendor: v, secret: madeSecret(id, "xmpp"), mail: m}
}

func (s *Sandbox) xmppCredentials() map[string]any {
	return map[string]any{
		"address": strings.TrimPrefix(s.URL("xmpp"), "xmpp://"), "domain": xmppDomain, "secret": madeSecret(s.id, "xmpp"),
		"tls": true, "ca": s.id.CA,
	}
}

// stanza is what of one is looked at.
type stanza struct {
	XMLName xml.Name
	Type    string    `xml:"type,attr"`
	ID      string    `xml:"id,attr"`
	From    string    `xml:"from,attr"`
	To      string    `xml:"to,attr"`
	Subject string    `xml:"subject"`
	Body    string    `xml:"body"`
	Text    string    `xml:",chardata"`
	Request *struct{} `xml:"urn:xmpp:receipts request"`
	Ping    *struct{} `xml:"urn:xmpp:ping ping"`
	Herald  struct {
		JSON string `xml:"urn:xmpp:json:0 json"`
	} `xml:"urn:herald:push:1 notification"`
}

// chatMessage is a message as a client shows it.
type chatMessage struct {
	To       string            `json:"to"`
	From     string            `json:"from"`
	ID       string            `json:"id"`
	Title    string            `json:"title,omitempty"`
	Body     string            `json:"body,omitempty"`
	Data     map[string]string `json:"data,omitempty"`
	Collapse string            `json:"collapse,omitempty"`
}

// talk serves a connection until it ends.
func (j *jabber) talk(ctx context.Context, conn net.Conn) {
	l := &line{conn: conn}
	var busy sync.WaitGroup
	defer busy.Wait()
	defer j.leave(l)
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_ = conn.SetReadDeadline(time.Now().Add(wireHello)) // one that cannot ends at the first read
	in := &rationed{in: conn, left: xmppMaxStanza}
	d := xml.NewDecoder(in)
	if !j.greet(ctx, l, d) {
		return
	}
	_ = conn.SetReadDeadline(time.Time{}) // as above
	room := make(chan struct{}, wireAtOnce)
	for {
		in.left = xmppMaxStanza
		st, err := nextStanza(d)
		if err != nil {
			l.endStream(conditionFor(err))
			return
		}
		switch {
		case st.XMLName.Local == "iq":
			j.query(l, st)
		case st.XMLName.Local != "message" || st.Type == "error":
		case domainOf(st.From) != xmppDomain:
			l.endStream("stream-invalid-from")
			return
		default:
			select {
			case room <- struct{}{}:
				busy.Go(func() {
					j.message(ctx, l, st)
					<-room
				})
			default:
				j.counts.refuse("resource-constraint")
				l.say(errorStanza(st, "resource-constraint"))
			}
		}
	}
}

// rationed bounds what is read for one stanza.
type rationed struct {
	in   io.Reader
	left int
}

var errRation = fmt.Errorf("more than %d bytes in a stanza", xmppMaxStanza)

func (r *rationed) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errRation
	}
	n, err := r.in.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// greet opens the stream and lets the component prove that it knows the secret.
func (j *jabber) greet(ctx context.Context, l *line, d *xml.Decoder) bool {
	header, err := nextStart(d)
	if err != nil {
		return false
	}
	var to, space string
	for _, a := range header.Attr {
		switch a.Name.Local {
		case "to":
			to = a.Value
		case "xmlns":
			if a.Name.Space == "" {
				space = a.Value
			}
		}
	}
	id := newHex()
	l.say(fmt.Appendf(nil, `<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='%s' id='%s' from='%s'>`,
		xmppComponent, xmppStreams, id, xmppDomain))
	if header.Name.Local != "stream" || header.Name.Space != xmppStreams || space != xmppComponent {
		l.endStream("stream-invalid-namespace")
		return false
	}
	hands, err := nextStanza(d)
	if err != nil {
		l.endStream(conditionFor(err))
		return false
	}
	sum := sha1.Sum([]byte(id + j.secret))
	proof := hex.EncodeToString(sum[:])
	t := j.take(ctx, xmppProto, "bind", map[string]any{"domain": to}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case j.greets(w, r):
		case to != xmppDomain:
			j.refuse(w, "stream-host-unknown")
		case hands.XMLName.Local != "handshake" || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(hands.Text)), []byte(proof)) != 1:
			j.refuse(w, "stream-not-authorized")
		case !j.enters(l):
			j.refuse(w, "stream-conflict")
		default:
			w.WriteHeader(http.StatusOK)
		}
	})
	if !l.goesOn(t) {
		return false
	}
	if word := t.word(); word != "" {
		l.endStream(word)
		return false
	}
	return true
}

// enters lets the component in before anything else is said to it. A server
// takes one at a time.
func (j *jabber) enters(l *line) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.component != nil {
		return false
	}
	l.say([]byte("<handshake/>"))
	j.component = l
	return true
}

func (j *jabber) leave(l *line) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.component == l {
		j.component = nil
	}
}

// goesOn plays an answer that is none of the server's, and reports whether the
// connection holds.
func (l *line) goesOn(t *turn) bool {
	switch {
	case t.cut:
		slam(l.conn)
	case t.foreign():
		l.say(t.body.Bytes())
		_ = l.conn.Close() // it is of no more use, whatever this says
	case t.status == 0: // it hangs until the client leaves
	default:
		return true
	}
	return false
}

// message takes one message. The server says nothing to one that it takes.
func (j *jabber) message(ctx context.Context, l *line, st *stanza) {
	m := chatMessage{To: bareJID(st.To), From: domainOf(st.From), ID: st.ID, Title: st.Subject, Body: st.Body}
	var ours struct {
		Data     map[string]string `json:"data"`
		Collapse string            `json:"collapse_key"`
	}
	_ = json.Unmarshal([]byte(st.Herald.JSON), &ours) // other components have none
	m.Data, m.Collapse = ours.Data, ours.Collapse
	heard := false
	t := j.take(ctx, xmppProto, "message", &m, func(w http.ResponseWriter, r *http.Request) {
		if j.meddle(w, r) {
			return
		}
		local, _, whole := strings.Cut(m.To, "@")
		switch _, dead := j.since(m.To); {
		case !whole || local == "" || domainOf(m.To) == "":
			j.refuse(w, "jid-malformed")
		case dead:
			j.refuse(w, "item-not-found")
		default:
			payload, _ := json.Marshal(&m) // strings always encode
			heard = j.accept(record{token: m.To, id: st.ID, collapse: m.Collapse, payload: payload, read: readChat})
			w.WriteHeader(http.StatusOK)
		}
	})
	if !l.goesOn(t) {
		return
	}
	if word := t.word(); j.words.opening(word) { // a script may end a stream at any time
		l.endStream(word)
	} else if word != "" {
		l.say(errorStanza(st, word))
	}
	if heard && st.Request != nil {
		s := j.settings.Load()
		j.mail.post(s.receiptDelay(), s, []letter{{counts: &j.counts, hand: func() { j.receive(st) }}})
	}
	if t.ends() {
		l.say([]byte("</stream:stream>"))
		_ = l.conn.Close() // as it says
	}
}

func readChat(payload []byte, m *Message) {
	var c chatMessage
	_ = json.Unmarshal(payload, &c) // it was written here
	m.Title, m.Body, m.Data = c.Title, c.Body, c.Data
}

// receive has the person's client say that it has the message (XEP-0184). A
// server keeps nothing for a component that is away.
func (j *jabber) receive(st *stanza) {
	j.mu.Lock()
	l := j.component
	j.mu.Unlock()
	if l == nil {
		j.counts.callbacksFailed.Add(1)
		return
	}
	l.say(fmt.Appendf(nil, `<message id='%s' from='%s' to='%s'><received xmlns='urn:xmpp:receipts' id='%s'/></message>`,
		newUUID(), escaped(bareJID(st.To)+"/phone"), escaped(st.From), escaped(st.ID)))
	j.counts.callbacks.Add(1)
}

// query answers a ping, and nothing else that is asked.
func (j *jabber) query(l *line, st *stanza) {
	if st.Type != "get" && st.Type != "set" || j.mute() {
		return
	}
	if st.Type == "set" || st.Ping == nil {
		l.say(errorStanza(st, "service-unavailable"))
		return
	}
	l.say(fmt.Appendf(nil, `<iq type='result' id='%s' from='%s' to='%s'/>`, escaped(st.ID), escaped(st.To), escaped(st.From)))
}

// errorStanza is a stanza that comes back with what is wrong.
func errorStanza(st *stanza, condition string) []byte {
	return fmt.Appendf(nil, `<%[1]s type='error' id='%[2]s' from='%[3]s' to='%[4]s'><error type='%[5]s'>`+
		`<%[6]s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></%[1]s>`,
		st.XMLName.Local, escaped(st.ID), escaped(st.To), escaped(st.From), xmppErrors[condition], condition)
}

// endStream closes the stream, with a reason if there is one.
func (l *line) endStream(word string) {
	reason := ""
	if word != "" {
		reason = fmt.Sprintf(`<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`, strings.TrimPrefix(word, "stream-"))
	}
	l.say([]byte(reason + "</stream:stream>"))
	_ = l.conn.Close() // as it says
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

// bareJID is a person's address without the client's name, as it is compared.
func bareJID(jid string) string {
	bare, _, _ := strings.Cut(jid, "/")
	return strings.ToLower(bare)
}

func domainOf(jid string) string {
	bare := bareJID(jid)
	return bare[strings.IndexByte(bare, '@')+1:]
}
