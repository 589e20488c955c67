package scheduler

import (
	"slices"
	"time"
)

// next is the road to take now; ok is false if none is left. A delivery that
// was put off on a road stays on it for as long as a road may take to bring
// proof, or if there is no other.
func (d *delivery) next(now time.Time) (road, bool) {
	fresh, hasFresh := d.fresh("")
	if again, ok := d.again(); ok {
		if !hasFresh || now.Sub(time.UnixMilli(d.cell.Since)) < bears(&d.cell, d.Notification) {
			return again, true
		}
	}
	return fresh, hasFresh
}

// fresh is the first road but one that can be taken and was not used yet.
func (d *delivery) fresh(but string) (road, bool) {
	for _, r := range d.roads {
		if r.Skipped == "" && r.Provider != but && !d.cell.HasTried(r.Provider) && !slices.Contains(d.passed, r.Provider) {
			return r, true
		}
	}
	return road{}, false
}

// usable are the roads that can be taken.
func (d *delivery) usable() []road {
	var all []road
	for _, r := range d.roads {
		if r.Skipped == "" {
			all = append(all, r)
		}
	}
	return all
}

// again is the road that the delivery was put off on by a former round.
func (d *delivery) again() (road, bool) {
	last := d.cell.LastTried()
	if last == "" || d.seen.Hold.Provider != last || slices.Contains(d.passed, last) {
		return road{}, false
	}
	for _, r := range d.roads {
		if r.Provider == last && r.Skipped == "" {
			return r, true
		}
	}
	return road{}, false
}

// hasFurther is the road that is next, if another is left after it.
func (d *delivery) hasFurther(now time.Time) (next road, ok bool) {
	if d.parcel.ending != "" {
		return road{}, false
	}
	next, ok = d.next(now)
	if !ok {
		return road{}, false
	}
	if roads := d.abreast(); len(roads) > 0 {
		return next, len(d.usable()) > len(roads)
	}
	_, ok = d.fresh(next.Provider)
	return next, ok
}
