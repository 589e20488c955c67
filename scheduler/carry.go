package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// result is what a round did to one delivery.
type result struct {
	*delivery
	road     road // under way, or the last one tried
	receipts []push.Receipt
	uses     []spent     // of the device's quotas, for the attempt under way
	retryAt  time.Time   // zero unless the same road is to be tried again
	parked   bool        // retryAt is for want of a place, not after a failure
	dead     *push.Death // the provider said that nobody is there any more
	err      error       // the round was ended before the outcome was known
}

// carry brings all deliveries as far as they come in this round. Answers are
// written down in waves, so that one slow provider does not keep the outcomes
// of others in memory, where a crash would lose them.
func (r *round) carry(ctx context.Context, ds []*delivery) error {
	told := make(chan *result, len(ds))
	var under sync.WaitGroup
	defer under.Wait()
	all := make([]*result, len(ds))
	for i, d := range ds {
		all[i] = &result{delivery: d}
	}
	r.travel(ctx, all, &under, told)
	flush := time.NewTicker(r.w.cfg.Flush)
	defer flush.Stop()

	var ready, later []*result
	var failed error
	for range ds {
		var res *result
		select {
		case res = <-told:
		case <-flush.C:
			if err := r.settle(ctx, ready); err != nil {
				failed = err
			}
			ready = ready[:0]
			res = <-told
		}
		r.room.leave()
		switch {
		case res.err != nil:
			failed = res.err
		case res.retryAt.IsZero() && res.cell.Hold.Kind != redisstore.Waiting:
			ready = append(ready, res)
		default:
			later = append(later, res)
		}
	}
	if err := r.putOff(ctx, later); err != nil {
		return err
	}
	if err := r.settle(ctx, append(ready, later...)); err != nil {
		return err
	}
	return failed
}

// settle records results: receipts first, for the journal's word that a
// delivery is done must not be the only one; then the cells.
func (r *round) settle(ctx context.Context, results []*result) error {
	if len(results) == 0 {
		return nil
	}
	receipts := make([]push.Receipt, 0, len(results)+len(results)/8)
	for _, res := range results {
		receipts = append(receipts, res.receipts...)
	}
	if len(receipts) > 0 {
		err := r.w.persist(ctx, func() error { return r.w.parts.Recorder.Record(ctx, receipts...) })
		switch {
		case errors.Is(err, push.ErrAway):
			return fmt.Errorf("scheduler: record receipts: %w", err) // the cells could not be written either
		case err != nil:
			// The devices may already be ringing. To lose receipts is a pity; to send
			// again because of it would be a fault.
			r.w.log.ErrorContext(ctx, "receipts lost", "receipts", len(receipts), "err", err)
		}
	}
	chunks, slots := byChunk(results)
	err := r.w.persist(ctx, func() error { return r.w.book(r.urgency).Settle(ctx, chunks, slots) })
	if err != nil {
		return fmt.Errorf("scheduler: record outcomes: %w", err)
	}
	r.forget(ctx, results)
	return nil
}

func byChunk(results []*result) ([]redisstore.Chunk, [][]redisstore.Slot) {
	places := make(map[*parcel]int)
	var chunks []redisstore.Chunk
	var slots [][]redisstore.Slot
	for _, res := range results {
		k, ok := places[res.parcel]
		if !ok {
			k = len(chunks)
			places[res.parcel] = k
			chunks, slots = append(chunks, res.parcel.chunk), append(slots, nil)
		}
		slots[k] = append(slots[k], redisstore.Slot{Index: res.index, Cell: res.cell})
	}
	return chunks, slots
}

// forget sees to the addresses that are dead.
func (r *round) forget(ctx context.Context, results []*result) {
	var all []push.Death
	var of []*push.Device
	for _, res := range results {
		if res.dead != nil {
			all, of = append(all, *res.dead), append(of, res.device)
		}
	}
	r.w.deaths.bury(ctx, all, func(i int) time.Time { return of[i].UpdatedAt })
}

// putOff sets the timers for what will happen to deliveries later, before the
// journal says so: the next try of those to be tried again, and a look at the
// end of their time at those that wait to be fetched.
func (r *round) putOff(ctx context.Context, later []*result) error {
	if len(later) == 0 {
		return nil
	}
	type due struct {
		parcel *parcel
		kind   string
		at     int64
		parked bool
	}
	tasks := make(map[due]*work)
	for _, res := range later {
		k := due{res.parcel, taskDeliver, res.retryAt.UnixMilli(), res.parked}
		if res.cell.Hold.Kind == redisstore.Waiting {
			k = due{parcel: res.parcel, kind: taskCheck, at: res.ExpiresAt.UnixMilli()}
		}
		if tasks[k] == nil {
			tasks[k] = r.nextWork(res.parked)
		}
		tasks[k].add(res.delivery)
	}
	entries := make([]redisstore.DueEntry, 0, len(tasks))
	for k, w := range tasks {
		for _, j := range w.Jobs {
			entries = append(entries, redisstore.DueEntry{At: time.UnixMilli(k.at), Text: dueText(k.kind, w.Try, w.Parks, j)})
		}
	}
	return r.w.persist(ctx, func() error { return r.w.timers.put(ctx, r.urgency, entries) })
}

// nextWork counts one more parking or one more failed try.
func (r *round) nextWork(parked bool) *work {
	if parked {
		return &work{Try: r.work.Try, Parks: r.work.Parks + 1, Timed: true}
	}
	return &work{Try: r.work.Try + 1, Timed: true}
}

// add puts a delivery into the work, beside the others of its chunk.
func (w *work) add(d *delivery) {
	for i := range w.Jobs {
		if j := &w.Jobs[i]; j.App == d.App && j.ID == d.Notification.ID && j.Chunk == d.parcel.chunk.Number {
			j.Indexes = append(j.Indexes, d.index)
			return
		}
	}
	w.Jobs = append(w.Jobs, job{d.App, d.Notification.ID, d.parcel.chunk.Number, []int{d.index}})
}

// backoff is the delay before try number n+1: 1 s, 2 s, 4 s … most.
func backoff(n int, most time.Duration) time.Duration {
	if n > 10 {
		return most
	}
	return min(time.Second<<n, most)
}
