package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

const (
	mostBackoff = time.Minute      // between tries of the same road
	mostParking = 30 * time.Second // between asking for a place
)

// attempt takes a load along its road once the lane has a place for it. It tells
// those that the road has taken, may have taken, or wants to see again later, and
// hands to onward those for which the next road is to be taken at once. done
// counts it.
func (r *round) attempt(ctx context.Context, l load, done *sync.WaitGroup, told chan<- *result, onward func(further []*result)) {
	app, class, n := l.results[0].App, l.results[0].Class, len(l.results)
	lane := r.w.lanes.of(ctx, app, l.provider)
	if err := r.w.spend(ctx, redisstore.LaneName{App: app, Provider: l.provider}, lane, class, n); err != nil {
		onward(r.refused(ctx, l, err, told))
		return
	}
	done.Add(1)
	lane.ask(class, n, func(p pass, err error) {
		r.w.crew.do(done, func() {
			defer done.Done()
			if err != nil {
				lane.refund(class, n)
				onward(r.refused(ctx, l, err, told))
				return
			}
			onward(r.send(ctx, lane, p, l, told))
		})
	})
}

// refused is what becomes of a load for which its lane has no place: the next
// road, or this one later.
func (r *round) refused(ctx context.Context, l load, err error, told chan<- *result) (further []*result) {
	var shut *closed
	if !errors.As(err, &shut) {
		for _, res := range l.results {
			res.err = fmt.Errorf("scheduler: wait for a lane: %w", err)
			told <- res
		}
		return nil
	}
	r.giveBack(ctx, l.results)
	for _, res := range l.results {
		if r.detour(res.delivery, res.road, shut) {
			further = append(further, res)
			continue
		}
		r.park(res, shut)
		told <- res
	}
	return further
}

// send makes the attempt, with a place in the lane.
func (r *round) send(ctx context.Context, lane *lane, pass pass, l load, told chan<- *result) (further []*result) {
	if push.IsSMS(l.provider) {
		if l.results, further = r.lastCheck(ctx, l, told); len(l.results) == 0 {
			lane.leave(pass, errCutOff)
			return further
		}
	}
	for _, res := range l.results {
		res.Address, _ = res.device.Address(l.provider)
	}
	began := time.Now()
	replies := r.replies(ctx, l)
	ended := time.Now()
	r.w.metrics.answered(l.provider, ended.Sub(began))
	verdict, cutOff := verdictOn(replies), ctx.Err()
	if verdict != nil && cutOff != nil {
		verdict = errCutOff
	}
	lane.leave(pass, verdict)
	lane.refund(pass.class, r.untaken(ctx, l.results, replies))
	if why := r.w.deaths.count(ctx, l.results[0].App, l.provider, living(replies), dead(l.results, replies)); why != "" {
		lane.suspect(why)
	}
	for i, res := range l.results {
		reply := replies[i]
		if reply.Err != nil && cutOff != nil {
			res.err = fmt.Errorf("scheduler: attempt of %s: %w: %w", res.ID, errCutOff, cutOff)
			told <- res
			continue
		}
		r.witness(res, reply, began, ended)
		if r.conclude(ctx, res, reply.Err) {
			told <- res
		} else {
			further = append(further, res)
		}
	}
	return further
}

// untaken counts what the provider certainly did not take, and gives back what
// the devices' quotas have counted for it.
func (r *round) untaken(ctx context.Context, results []*result, replies []push.Reply) (n int) {
	var back []*result
	for i, res := range results {
		if err := replies[i].Err; err != nil && push.KindName(err) != "unknown" {
			n++
			back = append(back, res)
		}
	}
	r.giveBack(ctx, back)
	return n
}

// witness writes the receipt of an attempt.
func (r *round) witness(res *result, reply push.Reply, began, ended time.Time) {
	d, why := res.delivery, res.road.Why
	if last := d.cell.LastTried(); last != "" && last != res.road.Provider {
		why = fmt.Sprintf("%s brought no proof; %s", last, why)
	}
	for _, a := range d.avoided {
		why = fmt.Sprintf("%s was passed by, for %s; %s", a.Provider, a.Skipped, why)
	}
	r.try(d, res.road.Provider, began)
	d.cell.Attempt++
	answer, stage := reply.Answer, reply.Answer.Stage
	switch {
	case reply.Err == nil && stage == "":
		stage = push.Accepted
	case reply.Err != nil && push.KindName(reply.Err) == "unknown":
		stage = push.Unknown
	case reply.Err != nil:
		stage = push.Failed
	}
	rec := d.receipt(stage, push.VendorReply, ended)
	rec.Provider, rec.ProviderID, rec.Attempt = res.road.Provider, answer.ID, d.cell.Attempt
	rec.ID = receiptID(d.ID, rec.Attempt, stage)
	rec.Took, rec.Why, rec.Decision = ended.Sub(began), why, res.road.Decision
	rec.CostMicros, rec.Bytes, rec.Road = answer.CostMicros, answer.Bytes, d.cell.AttemptOf(res.road.Provider)
	if reply.Err != nil {
		rec.Kind, rec.Code, rec.Detail = faultOf(reply.Err)
	}
	r.w.metrics.attempted(&rec, r.urgency)
	res.receipts = append(res.receipts, rec)
}

// try notes that a road is in use from now on, and for how long it may stay
// without proof.
func (r *round) try(d *delivery, provider string, now time.Time) {
	before := d.cell.Since
	d.cell.Try(provider, now.UnixMilli())
	if d.cell.Since == before {
		return
	}
	_, further := d.fresh(provider)
	if w := r.patience(d, provider, further); w != wait(d.Notification) {
		d.cell.Wait = w.Milliseconds()
	}
}

// conclude draws the conclusion from an attempt; done is false if the next road
// is to be taken at once.
func (r *round) conclude(ctx context.Context, res *result, err error) (done bool) {
	d, road := res.delivery, res.road
	d.cell.Hold = redisstore.Hold{}
	switch {
	case err == nil:
		d.raise(res.receipts[len(res.receipts)-1].Stage)
		return true
	case push.KindName(err) == "unknown":
		d.raise(push.Unknown)
		if r.repeats(ctx, d, road.Provider) {
			res.putOff(time.Now().Add(backoff(r.work.Try, mostBackoff)))
		}
		return true
	case push.Retryable(err):
		delay := max(backoff(r.work.Try, mostBackoff), retryAfter(err))
		waited := time.Since(time.UnixMilli(d.cell.Since))
		if _, other := d.fresh(road.Provider); !other || waited+delay < bears(&d.cell, d.Notification) {
			res.putOff(time.Now().Add(delay))
			return true
		}
	case errors.Is(err, push.ErrUnregistered):
		res.dead = d.death(err)
	}
	d.passBy(road.Provider)
	return false
}

// passBy passes a provider by that did not take the delivery. Whether it has it
// from an earlier try, of which nobody knows what came, stays open.
func (d *delivery) passBy(provider string) {
	d.passed = append(d.passed, provider)
	if d.cell.Stage == "" || !d.seen.HasTried(provider) {
		d.cell.Deny(provider)
	}
}

// mostRepeats is how often a message goes out again whose answer never came.
const mostRepeats = 2

// repeats tells whether a message of which nobody knows if it was sent is to be
// sent again: where the provider sees to it that it is seen once, or where a
// second copy is better than none. Else proof is waited for, and then the next
// road is taken.
func (r *round) repeats(ctx context.Context, d *delivery, provider string) bool {
	return r.work.Try < mostRepeats && (d.Class.Repeats() || r.w.parts.Sender.Deduplicates(ctx, d.App, provider))
}

// putOff lets the delivery wait for another try of its road, at the latest when
// its time is over.
func (res *result) putOff(at time.Time) {
	if at.After(res.ExpiresAt) {
		at = res.ExpiresAt
	}
	res.retryAt = at
	res.cell.Hold = redisstore.Hold{Kind: redisstore.Retry, At: at.UnixMilli(), Provider: res.road.Provider}
}

// detour passes a closed lane by if there is another road, and waiting for the
// lane would take longer than a road may take anyway.
func (r *round) detour(d *delivery, road road, shut *closed) bool {
	waited := backoff(r.work.Parks, mostParking) - time.Second // the sum of the parkings before
	if waited+time.Until(shut.until) < bears(&d.cell, d.Notification) {
		return false
	}
	_, other := d.fresh(road.Provider)
	if never := shut.sure && !shut.until.Before(d.ExpiresAt); !other && !never {
		return false
	}
	d.passed = append(d.passed, road.Provider)
	d.avoided = append(d.avoided, push.PlannedStep{Provider: road.Provider, Skipped: shut.why})
	return true
}

// park puts a delivery off until its lane may have a place. Since a lane may
// open early, because somebody changed the credentials, it asks in between, but
// ever more seldom.
func (r *round) park(res *result, shut *closed) {
	now, delay := time.Now(), backoff(r.work.Parks, mostParking)
	at := now.Add(min(max(delay, shut.until.Sub(now)), 8*delay))
	if shut.sure { // a minute is enough for all that waits for a vendor's midnight
		at = shut.until.Add(rand.N(time.Minute))
	}
	res.parked = true
	res.putOff(at)
	r.w.metrics.parked.WithLabelValues(res.road.Provider).Inc()
}

func faultOf(err error) (kind, code, detail string) {
	var e *push.Error
	if !errors.As(err, &e) {
		return push.KindName(err), "", err.Error()
	}
	detail = e.Detail
	if detail == "" && e.Err != nil {
		detail = e.Err.Error()
	}
	return push.KindName(err), e.Code, detail
}

// death is the event of an answer that says an address is dead.
func (d *delivery) death(err error) *push.Death {
	death := &push.Death{App: d.App, Device: d.Device, Address: d.Address, Source: push.VendorReply, Delivery: d.ID}
	if e, ok := errors.AsType[*push.Error](err); ok {
		death.Code, death.Since = e.Code, e.Since
	}
	return death
}

// living and dead count what replies say of addresses. A device that came back
// after its address died says nothing.
func living(replies []push.Reply) (n int) {
	for _, reply := range replies {
		if reply.Err == nil {
			n++
		}
	}
	return n
}

func dead(results []*result, replies []push.Reply) (n int) {
	for i, reply := range replies {
		if errors.Is(reply.Err, push.ErrUnregistered) {
			if death := results[i].death(reply.Err); death.Since.IsZero() || !results[i].device.UpdatedAt.After(death.Since) {
				n++
			}
		}
	}
	return n
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*push.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
