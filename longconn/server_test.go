package longconn_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

func TestConnectIsAnsweredByTheRules(t *testing.T) {
	base := mqtt.Connect{Version: mqtt.V5, Clean: true, KeepAlive: 30, ClientID: "d1", Username: "d1", HasUser: true, Password: []byte("sesame"), HasPass: true}
	tests := map[string]struct {
		change func(*mqtt.Connect)
		want   mqtt.Reason
		check  func(t *testing.T, present bool, p mqtt.Properties)
	}{
		"3.1.1 comes in": {change: func(c *mqtt.Connect) { c.Version = mqtt.V311 }},
		"3.1.1 wants its old session, of which nothing is kept": {
			change: func(c *mqtt.Connect) { c.Version, c.Clean = mqtt.V311, false },
			check: func(t *testing.T, present bool, _ mqtt.Properties) {
				if present {
					t.Error("session present")
				}
			},
		},
		"3.1.1 without client id wants a session": {
			change: func(c *mqtt.Connect) { c.Version, c.Clean, c.ClientID = mqtt.V311, false, "" },
			want:   2,
		},
		"3.1.1 with the wrong password": {
			change: func(c *mqtt.Connect) { c.Version, c.Password = mqtt.V311, []byte("x") },
			want:   4,
		},
		"5 with the wrong password": {
			change: func(c *mqtt.Connect) { c.Password = []byte("x") },
			want:   mqtt.BadCredentials,
		},
		"5 without client id is assigned one [MQTT-3.1.3-6]": {
			change: func(c *mqtt.Connect) { c.ClientID = "" },
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if p.AssignedClientID != "d1" {
					t.Errorf("assigned %q", p.AssignedClientID)
				}
			},
		},
		"5 wants to be kept and is told 0 seconds": {
			change: func(c *mqtt.Connect) { c.Properties.SessionExpiry = 3600 },
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if !p.Has(mqtt.PropSessionExpiry) || p.SessionExpiry != 0 {
					t.Errorf("expiry %d", p.SessionExpiry)
				}
			},
		},
		"5 without keep alive is given one [MQTT-3.1.2-21]": {
			change: func(c *mqtt.Connect) { c.KeepAlive = 0 },
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if p.ServerKeepAlive != 1200 {
					t.Errorf("server keep alive %d", p.ServerKeepAlive)
				}
			},
		},
		"5 is told the limits": {
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if p.MaximumPacketSize != 64<<10 || p.ReceiveMaximum == 0 || p.TopicAliasMaximum != 0 || p.ServerKeepAlive != 0 {
					t.Errorf("%+v", p)
				}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t).dial(t, mqtt.V5)
			c := base
			if tt.change != nil {
				tt.change(&c)
			}
			r.Send(mqtt.AppendConnect(nil, c))
			typ, body := r.next()
			reason, present, p, err := mqtt.DecodeConnack(body, c.Version)
			if typ != mqtt.CONNACK || reason != tt.want || err != nil {
				t.Fatalf("type %d, reason 0x%02X, %v; want CONNACK 0x%02X", typ, byte(reason), err, byte(tt.want))
			}
			if tt.check != nil {
				tt.check(t, present, p)
			}
			if tt.want != mqtt.Success {
				if typ, _ := r.next(); typ != 0 {
					t.Errorf("type %d after a refusal, want the end", typ)
				}
			}
		})
	}
}

func TestBreachesEndTheConnectionWithTheirReason(t *testing.T) {
	tests := map[string]struct {
		send []byte
		want mqtt.Reason
	}{
		"a second CONNECT [MQTT-3.1.0-2]":    {mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d1"}), mqtt.ProtocolError},
		"a packet of servers":                {mqtt.AppendPing(nil, mqtt.PINGRESP), mqtt.ProtocolError},
		"AUTH without a method":              {[]byte{0xF0, 0}, mqtt.ProtocolError},
		"PINGREQ with a body":                {[]byte{0xC0, 1, 0}, mqtt.MalformedPacket},
		"reserved flags":                     {[]byte{0xC1, 0}, mqtt.MalformedPacket},
		"a packet over the limit":            {[]byte{0x30, 0xFF, 0xFF, 0x7F}, mqtt.PacketTooLarge},
		"a retained message [MQTT-3.2.2-14]": {mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: "receipts", Retain: true}), mqtt.RetainNotSupported},
		"a topic alias [MQTT-3.2.2-17]":      {[]byte{0x30, 6, 0, 0, 3, 0x23, 0, 1}, mqtt.TopicAliasInvalid},
		"a wildcard topic":                   {mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: "#"}), mqtt.TopicInvalid},
		"a subscription identifier":          {[]byte{0x82, 13, 0, 1, 2, 0x0B, 1, 0, 5, 'i', 'n', 'b', 'o', 'x', 1}, mqtt.SubIDNotSupported},
		"PUBREC, for we never send QoS 2":    {mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBREC, 1, mqtt.Success), mqtt.ProtocolError},
		"an identifier of 0":                 {mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBACK, 0, mqtt.Success), mqtt.ProtocolError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			r := h.enter(t, mqtt.V5, "d1")
			r.Send(tt.send)
			if got := r.disconnected(); got != tt.want {
				t.Errorf("DISCONNECT reason 0x%02X, want 0x%02X", byte(got), byte(tt.want))
			}
			h.Await(t, "end", func() bool { return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.Malformed })
		})
	}
}

func TestWhatIsNotMQTTIsClosed(t *testing.T) {
	tests := map[string]struct {
		send string
		want string
	}{
		"HTTP":                {"GET / HTTP/1.1\r\n\r\n", ""},
		"PINGREQ first":       {"\xC0\x00", ""},
		"MQTT 3.1":            {"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", "\x20\x02\x00\x01"},
		"MQTT 6":              {"\x10\x0c\x00\x04MQTT\x06\x02\x00\x3c\x00\x00", "\x20\x03\x00\x84\x00"},
		"5 with a bad method": {"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01x\x00\x00", "\x20\x03\x00\x8c\x00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t).dial(t, mqtt.V5)
			r.Send([]byte(tt.send))
			r.SetReadDeadline(time.Now().Add(soon))
			var got []byte
			buf := make([]byte, 64)
			for {
				n, err := r.Read(buf)
				got = append(got, buf[:n]...)
				if err != nil {
					break
				}
			}
			if string(got) != tt.want {
				t.Errorf("answered % x, want % x", got, tt.want)
			}
		})
	}
}

func TestSubscribeGrantsTheInboxOnly(t *testing.T) {
	for version, want := range map[byte]string{
		mqtt.V311: "\x00\x07\x01\x01\x80\x80\x80",
		mqtt.V5:   "\x00\x07\x00\x01\x01\x87\xa2\x9e",
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

func TestMessageIsSentOnceAConnection(t *testing.T) {
	h := open(t)
	r := h.enter(t, mqtt.V311, "d1")
	m := longconn.Message{ID: "m1", Payload: []byte("one")}
	for range 3 {
		if err := h.deliver(t, "d1", m); err != nil {
			t.Fatal(err)
		}
	}
	first := r.Publish()
	if first.Dup || first.QoS != 1 || first.Topic != "inbox" || string(first.Payload) != "one" {
		t.Errorf("PUBLISH %+v", first)
	}
	r.Puback(first.ID)
	h.Await(t, "proof", func() bool { return h.acked["m1"] == 1 })
	if err := h.deliver(t, "d1", m); err != nil {
		t.Fatal(err)
	}
	if err := h.deliver(t, "d1", longconn.Message{ID: "m2", Payload: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	if p := r.Publish(); string(p.Payload) != "two" {
		t.Errorf("next PUBLISH is %q, want two", p.Payload)
	}

	// Unacknowledged, the connection dies: the next one gets it as a new message.
	r.Close()
	h.Await(t, "end", func() bool { return len(h.closed["d1"]) == 1 })
	h.Change(func() { h.conns["d1"] = nil })
	r = h.enter(t, mqtt.V311, "d1", func(c *mqtt.Connect) { c.Clean = false })
	if err := h.deliver(t, "d1", longconn.Message{ID: "m2", Payload: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	if p := r.Publish(); string(p.Payload) != "two" || p.Dup {
		t.Errorf("PUBLISH %q with DUP %v; this session is new, so is the packet [MQTT-3.3.1-1]", p.Payload, p.Dup)
	}
}

func TestWindowHoldsBackWhatTheClientHasNotAcknowledged(t *testing.T) {
	h := open(t, func(c *longconn.Config) { c.Queue = 4 })
	r := h.enter(t, mqtt.V5, "d1", func(c *mqtt.Connect) { c.Properties.ReceiveMaximum = 3 })
	c := h.conn(t, "d1")
	reports := make(chan error, 10)
	for i := range 8 {
		c.Deliver(longconn.Message{ID: fmt.Sprint("m", i), Payload: fmt.Append(nil, i)}, func(err error) { reports <- err })
	}
	full := 0
	for range 4 { // three in the window, one refused; four still wait
		if err := <-reports; errors.Is(err, longconn.ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if full != 1 {
		t.Errorf("%d refused, want 1", full)
	}
	var ids []uint16
	for i := range 3 {
		p := r.Publish()
		if string(p.Payload) != fmt.Sprint(i) {
			t.Errorf("message %d is %q", i, p.Payload)
		}
		ids = append(ids, p.ID)
	}
	// A place becomes free for each acknowledgement, and no more.
	r.Puback(ids[1])
	if p := r.Publish(); string(p.Payload) != "3" {
		t.Errorf("message 3 is %q", p.Payload)
	}
	r.Send(mqtt.AppendPing(nil, mqtt.PINGREQ))
	if typ, _ := r.next(); typ != mqtt.PINGRESP {
		t.Errorf("type %d within a full window, want PINGRESP", typ)
	}
	r.Puback(ids[0])
	r.Publish()
	h.Await(t, "Ready after a refusal", func() bool { return h.ready == 1 })
}

func TestMessageThatCannotGoIsReported(t *testing.T) {
	h := open(t)
	h.enter(t, mqtt.V5, "d1", func(c *mqtt.Connect) { c.Properties.MaximumPacketSize = 100 })
	tests := map[string]struct {
		m    longconn.Message
		want error
	}{
		"expired":                   {longconn.Message{ID: "1", Expires: time.Now().Add(-time.Second)}, longconn.ErrExpired},
		"over the client's maximum": {longconn.Message{ID: "2", Payload: make([]byte, 100)}, longconn.ErrTooLarge},
		"within both":               {longconn.Message{ID: "3", Payload: make([]byte, 80), Expires: time.Now().Add(time.Minute)}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := h.deliver(t, "d1", tt.m); !errors.Is(err, tt.want) {
				t.Errorf("Deliver() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestExpiryTravelsWithTheMessage(t *testing.T) {
	h := open(t)
	r := h.enter(t, mqtt.V5, "d1")
	if err := h.deliver(t, "d1", longconn.Message{ID: "1", Expires: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if p := r.Publish(); p.Properties.MessageExpiry < 59 || p.Properties.MessageExpiry > 60 {
		t.Errorf("message expiry %d s, want 60", p.Properties.MessageExpiry)
	}
}

func TestRefusedMessageIsNoProof(t *testing.T) {
	h := open(t)
	r := h.enter(t, mqtt.V5, "d1")
	if err := h.deliver(t, "d1", longconn.Message{ID: "m1"}); err != nil {
		t.Fatal(err)
	}
	r.Send(mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBACK, r.Publish().ID, mqtt.QuotaExceeded))
	r.Send(mqtt.AppendPing(nil, mqtt.PINGREQ))
	r.next()
	h.Lock()
	defer h.Unlock()
	if len(h.acked) != 0 {
		t.Errorf("acked %v", h.acked)
	}
}

func TestNewerConnectionTakesOver(t *testing.T) {
	h := open(t)
	old := h.enter(t, mqtt.V5, "d1")
	h.enter(t, mqtt.V311, "d1")
	if got := old.disconnected(); got != mqtt.SessionTakenOver {
		t.Errorf("reason 0x%02X, want 0x8E", byte(got))
	}
	h.Await(t, "takeover", func() bool { return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.TakenOver })
	if h.hub.Len() != 1 {
		t.Errorf("%d sessions, want the new one", h.hub.Len())
	}
	if err := h.deliver(t, "d1", longconn.Message{ID: "m"}); err != nil {
		t.Errorf("Deliver() to the new one = %v", err)
	}
}

func TestOlderConnectDoesNotTakeOverWhenItsAnswerIsLate(t *testing.T) {
	h := open(t)
	h.hold = make(chan struct{})
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
	h := open(t)
	for _, version := range []byte{mqtt.V311, mqtt.V5} {
		r := h.enter(t, version, fmt.Sprint("d", version), func(c *mqtt.Connect) { c.KeepAlive = 1 })
		begin := time.Now()
		reason := r.disconnected()
		if took := time.Since(begin); took < 1400*time.Millisecond || took > 3*time.Second {
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
	h := open(t, func(c *longconn.Config) { c.HandshakeTimeout = 100 * time.Millisecond })
	tests := map[string]string{
		"says nothing":              "",
		"sends half a CONNECT":      "\x10\x0c\x00\x04MQ",
		"gets no answer to its own": string(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d", HasPass: true, Password: []byte("sesame")})),
	}
	h.hold = make(chan struct{})
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
	h.hold = make(chan struct{})
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
