package longconn_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

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
