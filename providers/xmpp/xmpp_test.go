package xmpp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/watched"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestProviderKeepsTheContract(t *testing.T) {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("<", maxStanza/4)
	providertest.Run(t, providertest.Harness{
		Name: name, Delivery: delivery, TooLarge: large, Secrets: []string{secret},
		Start: func(t *testing.T, b providertest.Behaviour) providertest.Fixture {
			f := startFake(t, accepts)
			attempts := func() int { return f.settled(t) }
			address, ca := f.ln.Addr().String(), f.ca
			switch b {
			case providertest.Hangs, providertest.Cuts, providertest.AnswersHTML, providertest.AcceptsHTML:
				return providertest.Fixture{} // a message has no answer that could go wrong
			case providertest.RefusesToTalk:
				f.ln.Close()
			case providertest.HangsAtHello:
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { ln.Close() })
				address = ln.Addr().String()
			case providertest.BadCertificate:
				ca, attempts = "", func() int { return int(f.messages.Load()) }
			default:
			}
			return providertest.Fixture{Provider: openAt(t, address, ca, nil), Attempts: attempts}
		},
	})
}

func TestRefusedConnectionHasItsKind(t *testing.T) {
	tests := map[string]struct {
		condition string
		want      error
	}{
		"the secret is wrong":             {"not-authorized", push.ErrCredentials},
		"no component of this domain":     {"host-unknown", push.ErrCredentials},
		"the server lacks resources":      {"resource-constraint", push.ErrThrottled},
		"another connection is open":      {"conflict", push.ErrUnavailable},
		"a word that nobody knows":        {"frobnicated", push.ErrUnavailable},
		"a rule of the server forbids it": {"policy-violation", push.ErrPolicy},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startFake(t, refuses(tt.condition)).open(t, nil)
			_, err := p.Send(t.Context(), delivery("n1.0.0"))
			var e *push.Error
			if !errors.As(err, &e) || !errors.Is(err, tt.want) || strings.Contains(fmt.Sprintf("%v %+v", err, *e), secret) {
				t.Errorf("Send() error = %v, want %v", err, tt.want)
			}
			if _, again := p.Send(t.Context(), delivery("n1.0.1")); !errors.Is(again, tt.want) {
				t.Errorf("second Send() error = %v, want %v", again, tt.want)
			}
		})
	}
}

func TestMessageSaysWhatWasAsked(t *testing.T) {
	f := startFake(t, accepts)
	d := delivery("order-8812.0.3")
	d.Class, d.Address.Token = push.OTP, `o'neill"><x@example.org`
	answer, err := f.open(t, map[string]any{"type": "headline", "amp": true}).Send(t.Context(), d)
	if err != nil || answer.ID != d.ID || answer.Stage != push.Accepted {
		t.Fatalf("Send() = %+v, %v", answer, err)
	}
	f.Await(t, "message", func() bool { return len(f.stanzas) == 1 })
	m := f.stanzas[0]
	if m.attr("type") != "headline" || m.attr("id") != d.ID || m.attr("to") != d.Address.Token {
		t.Errorf("attributes %v", m.Attr)
	}
	if !strings.HasPrefix(m.attr("from"), domain+"/") {
		t.Errorf("from = %q", m.attr("from"))
	}
	if got := m.child("", "body").text; got != "On its way\uFFFD]]>" {
		t.Errorf("body = %q", got)
	}
	if m.child("", "subject").text != d.Title || m.child(nsReceipts, "request") == nil || m.child("urn:xmpp:hints", "no-store") == nil {
		t.Errorf("children of %+v", m)
	}
	expires := d.ExpiresAt.UTC().Format(time.RFC3339)
	if rule := m.child("http://jabber.org/protocol/amp", "amp").children[0]; rule.attr("value") != expires || rule.attr("condition") != "expire-at" {
		t.Errorf("rule %v", rule.Attr)
	}
	if x := m.child("jabber:x:expire", "x"); x.attr("seconds") != "0003599" && x.attr("seconds") != "0003600" {
		t.Errorf("expiry %v", x.Attr)
	}
	var got payload
	if err := json.Unmarshal([]byte(m.child("urn:herald:push:1", "notification").child("urn:xmpp:json:0", "json").text), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != d.ID || got.Notification != "order-8812" || got.Data["html"] != "</json><x>" || got.ExpiresAt != expires {
		t.Errorf("payload %+v", got)
	}
}

func TestOnlyServersThatTakeTheRuleGetIt(t *testing.T) {
	f := startFake(t, accepts)
	if _, err := f.open(t, nil).Send(t.Context(), delivery("n1.0.0")); err != nil {
		t.Fatal(err)
	}
	f.Await(t, "message", func() bool { return len(f.stanzas) == 1 })
	if f.stanzas[0].child("http://jabber.org/protocol/amp", "") != nil || f.stanzas[0].child("jabber:x:expire", "") == nil {
		t.Errorf("message %+v", f.stanzas[0])
	}
}

// heard is what a provider reported.
type heard struct {
	*watched.State

	receipts []push.Receipt
}

func hear(p *Provider) *heard {
	h := &heard{State: watched.New(10 * time.Second)}
	p.Reports(func(_ context.Context, rs []push.Receipt) error {
		h.Change(func() { h.receipts = append(h.receipts, rs...) })
		return nil
	})
	return h
}

func TestWhatComesBackBecomesAReceipt(t *testing.T) {
	refused := func(condition string) string {
		return `<message type='error' id='%[1]s' to='%[2]s' from='ann@example.org'><error type='cancel'><` + condition +
			` xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`
	}
	const received = `<message to='%[2]s' from='Ann@example.org/phone'><received xmlns='urn:xmpp:receipts' id='%[1]s'/></message>`
	tests := map[string]struct {
		stanza string
		stage  push.Stage
		kind   string
		code   string
	}{
		"the device has it":      {received, push.Delivered, "", ""},
		"the person has seen it": {`<message to='%[2]s' from='ann@example.org/x'><displayed xmlns='urn:xmpp:chat-markers:0' id='%[1]s'/></message>`, push.Displayed, "", ""},
		"nobody is there":        {refused("item-not-found"), push.Failed, "unregistered", "item-not-found"},
		"gone for good":          {refused("gone"), push.Failed, "unregistered", "gone"},
		"away":                   {refused("recipient-unavailable"), push.Failed, "unreachable", "recipient-unavailable"},
		"nothing is kept":        {refused("service-unavailable"), push.Failed, "unreachable", "service-unavailable"},
		"may not send":           {refused("not-authorized"), push.Failed, "credentials", "not-authorized"},
		"too much":               {refused("resource-constraint"), push.Failed, "throttled", "resource-constraint"},
		"forbidden by a rule":    {refused("policy-violation"), push.Failed, "policy", "policy-violation"},
		"no condition at all":    {`<message type='error' id='%[1]s' to='%[2]s' from='ann@example.org'/>`, push.Failed, "rejected", "undefined-condition"},
	}
	f := startFake(t, accepts)
	p := f.open(t, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := hear(p)
			d := delivery("order-8812.0.3")
			if _, err := p.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			// The stranger's word comes first and is passed over.
			stranger := strings.ReplaceAll(strings.ReplaceAll(received, "Ann@", "eve@"), "phone'", "eve'")
			f.say(stranger, d.ID, p.config.sender(d))
			f.say(received, "another.0.1", p.config.sender(d))
			f.say(received, d.ID, domain)
			f.say(tt.stanza, d.ID, p.config.sender(d))
			h.Await(t, "receipt", func() bool { return len(h.receipts) > 0 })
			r := h.receipts[0]
			if r.Stage != tt.stage || r.Kind != tt.kind || r.Code != tt.code {
				t.Errorf("receipt %+v", r)
			}
			if r.App != "demo" || r.Device != "phone/1" || r.Notification != "order-8812" || r.Delivery != d.ID || r.Provider != "xmpp" {
				t.Errorf("receipt %+v", r)
			}
		})
	}
}

func TestConnectionIsMadeAgain(t *testing.T) {
	f := startFake(t, accepts)
	p := f.open(t, nil)
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); err != nil {
		t.Fatal(err)
	}
	f.Await(t, "message", func() bool { return len(f.stanzas) == 1 })
	f.cut()
	f.Await(t, "new connection", func() bool { return len(f.conns) == 2 })
	if _, err := p.Send(t.Context(), delivery("n1.0.1")); err != nil {
		t.Fatal(err)
	}
	f.Await(t, "second message", func() bool { return len(f.stanzas) == 2 })
}

func TestHostileStreamIsBrokenOff(t *testing.T) {
	tests := map[string]string{
		"a declaration of entities": `<!DOCTYPE x [<!ENTITY a "aaaa">]><message><body>&a;</body></message>`,
		"an entity of its own":      `<message><body>&a;</body></message>`,
		"a comment":                 `<!-- hi --><message/>`,
		"no end":                    `<message><body>` + strings.Repeat("x", maxRead+8192),
		"a tower":                   strings.Repeat("<message>", maxDepth+2),
	}
	for name, stanza := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, accepts)
			p := f.open(t, nil)
			s, err := p.link.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			f.say("%s", stanza)
			select {
			case <-s.ended:
			case <-time.After(10 * time.Second):
				t.Error("the stream goes on")
			}
		})
	}
}

func TestQuestionsAreAnswered(t *testing.T) {
	f := startFake(t, accepts)
	p := f.open(t, nil)
	if _, err := p.link.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.say(`<iq type='get' id='q1' from='example.org' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>`, domain)
	f.say(`<iq type='set' id='q2' from='example.org' to='%s'><x xmlns='y'/></iq>`, domain)
	f.Await(t, "answers", func() bool { return len(f.stanzas) == 2 })
	for i, want := range []string{"result", "error"} {
		if got := f.stanzas[i]; got.attr("type") != want || got.attr("id") != fmt.Sprint("q", i+1) || got.attr("to") != "example.org" {
			t.Errorf("answer %d: %v", i, got.Attr)
		}
	}
}

func TestOpenTellsEveryFault(t *testing.T) {
	_, err := New([]byte(`{"address":"nowhere","domain":"a b","type":"groupchat","ca":"x"}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 5 {
		t.Errorf("New() error = %v, want five faults", err)
	}
}
