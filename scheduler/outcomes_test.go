package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func TestAudienceNamedDeviceByDeviceMayBeLong(t *testing.T) {
	tests := map[string]struct {
		cancelled bool
		want      push.Outcomes
	}{
		"sent":                         {false, push.Outcomes{Waiting: 600}},
		"taken back before its worker": {true, push.Outcomes{Cancelled: 600}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			n := note("n1", "")
			n.To = push.Audience{}
			for i := range 600 {
				id := fmt.Sprintf("phone-%03d", i)
				h.lives(id, "apns")
				n.To.Devices = append(n.To.Devices, id)
			}
			d := h.door()
			h.enqueue(d, n)
			if tt.cancelled {
				if p, err := d.Cancel(t.Context(), "demo", "n1"); err != nil || p.Outcomes.Waiting != 600 {
					t.Fatalf("Cancel() = %+v, %v; want 600 waiting", p, err)
				}
			}
			h.work()
			p := h.await(d, "n1", "over", func(p push.Progress) bool {
				return p.Counts.Accepted+p.Counts.Cancelled == 600
			})
			if p.Outcomes != tt.want || p.Counts.Deliveries != 600 {
				t.Errorf("outcomes = %+v of %d, want %+v of 600", p.Outcomes, p.Counts.Deliveries, tt.want)
			}
		})
	}
}

// Every delivery is in one outcome at any time, and the outcomes add up.
func TestOutcomesAddUp(t *testing.T) {
	h := newHouse(t)
	h.lives("proven", "apns")
	h.lives("silent", "apns")
	d := h.door()
	n := note("n1", "proven,silent,nobody")
	h.enqueue(d, n)
	sum := func(p push.Progress) int {
		o := p.Outcomes
		return o.Delivered + o.Failed + o.Expired + o.Cancelled + o.Suppressed + o.Waiting
	}
	p, err := d.Progress(t.Context(), "demo", "n1")
	if err != nil || p.Outcomes != (push.Outcomes{Waiting: 3}) {
		t.Fatalf("before: %+v, %v; want 3 waiting", p.Outcomes, err)
	}
	h.work()
	h.awaitDone(d, "n1")
	h.reports(d, "proven", "n1.0.0", push.Delivered, push.Displayed)
	p, err = d.Progress(t.Context(), "demo", "n1")
	want := push.Outcomes{Delivered: 1, Failed: 1, Waiting: 1}
	if err != nil || p.Outcomes != want || sum(p) != p.Counts.Deliveries {
		t.Errorf("after: %+v of %d, %v; want %+v", p.Outcomes, p.Counts.Deliveries, err, want)
	}
}

// reports brings evidence as the app would.
func (h *house) reports(d *Door, device, delivery string, stages ...push.Stage) {
	h.t.Helper()
	for _, s := range stages {
		for _, err := range d.Receive(h.t.Context(), []push.Receipt{{
			App: "demo", Device: device, Delivery: delivery, Stage: s, Source: push.AppReport,
		}}) {
			if err != nil {
				h.t.Fatalf("Receive(%s) = %v", s, err)
			}
		}
	}
}

// A service that reports before its answer has been written down does not have
// its own message paid twice.
func TestAnSMSThatReportsAtOnceIsPaidOnce(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "smpp")
	h.app.Policy.SMSClasses = []push.Class{push.OTP}
	d := h.door()
	h.answer = func(ctx context.Context, provider string, sent *push.Delivery) (push.Answer, error) {
		errs := d.Receive(ctx, []push.Receipt{{
			App: sent.App, Delivery: sent.ID, Provider: provider, Stage: push.Delivered, Source: push.VendorCallback,
		}})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	n := note("n1", "phone")
	n.Class = push.OTP
	h.enqueue(d, n)
	h.work()
	h.await(d, "n1", "delivered", func(p push.Progress) bool { return p.Counts.Delivered == 1 })
	h.awaitIdle()
	p, err := d.Progress(t.Context(), "demo", "n1")
	if err != nil || p.Counts.PaidTwice != 0 || p.Counts.Delivered != 1 {
		t.Errorf("counts = %+v, %v; want delivered and not paid twice", p.Counts, err)
	}
}

// The first road's proof comes when an SMS has been paid for: it is recorded
// as that road's, and the delivery counts as paid twice, once.
func TestLateProofCountsAsPaidTwice(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "sms")
	h.app.Policy.SMSClasses = []push.Class{push.OTP}
	n := note("n1", "phone")
	n.Class, n.Route.WaitSeconds = push.OTP, 1
	d := h.door()
	h.enqueue(d, n)
	h.work()
	h.await(d, "n1", "settled by sms", func(push.Progress) bool {
		return slices.Equal(h.story("n1.0.0"), []string{"apns accepted", "sms accepted"})
	})
	h.awaitIdle()
	for range 2 {
		h.reports(d, "phone", "n1.0.0", push.Delivered, push.Displayed)
	}
	p, err := d.Progress(t.Context(), "demo", "n1")
	if err != nil || p.Counts.PaidTwice != 1 || p.Counts.Delivered != 1 {
		t.Errorf("counts = %+v, %v; want paid twice once", p.Counts, err)
	}
	last := h.receipts[len(h.receipts)-1]
	if last.Provider != "apns" || last.Attempt != 1 || !strings.HasPrefix(last.Detail, "paid twice: sms") {
		t.Errorf("the late receipt is %+v, want it apns' and marked", last)
	}
	if after := time.Until(n.ExpiresAt); after <= 0 {
		t.Fatal("the test took longer than the notification lives")
	}
}
