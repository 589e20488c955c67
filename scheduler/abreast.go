package scheduler

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// abreast is the roads that a delivery begins with at once, where the route asks
// for several or the class cannot wait: a call takes the live connection and
// the best vendor together. What costs money is never taken beside another.
func (d *delivery) abreast() []road {
	if d.cell.Tried != "" || d.parcel.ending != "" {
		return nil
	}
	most, call := d.Route.Parallel, false
	if most == 0 && d.Class == push.Call {
		most, call = 2, true
	}
	if most < 2 {
		return nil
	}
	var all []road
	for _, r := range d.roads {
		if r.Skipped == "" && !push.IsSMS(r.Provider) {
			all = append(all, r)
		}
	}
	if call {
		live := slices.IndexFunc(all, func(r road) bool { return r.Provider == push.Live })
		if live < 0 {
			return nil
		}
		first := all[live]
		all = slices.Insert(slices.Delete(all, live, live+1), 0, first)
	}
	if all = all[:min(len(all), most)]; len(all) < 2 {
		return nil
	}
	for i := range all[1:] {
		all[i+1].Why = fmt.Sprintf("together with %s; %s", all[0].Provider, all[i+1].Why)
	}
	return all
}

// together takes several roads at once and, if none of them has taken the
// message, goes on as ever.
func (r *round) together(ctx context.Context, res *result, roads []road, under *sync.WaitGroup, told chan<- *result) {
	r.w.crew.do(under, func() {
		tries := make([]*result, len(roads))
		ended := make(chan *result, len(roads)) // nobody listens: what came is in tries
		var all sync.WaitGroup
		for i, way := range roads {
			one := *res.delivery
			one.roads, one.passed = []road{way}, nil
			tries[i] = &result{delivery: &one, road: way}
			r.attempt(ctx, load{way.Provider, tries[i : i+1]}, &all, ended, func([]*result) {})
		}
		all.Wait()
		if r.merge(ctx, res, tries) {
			told <- res
			return
		}
		r.travel(ctx, []*result{res}, under, told)
	})
}

// merge draws one conclusion from tries that were made at once; done is false
// if the next road is to be taken now.
func (r *round) merge(ctx context.Context, res *result, tries []*result) (done bool) {
	d := res.delivery
	d.cell.Hold = redisstore.Hold{}
	var again *result // the first that wants to be tried again
	for _, try := range tries {
		switch {
		case try.err != nil:
			res.err = try.err
			return true
		case !try.retryAt.IsZero():
			if again == nil {
				again = try
			}
		default:
			r.adopt(ctx, res, try)
		}
	}
	if d.cell.Stage != "" || again == nil {
		return d.cell.Stage != ""
	}
	r.adopt(ctx, res, again)
	res.road, res.parked = again.road, again.parked
	res.putOff(again.retryAt)
	return true
}

// adopt makes what one of several tries has brought the delivery's own.
func (r *round) adopt(ctx context.Context, res, try *result) {
	d, provider := res.delivery, try.road.Provider
	res.road = try.road
	for _, rec := range try.receipts {
		d.cell.Attempt++
		rec.Attempt = d.cell.Attempt
		rec.ID = receiptID(d.ID, rec.Attempt, rec.Stage)
		res.receipts = append(res.receipts, rec)
		r.try(d, provider, time.UnixMilli(try.cell.Since))
		if try.cell.Denied(provider) {
			d.cell.Deny(provider)
		}
	}
	d.raise(try.cell.Stage)
	d.passed = append(d.passed, try.passed...)
	switch {
	case try.dead == nil:
	case res.dead == nil:
		res.dead = try.dead
	default:
		r.forget(ctx, []*result{try})
	}
}
