package scheduler

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// says brings a vendor's callback about the first delivery of a notification.
func (h *house) says(d *Door, id, provider string, stage push.Stage) {
	h.t.Helper()
	errs := d.Receive(context.WithoutCancel(h.t.Context()), []push.Receipt{{
		App: "demo", Delivery: id + ".0.0", Provider: provider, Stage: stage, Source: push.VendorCallback,
	}})
	if errs[0] != nil {
		h.t.Errorf("Receive(%s %s) = %v", provider, stage, errs[0])
	}
}

// What all vendors that took a message have taken back has failed, is counted
// once, and may still be proven to have arrived.
func TestWhatEveryVendorTakesBackHasFailed(t *testing.T) {
	failed := push.Counts{Deliveries: 1, Failed: 1}
	tests := map[string]struct {
		roads   []string
		answers map[string]error // by provider; absent accepts
		until   push.Stage
		early   string   // says no before its answer is known
		nos     []string // say no, each once the last road of sent is in use
		sent    []string // through these, before the noes
		after   []string // through these, after them
		want    push.Counts
	}{
		"the only road": {
			roads: []string{"apns"}, sent: []string{"apns"}, nos: []string{"apns"}, after: []string{"apns"}, want: failed,
		},
		"twice": {
			roads: []string{"apns"}, sent: []string{"apns"}, nos: []string{"apns", "apns"}, after: []string{"apns"}, want: failed,
		},
		"the second road, after the first refused": {
			roads: []string{"apns", "fcm"}, answers: map[string]error{"apns": fault("apns", push.ErrRejected, 0)},
			sent: []string{"apns", "fcm"}, nos: []string{"fcm"}, after: []string{"apns", "fcm"}, want: failed,
		},
		"the first road, and the second refuses": {
			roads: []string{"apns", "fcm"}, answers: map[string]error{"fcm": fault("fcm", push.ErrRejected, 0)},
			sent: []string{"apns"}, nos: []string{"apns"}, after: []string{"apns", "fcm"}, want: failed,
		},
		"before its own answer": {
			roads: []string{"apns"}, early: "apns", sent: []string{"apns"}, after: []string{"apns"}, want: failed,
		},
		"not while another has it": {
			roads: []string{"apns", "fcm"}, sent: []string{"apns"}, nos: []string{"apns"}, after: []string{"apns", "fcm"},
			want: push.Counts{Deliveries: 1, Accepted: 1},
		},
		"a road that was to be taken by until alone": {
			roads: []string{"apns", "fcm"}, until: push.Accepted, sent: []string{"apns"}, nos: []string{"apns"}, after: []string{"apns", "fcm"},
			want: push.Counts{Deliveries: 1, Accepted: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", tt.roads...)
			n := note("n1", "phone")
			n.Route.WaitSeconds, n.Route.Until = 3600, tt.until
			if tt.early != "" {
				n.Route.WaitSeconds = 1 // who looks too early comes again when the wait is over
			}
			d := h.door()
			h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
				if provider == tt.early {
					h.says(d, "n1", provider, push.Failed)
				}
				return push.Answer{Stage: push.Accepted}, tt.answers[provider]
			}
			h.enqueue(d, n)
			h.work()
			h.awaitDone(d, "n1")
			if got := h.sentTo("phone"); !slices.Equal(got, tt.sent) {
				t.Fatalf("sent through %s, want %s", join(got), join(tt.sent))
			}
			for _, provider := range tt.nos {
				h.says(d, "n1", provider, push.Failed)
			}
			p := h.await(d, "n1", "concluded", func(p push.Progress) bool {
				return p.Counts == tt.want && slices.Equal(h.sentTo("phone"), tt.after)
			})
			if o := p.Outcomes; o.Failed != tt.want.Failed || o.Failed+o.Waiting != 1 {
				t.Errorf("outcomes = %+v", o)
			}
			if p.Counts.Failed == 0 {
				return
			}
			eventually(t, func() string {
				if got := h.story("n1.0.0"); !slices.Contains(got, "failed") {
					return "receipts are " + join(got)
				}
				return ""
			})
			h.says(d, "n1", "apns", push.Delivered)
			h.await(d, "n1", "delivered after all", func(p push.Progress) bool {
				return p.Counts == push.Counts{Deliveries: 1, Accepted: 1, Delivered: 1}
			})
		})
	}
}

// A vendor that knows only when the time to live is over says so then.
func TestAVendorsNoCountsAfterTheTimeToLive(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	h.work()
	for ttl := time.Second; ; ttl *= 2 { // until the machine is fast enough to send in time
		n := note("n-"+ttl.String(), "phone")
		n.ExpiresAt = n.AcceptedAt.Add(ttl)
		h.enqueue(d, n)
		if p := h.awaitDone(d, n.ID); p.Counts.Expired == 1 {
			continue
		}
		eventually(t, func() string {
			if time.Now().Before(n.ExpiresAt) {
				return "its time is not over"
			}
			return ""
		})
		h.says(d, n.ID, "apns", push.Failed)
		h.await(d, n.ID, "failed", func(p push.Progress) bool { return p.Counts == push.Counts{Deliveries: 1, Failed: 1} })
		return
	}
}

// A vendor that says itself that what it took does not arrive is not waited for.
func TestTheNextRoadFollowsAVendorsNoAtOnce(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "fcm")
	n := note("n1", "phone")
	n.Route.WaitSeconds = 3600 // what follows does so for the report alone
	d := h.door()
	h.enqueue(d, n)
	h.work()
	h.awaitDone(d, "n1")
	r := push.Receipt{App: "demo", Device: "phone", Delivery: "n1.0.0", Stage: push.Failed, Provider: "apns", Source: push.VendorCallback}
	for range 2 { // vendors say things twice
		again := r
		if errs := d.Receive(t.Context(), []push.Receipt{again}); errs[0] != nil {
			t.Fatalf("Receive() = %v", errs[0])
		}
	}
	want := []string{"apns failed", "apns accepted", "fcm accepted"}
	eventually(t, func() string {
		got := slices.Compact(slices.Sorted(slices.Values(h.story("n1.0.0"))))
		if slices.Sort(want); !slices.Equal(got, want) {
			return "receipts are " + join(got)
		}
		return ""
	})
	if got := h.sentTo("phone"); !slices.Equal(got, []string{"apns", "fcm"}) {
		t.Errorf("sent through %s", join(got))
	}
}

func TestWhoseNoEndsTheWait(t *testing.T) {
	said := func(stage push.Stage, by push.Source) *push.Receipt {
		return &push.Receipt{Stage: stage, Provider: "apns", Source: by}
	}
	waits := redisstore.Cell{Stage: push.Accepted, Attempt: 1, Tried: "apns"}
	tests := map[string]struct {
		report *push.Receipt
		cell   redisstore.Cell
		want   bool
	}{
		"the vendor's of the road in use": {said(push.Failed, push.VendorCallback), waits, true},
		"not the app's":                   {said(push.Failed, push.AppReport), waits, false},
		"not a yes":                       {said(push.Delivered, push.VendorCallback), waits, false},
		"not once it has arrived":         {said(push.Failed, push.VendorCallback), redisstore.Cell{Stage: push.Delivered, Tried: "apns"}, false},
		"not once it has ended":           {said(push.Failed, push.VendorCallback), redisstore.Cell{Stage: push.Expired, Tried: "apns"}, false},
		"not once another road is in use": {said(push.Failed, push.VendorCallback), redisstore.Cell{Stage: push.Accepted, Tried: "apns+fcm"}, false},
		"once the other has said no":      {said(push.Failed, push.VendorCallback), redisstore.Cell{Stage: push.Accepted, Tried: "apns+fcm-"}, true},
		"while somebody has it in hand, for it is lost else": {said(push.Failed, push.VendorCallback), redisstore.Cell{
			Stage: push.Accepted, Tried: "apns", Hold: redisstore.Hold{Kind: redisstore.Claimed},
		}, true},
	}
	for name, tt := range tests {
		if got := endsWait(tt.cell, inVain(tt.report)); got != tt.want {
			t.Errorf("%s: it does: %v, want %v", name, got, tt.want)
		}
	}
}
