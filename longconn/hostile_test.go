package longconn_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// TestHostileClientsCostNobodyElseAnything has each attack run beside a client
// that goes on being served.
func TestHostileClientsCostNobodyElseAnything(t *testing.T) {
	connect := mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, ClientID: "evil", HasPass: true, Password: []byte("sesame")})
	publish := func(p mqtt.Publish) []byte { return mqtt.AppendPublish(nil, mqtt.V5, p) }
	flood := func() (b []byte) {
		for i := range 100 {
			b = append(b, publish(mqtt.Publish{Topic: fmt.Sprint("t/", i), QoS: 1, ID: uint16(i + 1)})...)
		}
		return b
	}
	tests := map[string]struct {
		send   []byte
		reason mqtt.Reason // of DISCONNECT, or of CONNACK; Success: only closed
	}{
		"a giant remaining length":              {append(slices.Clip(connect), 0x30, 0xFF, 0xFF, 0xFF, 0x7F), mqtt.PacketTooLarge},
		"a giant remaining length in CONNECT":   {[]byte{0x10, 0xFF, 0xFF, 0xFF, 0x7F}, 0},
		"a remaining length without end":        {[]byte{0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 0},
		"malformed UTF-8 in a topic":            {append(slices.Clip(connect), 0x30, 5, 0, 2, 0xC3, 0x28, 0), mqtt.MalformedPacket},
		"a stolen token, for another device":    {mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d2", HasPass: true, Password: []byte("stolen")}), mqtt.BadCredentials},
		"another device's topic, retained":      {append(slices.Clip(connect), publish(mqtt.Publish{Topic: "inbox/d2", Retain: true})...), mqtt.RetainNotSupported},
		"more publications than were allowed":   {append(slices.Clip(connect), flood()...), mqtt.ReceiveMaximumExceeded},
		"HTTP":                                  {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0},
		"noise":                                 {[]byte(strings.Repeat("\xA7\x13\x00\xFF", 4000)), 0},
		"a second CONNECT":                      {append(slices.Clip(connect), connect...), mqtt.ProtocolError},
		"acknowledgements of what was not sent": {append(slices.Clip(connect), 0x40, 2, 0, 0), mqtt.ProtocolError},
	}
	h := open(t)
	good := h.enter(t, mqtt.V5, "good")
	n := 0
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "more publications than were allowed" {
				h.Change(func() { h.mute = true })
				defer h.Change(func() { h.mute = false })
			}
			r := h.dial(t, mqtt.V5)
			r.Write(tt.send) //nolint:errcheck // the server may close amid it
			var got mqtt.Reason
			for {
				typ, body := r.next()
				if typ == 0 {
					break
				}
				switch typ {
				case mqtt.DISCONNECT:
					got, _, _ = mqtt.DecodeDisconnect(body, mqtt.V5)
				case mqtt.CONNACK:
					got = mqtt.Reason(body[1])
				default: // answers to what went before
				}
			}
			if got != tt.reason {
				t.Errorf("reason 0x%02X, want 0x%02X", byte(got), byte(tt.reason))
			}
			n++
			id := fmt.Sprint("m", n)
			if err := h.deliver(t, "good", longconn.Message{ID: id, Payload: []byte(id)}); err != nil {
				t.Fatalf("the other client: %v", err)
			}
			p := good.Publish()
			if string(p.Payload) != id {
				t.Errorf("the other client got %q", p.Payload)
			}
			good.Puback(p.ID)
		})
	}
}

func TestSlowLorisIsClosedInTime(t *testing.T) {
	t.Parallel()
	h := open(t, func(c *longconn.Config) { c.HandshakeTimeout = 300 * time.Millisecond })
	connect := mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: strings.Repeat("x", 1000)})
	r := h.dial(t, mqtt.V5)
	begin := time.Now()
	for i := 0; ; i++ { // a byte at a time: each is "activity", and must not help
		if _, err := r.Write(connect[i%len(connect) : i%len(connect)+1]); err != nil {
			break
		}
		if time.Since(begin) > soon {
			t.Fatal("still open")
		}
		<-time.After(20 * time.Millisecond)
	}
	if got := h.Stats().Closed["handshake"]; got != 1 {
		t.Errorf("%d closed for want of a handshake", got)
	}
}

func TestHalfOpenConnectionsEnd(t *testing.T) {
	h := open(t)
	r := h.enter(t, mqtt.V5, "d1")
	if err := r.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	h.Await(t, "end", func() bool { return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.Lost })
	ended(t, r)
}

func TestConnectStormIsToldWhenToComeAgain(t *testing.T) {
	h := open(t, func(c *longconn.Config) { c.ConnectRate, c.ConnectBurst = 1, 5 })
	in, away := 0, 0
	for i := range 15 {
		for _, version := range []byte{mqtt.V5} {
			r := h.dial(t, version)
			r.Send(mqtt.AppendConnect(nil, mqtt.Connect{Version: version, Clean: true, ClientID: fmt.Sprint("d", i), HasPass: true, Password: []byte("sesame")}))
			_, body := r.next()
			reason, _, p, err := mqtt.DecodeConnack(body, version)
			switch {
			case err != nil:
				t.Fatal(err)
			case reason == mqtt.Success:
				in++
			case reason != mqtt.ServerBusy || len(p.User) != 1 || p.User[0].Name != longconn.RetryAfter || p.User[0].Value == "0":
				t.Errorf("reason 0x%02X, properties %+v", byte(reason), p.User)
			default:
				away++
			}
		}
	}
	if in < 5 || away < 5 {
		t.Errorf("%d came in and %d were sent away; the burst is 5", in, away)
	}
}

func TestOneAddressHasItsShareOnly(t *testing.T) {
	tests := map[string]func(*longconn.Config){
		"of connections":                 func(c *longconn.Config) { c.PerAddress = 3 },
		"of connections that are not in": func(c *longconn.Config) { c.UnprovenPerAddress = 3 },
	}
	for name, limit := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t, limit)
			var held []*raw
			for range 3 {
				held = append(held, h.dial(t, mqtt.V5))
			}
			h.eventually(t, func() bool { return h.Stats().Open == 3 })
			ended(t, h.dial(t, mqtt.V5))
			held[0].Close()
			h.eventually(t, func() bool { return h.Stats().Open == 2 })
			h.enter(t, mqtt.V5, "d1")
			if name == "of connections that are not in" {
				h.enter(t, mqtt.V5, "d2") // d1 has proved itself and counts no longer
			}
		})
	}
}

// eventually waits for what no handler is told.
func (h *house) eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %+v", soon, h.Stats())
		}
		<-time.After(2 * time.Millisecond)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	h := open(t, func(c *longconn.Config) { c.MaxMemory, c.Window, c.QueueBytes = 1<<20, 1, 4<<20 })
	r := h.enter(t, mqtt.V5, "d1")
	c := h.conn(t, "d1")
	full := make(chan error, 64)
	for i := range 40 { // 2.4 MB
		c.Deliver(longconn.Message{ID: fmt.Sprint(i), Payload: make([]byte, 60_000)}, func(err error) { full <- err })
	}
	var sent, refused int
	for sent == 0 || refused == 0 { // the others still wait
		switch err := <-full; {
		case err == nil:
			sent++
		case errors.Is(err, longconn.ErrFull):
			refused++
		default:
			t.Fatalf("Deliver() = %v", err)
		}
	}
	busy := h.dial(t, mqtt.V5)
	busy.Send(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d2", HasPass: true, Password: []byte("sesame")}))
	if _, body := busy.next(); mqtt.Reason(body[1]) != mqtt.ServerBusy {
		t.Errorf("CONNACK 0x%02X, want server busy", body[1])
	}
	for range 10 {
		r.Puback(r.Publish().ID)
	}
	h.enter(t, mqtt.V5, "d3")
}

func TestDrainSendsClientsElsewhereAtAPace(t *testing.T) {
	t.Parallel()
	h := open(t, func(c *longconn.Config) { c.Redirect, c.EvictRate = "other.example:1883", 100 })
	const clients = 20
	var all []*raw
	for i := range clients {
		all = append(all, h.enter(t, mqtt.V5, fmt.Sprint("d", i)))
	}
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- h.stop() }()
	for _, r := range all {
		var p mqtt.Properties
		var reason mqtt.Reason
		for {
			typ, body := r.next()
			if typ == 0 {
				break
			}
			if typ == mqtt.DISCONNECT {
				reason, p, _ = mqtt.DecodeDisconnect(body, mqtt.V5)
			}
		}
		if reason != mqtt.UseAnotherServer || p.ServerReference != "other.example:1883" || len(p.User) != 1 {
			t.Errorf("reason 0x%02X, %+v", byte(reason), p)
		}
		r.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("all %d were gone after %s; the pace is 100 a second", clients, took)
	}
	if got := h.Stats().Closed["moved"]; got != clients {
		t.Errorf("%d moved", got)
	}
}

func TestConnectionsMoveOnWhenTheyAreOld(t *testing.T) {
	t.Parallel()
	h := open(t, func(c *longconn.Config) { c.MaxAge = time.Second })
	r := h.enter(t, mqtt.V5, "d1")
	if got := r.disconnected(); got != mqtt.UseAnotherServer {
		t.Errorf("reason 0x%02X, want 0x9C", byte(got))
	}
}

func TestTokenThatRanOutEndsTheConnectionUnlessItIsRenewed(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.Change(func() { h.welcome.Until = time.Now().Add(4 * time.Second) })
	enter := func(id string) *raw {
		return h.enter(t, mqtt.V5, id, func(c *mqtt.Connect) {
			c.HasPass, c.Properties.AuthMethod, c.Properties.AuthData = false, longconn.TokenAuth, []byte("sesame")
		})
	}
	old, renewed := enter("d1"), enter("d2")
	renewed.Send(mqtt.AppendAuth(nil, mqtt.Reauthenticate, mqtt.Properties{AuthMethod: longconn.TokenAuth, AuthData: []byte("sesame")}))
	if typ, _ := renewed.next(); typ != mqtt.AUTH {
		t.Fatalf("type %d, want AUTH", typ)
	}
	if got := old.disconnected(); got != mqtt.NotAuthorized {
		t.Errorf("reason 0x%02X, want 0x87", byte(got))
	}
	h.Await(t, "end", func() bool { return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.Expired })
	renewed.Send(mqtt.AppendPing(nil, mqtt.PINGREQ))
	if typ, _ := renewed.next(); typ != mqtt.PINGRESP {
		t.Errorf("type %d: the renewed one is gone too", typ)
	}
}

func TestRedirectsFitStockClients(t *testing.T) {
	h := open(t)
	r := h.enter(t, mqtt.V311, "d1")
	h.conn(t, "d1").Close(longconn.Moved)
	if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
		t.Errorf("3.1.1 client heard % x, %v; it knows no DISCONNECT of servers", b, err)
	}
}
