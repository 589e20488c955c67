package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// around is a window of quiet hours in UTC that holds now.
func around(now time.Time) *push.QuietHours {
	return &push.QuietHours{From: now.Add(-time.Hour).Format("15:04"), To: now.Add(time.Hour).Format("15:04")}
}

// whys lists the reasons that Herald itself gave for the ends of deliveries.
func (n *neighbours) whys(notification string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, r := range n.receipts {
		if r.Notification == notification && r.Source == push.Herald {
			all = append(all, string(r.Stage)+": "+r.Detail)
		}
	}
	return all
}

// belongs gives a device that is there a user and a time zone.
func (n *neighbours) belongs(device, user, zone string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.devices[device].User, n.devices[device].Timezone = user, zone
}

func TestQuietHours(t *testing.T) {
	now := time.Now().UTC()
	night := around(now)
	day := &push.QuietHours{From: now.Add(2 * time.Hour).Format("15:04"), To: now.Add(3 * time.Hour).Format("15:04")}
	all := &push.QuietHours{From: night.From, To: night.To, Classes: push.Classes[:], Action: push.QuietDrop}
	tests := map[string]struct {
		class  push.Class
		app    *push.QuietHours
		user   *push.QuietHours
		zone   string
		caller push.QuietAction
		want   string // sent, silent, held, or the reason it was suppressed
	}{
		"nobody asked for quiet":                       {class: push.Marketing, want: "sent"},
		"marketing is held":                            {class: push.Marketing, app: night, want: "held"},
		"transactional is not bound":                   {class: push.Transactional, app: night, want: "sent"},
		"unless the app says so":                       {class: push.Transactional, app: all, want: "suppressed: quiet hours"},
		"never an otp":                                 {class: push.OTP, app: all, want: "sent"},
		"never a call":                                 {class: push.Call, app: all, want: "sent"},
		"the caller lets it be dropped":                {class: push.Marketing, app: night, caller: push.QuietDrop, want: "suppressed: quiet hours"},
		"the caller lets it come in silence":           {class: push.Marketing, app: night, caller: push.QuietSilent, want: "silent"},
		"the caller's wish comes before the app's":     {class: push.Marketing, app: all, caller: push.QuietSilent, want: "silent"},
		"it is another time of day where the phone is": {class: push.Marketing, app: night, zone: "Pacific/Kiritimati", want: "sent"},
		"the user's window, without one of the app":    {class: push.Marketing, user: night, want: "held"},
		"the user's window comes before the app's":     {class: push.Marketing, app: night, user: day, want: "sent"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", "apns")
			h.belongs("phone", "u1", tt.zone)
			h.app.Policy.QuietHours = tt.app
			if tt.user != nil {
				h.users = map[string]push.User{"u1": {ID: "u1", QuietHours: tt.user}}
			}
			d := h.door()
			n := note("n1", "phone")
			n.Class, n.QuietHours, n.ExpiresAt = tt.class, tt.caller, now.Add(24*time.Hour)
			h.enqueue(d, n)
			h.work()
			if tt.want == "held" {
				h.awaitHeld("n1")
				if got := h.sentTo("phone"); got != nil {
					t.Errorf("it was sent to %q", got)
				}
				return
			}
			h.awaitDone(d, "n1")
			var got string
			switch why := h.whys("n1"); {
			case len(why) > 0:
				got = why[0]
			case h.sends[0].n.Silent:
				got = "silent"
			default:
				got = "sent"
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("it was %s, want %s", got, tt.want)
			}
		})
	}
}

// awaitHeld waits until the first delivery of a notification is put off.
func (h *house) awaitHeld(id string) (until time.Time) {
	h.t.Helper()
	w := NewWorker(h.cfg, h.parts())
	eventually(h.t, func() string {
		parcels, err := w.open(h.t.Context(), "default", []job{{App: "demo", ID: id}})
		if err != nil {
			return err.Error()
		}
		for _, p := range parcels {
			for _, s := range p.slots {
				if s.Cell.Hold.Kind != 'r' || s.Cell.Hold.Provider != "" {
					return "not held: " + s.Cell.String()
				}
				until = time.UnixMilli(s.Cell.Hold.At)
			}
		}
		if until.IsZero() {
			return "there is no such delivery"
		}
		return ""
	})
	return until
}

// later runs the first chunk's deliveries as a worker would at a time to come.
func (h *house) later(id string, now time.Time) {
	h.t.Helper()
	w := NewWorker(h.cfg, h.parts())
	parcels, err := w.open(h.t.Context(), "default", []job{{App: "demo", ID: id}})
	if err != nil {
		h.t.Fatal(err)
	}
	room, err := w.takeRoom(h.t.Context(), "default", "demo", 1)
	if err != nil {
		h.t.Fatal(err)
	}
	defer room.keep(0)
	r := &round{w: w, kind: taskDeliver, urgency: "default", owner: "later", now: now, parcels: parcels, room: room}
	if err := r.run(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func TestWhatIsHeldGoesWhenQuietHoursEnd(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	now := time.Now().UTC()
	h.app.Policy.QuietHours = around(now)
	d := h.door()
	n := note("n1", "phone")
	n.Class, n.ExpiresAt = push.Marketing, now.Add(24*time.Hour)
	h.enqueue(d, n)
	_, stop := h.work()
	until := h.awaitHeld("n1")
	stop()
	h.later("n1", until.Add(-time.Second))
	if got := h.sentTo("phone"); got != nil {
		t.Fatalf("it was sent before quiet hours ended: %q", got)
	}
	h.later("n1", until)
	if p := h.awaitDone(d, "n1"); p.Counts.Accepted != 1 {
		t.Errorf("counts = %+v, want it sent", p.Counts)
	}
}

func TestTheTimeThatARuleHoldsIsNoDelay(t *testing.T) {
	accepted := time.Now().Add(-8 * time.Hour).UTC()
	n := note("n1", "phone")
	n.AcceptedAt = accepted
	p := &parcel{n: n}
	for name, tt := range map[string]struct {
		hold redisstore.Hold
		want time.Duration // from acceptance to the attempt, a minute ago
	}{
		"nothing held it":              {redisstore.Hold{}, 8*time.Hour - time.Minute},
		"its road was tried again":     {redisstore.Hold{Kind: redisstore.Retry, At: accepted.Add(7 * time.Hour).UnixMilli(), Provider: "apns"}, 8*time.Hour - time.Minute},
		"a rule held it for 7 hours":   {redisstore.Hold{Kind: redisstore.Retry, At: accepted.Add(7 * time.Hour).UnixMilli()}, time.Hour - time.Minute},
		"it was ended before that was": {redisstore.Hold{Kind: redisstore.Retry, At: accepted.Add(9 * time.Hour).UnixMilli()}, 0},
	} {
		d := newDelivery(p, redisstore.Slot{Cell: redisstore.Cell{Hold: tt.hold}})
		rec := d.receipt(push.Accepted, push.VendorReply, accepted.Add(8*time.Hour-time.Minute))
		if got := rec.SinceAccepted.Round(time.Second); got != tt.want {
			t.Errorf("%s: it took %v, want %v", name, got, tt.want)
		}
	}
}

func TestWhatIsHeldLongerThanItIsWorthExpires(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	now := time.Now().UTC()
	h.app.Policy.QuietHours = around(now)
	d := h.door()
	n := note("n1", "phone")
	n.Class, n.ExpiresAt = push.Marketing, now.Add(2*time.Second)
	h.enqueue(d, n)
	h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Expired != 1 || p.Counts.Accepted != 0 {
		t.Errorf("counts = %+v, want 1 expired", p.Counts)
	}
}

func TestWhatIsHeldCanBeTakenBack(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	h.app.Policy.QuietHours = around(time.Now().UTC())
	d := h.door()
	n := note("n1", "phone")
	n.Class = push.Marketing
	h.enqueue(d, n)
	h.work()
	h.awaitHeld("n1")
	if _, err := d.Cancel(t.Context(), "demo", "n1"); err != nil {
		t.Fatal(err)
	}
	h.await(d, "n1", "cancelled", func(p push.Progress) bool { return p.Counts.Cancelled == 1 })
}

// local gives n the wall time that a clock in UTC shows at due.
func local(n *push.Notification, due time.Time, ttl time.Duration) {
	wall := due.UTC().Truncate(time.Second)
	n.DeliverAtLocal = wall.Format(push.WallTime)
	n.DeliverAt, n.ExpiresAt = push.FirstClock(wall), push.LastClock(wall).Add(ttl)
}

func TestDeliveryAtTheLocalTimeOfEachDevice(t *testing.T) {
	h := newHouse(t)
	now := time.Now()
	for id, zone := range map[string]string{"abidjan": "Africa/Abidjan", "kiritimati": "Pacific/Kiritimati", "midway": "Pacific/Midway", "nowhere": "", "mars": "Mars/Olympus"} {
		h.lives(id, "apns")
		h.belongs(id, "", zone)
	}
	h.lives("of-user", "apns")
	h.belongs("of-user", "u1", "")
	h.users = map[string]push.User{"u1": {Timezone: "Pacific/Midway"}}
	n := note("n1", "abidjan,kiritimati,midway,nowhere,mars,of-user")
	due := now.Add(2 * time.Second)
	local(n, due, time.Hour)
	d := h.door()
	h.enqueue(d, n)
	h.work()
	p := h.await(d, "n1", "sent where it is time", func(p push.Progress) bool { return p.Counts.Accepted == 3 && p.Counts.Expired == 1 })
	if p.Counts.Deliveries != 6 {
		t.Errorf("counts = %+v, want 6 deliveries", p.Counts)
	}
	for _, s := range h.sends {
		if !slices.Contains([]string{"abidjan", "nowhere", "mars"}, s.device) {
			t.Errorf("%s was sent to, where it is not the time", s.device)
		}
		if s.at.Before(due.Truncate(time.Second)) {
			t.Errorf("%s was sent to %v too early", s.device, due.Sub(s.at))
		}
		if got := s.n.ExpiresAt.Sub(due.Truncate(time.Second)); got != time.Hour {
			t.Errorf("%s: it is worth sending for %v, want an hour from its local time", s.device, got)
		}
	}
	if why := h.whys("n1"); len(why) != 1 || !strings.Contains(why[0], "its local time") {
		t.Errorf("reasons = %q, want that the time in Kiritimati has passed", why)
	}
}

func TestFrequencyCapCountsAUserOnceForAllDevices(t *testing.T) {
	h := newHouse(t)
	h.app.Policy.Caps = []push.Cap{{Limit: 2, WindowSeconds: 3600}, {Class: push.Chat, Limit: 1, WindowSeconds: 3600}}
	for _, id := range []string{"phone", "tablet"} {
		h.lives(id, "apns")
		h.belongs(id, "u1", "")
	}
	h.lives("loner", "apns")
	d := h.door()
	h.work()
	send := func(id string, class push.Class, to string) push.Counts {
		n := note(id, to)
		n.Class = class
		h.enqueue(d, n)
		return h.awaitDone(d, id).Counts
	}
	for i, want := range []push.Counts{
		{Deliveries: 2, Accepted: 2}, {Deliveries: 2, Accepted: 2}, {Deliveries: 2, Suppressed: 2}, {Deliveries: 2, Suppressed: 2},
	} {
		if got := send(fmt.Sprintf("ad-%d", i), push.Marketing, "phone,tablet"); got != want {
			t.Errorf("advertisement %d: %+v, want %+v", i, got, want)
		}
	}
	if got, want := h.whys("ad-2"), "suppressed: frequency cap: 2 of class marketing in 1h0m0s reached"; len(got) != 2 || got[0] != want {
		t.Errorf("reasons = %q, want %q", got, want)
	}
	for _, id := range []string{"a", "b"} {
		if got := send("t-"+id, push.Transactional, "phone"); got.Accepted != 1 {
			t.Errorf("transactional is capped: %+v", got)
		}
	}
	if got := send("c-1", push.Chat, "phone"); got.Accepted != 1 {
		t.Errorf("another class counts for itself: %+v", got)
	}
	if got := send("ad-loner", push.Marketing, "loner"); got.Accepted != 1 {
		t.Errorf("a device without a user counts for itself: %+v", got)
	}
}

func TestNewerNotificationReplacesOneThatWaits(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	now := time.Now().UTC()
	h.app.Policy.QuietHours = around(now)
	d := h.door()
	older, newer := note("older", "phone"), note("newer", "phone")
	for i, n := range []*push.Notification{older, newer} {
		n.Class, n.CollapseKey, n.ExpiresAt = push.Marketing, "score", now.Add(24*time.Hour)
		n.AcceptedAt = now.Add(time.Duration(i) * time.Second)
	}
	newer.QuietHours = push.QuietSilent
	h.work()
	h.enqueue(d, older)
	h.awaitHeld("older")
	h.enqueue(d, newer)
	if p := h.awaitDone(d, "newer"); p.Counts.Accepted != 1 {
		t.Errorf("the newer one: %+v", p.Counts)
	}
	if p := h.awaitDone(d, "older"); p.Counts.Suppressed != 1 {
		t.Errorf("the older one: %+v", p.Counts)
	}
	if got := h.whys("older"); !slices.Equal(got, []string{"suppressed: replaced by newer"}) {
		t.Errorf("reasons = %q", got)
	}
	// One that was accepted before the newest and comes late is too late.
	late := note("late", "phone")
	late.CollapseKey, late.AcceptedAt = "score", now
	h.enqueue(d, late)
	if p := h.awaitDone(d, "late"); p.Counts.Suppressed != 1 {
		t.Errorf("the late one: %+v", p.Counts)
	}
}

func TestDigestSendsOneForAll(t *testing.T) {
	h := newHouse(t)
	for _, id := range []string{"phone", "tablet"} {
		h.lives(id, "apns")
		h.belongs(id, "u1", "")
	}
	d := h.door()
	_, _ = h.work()
	for i := range 3 {
		n := note(fmt.Sprintf("like-%d", i), "phone,tablet")
		n.Title, n.AcceptedAt = fmt.Sprintf("Like %d", i), n.AcceptedAt.Add(time.Duration(i)*time.Millisecond)
		n.Digest = &push.DigestRule{Key: "likes", WindowSeconds: 2}
		h.enqueue(d, n)
		if c := h.awaitDone(d, n.ID).Counts; c.Suppressed != 2 {
			t.Fatalf("%s: %+v, want both collected", n.ID, c)
		}
	}
	_, id, _ := strings.Cut(h.whys("like-0")[0], "collected into ")
	if p := h.awaitDone(d, id); p.Counts.Accepted != 2 || p.Counts.Deliveries != 2 {
		t.Errorf("digest: %+v, want it on both devices", p.Counts)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sends) != 2 {
		t.Fatalf("%d sends, want one for each device", len(h.sends))
	}
	if n := h.sends[0].n; n.Title != "Like 2 (+2)" || n.Body != "Like 0\nLike 1\nLike 2" {
		t.Errorf("digest = %q, %q", n.Title, n.Body)
	}
}

func TestDigestIsWordedByItsTemplate(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	h.belongs("phone", "u1", "")
	parts := h.parts()
	parts.Wording = func(_ context.Context, n *push.Notification) error {
		if _, ok := n.Variables["titles"]; ok { // a template that knows nothing of it
			return &push.Invalid{Faults: []push.Fault{{Field: "variables.titles", Detail: "is no variable of the template"}}}
		}
		n.Title = n.Variables["count"] + " likes, " + n.Variables["title"] + " the last"
		return nil
	}
	w := NewWorker(h.cfg, parts)
	now := time.Now().UTC().Truncate(time.Millisecond)
	n := note("like", "phone")
	n.Digest = &push.DigestRule{Key: "likes", WindowSeconds: 1, Template: "likes"}
	dues, err := w.digests.Collect(t.Context(), now, []redisstore.Collected{{App: "demo", Who: "u:u1", Notification: n}})
	if err != nil {
		t.Fatal(err)
	}
	ref := digestRef{"demo", "likes", "u:u1", dues[0]}
	for range 2 { // done again, it is the same one
		if err := (&digester{w}).ProcessTask(t.Context(), task(t, taskDigest, ref)); err != nil {
			t.Fatal(err)
		}
	}
	h.work()
	h.awaitDone(h.door(), ref.id())
	if len(h.sends) != 1 || h.sends[0].n.Title != "1 likes, Shipped the last" {
		t.Errorf("sent %+v", h.sends)
	}
}
