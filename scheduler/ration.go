package scheduler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// ration counts deliveries against the quotas that each device has with the
// provider of its road, all in one round trip. It returns those that may go;
// the others pass the road by, as refused, or are told that they have to wait.
//
// What is counted and not taken by the provider is given back. A crash between
// leaves it counted: a device rather hears a message less than a vendor one too
// many.
func (r *round) ration(ctx context.Context, set []*result, told chan<- *result) (going, refused []*result) {
	var uses []redisstore.DeviceUse
	var of []*result
	rules := make(map[rationKey][]*quota)
	for _, res := range set {
		key := rationKey{res.App, res.road.Provider, res.Class}
		quotas, known := rules[key]
		if !known {
			quotas = r.w.lanes.of(ctx, key.app, key.provider).perDevice(key.class)
			rules[key] = quotas
		}
		for _, q := range quotas {
			u := q.deviceUse()
			u.App, u.Provider, u.Device = key.app, key.provider, res.Device
			uses, of = append(uses, u), append(of, res)
			res.uses = append(res.uses, spent{q, u})
		}
	}
	if len(uses) == 0 {
		return set, nil
	}
	over, err := r.w.watch.quotas.Use(ctx, uses)
	if err != nil { // who has counted too little loses nothing
		r.w.log.WarnContext(ctx, "quotas of devices are not counted", "devices", len(set), "err", err)
		for _, res := range set {
			res.uses = nil
		}
		return set, nil
	}
	full := make(map[*result]int) // which use was one too many
	for i, res := range of {
		if over[i] {
			full[res] = i
		}
	}
	var back, waits []*result
	for _, res := range set {
		res.noteUses(1)
		i, isFull := full[res]
		if !isFull {
			going = append(going, res)
			continue
		}
		res.refused(uses[i])
		back = append(back, res)
		if r.detour(res.delivery, res.road, fullFor(uses[i])) {
			refused = append(refused, res)
		} else {
			r.park(res, fullFor(uses[i]))
			waits = append(waits, res)
		}
	}
	r.giveBack(ctx, back)
	for _, res := range waits {
		told <- res
	}
	return going, refused
}

// fullFor is the refusal of a use that was one too many.
func fullFor(u redisstore.DeviceUse) *closed {
	return &closed{until: u.Ends, why: fmt.Sprintf("the device has had its %d of the day's quota %q", u.Limit, u.Quota), sure: true}
}

type rationKey struct {
	app, provider string
	class         push.Class
}

// spent is one use of a quota that a device has for itself.
type spent struct {
	quota *quota
	use   redisstore.DeviceUse
}

func (res *result) noteUses(n int64) {
	for _, s := range res.uses {
		s.quota.note(n, 0)
	}
}

// refused takes out the use that was one too many, of which nothing was counted.
func (res *result) refused(full redisstore.DeviceUse) {
	res.uses = slices.DeleteFunc(res.uses, func(s spent) bool {
		if s.use != full {
			return false
		}
		s.quota.note(-1, 1)
		return true
	})
}

// giveBack takes uses back that the provider did not take.
func (r *round) giveBack(ctx context.Context, results []*result) {
	var uses []redisstore.DeviceUse
	for _, res := range results {
		res.noteUses(-1)
		for _, s := range res.uses {
			uses = append(uses, s.use)
		}
		res.uses = nil
	}
	if len(uses) == 0 {
		return
	}
	if err := r.w.watch.quotas.Return(ctx, uses); err != nil {
		r.w.log.WarnContext(ctx, "quotas of devices are not given back", "uses", len(uses), "err", err)
	}
}

// deviceUse is one more use of a quota that each device has.
func (q *quota) deviceUse() redisstore.DeviceUse {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(q.now())
	return redisstore.DeviceUse{Quota: q.name, Day: q.day, Ends: q.ends, Limit: q.rule.Limit}
}

// perDevice lists the quotas that bind each device for a class; none where the
// lane is closed, for then nothing will be sent.
func (l *lane) perDevice(c push.Class) (quotas []*quota) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.quotas) == 0 || l.closedFor(c) != nil {
		return nil
	}
	for _, q := range l.quotas {
		if q.bindsDevices(c) {
			quotas = append(quotas, q)
		}
	}
	return quotas
}

func (q *quota) bindsDevices(c push.Class) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rule.PerDevice && q.rule.Binds(c)
}

// spend uses n of the app's own quotas for a class. Whoever got it owes a
// [lane.refund] of what the provider did not take.
func (w *Worker) spend(ctx context.Context, name redisstore.LaneName, l *lane, c push.Class, n int) error {
	ask := func(ctx context.Context, leases []redisstore.Lease) ([]redisstore.Grant, error) {
		for i := range leases {
			leases[i].App, leases[i].Provider = name.App, name.Provider
		}
		return w.watch.quotas.Lease(ctx, time.Now(), w.watch.name, leases)
	}
	bound := l.ofApp(c)
	for i, q := range bound {
		if shut := q.take(ctx, ask, int64(n)); shut != nil {
			for _, before := range bound[:i] {
				before.give(int64(n))
			}
			return shut
		}
	}
	return nil
}

// refund returns n of the app's quotas for a class.
func (l *lane) refund(c push.Class, n int) {
	if n == 0 {
		return
	}
	for _, q := range l.ofApp(c) {
		q.give(int64(n))
	}
}

// ofApp lists the quotas of the app as a whole that bind a class.
func (l *lane) ofApp(c push.Class) (quotas []*quota) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.quotas {
		if q.bindsApp(c) {
			quotas = append(quotas, q)
		}
	}
	return quotas
}

func (q *quota) bindsApp(c push.Class) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.rule.PerDevice && q.rule.Binds(c)
}
