package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// midday is a clock by which the day does not end during a test.
func midday(l push.Limits) push.Limits {
	l.OffsetHours = 12 - time.Now().UTC().Hour()
	return l
}

// ad is a notification of marketing that lives for a time.
func ad(id, to string, ttl time.Duration) *push.Notification {
	n := note(id, to)
	n.Class = push.Marketing
	n.ExpiresAt = n.AcceptedAt.Add(ttl)
	return n
}

var twoAds = push.Limits{Quotas: []push.Quota{
	{Name: "ads", Classes: []push.Class{push.Marketing}, PerDevice: true, Limit: 2},
	{Name: "all", PerDevice: true, Limit: 100},
}}

func TestDeviceThatHasHadItsQuotaIsReachedByTheNextRoad(t *testing.T) {
	h := newHouse(t)
	h.limits["huawei"] = midday(twoAds)
	h.lives("d1", "huawei", "fcm")
	h.lives("d2", "huawei", "fcm")
	d := h.door()
	h.work()
	for i := range 3 {
		id := fmt.Sprintf("ad-%d", i)
		h.enqueue(d, ad(id, "d1", time.Hour))
		h.await(d, id, "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	}
	h.enqueue(d, note("code", "d1")) // another class, by the road that is full for ads
	h.await(d, "code", "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	h.enqueue(d, ad("other", "d2", time.Hour)) // another device
	h.await(d, "other", "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	if got, want := h.sentTo("d1"), []string{"huawei", "huawei", "fcm", "huawei"}; !slices.Equal(got, want) {
		t.Errorf("d1 was sent by %v, want %v", got, want)
	}
	if got := h.sentTo("d2"); !slices.Equal(got, []string{"huawei"}) {
		t.Errorf("d2 was sent by %v, want huawei", got)
	}
	eventually(t, func() string { // it says why
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, r := range h.receipts {
			if r.Notification == "ad-2" && r.Provider == "fcm" && strings.Contains(r.Why, `huawei was passed by, for the device has had its 2 of the day's quota "ads"`) {
				return ""
			}
		}
		return fmt.Sprintf("no receipt says why: %+v", h.receipts)
	})
	lane := h.awaitLane(d, "huawei", "telling", func(l push.Lane) bool { return len(l.Quotas) == 2 && l.Quotas[0].Refused == 1 })
	if q := lane.Quotas[0]; q.Used != 3 || !q.PerDevice || q.Limit != 2 {
		t.Errorf("quota = %+v, want 3 used by two devices", q)
	}
}

func TestFullQuotaWithoutAnotherRoad(t *testing.T) {
	h := newHouse(t)
	h.limits["huawei"] = midday(twoAds)
	h.lives("d1", "huawei")
	d := h.door()
	h.work()
	for i := range 2 {
		id := fmt.Sprintf("ad-%d", i)
		h.enqueue(d, ad(id, "d1", time.Hour))
		h.await(d, id, "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	}
	// Its time is over before the quota is renewed: it is told at once.
	h.enqueue(d, ad("short", "d1", time.Hour))
	h.awaitDone(d, "short")
	if got := h.story("short.0.0"); !slices.Equal(got, []string{"failed"}) {
		t.Errorf("story = %q, want that it failed", got)
	}
	h.mu.Lock()
	if at := slices.IndexFunc(h.receipts, func(r push.Receipt) bool { return r.Notification == "short" }); !strings.Contains(h.receipts[at].Detail, "quota") {
		t.Errorf("it failed with %q, want the quota named", h.receipts[at].Detail)
	}
	h.mu.Unlock()
	// This one waits for the next day.
	h.enqueue(d, ad("long", "d1", 48*time.Hour))
	h.awaitLane(d, "huawei", "telling", func(l push.Lane) bool { return l.Quotas[0].Refused == 2 })
	if p, err := d.Progress(t.Context(), "demo", "long"); err != nil || p.State == push.Done {
		t.Errorf("Progress(long) = %+v, %v; want it to wait", p, err)
	}
	if got := h.sentTo("d1"); len(got) != 2 {
		t.Errorf("%d were sent, want 2", len(got))
	}
}

func TestWhatTheProviderDidNotTakeIsNotCounted(t *testing.T) {
	h := newHouse(t)
	l := midday(twoAds)
	l.Quotas = append(l.Quotas, push.Quota{Name: "public", Limit: 2})
	h.limits["huawei"] = l
	h.lives("d1", "huawei")
	refusing := true
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if refusing {
			return push.Answer{}, fault("huawei", push.ErrRejected, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	h.work()
	for i := range 5 {
		id := fmt.Sprintf("bad-%d", i)
		h.enqueue(d, ad(id, "d1", time.Hour))
		h.awaitDone(d, id)
	}
	h.mu.Lock()
	refusing = false
	h.mu.Unlock()
	for i := range 2 {
		id := fmt.Sprintf("good-%d", i)
		h.enqueue(d, ad(id, "d1", time.Hour))
		h.await(d, id, "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	}
	if got := h.sentTo("d1"); len(got) != 7 {
		t.Errorf("%d attempts, want 7: what was refused uses up no quota", len(got))
	}
}

// Two workers share the app's quota of a day. Together they send no more than it
// allows, most of what it allows, and return at their end what they did not use.
func TestWorkersShareAnAppsQuota(t *testing.T) {
	h := newHouse(t)
	const limit, devices = 400, 1000
	h.limits["oppo"] = midday(push.Limits{Quotas: []push.Quota{{Name: "public", Classes: []push.Class{push.Marketing}, Limit: limit}}})
	d := h.door()
	for i := range devices {
		h.lives(fmt.Sprintf("d%d", i), "oppo", "fcm")
	}
	_, stopOne := h.work()
	_, stopTwo := h.work()
	n := ad("campaign", "", time.Hour)
	n.To = push.Audience{All: true}
	h.enqueue(d, n)
	h.await(d, "campaign", "taken", func(p push.Progress) bool { return p.Counts.Accepted == devices })
	var byOppo int64
	h.mu.Lock()
	for _, s := range h.sends {
		if s.provider == "oppo" {
			byOppo++
		}
	}
	h.mu.Unlock()
	if byOppo > limit || byOppo < limit/2 {
		t.Errorf("%d went by oppo, whose quota is %d", byOppo, limit)
	}
	stopOne()
	stopTwo()
	h.work()
	h.enqueue(d, ad("late", "d1", time.Hour)) // so that the new worker asks
	lane := h.awaitLane(d, "oppo", "asked", func(l push.Lane) bool { return len(l.Quotas) == 1 && l.Quotas[0].Used >= byOppo })
	if q := lane.Quotas[0]; q.Used > byOppo+1 || q.Limit != limit {
		t.Errorf("quota = %+v, want %d used, and what was leased beyond given back", q, byOppo)
	}
	h.enqueue(d, note("code", "d1"))
	h.await(d, "code", "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	if last := h.sentTo("d1"); last[len(last)-1] != "oppo" {
		t.Errorf("a code went by %s: the quota of ads closed the lane for it", last[len(last)-1])
	}
}

func TestHoursOfAClass(t *testing.T) {
	h := newHouse(t)
	l := midday(push.Limits{})
	l.Hours = []push.Hours{{Classes: []push.Class{push.Marketing}, From: 20, To: 23}} // it is midday
	h.limits["vivo"] = l
	h.lives("d1", "vivo", "fcm")
	d := h.door()
	w, _ := h.work()
	h.enqueue(d, ad("ad", "d1", time.Hour))
	h.await(d, "ad", "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	h.enqueue(d, note("code", "d1"))
	h.await(d, "code", "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	if got := h.sentTo("d1"); !slices.Equal(got, []string{"fcm", "vivo"}) {
		t.Errorf("an ad and a code went by %v, want fcm and vivo", got)
	}
	if w.LaneOpen("demo", "vivo", push.Marketing) || !w.LaneOpen("demo", "vivo", push.OTP) {
		t.Error("LaneOpen() does not know the hours")
	}
}
