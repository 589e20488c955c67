package smpp

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

func TestProviderKeepsTheContract(t *testing.T) {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 1531)
	providertest.Run(t, providertest.Harness{
		Name: name, Start: start, Delivery: delivery, TooLarge: large, Secrets: []string{"s3cret", "15551234567"},
		Refusals: map[providertest.Behaviour]error{
			"0x0E on bind": push.ErrCredentials,
			"0x05 on bind": push.ErrUnavailable,
			"0x0B":         push.ErrUnregistered,
			"0x0A":         push.ErrCredentials,
			"0x58":         push.ErrThrottled,
			"0x14":         push.ErrThrottled,
			"0x08":         push.ErrUnavailable,
			"0x66":         push.ErrRejected,
			"0x4FF":        push.ErrRejected,
		},
	})
}

// start starts a service that behaves as told. It counts submitted messages,
// and refused binds.
func start(t *testing.T, b providertest.Behaviour) providertest.Fixture {
	if b == providertest.AnswersHTML || b == providertest.AcceptsHTML {
		return providertest.Fixture{} // there is no HTTP here
	}
	var attempts atomic.Int64
	secured := httptest.NewUnstartedServer(nil) // for its certificate alone
	secured.StartTLS()
	t.Cleanup(secured.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secured.Certificate().Raw}))
	if b == providertest.BadCertificate {
		ca = ""
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	switch b {
	case providertest.RefusesToTalk:
		_ = ln.Close()
	case providertest.HangsAtHello: // the kernel takes connections; nobody calls Accept
	default:
		ln = tls.NewListener(ln, &tls.Config{Certificates: secured.TLS.Certificates, MinVersion: tls.VersionTLS12})
		go serve(ln, func(unit pdu.PDU) (answer *pdu.PDU, ok bool) { return behave(b, unit, &attempts) })
	}
	p := open(t, ln.Addr().String(), map[string]any{"tls": true, "ca": ca})
	return providertest.Fixture{Provider: p, Attempts: func() int { return int(attempts.Load()) }}
}

// behave answers a unit; nil is no answer, and ok is false to hang up.
func behave(b providertest.Behaviour, unit pdu.PDU, attempts *atomic.Int64) (answer *pdu.PDU, ok bool) {
	answer = &pdu.PDU{Command: unit.Command | pdu.GenericNack, Sequence: unit.Sequence, Body: []byte("smsc\x00")}
	word, onBind := strings.CutSuffix(string(b), " on bind")
	switch {
	case unit.Command == pdu.BindTransceiver && onBind, unit.Command == pdu.SubmitSM && !onBind:
		attempts.Add(1)
	case unit.Command == pdu.Unbind:
		answer.Body = nil
		return answer, true
	default:
		return answer, true
	}
	switch b {
	case providertest.Hangs:
		return nil, true
	case providertest.Cuts:
		return nil, false
	case providertest.Accepts:
		return answer, true
	default:
		status, err := strconv.ParseUint(word, 0, 32)
		if err != nil {
			return nil, false
		}
		answer.Status, answer.Body = uint32(status), nil
		return answer, true
	}
}

// serve answers whoever connects, until the listener closes.
func serve(ln net.Listener, answer func(pdu.PDU) (*pdu.PDU, bool)) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			converse(conn, answer)
		}()
	}
}

func converse(conn net.Conn, answer func(pdu.PDU) (*pdu.PDU, bool)) {
	in := bufio.NewReader(conn)
	for {
		unit, err := pdu.Read(in)
		if err != nil {
			return
		}
		a, ok := answer(unit)
		if !ok {
			return
		}
		if a != nil {
			if _, err := conn.Write(a.Append(nil)); err != nil {
				return
			}
		}
	}
}

func TestOpenTellsEveryFault(t *testing.T) {
	_, err := Opener(nil)([]byte(`{"address":"smsc","system_type":"longer than twelve","from":"longer than eleven","price_per_segment":-1,"window":-1,"max_segments":256}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 8 {
		t.Errorf("New() error = %v, want eight faults", err)
	}
	if _, err := Opener(nil)([]byte(`{"address":"h:1","system_id":"a","password":"b","from":"c","tls":true,"ca":"none"}`)); !errors.As(err, &invalid) {
		t.Errorf("New() error = %v, want a fault of ca", err)
	}
}

func TestSendersAreReadAsWhatTheyAre(t *testing.T) {
	tests := map[string]pdu.Address{
		"+15550100": {TON: 1, NPI: 1, Number: "15550100"},
		"12345":     {TON: 0, NPI: 1, Number: "12345"},
		"Herald":    {TON: 5, NPI: 0, Number: "Herald"},
	}
	for from, want := range tests {
		if got := sourceOf(from); got != want {
			t.Errorf("sourceOf(%q) = %+v, want %+v", from, got, want)
		}
	}
}

func TestTokensThatAreNoNumbersAreNotSent(t *testing.T) {
	p := open(t, "127.0.0.1:1", nil)
	for token, kind := range map[string]error{
		"": push.ErrUnreachable, "15551234567": push.ErrUnregistered, "+1555CALLNOW": push.ErrUnregistered, "+": push.ErrUnregistered,
	} {
		d := delivery("n1.0.0")
		d.Address.Token = token
		if _, err := p.Send(t.Context(), d); !errors.Is(err, kind) {
			t.Errorf("Send(%q) error = %v, want %v", token, err, kind)
		}
	}
}

func TestWeighCountsOctetsOnTheAir(t *testing.T) {
	tests := map[string]struct {
		body  string
		bytes int
	}{
		"one letter":                 {"x", 1},
		"a full segment":             {strings.Repeat("x", 160), 140},
		"two full segments":          {strings.Repeat("x", 306), 280},
		"one in UCS-2":               {strings.Repeat("ł", 70), 140},
		"two in UCS-2, header twice": {strings.Repeat("ł", 71), 2*71 + 12},
	}
	p := open(t, "127.0.0.1:1", nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			d.Title, d.Body = "", tt.body
			if w, err := p.Weigh(d); err != nil || w.Bytes != tt.bytes || w.Limit != 1400 {
				t.Errorf("Weigh() = %+v, %v, want %d of 1400", w, err, tt.bytes)
			}
		})
	}
}

func TestValidityIsTheTimeThatIsLeft(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]string{
		90 * time.Second: "000000000130000R", 26 * time.Hour: "000001020000000R", -time.Hour: "000000000001000R", 9000 * time.Hour: "000030000000000R",
	} {
		if got := validity(now.Add(left), now); got != want {
			t.Errorf("validity(%s) = %s, want %s", left, got, want)
		}
	}
}

// open opens a provider with the usual credentials and some others, at a pace
// for tests.
func open(t *testing.T, address string, more map[string]any) *Provider {
	t.Helper()
	return openWith(t, nil, address, more)
}

// openWith opens a provider that keeps its messages in notes.
func openWith(t *testing.T, notes Notes, address string, more map[string]any) *Provider {
	t.Helper()
	c := map[string]any{
		"address": address, "system_id": "herald", "password": "s3cret", "system_type": "push", "from": "+15550100", "price_per_segment": 0.05,
	}
	maps.Copy(c, more)
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Opener(notes)(raw)
	if err != nil {
		t.Fatal(err)
	}
	p := opened.(*Provider)
	p.pace.least, p.pace.most, p.pace.goodbye = 10*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond
	t.Cleanup(p.CloseIdleConnections)
	return p
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.OTP, Title: "Herald", Body: "Your code is 123456",
			ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: "+15551234567"},
	}
}
