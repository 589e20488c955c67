package xmpp

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// What a server says of a message comes back as a stanza, and what it says of
// the component ends the stream.
func TestRecordedReplies(t *testing.T) {
	f := startFake(t, accepts)
	open := f.open(t, nil)
	for _, r := range providertest.ReadReplies(t).Replies {
		t.Run(r.When, func(t *testing.T) {
			var body string
			if err := json.Unmarshal(r.Body, &body); err != nil {
				t.Fatal(err)
			}
			p, attempt := open, func() error { return returned(t, f, open, body) }
			if strings.HasPrefix(body, "<stream:error>") {
				p = startFake(t, func(_ *fake, c net.Conn, in *reader) {
					_, _ = in.next() // its handshake
					fmt.Fprint(c, body+"</stream:stream>")
				}).open(t, nil)
				attempt = func() error {
					_, failure := p.connect(t.Context())
					if failure == nil {
						return nil
					}
					return failure
				}
			}
			r.Check(t, attempt())
			providertest.Corrected(t, p, r, attempt)
		})
	}
}

// returned sends a message that comes back with an error, and returns what the
// receipt says.
func returned(t *testing.T, f *fake, p *Provider, body string) error {
	t.Helper()
	h := hear(p)
	d := delivery("n1.0.0")
	if _, err := p.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	f.say("<message type='error' id='%s' to='%s' from='%s'>%s</message>", d.ID, p.config.sender(d), jid, body)
	h.Await(t, "receipt", func() bool { return len(h.receipts) > 0 })
	r := h.receipts[0]
	if r.Stage != push.Failed || r.Delivery != d.ID {
		t.Errorf("receipt %+v, want that the message failed", r)
	}
	return &push.Error{Provider: name, Kind: push.KindNamed(r.Kind), Code: r.Code}
}
