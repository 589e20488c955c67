package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// crowd is a notification to so many devices with an address at each provider.
func (h *house) crowd(id string, devices int, providers ...string) *push.Notification {
	n := note(id, "")
	n.To.Device = ""
	for i := range devices {
		name := fmt.Sprintf("phone-%03d", i)
		h.lives(name, providers...)
		n.To.Devices = append(n.To.Devices, name)
	}
	return n
}

func TestDevicesOfOneProviderShareARequest(t *testing.T) {
	h := newHouse(t)
	h.together = map[string]int{"huawei": 1000}
	n := h.crowd("n1", 256, "huawei")
	gone := []string{"phone-003", "phone-100", "phone-255"}
	h.answer = func(_ context.Context, _ string, d *push.Delivery) (push.Answer, error) {
		if slices.Contains(gone, d.Device) {
			return push.Answer{}, fault("huawei", push.ErrUnregistered, 0)
		}
		return push.Answer{ID: "R1", Stage: push.Accepted}, nil
	}
	d := h.door()
	_, stop := h.work()
	h.enqueue(d, n)
	p := h.awaitDone(d, "n1")
	stop()
	if p.Counts.Accepted != 253 || p.Counts.Failed != 3 {
		t.Errorf("counts = %+v, want 253 accepted and 3 failed", p.Counts)
	}
	if len(h.batches) != 1 || len(h.batches[0]) != 256 || len(h.sends) != 256 {
		t.Errorf("%d requests with %d deliveries, want one with 256", len(h.batches), len(h.sends))
	}
	slices.Sort(h.forgot)
	if want := []string{"phone-003 at huawei", "phone-100 at huawei", "phone-255 at huawei"}; !slices.Equal(h.forgot, want) {
		t.Errorf("forgot %v, want %v", h.forgot, want)
	}
}

func TestRequestsAreNoLargerThanTheProviderTakes(t *testing.T) {
	h := newHouse(t)
	h.together = map[string]int{"huawei": 100}
	d := h.door()
	_, stop := h.work()
	h.enqueue(d, h.crowd("n1", 256, "huawei"))
	h.awaitDone(d, "n1")
	stop()
	var sizes []int
	for _, b := range h.batches {
		sizes = append(sizes, len(b))
	}
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{56, 100, 100}) {
		t.Errorf("requests for %v devices, want 100, 100 and 56", sizes)
	}
}

// Those whom the first road does not reach take the next one, together again.
func TestRestOfARequestTakesTheNextRoadTogether(t *testing.T) {
	h := newHouse(t)
	h.together = map[string]int{"huawei": 1000, "xiaomi": 1000}
	h.answer = func(_ context.Context, provider string, d *push.Delivery) (push.Answer, error) {
		if provider == "huawei" && d.Device >= "phone-005" {
			return push.Answer{}, fault("huawei", push.ErrUnreachable, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	_, stop := h.work()
	h.enqueue(d, h.crowd("n1", 8, "huawei", "xiaomi"))
	if p := h.await(d, "n1", "8 accepted", func(p push.Progress) bool { return p.Counts.Accepted == 8 }); p.Counts.Failed != 0 {
		t.Errorf("counts = %+v", p.Counts)
	}
	stop()
	if len(h.batches) != 2 || len(h.batches[0]) != 8 || len(h.batches[1]) != 3 {
		t.Errorf("requests = %v, want one for 8 and one for the 3 left over", h.batches)
	}
	if got, want := h.story("n1.0.7"), []string{"huawei failed unreachable", "xiaomi accepted"}; !slices.Equal(got, want) {
		t.Errorf("story = %v, want %v", got, want)
	}
}

// One token is put off by the service: the later request is for it alone.
func TestOnlyWhatWasPutOffGoesOutAgain(t *testing.T) {
	h := newHouse(t)
	h.together = map[string]int{"honor": 1000}
	var tries atomic.Int64
	h.answer = func(_ context.Context, _ string, d *push.Delivery) (push.Answer, error) {
		if d.Device == "phone-004" && tries.Add(1) == 1 {
			return push.Answer{}, fault("honor", push.ErrUnavailable, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	_, stop := h.work()
	h.enqueue(d, h.crowd("n1", 10, "honor"))
	h.await(d, "n1", "10 accepted", func(p push.Progress) bool { return p.Counts.Accepted == 10 })
	stop()
	for i := range 10 {
		id, want := fmt.Sprintf("phone-%03d", i), 1
		if i == 4 {
			want = 2
		}
		if got := len(h.sentTo(id)); got != want {
			t.Errorf("%s was sent to %d times, want %d", id, got, want)
		}
	}
}

// A worker dies between two requests for the halves of a chunk. The task is
// handed over again, and only the half without an outcome is sent again.
func TestRepeatedTaskResendsOnlyTheRequestWithoutOutcome(t *testing.T) {
	h := newHouse(t)
	h.together = map[string]int{"huawei": 128}
	h.dieAmid(h.crowd("n1", 256, "huawei"), "huawei", "phone-%03d", 128, 256)
}

// What went out together carries the chunk's id: the device, or the address that
// the vendor names, leads back to the delivery.
func TestEvidenceUnderTheChunksIDFindsItsDelivery(t *testing.T) {
	h := newHouse(t)
	h.together = map[string]int{"huawei": 1000}
	d := h.door()
	_, stop := h.work()
	n := h.crowd("n1", 40, "huawei")
	slices.Reverse(n.To.Devices) // not in order, as a caller may list them
	h.enqueue(d, n)
	h.awaitDone(d, "n1")
	stop()
	receipt := func(device, token string, source push.Source, stage push.Stage) push.Receipt {
		return push.Receipt{App: "demo", Delivery: "n1.0", Device: device, Provider: "huawei", Token: token, Source: source, Stage: stage}
	}
	rs := []push.Receipt{
		receipt("phone-007", "", push.AppReport, push.Displayed),
		receipt("", "huawei-phone-011", push.VendorCallback, push.Delivered),
		receipt("", "huawei-of-a-stranger", push.VendorCallback, push.Delivered),
		receipt("stranger", "", push.AppReport, push.Clicked),
		receipt("", "", push.VendorCallback, push.Delivered),
		receipt("", "huawei-phone-012", push.AppReport, push.Delivered), // an app does not know tokens
	}
	errs := d.Receive(t.Context(), rs)
	for i, err := range errs {
		if want := i >= 2; (err != nil) != want || want && !errors.Is(err, push.ErrNotFound) {
			t.Errorf("receipt %d: %v", i, err)
		}
	}
	if rs[0].Delivery != "n1.0.32" || rs[1].Delivery != "n1.0.28" || rs[1].Device != "phone-011" {
		t.Errorf("found %s and %s of %s, want n1.0.32 and n1.0.28 of phone-011", rs[0].Delivery, rs[1].Delivery, rs[1].Device)
	}
	p, err := d.Progress(t.Context(), "demo", "n1")
	if err != nil || p.Counts.Delivered != 2 || p.Counts.Displayed != 1 {
		t.Errorf("counts = %+v, %v", p.Counts, err)
	}
	if got, want := h.story("n1.0.28"), []string{"huawei accepted", "huawei delivered"}; !slices.Equal(got, want) {
		t.Errorf("story = %v, want %v", got, want)
	}
}

func TestLaneLearnsOnceFromARequest(t *testing.T) {
	taken := push.Reply{Answer: push.Answer{Stage: push.Accepted}}
	failed := func(kind error) push.Reply { return push.Reply{Err: fault("huawei", kind, time.Second)} }
	tests := map[string]struct {
		replies []push.Reply
		want    error
	}{
		"all were taken":                 {[]push.Reply{taken, taken}, nil},
		"some devices are gone":          {[]push.Reply{failed(push.ErrUnregistered), taken}, nil},
		"some could not be sent":         {[]push.Reply{failed(push.ErrUnavailable), taken}, nil},
		"the quota ended in between":     {[]push.Reply{taken, failed(push.ErrQuota)}, push.ErrQuota},
		"the whole request had no reply": {[]push.Reply{failed(push.ErrUnknown), failed(push.ErrUnknown)}, push.ErrUnknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := verdictOn(tt.replies); !errors.Is(got, tt.want) {
				t.Errorf("verdictOn() = %v, want %v", got, tt.want)
			}
		})
	}
}
