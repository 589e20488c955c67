package longconn_test

import (
	"testing"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// reenter connects for an earlier session and reports whether there is one.
func (h *house) reenter(t *testing.T, id string, expiry uint32) (*raw, bool) {
	t.Helper()
	r := h.dial(t, mqtt.V5)
	r.Send(mqtt.AppendConnect(nil, mqtt.Connect{
		Version: mqtt.V5, ClientID: id, HasPass: true, Password: []byte("sesame"), Properties: mqtt.Properties{SessionExpiry: expiry},
	}))
	_, body := r.next()
	reason, present, _, err := mqtt.DecodeConnack(body, mqtt.V5)
	if err != nil || reason != mqtt.Success {
		t.Fatalf("CONNACK 0x%02X, %v", byte(reason), err)
	}
	return r, present
}

func (h *house) leave(t *testing.T, r *raw, id string) {
	t.Helper()
	h.Lock()
	n := len(h.closed[id])
	h.Unlock()
	r.Close()
	h.Await(t, "end", func() bool { return len(h.closed[id]) > n })
}

func TestSessionWaitsForItsNextConnection(t *testing.T) {
	h := open(t)
	r, present := h.reenter(t, "d1", 60)
	if present {
		t.Fatal("a session from nowhere")
	}
	if err := h.deliver(t, "d1", longconn.Message{ID: "m1", Payload: []byte("m1")}); err != nil {
		t.Fatal(err)
	}
	h.leave(t, r, "d1")
	r, present = h.reenter(t, "d1", 0)
	if p := r.Publish(); !present || !p.Dup || string(p.Payload) != "m1" {
		t.Fatalf("present %v, PUBLISH %+v", present, p)
	}
	h.leave(t, r, "d1")
	if _, present = h.reenter(t, "d1", 60); present {
		t.Error("a session that was not to outlive its connection")
	}
}

func TestSessionMovesToTheNewerConnection(t *testing.T) {
	h := open(t)
	old, _ := h.reenter(t, "d1", 60)
	for _, id := range []string{"m1", "m2"} {
		if err := h.deliver(t, "d1", longconn.Message{ID: id, Payload: []byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
	r, present := h.reenter(t, "d1", 60)
	if !present {
		t.Fatal("no session")
	}
	for _, want := range []string{"m1", "m2"} {
		if p := r.Publish(); string(p.Payload) != want || !p.Dup {
			t.Errorf("PUBLISH %+v, want %s again", p, want)
		}
	}
	if got := old.disconnected(); got != mqtt.SessionTakenOver {
		t.Errorf("reason 0x%02X, want 0x8E", byte(got))
	}
}

func TestWillIsPublishedOnceItsDelayHasPassed(t *testing.T) {
	t.Parallel()
	h := open(t)
	will := &mqtt.Will{Topic: "receipts", Payload: []byte("gone"), Properties: mqtt.Properties{WillDelay: 1}}
	r := h.enter(t, mqtt.V5, "d1", func(c *mqtt.Connect) { c.Will, c.Properties.SessionExpiry = will, 60 })
	h.leave(t, r, "d1")
	h.Await(t, "will", func() bool {
		return len(h.published) == 1 && h.published[0].Will && string(h.published[0].Payload) == "gone"
	})
}
