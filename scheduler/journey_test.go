package scheduler

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func TestNotificationReachesItsDevice(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	if p := h.enqueue(d, note("n1", "phone")); p.State != push.Queued {
		t.Errorf("Enqueue() = %s, want queued", p.State)
	}
	h.work()
	p := h.awaitDone(d, "n1")
	if p.Counts.Deliveries != 1 || p.Counts.Accepted != 1 {
		t.Errorf("counts = %+v, want 1 delivery, 1 accepted", p.Counts)
	}
	if got := h.receipts[0]; got.ID != "n1.0.0/1/accepted" || got.Provider != "apns" || got.Country != "DE" ||
		got.Why != "apns ranks 1" || got.Attempt != 1 || got.ProviderID != "apns/n1.0.0" {
		t.Errorf("receipt = %+v", got)
	}
}

func TestWhatBecomesOfAnswers(t *testing.T) {
	tests := map[string]struct {
		answers map[string]error // by provider; absent accepts
		counts  push.Counts
		story   []string
		forgot  []string
	}{
		"the token is dead, the next vendor takes it": {
			answers: map[string]error{"apns": fault("apns", push.ErrUnregistered, 0)},
			counts:  push.Counts{Deliveries: 1, Accepted: 1},
			story:   []string{"apns failed unregistered", "fcm accepted"},
			forgot:  []string{"phone at apns"},
		},
		"the token was dead, but the device has registered since": {
			answers: map[string]error{"apns": &push.Error{Provider: "apns", Kind: push.ErrUnregistered, Since: time.Now().Add(-time.Hour)}},
			counts:  push.Counts{Deliveries: 1, Accepted: 1},
			story:   []string{"apns failed unregistered", "fcm accepted"},
		},
		"every road is refused": {
			answers: map[string]error{
				"apns": fault("apns", push.ErrRejected, 0),
				"fcm":  fault("fcm", push.ErrPolicy, 0),
			},
			counts: push.Counts{Deliveries: 1, Failed: 1},
			story:  []string{"apns failed rejected", "fcm failed policy", "failed"},
		},
		"an answer never came: it counts as sent": {
			answers: map[string]error{"apns": fault("apns", push.ErrUnknown, 0)},
			counts:  push.Counts{Deliveries: 1, Unknown: 1},
			story:   []string{"apns unknown unknown"},
		},
		"our credentials are refused, the next vendor takes it": {
			answers: map[string]error{"apns": fault("apns", push.ErrCredentials, 0)},
			counts:  push.Counts{Deliveries: 1, Accepted: 1},
			story:   []string{"apns failed credentials", "fcm accepted"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", "apns", "fcm")
			h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
				return push.Answer{}, tt.answers[provider]
			}
			d := h.door()
			h.enqueue(d, note("n1", "phone"))
			_, stop := h.work()
			if p := h.awaitDone(d, "n1"); p.Counts != tt.counts {
				t.Errorf("counts = %+v, want %+v", p.Counts, tt.counts)
			}
			stop()
			if got := h.story("n1.0.0"); !slices.Equal(got, tt.story) {
				t.Errorf("receipts = %q, want %q", got, tt.story)
			}
			if !slices.Equal(h.forgot, tt.forgot) {
				t.Errorf("forgot %q, want %q", h.forgot, tt.forgot)
			}
		})
	}
}

func TestOnlyWhatFailedIsTriedAgain(t *testing.T) {
	h := newHouse(t)
	h.lives("a", "apns")
	h.lives("b", "apns")
	h.lives("c", "apns")
	h.answer = func(_ context.Context, _ string, d *push.Delivery) (push.Answer, error) {
		if d.Device == "b" && len(h.sentTo("b")) == 1 {
			return push.Answer{}, fault("apns", push.ErrUnavailable, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	h.enqueue(d, note("n1", "a,b,c"))
	h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Accepted != 3 {
		t.Errorf("counts = %+v, want 3 accepted", p.Counts)
	}
	for device, want := range map[string]int{"a": 1, "b": 2, "c": 1} {
		if got := len(h.sentTo(device)); got != want {
			t.Errorf("%s was sent to %d times, want %d", device, got, want)
		}
	}
	want := []string{"apns failed unavailable", "apns accepted"}
	if got := h.story("n1.0.1"); !slices.Equal(got, want) {
		t.Errorf("receipts of b = %q, want %q", got, want)
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		if len(h.sentTo("phone")) == 1 {
			return push.Answer{}, fault("apns", push.ErrThrottled, 2*time.Second)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	h.work()
	h.awaitDone(d, "n1")
	if gap := h.sends[1].at.Sub(h.sends[0].at); gap < 2*time.Second {
		t.Errorf("tried again after %v, though the vendor asked for 2 s", gap)
	}
}

func TestFallbackTakesRoadAfterRoadUntilProof(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "live", "apns", "sms")
	h.connects["phone"] = true
	h.app.Policy.SMSClasses = []push.Class{push.OTP}
	n := note("n1", "phone")
	n.Class, n.Route.WaitSeconds, n.Campaign = push.OTP, 1, "spring"
	h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
		if provider == push.SMS {
			return push.Answer{CostMicros: 7300, Bytes: 70}, nil
		}
		return push.Answer{Bytes: 200}, nil
	}
	d := h.door()
	h.enqueue(d, n)
	h.work()
	eventually(t, func() string {
		if got := h.sentTo("phone"); !slices.Equal(got, []string{"live", "apns", "sms"}) {
			return "sent through " + join(got)
		}
		return ""
	})
	for i := 1; i < 3; i++ {
		if gap := h.sends[i].at.Sub(h.sends[i-1].at); gap < time.Second || gap > 4*time.Second {
			t.Errorf("road %d was taken %v after the one before, want 1 s to 4 s", i+1, gap)
		}
	}
	eventually(t, func() string {
		if len(h.story("n1.0.0")) < 3 {
			return "receipts are missing"
		}
		return ""
	})
	for i, want := range []push.Receipt{
		{Provider: "live", Road: 1, Bytes: 200}, {Provider: "apns", Road: 2, Bytes: 200}, {Provider: "sms", Road: 3, Bytes: 70, CostMicros: 7300},
	} {
		r := h.receipts[i]
		got := push.Receipt{Provider: r.Provider, Road: r.Road, Bytes: r.Bytes, CostMicros: r.CostMicros}
		if got != want || r.Campaign != "spring" {
			t.Errorf("receipt %d of campaign %q is %+v, want %+v", i+1, r.Campaign, got, want)
		}
	}
	if why := h.receipts[1].Why; why != "live brought no proof; apns ranks 2" {
		t.Errorf("why apns = %q", why)
	}
}

func TestProofEndsTheJourney(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "fcm")
	n := note("n1", "phone")
	n.Route.WaitSeconds, n.Campaign = 1, "spring"
	d := h.door()
	h.enqueue(d, n)
	h.work()
	h.awaitDone(d, "n1")
	errs := d.Receive(t.Context(), []push.Receipt{{
		App: "demo", Device: "phone", Delivery: "n1.0.0", Stage: push.Delivered, Source: push.AppReport,
	}})
	if errs[0] != nil {
		t.Fatalf("Receive() = %v", errs[0])
	}
	h.awaitIdle()
	if got := h.sentTo("phone"); !slices.Equal(got, []string{"apns"}) {
		t.Errorf("sent through %q, want apns only", got)
	}
	if p, _ := d.Progress(t.Context(), "demo", "n1"); p.Counts.Delivered != 1 || p.Counts.Accepted != 1 {
		t.Errorf("counts = %+v, want it accepted and delivered", p.Counts)
	}
	last := h.receipts[len(h.receipts)-1]
	if last.ID != "n1.0.0/1/delivered" || last.Provider != "apns" || last.Class != push.Transactional || last.Campaign != "spring" || last.Road != 1 || last.Country != "DE" {
		t.Errorf("receipt = %+v", last)
	}
}

func TestReceiptMayComeBeforeTheOutcome(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	h.answer = func(ctx context.Context, _ string, del *push.Delivery) (push.Answer, error) {
		errs := d.Receive(ctx, []push.Receipt{{
			App: "demo", Device: "phone", Delivery: del.ID, Stage: push.Displayed, Source: push.AppReport,
		}})
		return push.Answer{Stage: push.Accepted}, errs[0]
	}
	h.enqueue(d, note("n1", "phone"))
	h.work()
	eventually(t, func() string {
		if len(h.story("n1.0.0")) < 2 {
			return "receipts are missing"
		}
		return ""
	})
	p := h.awaitDone(d, "n1")
	if want := (push.Counts{Deliveries: 1, Accepted: 1, Delivered: 1, Displayed: 1}); p.Counts != want {
		t.Errorf("counts = %+v, want %+v", p.Counts, want)
	}
	if got := h.receipts[0]; got.ID != "n1.0.0/1/displayed" || got.Provider != "apns" || got.Road != 1 {
		t.Errorf("the early receipt is %s by %s, want n1.0.0/1/displayed by apns", got.ID, got.Provider)
	}
}

func TestReceiveRefusesWhatIsNotTheDevices(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	h.work()
	h.awaitDone(d, "n1")
	errs := d.Receive(t.Context(), []push.Receipt{
		{App: "demo", Device: "thief", Delivery: "n1.0.0", Stage: push.Clicked, Source: push.AppReport},
		{App: "other", Device: "phone", Delivery: "n1.0.0", Stage: push.Clicked, Source: push.AppReport},
		{App: "demo", Device: "phone", Delivery: "n1.0.7", Stage: push.Clicked, Source: push.AppReport},
		{App: "demo", Device: "phone", Delivery: "nonsense", Stage: push.Clicked, Source: push.AppReport},
		{App: "demo", Device: "phone", Delivery: "n1.0.0", Stage: push.Cancelled, Source: push.AppReport},
		{App: "demo", Device: "phone", Delivery: "n1.0.0", Stage: push.Clicked, Source: push.AppReport},
	})
	for i, err := range errs[:4] {
		if !errors.Is(err, push.ErrNotFound) {
			t.Errorf("receipt %d: %v, want not found", i, err)
		}
	}
	if _, ok := errors.AsType[*push.Invalid](errs[4]); !ok {
		t.Errorf("a device that reports cancelled: %v, want it invalid", errs[4])
	}
	if errs[5] != nil {
		t.Errorf("the device's own receipt: %v", errs[5])
	}
}

func TestCancelTakesBackWhatWaits(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	n := note("n1", "phone")
	n.DeliverAt = n.AcceptedAt.Add(time.Hour)
	n.ExpiresAt = n.DeliverAt.Add(time.Hour)
	d := h.door()
	if p := h.enqueue(d, n); p.State != push.Scheduled {
		t.Errorf("Enqueue() = %s, want scheduled", p.State)
	}
	p, err := d.Cancel(t.Context(), "demo", "n1")
	if err != nil || p.State != push.TakenBack {
		t.Fatalf("Cancel() = %+v, %v; want cancelled", p, err)
	}
	if _, err := d.Cancel(t.Context(), "demo", "n2"); !errors.Is(err, push.ErrNotFound) {
		t.Errorf("Cancel() of an unknown one = %v, want not found", err)
	}
}

func TestCancelStopsRetries(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		return push.Answer{}, fault("apns", push.ErrThrottled, time.Minute)
	}
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	h.work()
	eventually(t, func() string {
		if len(h.story("n1.0.0")) == 0 {
			return "not tried yet"
		}
		return ""
	})
	if _, err := d.Cancel(t.Context(), "demo", "n1"); err != nil {
		t.Fatal(err)
	}
	h.await(d, "n1", "counted as cancelled", func(p push.Progress) bool { return p.Counts.Cancelled == 1 })
	if got := h.story("n1.0.0"); !slices.Equal(got, []string{"apns failed throttled", "cancelled"}) {
		t.Errorf("receipts = %q", got)
	}
}

func TestExpiredNotificationIsNotSent(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	n := note("n1", "phone")
	n.ExpiresAt = n.AcceptedAt.Add(time.Millisecond)
	d := h.door()
	h.enqueue(d, n)
	h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Expired != 1 {
		t.Errorf("counts = %+v, want it expired", p.Counts)
	}
	if len(h.sends) > 0 {
		t.Errorf("sent %v", h.sends)
	}
}

func TestRetriesEndWithTheTTL(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		return push.Answer{}, fault("apns", push.ErrUnavailable, 0)
	}
	n := note("n1", "phone")
	n.ExpiresAt = n.AcceptedAt.Add(1500 * time.Millisecond)
	d := h.door()
	h.enqueue(d, n)
	h.work()
	h.await(d, "n1", "expired", func(p push.Progress) bool { return p.Counts.Expired == 1 })
}

func TestOfflineDeviceIsWaitedForInItsInbox(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "live")
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	w, _ := h.work()
	eventually(t, func() string {
		letters, err := w.inbox.List(t.Context(), "demo", "phone")
		if err != nil || letters["n1.0.0"] == "" {
			return "the inbox is empty"
		}
		return ""
	})
	if len(h.sends) > 0 {
		t.Errorf("attempts were made: %v", h.sends)
	}
	errs := d.Receive(t.Context(), []push.Receipt{{
		App: "demo", Device: "phone", Delivery: "n1.0.0", Stage: push.Delivered, Source: push.DeviceAck,
	}})
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	if p := h.awaitDone(d, "n1"); p.Counts.Delivered != 1 {
		t.Errorf("counts = %+v, want it delivered", p.Counts)
	}
	if letters, _ := w.inbox.List(t.Context(), "demo", "phone"); len(letters) > 0 {
		t.Errorf("the inbox still has %v", letters)
	}
	if got := h.story("n1.0.0"); !slices.Equal(got, []string{"live delivered"}) {
		t.Errorf("receipts = %q, want it delivered by live", got)
	}
}

func TestSMSNeedsThePolicy(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "sms")
	n := note("n1", "phone")
	n.Route.Roads = []string{push.SMS}
	d := h.door()
	h.enqueue(d, n)
	h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Failed != 1 {
		t.Errorf("counts = %+v, want it failed", p.Counts)
	}
	if got, want := h.receipts[0].Detail, "no road is left; sms: the app's policy allows no sms for class transactional"; got != want {
		t.Errorf("detail = %q, want %q", got, want)
	}
}

// awaitIdle waits until no task is pending, active or due later.
func (h *house) awaitIdle() {
	h.t.Helper()
	d := h.door()
	eventually(h.t, func() string {
		states, err := d.QueueStates()
		if err != nil {
			return err.Error()
		}
		for _, s := range states {
			if s.Pending+s.Active+s.Scheduled+s.Retry > 0 {
				return "tasks are left in " + s.Queue
			}
		}
		return ""
	})
}

func join(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	s := words[0]
	for _, w := range words[1:] {
		s += ", " + w
	}
	return s
}

func TestAVendorsReportOfADeadTokenForgetsIt(t *testing.T) {
	tests := map[string]struct {
		at   time.Time // of the vendor's knowledge
		want []string
	}{
		"the device has not been heard of since": {time.Now().Add(time.Hour), []string{"phone at apns"}},
		"the device has registered again":        {time.Now().Add(-time.Hour), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", "apns")
			d := h.door()
			h.enqueue(d, note("n1", "phone"))
			h.work()
			h.awaitDone(d, "n1")
			errs := d.Receive(t.Context(), []push.Receipt{{
				App: "demo", Delivery: "n1.0.0", Provider: "apns", Stage: push.Failed,
				Kind: push.KindName(push.ErrUnregistered), Source: push.VendorCallback, At: tt.at,
			}})
			if errs[0] != nil {
				t.Fatalf("Receive() = %v", errs[0])
			}
			if !slices.Equal(h.forgot, tt.want) {
				t.Errorf("forgot %q, want %q", h.forgot, tt.want)
			}
		})
	}
}
