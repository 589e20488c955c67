package longconn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

func TestSubscribeGrantsTheInboxOnly(t *testing.T) {
	for version, want := range map[byte]string{
		mqtt.V311: "\x00\x07\x01\x02\x80\x80\x80",
		mqtt.V5:   "\x00\x07\x00\x01\x02\x87\xa2\x9e",
	} {
		h := open(t)
		r := h.enter(t, version, "d1")
		r.Send(mqtt.AppendSubscribe(nil, version, mqtt.Subscribe{ID: 7, Filters: []mqtt.Filter{
			{Topic: "inbox", QoS: 0}, {Topic: "inbox", QoS: 2}, {Topic: "receipts"}, {Topic: "inbox/#"}, {Topic: "$share/g/inbox"},
		}}))
		if typ, body := r.next(); typ != mqtt.SUBACK || string(body) != want {
			t.Errorf("version %d: type %d % x, want SUBACK % x", version, typ, body, want)
		}
	}
}

func TestUnsubscribedInboxIsSilent(t *testing.T) {
	h := open(t)
	r := h.enter(t, mqtt.V5, "d1")
	r.Send([]byte{0xA2, 10, 0, 1, 0, 0, 5, 'i', 'n', 'b', 'o', 'x'})
	if typ, body := r.next(); typ != mqtt.UNSUBACK || body[3] != 0 {
		t.Fatalf("type %d % x", typ, body)
	}
	if err := h.deliver(t, "d1", longconn.Message{ID: "m"}); !errors.Is(err, longconn.ErrGone) {
		t.Errorf("Deliver() = %v, want ErrGone", err)
	}
	r.Send(mqtt.AppendSubscribe(nil, mqtt.V5, mqtt.Subscribe{ID: 2, Filters: []mqtt.Filter{{Topic: "inbox", QoS: 1}}}))
	h.Await(t, "Ready", func() bool { return h.ready == 1 })
	if err := h.deliver(t, "d1", longconn.Message{ID: "m"}); err != nil {
		t.Errorf("Deliver() = %v", err)
	}
}

func TestNewerConnectionTakesOver(t *testing.T) {
	h := open(t)
	old := h.enter(t, mqtt.V5, "d1")
	before := h.conn(t, "d1")
	h.enter(t, mqtt.V311, "d1")
	if got := old.disconnected(); got != mqtt.SessionTakenOver {
		t.Errorf("reason 0x%02X, want 0x8E", byte(got))
	}
	h.Await(t, "takeover", func() bool { return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.TakenOver })
	if h.hub.Len() != 1 {
		t.Errorf("%d sessions, want the new one", h.hub.Len())
	}
	h.Await(t, "the new one", func() bool { return h.conns["d1"] != before }) // it is noted after its CONNACK
	if err := h.deliver(t, "d1", longconn.Message{ID: "m"}); err != nil {
		t.Errorf("Deliver() to the new one = %v", err)
	}
}

func TestOlderConnectDoesNotTakeOverWhenItsAnswerIsLate(t *testing.T) {
	h := open(t)
	h.Change(func() { h.hold = make(chan struct{}) })
	late := h.dial(t, mqtt.V5)
	late.Send(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, ClientID: "d1", HasPass: true, Password: []byte("sesame")}))
	h.Await(t, "CONNECT", func() bool { return h.asked == 1 })
	hold := h.hold
	h.Change(func() { h.hold = nil })
	h.enter(t, mqtt.V5, "d1")
	close(hold)
	if typ, body := late.next(); typ != mqtt.CONNACK || mqtt.Reason(body[1]) != mqtt.ServerUnavailable {
		t.Errorf("type %d % x, want a refusal", typ, body)
	}
}

func TestSilentClientIsClosedAfterOneAndAHalfKeepAlives(t *testing.T) {
	t.Parallel()
	h := open(t)
	for _, version := range []byte{mqtt.V311, mqtt.V5} {
		r := h.enter(t, version, fmt.Sprint("d", version), func(c *mqtt.Connect) { c.KeepAlive = 1 })
		begin := time.Now()
		reason := r.disconnected()
		if took := time.Since(begin); took < 1400*time.Millisecond || took > 20*time.Second {
			t.Errorf("closed after %s, want 1.5s", took)
		}
		if version == mqtt.V5 && reason != mqtt.KeepAliveTimeout {
			t.Errorf("reason 0x%02X, want 0x8D", byte(reason))
		}
	}
	if got := h.Stats().Closed["silent"]; got == 0 {
		t.Error("no connection counted as silent")
	}
}

func TestClientThatNeverConnectsIsClosed(t *testing.T) {
	t.Parallel()
	h := open(t, func(c *longconn.Config) { c.HandshakeTimeout = 100 * time.Millisecond })
	tests := map[string]string{
		"says nothing":              "",
		"sends half a CONNECT":      "\x10\x0c\x00\x04MQ",
		"gets no answer to its own": string(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d", HasPass: true, Password: []byte("sesame")})),
	}
	h.Change(func() { h.hold = make(chan struct{}) })
	t.Cleanup(func() { close(h.hold) })
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			r := h.dial(t, mqtt.V5)
			r.Send([]byte(send))
			for typ := mqtt.CONNACK; typ != 0; {
				typ, _ = r.next()
			}
		})
	}
}

func TestPacketsSentBeforeTheAnswerWait(t *testing.T) {
	h := open(t)
	h.Change(func() { h.hold = make(chan struct{}) })
	r := h.dial(t, mqtt.V5)
	b := mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d1", HasPass: true, Password: []byte("sesame")})
	b = mqtt.AppendSubscribe(b, mqtt.V5, mqtt.Subscribe{ID: 1, Filters: []mqtt.Filter{{Topic: "inbox"}}})
	r.Send(mqtt.AppendPing(b, mqtt.PINGREQ))
	close(h.hold)
	for _, want := range []mqtt.Type{mqtt.CONNACK, mqtt.SUBACK, mqtt.PINGRESP} {
		if typ, _ := r.next(); typ != want {
			t.Fatalf("type %d, want %d", typ, want)
		}
	}
}

func TestFullServerSaysThatItIsBusy(t *testing.T) {
	h := open(t, func(c *longconn.Config) { c.MaxConnections = 1 })
	h.enter(t, mqtt.V5, "d1")
	r := h.dial(t, mqtt.V5)
	r.Send(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d2"}))
	if typ, body := r.next(); typ != mqtt.CONNACK || mqtt.Reason(body[1]) != mqtt.ServerBusy {
		t.Errorf("type %d % x, want server busy", typ, body)
	}
}

func TestPublicationsAreAnsweredInOrder(t *testing.T) {
	h := open(t)
	r := h.enter(t, mqtt.V5, "d1")
	pub := func(id uint16, qos byte, topic string) []byte {
		return mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: topic, ID: id, QoS: qos, Payload: []byte("x")})
	}
	r.Send(append(append(pub(1, 1, "receipts"), pub(2, 2, "receipts")...), pub(3, 1, "other")...))
	for _, want := range []string{"\x40 0001", "\x50 0002", "\x40 000387"} {
		h, body := r.Next()
		if got := fmt.Sprintf("%c %x", byte(h.Type)<<4, body); got != want {
			t.Errorf("answer %q, want %q", got, want)
		}
	}
	r.Send(pub(2, 2, "receipts")) // again, before PUBREL: not to be published again
	r.Send(mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBREL, 2, mqtt.Success))
	r.Send(mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBREL, 2, mqtt.Success))
	for _, want := range []string{"\x50 0002", "\x70 0002", "\x70 000292"} {
		h, body := r.Next()
		if got := fmt.Sprintf("%c %x", byte(h.Type)<<4, body); got != want {
			t.Errorf("answer %q, want %q", got, want)
		}
	}
	h.Lock()
	defer h.Unlock()
	if len(h.published) != 3 {
		t.Errorf("%d publications reached the handler, want 3", len(h.published))
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	t.Parallel()
	h := open(t)
	r := h.enter(t, mqtt.V5, "d1")
	old := h.enter(t, mqtt.V311, "d2")
	done := make(chan error, 1)
	go func() { done <- h.stop() }()
	if got := r.disconnected(); got != mqtt.ServerShuttingDown {
		t.Errorf("reason 0x%02X, want 0x8B", byte(got))
	}
	old.disconnected()
	r.Close()
	old.Close()
	if err := <-done; err != nil {
		t.Errorf("Run() = %v", err)
	}
	if _, err := net.DialTimeout("tcp", h.TCPAddr().String(), time.Second); err == nil {
		t.Error("still listening")
	}
	if got := h.Stats(); got.Open != 0 || got.Sessions != 0 || got.Closed["shutdown"] != 2 {
		t.Errorf("stats %+v", got)
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	h := open(t, func(c *longconn.Config) { c.WriteTimeout, c.Window = 200*time.Millisecond, 1000 })
	h.enter(t, mqtt.V311, "d1")
	c := h.conn(t, "d1")
	broken := make(chan struct{}, 1000)
	for i := range 900 { // 50 MB: more than the kernel's buffers hold
		c.Deliver(longconn.Message{ID: fmt.Sprint(i), Payload: []byte(strings.Repeat("x", 60_000))}, func(err error) {
			if errors.Is(err, longconn.ErrBroken) {
				broken <- struct{}{}
			}
		})
	}
	select {
	case <-broken:
	case <-time.After(soon):
		t.Fatal("the connection still stands")
	}
	h.Await(t, "end", func() bool { return len(h.closed["d1"]) == 1 })
}

func TestAPortThatIsOpenAlreadyIsUsed(t *testing.T) {
	l, err := longconn.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := longconn.DefaultConfig()
	cfg.TCP, cfg.TCPListener, cfg.WebSocket = "an address that is not looked at", l, ""
	s, err := longconn.Open(t.Context(), cfg, longconn.NewHub(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if s.TCPAddr().String() != l.Addr().String() || s.WebSocketAddr() != nil {
		t.Errorf("serves at %v and %v, want at %v alone", s.TCPAddr(), s.WebSocketAddr(), l.Addr())
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}
