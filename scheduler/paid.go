package scheduler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// lastCheck looks once more before money is spent: proof may have come while
// the load waited for its place, the notification may have been taken back, or
// the device may have connected. It returns those that the load is still for,
// and those that take another road; the others have been told.
func (r *round) lastCheck(ctx context.Context, l load, told chan<- *result) (pay, further []*result) {
	p := l.results[0].parcel // all are of one chunk
	indexes := make([]int, len(l.results))
	ds := make([]*delivery, len(l.results))
	for i, res := range l.results {
		indexes[i], ds[i] = res.index, res.delivery
	}
	slots, err := r.w.book(r.urgency).Read(ctx, []redisstore.Chunk{p.chunk}, [][]int{indexes})
	var records []*redisstore.Record
	if err == nil {
		records, err = r.w.book(r.urgency).Load(ctx, []redisstore.Ref{{App: p.n.App, ID: p.n.ID}})
	}
	var online []bool
	if err == nil {
		online, err = r.w.online(ctx, p.n.App, ds)
	}
	if err != nil {
		for _, res := range l.results {
			res.err = fmt.Errorf("scheduler: last check before %s: %w", l.provider, err)
			told <- res
		}
		return nil, nil
	}
	now := make(map[int]redisstore.Cell, len(indexes))
	for _, s := range slots[0] {
		now[s.Index] = s.Cell
	}
	for i, res := range l.results {
		cell := now[res.index]
		switch {
		case proven(&cell, res.Notification):
			res.raise(cell.Stage)
			res.cell.Hold = redisstore.Hold{}
			told <- res
		case records[0] != nil && records[0].Cancelled:
			res.cell.Hold = redisstore.Hold{}
			if res.cell.Stage == "" {
				res.receipts = append(res.receipts, res.verdict(push.Cancelled, "taken back before a provider took it"))
			}
			told <- res
		case online[i] && res.opens(push.Live):
			if err := r.watch(ctx, res.delivery, push.Live); err != nil {
				res.err = err
				told <- res
				continue
			}
			further = append(further, res)
		default:
			pay = append(pay, res)
		}
	}
	return pay, further
}

// opens makes a road that was not to be had when the round began the first one;
// false if it was had, or used, before.
func (d *delivery) opens(provider string) bool {
	for i := range d.roads {
		if r := &d.roads[i]; r.Provider == provider && r.Skipped != "" && !d.cell.HasTried(provider) {
			if _, ok := d.device.Address(provider); ok {
				opened := *r
				opened.Skipped, opened.Why = "", "the device has connected meanwhile"
				d.roads = slices.Insert(slices.Delete(slices.Clone(d.roads), i, i+1), 0, opened)
				return true
			}
		}
	}
	return false
}

// watch sets the timer of a road that the round did not expect to take.
func (r *round) watch(ctx context.Context, d *delivery, provider string) error {
	at := time.Now().Add(r.patience(d, provider, true) + dueSlack)
	return r.w.timers.put(ctx, r.urgency, []redisstore.DueEntry{d.parcel.timer(at, []int{d.index})})
}
