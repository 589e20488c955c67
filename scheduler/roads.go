package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// road is one way to a device, in the order of trial.
type road struct {
	push.Choice
	// Skipped is why it cannot be taken now; empty if it can.
	Skipped string
}

// roads lists the ways of a notification to a device: the words of its route,
// with "auto" standing for the device's vendors in the picker's order. Without a
// route the picker orders all there are: the live connection, the vendors, and
// text messages where the app's policy allows them.
func roads(picker Picker, n *push.Notification, d *push.Device, policy push.Policy, online bool, at asked) []road {
	q := push.Question{
		Device: d, Delivery: at.delivery, Attempts: at.attempts, Class: n.Class, Left: n.ExpiresAt.Sub(at.now),
		Online: online, Policy: policy, Tried: at.tried, Closed: at.closed, Words: at.words,
	}
	words := n.Route.Roads
	if len(words) == 0 {
		return unrouted(picker, n, &q)
	}
	all := make([]road, 0, len(words)+len(d.Addresses))
	for _, word := range words {
		if word == push.Auto {
			q.Providers = vendors(d, words)
			all = append(all, ranked(picker, &q)...)
			continue
		}
		if !slices.ContainsFunc(all, func(r road) bool { return r.Provider == word }) {
			all = append(all, direct(word, n, d, policy, online))
		}
	}
	return all
}

// asked is the moment at which roads are asked for.
type asked struct {
	delivery string
	attempts int
	now      time.Time
	tried    func(provider string) bool
	closed   func(provider string) string
	words    bool // every road's reason, for people
}

// unrouted lists the roads where the notification names none. What cannot be
// taken now stands at the end and says why.
func unrouted(picker Picker, n *push.Notification, q *push.Question) []road {
	var shut []road
	consider := func(word string) {
		if r := direct(word, n, q.Device, q.Policy, q.Online); r.Skipped != "" {
			shut = append(shut, r)
		} else {
			q.Providers = append(q.Providers, word)
		}
	}
	consider(push.Live)
	q.Providers = append(q.Providers, vendors(q.Device, nil)...)
	if q.Policy.AllowsSMS(n.Class) {
		consider(push.SMS)
		if _, ok := q.Device.Address(push.SMPP); ok {
			consider(push.SMPP)
		}
	}
	return append(ranked(picker, q), shut...)
}

// ranked asks the picker.
func ranked(picker Picker, q *push.Question) []road {
	if len(q.Providers) == 0 {
		return nil
	}
	choices := picker.Rank(q)
	all := make([]road, len(choices))
	for i, c := range choices {
		all[i] = road{Choice: c, Skipped: c.Skip}
	}
	return all
}

// direct is a road that the route names itself.
func direct(word string, n *push.Notification, d *push.Device, policy push.Policy, online bool) road {
	r := road{Choice: push.Choice{Provider: word, Why: "the route names it"}}
	if _, ok := d.Address(word); !ok {
		r.Skipped = "the device has no address there"
		return r
	}
	switch {
	case word == push.Live && !online:
		r.Skipped = "the device is not connected"
	case word == push.Live:
		r.Why = "the device is connected"
	case push.IsSMS(word) && !policy.AllowsSMS(n.Class):
		r.Skipped = fmt.Sprintf("the app's policy allows no sms for class %s", n.Class)
	case push.IsSMS(word) && len(n.Route.Roads) == 0:
		r.Why = fmt.Sprintf("the app's policy allows sms for class %s", n.Class)
	}
	return r
}

// vendors are the device's providers that "auto" stands for: neither our own
// connection nor what costs money, nor what the route names beside it.
func vendors(d *push.Device, words []string) []string {
	var names []string
	for _, a := range d.Addresses {
		if a.Provider != push.Live && !push.IsSMS(a.Provider) && !slices.Contains(words, a.Provider) {
			names = append(names, a.Provider)
		}
	}
	return names
}

// usesLive tells whether a route goes over our own connection.
func usesLive(n *push.Notification) bool {
	return len(n.Route.Roads) == 0 || slices.Contains(n.Route.Roads, push.Live)
}

// asked is what the picker must know of the delivery's journey so far.
func (r *round) asked(d *delivery) asked {
	return asked{
		delivery: d.ID, attempts: d.cell.Attempt, now: r.now, tried: d.cell.HasTried,
		closed: func(provider string) string { return r.w.lanes.shut(d.App, provider, d.Class, r.now) },
	}
}

// shut tells why a lane gives a class no place now; "" if it does, or was never
// used.
func (ls *lanes) shut(app, provider string, class push.Class, now time.Time) string {
	found, ok := ls.all.Load(redisstore.LaneName{App: app, Provider: provider})
	if !ok {
		return ""
	}
	l := found.(*lane)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off != "" {
		return l.off
	}
	if now.Before(l.shut.until) {
		return l.shut.why
	}
	if shut := l.closedClass(class, now); shut != nil {
		return shut.why
	}
	return ""
}
