package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// connected is a provider that keeps a connection, and what is reported to it.
type connected struct {
	providers.Provider

	t       *testing.T
	reports chan push.Receipt
}

func connect(t *testing.T, s *sandbox.Sandbox, vendor string, words map[string]any) *connected {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(s.Credentials(vendor), &c); err != nil {
		t.Fatal(err)
	}
	for name, word := range words {
		c[name] = word
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openers("")[vendor](text)
	if err != nil {
		t.Fatal(err)
	}
	reports := make(chan push.Receipt, 1024) // a provider waits for who takes them
	p.(providers.Reporter).Reports(func(_ context.Context, rs []push.Receipt) error {
		for _, r := range rs {
			reports <- r
		}
		return nil
	})
	t.Cleanup(p.(interface{ CloseIdleConnections() }).CloseIdleConnections)
	return &connected{p, t, reports}
}

// send makes an attempt that has time enough.
func (c *connected) send(d *push.Delivery) (push.Answer, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	return c.Send(ctx, d)
}

// take is send for what must be taken.
func (c *connected) take(d *push.Delivery) push.Answer {
	c.t.Helper()
	answer, err := c.send(d)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// hears is the next receipt.
func (c *connected) hears() push.Receipt {
	c.t.Helper()
	select {
	case r := <-c.reports:
		return r
	case <-time.After(30 * time.Second):
		c.t.Fatal("nothing is reported")
		return push.Receipt{}
	}
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s: not so in time", what)
		}
	}
}

func set(t *testing.T, s *sandbox.Sandbox, vendor string, to sandbox.Settings) {
	t.Helper()
	if err := s.Set(vendor, to); err != nil {
		t.Fatal(err)
	}
}

func TestConnectedVendorsShowAndReport(t *testing.T) {
	for _, vendor := range []string{"smpp", "xmpp"} {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{})
			p := connect(t, s, vendor, nil)
			answer := p.take(delivery(vendor, "n1.0.0"))
			r := p.hears()
			if r.Stage != push.Delivered || r.Delivery != "n1.0.0" || r.ProviderID != answer.ID || r.Device != "phone-1" {
				t.Errorf("receipt = %+v after %+v", r, answer)
			}
			shows := s.Shows(vendor, tokens[vendor])
			if len(shows) != 1 || !strings.Contains(shows[0].Body, "on its way") || shows[0].ID != answer.ID {
				t.Fatalf("the device shows %+v", shows)
			}
			if vendor == "xmpp" && (shows[0].Title != "Shipped" || shows[0].Data["order"] != "8812") {
				t.Errorf("the client shows %+v", shows[0])
			}
			await(t, "the receipt counts", func() bool { return s.Counts(vendor).Callbacks == 1 })
		})
	}
}

func TestLongTextIsOneOnThePhone(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	sent := 0
	for name, bits := range map[string]int{"reference of 8 bits": 8, "reference of 16 bits": 16} {
		for _, text := range []string{strings.Repeat("{Grüße} für 5 €, ", 30), strings.Repeat("Здравствуйте 🙂 ", 15)} {
			p := connect(t, s, "smpp", map[string]any{"reference_bits": bits})
			d := delivery("smpp", "n1.0.0")
			d.Title, d.Body, d.Address.Token = "", text, fmt.Sprintf("+1555123450%d", sent)
			sent++
			p.take(d)
			// Whoever is bound may hear of it, as at any service.
			await(t, "it comes", func() bool { return len(s.Shows("smpp", d.Address.Token)) > 0 })
			if shows := s.Shows("smpp", d.Address.Token); len(shows) != 1 || shows[0].Body != text {
				t.Errorf("%s: the phone shows %+v, want %q", name, shows, text)
			}
		}
	}
}

// Each word of a message's refusal: what the answer is, or the report.
func TestConnectedVendorsRefuse(t *testing.T) {
	for vendor, words := range map[string]map[string]error{
		"smpp": {
			"0x58": push.ErrThrottled, "0x14": push.ErrThrottled, "0x0B": push.ErrUnregistered, "0x08": push.ErrUnavailable, "": push.ErrUnavailable,
		},
		"xmpp": {
			"service-unavailable": push.ErrUnreachable, "item-not-found": push.ErrUnregistered, "resource-constraint": push.ErrThrottled,
			"": push.ErrUnavailable,
		},
	} {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{})
			p := connect(t, s, vendor, nil)
			for word, want := range words {
				set(t, s, vendor, sandbox.Settings{ErrorRate: 1, Error: word})
				_, err := p.send(delivery(vendor, "n1.0.0"))
				if vendor == "smpp" {
					if !errors.Is(err, want) {
						t.Errorf("%s: Send() error = %v, want %v", word, err, want)
					}
				} else if r := p.hears(); err != nil || r.Stage != push.Failed || r.Kind != push.KindName(want) || r.Delivery != "n1.0.0" {
					t.Errorf("%s: Send() error = %v, receipt = %+v, want %v", word, err, r, want)
				}
				if word != "" && s.Counts(vendor).Refused[word] == 0 {
					t.Errorf("%s is not counted: %+v", word, s.Counts(vendor))
				}
			}
			if n := s.Counts(vendor); n.Accepted != 0 {
				t.Errorf("counts = %+v", n)
			}
		})
	}
}

func TestConnectedVendorsKnowTheirSenders(t *testing.T) {
	tests := map[string][]struct {
		strange map[string]any
		lot     bool // anybody is refused with the word
		word    string
	}{
		"smpp": {
			{map[string]any{"system_id": "nobody"}, false, "0x0F"},
			{map[string]any{"password": "wrong"}, false, "0x0E"},
			{nil, true, "0x0D"},
		},
		"xmpp": {
			{map[string]any{"domain": "other.example"}, false, "stream-host-unknown"},
			{map[string]any{"secret": "wrong"}, false, "stream-not-authorized"},
			{nil, true, "stream-not-authorized"},
		},
	}
	for vendor, cases := range tests {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{})
			for _, tt := range cases {
				before := s.Counts(vendor).Refused[tt.word]
				if tt.lot {
					set(t, s, vendor, sandbox.Settings{ErrorRate: 1, Error: tt.word})
				}
				if _, err := connect(t, s, vendor, tt.strange).send(delivery(vendor, "n1.0.0")); !errors.Is(err, push.ErrCredentials) {
					t.Errorf("%s: Send() error = %v, want credentials", tt.word, err)
				}
				if n := s.Counts(vendor); n.Requests != 0 || n.Refused[tt.word] == before {
					t.Errorf("%s: counts = %+v", tt.word, n)
				}
			}
		})
	}
}

func TestConnectedVendorsBreak(t *testing.T) {
	// What becomes of an attempt by SMPP is unknown; XMPP answers none anyway.
	want := map[string]error{"smpp": push.ErrUnknown}
	for name, settings := range map[string]sandbox.Settings{
		"hang": {Outage: sandbox.Hang}, "reset": {Outage: sandbox.Reset}, "html": {Outage: sandbox.HTML}, "slow": {LatencyMs: 60_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{})
			for _, vendor := range []string{"smpp", "xmpp"} {
				p := connect(t, s, vendor, nil)
				p.take(delivery(vendor, "n1.0.0")) // so that a connection stands
				p.hears()
				set(t, s, vendor, settings)
				before := s.Counts(vendor)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					_, err := p.Send(ctx, delivery(vendor, "n2.0.0"))
					done <- err
				}()
				await(t, "the vendor is asked", func() bool { return s.Counts(vendor).Requests > before.Requests })
				if vendor == "smpp" && (name == "hang" || name == "slow") {
					cancel() // nobody would wait for ever
				}
				// What breaks while a message is being written leaves doubt there too.
				if err := <-done; !errors.Is(err, want[vendor]) && !errors.Is(err, push.ErrUnknown) {
					t.Errorf("%s: Send() error = %v, want %v", vendor, err, want[vendor])
				}
				cancel()
				if n := s.Counts(vendor); n.Shown != before.Shown || n.Accepted != before.Accepted {
					t.Errorf("%s: counts = %+v, before %+v", vendor, n, before)
				}
			}
		})
	}
}

func TestConnectedVendorsReportLateNeverAndFailures(t *testing.T) {
	dead := map[string]error{"smpp": push.ErrUnavailable, "xmpp": push.ErrUnregistered}
	for vendor, want := range dead {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{})
			p := connect(t, s, vendor, nil)
			set(t, s, vendor, sandbox.Settings{ReceiptLoss: 1})
			p.take(delivery(vendor, "n1.0.0"))
			await(t, "its receipt is lost", func() bool { return s.Counts(vendor).CallbacksLost == 1 })
			set(t, s, vendor, sandbox.Settings{Loss: 1})
			p.take(delivery(vendor, "n2.0.0"))
			await(t, "it is lost", func() bool { return s.Counts(vendor).Lost == 1 })
			set(t, s, vendor, sandbox.Settings{ReceiptDelayMs: 5, ReceiptJitterMs: 5})
			p.take(delivery(vendor, "n3.0.0"))
			if r := p.hears(); r.Delivery != "n3.0.0" || r.Stage != push.Delivered {
				t.Errorf("receipt = %+v, want that of the third", r)
			}
			s.Kill(vendor, tokens[vendor], time.Now())
			p.take(delivery(vendor, "n4.0.0"))
			if r := p.hears(); r.Delivery != "n4.0.0" || r.Stage != push.Failed || r.Kind != push.KindName(want) {
				t.Errorf("receipt = %+v, want %v", r, want)
			}
			if shows := s.Shows(vendor, tokens[vendor]); len(shows) != 2 {
				t.Errorf("the device shows %+v, want the first and the third", shows)
			}
		})
	}
}

func TestReceiptsWaitForWhoeverBinds(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	p := connect(t, s, "smpp", nil)
	p.take(delivery("smpp", "n1.0.0"))
	p.hears()
	await(t, "the first is acknowledged", func() bool { return s.Counts("smpp").Callbacks == 1 })
	set(t, s, "smpp", sandbox.Settings{ReceiptDelayMs: 300})
	p.take(delivery("smpp", "n2.0.0"))
	set(t, s, "smpp", sandbox.Settings{Outage: sandbox.Refuse}) // who is inside is thrown out
	set(t, s, "smpp", sandbox.Settings{})
	if r := p.hears(); r.Delivery != "n2.0.0" || r.Stage != push.Delivered {
		t.Errorf("receipt = %+v", r)
	}
}

func TestScriptAndRequestsOfConnectedVendors(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	status, answer := call(t, s, "POST", "/sandbox/smpp/faults", `{"rules":[{"match":{"number":"+1555"},"times":1,"do":{"code":"0x14"}}]}`, "application/json")
	if status != 200 {
		t.Fatalf("script: %d %s", status, answer)
	}
	p := connect(t, s, "smpp", nil)
	if _, err := p.send(delivery("smpp", "n1.0.0")); !errors.Is(err, push.ErrThrottled) {
		t.Errorf("Send() error = %v, want throttled", err)
	}
	p.take(delivery("smpp", "n1.0.1"))
	_, requests := call(t, s, "GET", "/sandbox/smpp/requests", "", "")
	for _, want := range []string{`"method":"bind"`, `"method":"submit_sm"`, "on its way", `"answer":"0x14"`} {
		if !strings.Contains(requests, want) {
			t.Errorf("requests lack %s: %s", want, requests)
		}
	}
	var c map[string]any
	if err := json.Unmarshal(s.Credentials("smpp"), &c); err != nil || strings.Contains(requests, fmt.Sprint(c["password"])) {
		t.Errorf("requests have the password, %v", err)
	}
}

func TestServerRefusesWhatIsNoStream(t *testing.T) {
	header := `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='push.sandbox.example'>`
	tests := map[string]struct{ says, want string }{
		"a client's stream": {strings.Replace(header, "component:accept", "client", 1), "invalid-namespace"},
		"another component": {strings.Replace(header, "push.", "other.", 1) + "<handshake>00</handshake>", "host-unknown"},
		"no handshake":      {header + "<message/>", "not-authorized"},
		"a declaration":     {header + "<!DOCTYPE x><handshake/>", "restricted-xml"},
		"no XML":            {header + "<a></b>", "not-well-formed"},
		"a huge stanza":     {header + "<message><body>" + strings.Repeat("x", 300<<10), "policy-violation"},
	}
	s := start(t, sandbox.Config{})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL("xmpp"), "xmpp://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(conn, tt.says) }() // the server may leave in the middle
			answer, _ := io.ReadAll(conn)                        // a reset may come after the words
			if !strings.Contains(string(answer), "<"+tt.want+" ") {
				t.Errorf("answered %s, want %s", answer, tt.want)
			}
		})
	}
}
