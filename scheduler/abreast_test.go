package scheduler

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestRoadsTakenTogether(t *testing.T) {
	tests := map[string]struct {
		class     push.Class
		parallel  int
		connected bool
		answers   map[string]error // by provider; absent accepts
		sent      []string
		counts    push.Counts
		story     []string
	}{
		"a call takes the live connection and the best vendor": {
			class: push.Call, connected: true, sent: []string{"live", "apns"},
			counts: push.Counts{Deliveries: 1, Accepted: 1}, story: []string{"live accepted", "apns accepted"},
		},
		"a call to a device that is not connected takes one vendor": {
			class: push.Call, sent: []string{"apns"},
			counts: push.Counts{Deliveries: 1, Accepted: 1}, story: []string{"apns accepted"},
		},
		"other classes take one road": {
			class: push.OTP, connected: true, sent: []string{"live"},
			counts: push.Counts{Deliveries: 1, Accepted: 1}, story: []string{"live accepted"},
		},
		"as many as the route asks for, but none that costs money": {
			class: push.OTP, parallel: 4, connected: true, sent: []string{"live", "apns", "fcm"},
			counts: push.Counts{Deliveries: 1, Accepted: 1}, story: []string{"live accepted", "apns accepted", "fcm accepted"},
		},
		"one of them refuses": {
			class: push.OTP, parallel: 2, connected: true, sent: []string{"live", "apns"},
			answers: map[string]error{"live": fault("live", push.ErrUnreachable, 0)},
			counts:  push.Counts{Deliveries: 1, Accepted: 1}, story: []string{"live failed unreachable", "apns accepted"},
		},
		"all of them refuse, and the next road is taken": {
			class: push.OTP, parallel: 2, connected: true, sent: []string{"live", "apns", "fcm"},
			answers: map[string]error{"live": fault("live", push.ErrUnreachable, 0), "apns": fault("apns", push.ErrRejected, 0)},
			counts:  push.Counts{Deliveries: 1, Accepted: 1},
			story:   []string{"live failed unreachable", "apns failed rejected", "fcm accepted"},
		},
		"one answers never: it counts as sent": {
			class: push.OTP, parallel: 2, connected: true, sent: []string{"live", "apns"},
			answers: map[string]error{"live": fault("live", push.ErrUnreachable, 0), "apns": fault("apns", push.ErrUnknown, 0)},
			counts:  push.Counts{Deliveries: 1, Unknown: 1}, story: []string{"live failed unreachable", "apns unknown unknown"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", "live", "apns", "fcm", "sms")
			h.connects["phone"] = tt.connected
			h.app.Policy.SMSClasses = []push.Class{push.OTP, push.Call}
			h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
				return push.Answer{}, tt.answers[provider]
			}
			d, n := h.door(), note("n1", "phone")
			n.Class, n.Route.Parallel, n.Route.WaitSeconds = tt.class, tt.parallel, 300
			h.enqueue(d, n)
			h.work()
			if p := h.awaitDone(d, "n1"); p.Counts != tt.counts {
				t.Errorf("counts = %+v, want %+v", p.Counts, tt.counts)
			}
			sent := h.sentTo("phone")
			slices.SortFunc(sent, func(a, b string) int { return slices.Index(tt.sent, a) - slices.Index(tt.sent, b) })
			if !slices.Equal(sent, tt.sent) {
				t.Errorf("sent through %q, want %q", sent, tt.sent)
			}
			if got := h.story("n1.0.0"); !slices.Equal(got, tt.story) {
				t.Errorf("receipts = %q, want %q", got, tt.story)
			}
			for i, r := range h.receipts {
				if r.Attempt != i+1 || r.ID != fmt.Sprintf("n1.0.0/%d/%s", r.Attempt, r.Stage) {
					t.Errorf("receipt %d is %s, attempt %d", i+1, r.ID, r.Attempt)
				}
			}
		})
	}
}

// Both roads say "later": the first is tried again, and the other is still to
// be had.
func TestRoadsTakenTogetherAreTriedAgain(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "fcm")
	var mu sync.Mutex
	times := map[string]int{}
	h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
		mu.Lock()
		defer mu.Unlock()
		if times[provider]++; times[provider] == 1 {
			return push.Answer{}, fault(provider, push.ErrUnavailable, 0)
		}
		return push.Answer{}, nil
	}
	d, n := h.door(), note("n1", "phone")
	n.Route.Parallel = 2
	h.enqueue(d, n)
	h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Accepted != 1 {
		t.Errorf("counts = %+v, want it accepted", p.Counts)
	}
	if got := h.sentTo("phone"); len(got) != 3 || got[2] != "apns" {
		t.Errorf("sent through %q, want both and then apns again", got)
	}
}

// Money is not spent on what has changed while the attempt waited.
func TestLastCheckBeforeSMS(t *testing.T) {
	tests := map[string]struct {
		meanwhile func(h *house, d *Door)
		sent      []string
	}{
		"nothing has changed": {func(*house, *Door) {}, []string{"apns", "sms"}},
		"proof has come": {func(h *house, d *Door) {
			h.reports(d, "phone", "n1.0.0", push.Delivered)
		}, []string{"apns"}},
		"it was taken back": {func(h *house, d *Door) {
			if _, err := d.Cancel(h.t.Context(), "demo", "n1"); err != nil {
				h.t.Error(err)
			}
		}, []string{"apns"}},
		"the device has connected": {func(h *house, _ *Door) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.connects["phone"] = true
		}, []string{"apns", "live"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", "live", "apns", "sms")
			h.app.Policy.SMSClasses = []push.Class{push.OTP}
			d, n := h.door(), note("n1", "phone")
			n.Class, n.Route.WaitSeconds = push.OTP, 300
			h.cfg.Lane.Patience = patience
			w := NewWorker(h.cfg, h.parts())
			// The only place in the lane is taken until the world has changed.
			lane := w.lanes.of(t.Context(), "demo", "sms")
			lane.width.limit = 1
			p, err := lane.enter(t.Context(), push.OTP, 1)
			if err != nil {
				t.Fatal(err)
			}
			h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
				if provider == "apns" {
					return push.Answer{}, fault("apns", push.ErrRejected, 0)
				}
				return push.Answer{}, nil
			}
			h.enqueue(d, n)
			h.run(w)
			eventually(t, func() string {
				lane.mu.Lock()
				defer lane.mu.Unlock()
				if lane.waiting.len() == 0 {
					return "the delivery does not wait for its place"
				}
				return ""
			})
			tt.meanwhile(h, d)
			lane.leave(p, errCutOff)
			h.await(d, "n1", "over", func(p push.Progress) bool {
				return p.Counts.Accepted+p.Counts.Cancelled == 1
			})
			if got := h.sentTo("phone"); !slices.Equal(got, tt.sent) {
				t.Errorf("sent through %q, want %q", got, tt.sent)
			}
		})
	}
}
