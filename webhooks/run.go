package webhooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	refreshEvery = 2 * time.Second
	pollEvery    = 500 * time.Millisecond
	tidyEvery    = time.Minute
	// storePause is how long a store that was away is left alone.
	storePause = time.Second
)

// Run carries events from the outbox to the endpoints until ctx ends, then lets
// calls finish for [Config.Grace]. Any number of processes may do so.
func (h *Hooks) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { h.keepUp(ctx) })
	group.Go(func() { h.drain(ctx) })
	group.Go(func() { h.dispatch(ctx) })
	group.Wait()
	return nil
}

// keepUp looks by the clock what other processes have changed.
func (h *Hooks) keepUp(ctx context.Context) {
	clock := time.NewTicker(refreshEvery)
	defer clock.Stop()
	var tidied time.Time
	for {
		if err := h.refresh(ctx); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "webhooks are not up to date", "err", err)
		}
		if now := time.Now(); now.Sub(tidied) > tidyEvery {
			tidied = now
			if err := h.housekeep(ctx); err != nil && ctx.Err() == nil {
				h.log.WarnContext(ctx, "old events of webhooks are still there", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
	}
}

func (h *Hooks) housekeep(ctx context.Context) error {
	if err := h.tidy(ctx); err != nil {
		return err
	}
	return h.takeStock(ctx)
}

// drain writes what lies in the outbox into SQL.
func (h *Hooks) drain(ctx context.Context) {
	for ctx.Err() == nil {
		ids, entries, err := h.outbox.Take(ctx)
		if err == nil && len(entries) > 0 {
			err = h.take(ctx, ids, entries)
		}
		if err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "events for webhooks wait in the outbox", "err", err)
			pause(ctx, storePause)
		}
	}
}

// take writes entries down and lets go of them. What fails in between comes
// again.
func (h *Hooks) take(ctx context.Context, ids []string, entries [][]byte) error {
	queued, err := h.fanOut(ctx, entries)
	if err != nil {
		return err
	}
	if queued > 0 {
		h.rouse()
	}
	return h.outbox.Done(ctx, ids)
}

// rouse has the dispatcher look at once.
func (h *Hooks) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// line is how calls to an endpoint go, in this process.
type line struct {
	busy  bool
	fails int       // in a row
	until time.Time // nothing is called before
}

// dispatch starts a courier for each endpoint that something is due for.
func (h *Hooks) dispatch(ctx context.Context) {
	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(h.cfg.Grace, cut) })()
	var couriers sync.WaitGroup
	defer couriers.Wait()
	clock := time.NewTicker(pollEvery)
	defer clock.Stop()
	for {
		for _, e := range h.ready(ctx) {
			couriers.Go(func() { h.serve(ctx, calls, e.ID) })
		}
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		case <-h.wake:
		}
	}
}

// ready finds the endpoints that may be called now, and takes their lines.
func (h *Hooks) ready(ctx context.Context) []*endpoint {
	all := h.known.Load().byID
	if len(all) == 0 {
		return nil
	}
	ids, err := h.due(ctx)
	if err != nil {
		if ctx.Err() == nil {
			h.log.WarnContext(ctx, "webhooks are not called", "err", err)
		}
		return nil
	}
	var found []*endpoint
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		l := h.lines[id]
		if l == nil {
			l = new(line)
			h.lines[id] = l
		}
		if e := all[id]; e != nil && !l.busy && !h.now().Before(l.until) {
			l.busy = true
			found = append(found, e)
		}
	}
	return found
}

// forgetLine lets an endpoint begin anew.
func (h *Hooks) forgetLine(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.lines[id]; l != nil {
		l.fails, l.until = 0, time.Time{}
	}
}

// serve calls an endpoint until nothing is due for it any more, or a call
// fails. One that failed before gets a single call at a time.
func (h *Hooks) serve(ctx, calls context.Context, id string) {
	defer h.letGo(id)
	for ctx.Err() == nil {
		e := h.known.Load().byID[id] // it may have been changed meanwhile
		if e == nil {
			return
		}
		width := h.cfg.PerEndpoint
		if h.fails(e.ID) > 0 {
			width = 1
		}
		ms, err := h.claim(ctx, e.ID, width*e.Batch)
		if err != nil || len(ms) == 0 {
			if err != nil && ctx.Err() == nil {
				h.log.WarnContext(ctx, "webhook is not called", "webhook", e.ID, "err", err)
			}
			return
		}
		if !h.wave(ctx, calls, e, ms) {
			return
		}
	}
}

func (h *Hooks) letGo(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines[id].busy = false
}

func (h *Hooks) fails(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lines[id].fails
}

// wave calls out what was claimed, side by side. It tells whether all went well.
func (h *Hooks) wave(ctx, calls context.Context, e *endpoint, ms []message) bool {
	var group sync.WaitGroup
	well := make([]bool, (len(ms)+e.Batch-1)/e.Batch)
	for i := range well {
		part := ms[i*e.Batch : min((i+1)*e.Batch, len(ms))]
		group.Go(func() {
			select {
			case h.places <- struct{}{}:
				defer func() { <-h.places }()
				well[i] = h.deliver(calls, e, part)
			case <-ctx.Done(): // they are due again when their lease ends
			}
		})
	}
	group.Wait()
	for _, ok := range well {
		if !ok {
			return false
		}
	}
	return true
}

// deliver makes one call for messages and notes what came of it.
func (h *Hooks) deliver(ctx context.Context, e *endpoint, ms []message) bool {
	id, body, err := envelope(ms, h.now())
	if err != nil {
		h.log.ErrorContext(ctx, "events cannot be put together", "webhook", e.ID, "err", err)
		return false
	}
	a := h.call(ctx, e, id, body)
	if ctx.Err() != nil && !a.OK {
		return false // cut off: it is called again when the lease ends
	}
	ctx = context.WithoutCancel(ctx)
	if a.OK {
		h.wellAgain(ctx, e)
		if err := h.delivered(ctx, ms, a.WebhookTry); err != nil {
			h.log.WarnContext(ctx, "a webhook that was called will be called again", "webhook", e.ID, "err", err)
		}
		return true
	}
	dead, err := h.failed(ctx, ms, a.WebhookTry, a.wait)
	if err != nil {
		h.log.WarnContext(ctx, "a failure of a webhook is not noted", "webhook", e.ID, "err", err)
	}
	h.metrics.dead.Add(float64(dead))
	h.suffer(ctx, e, &a)
	return false
}

// envelope is the body of a call, with its id: one event as it is, or several in
// a batch, whose id is the same for the same events.
func envelope(ms []message, now time.Time) (id string, body []byte, err error) {
	if len(ms) == 1 {
		return ms[0].event, ms[0].body, nil
	}
	sum := sha256.New()
	events := make([]json.RawMessage, len(ms))
	for i := range ms {
		fmt.Fprintln(sum, ms[i].event) // a hash never fails
		events[i] = ms[i].body
	}
	id = "bat_" + hex.EncodeToString(sum.Sum(nil)[:16])
	body, err = json.Marshal(push.Event{ID: id, Type: push.EventBatch, At: now.UTC(), Data: map[string]any{"events": events}})
	return id, body, err
}

// maxRest is how long an endpoint that fails is left alone, unless it asks for
// more.
const maxRest = time.Minute

// suffer takes a failure in: the endpoint is left alone for a while, its failing
// is noted, and in the end it is disabled.
func (h *Hooks) suffer(ctx context.Context, e *endpoint, a *answer) {
	h.mu.Lock()
	l := h.lines[e.ID]
	l.fails++
	rest := max(a.wait, min(maxRest, time.Second<<min(l.fails-1, 10)))
	l.until = h.now().Add(rest)
	h.mu.Unlock()

	now := h.now()
	const note = `UPDATE webhooks SET failing_since = $2 WHERE id = $1 AND failing_since = 0 RETURNING failing_since`
	if e.FailingSince.IsZero() {
		if _, err := h.db.Write().Exec(ctx, note, e.ID, now.UnixMicro()); err != nil {
			h.log.WarnContext(ctx, "a failure of a webhook is not noted", "webhook", e.ID, "err", err)
		}
	}
	switch {
	case a.gone:
		h.disable(ctx, e, "it answered 410 Gone")
	case !e.FailingSince.IsZero() && now.Sub(e.FailingSince) > h.cfg.DisableAfter:
		h.disable(ctx, e, fmt.Sprintf("every call has failed since %s; the last one: %s", e.FailingSince.Format(time.RFC3339), a.Error))
	}
}

// disable stops calls to an endpoint. What is on its way waits there until
// somebody enables it again, or its time is over.
func (h *Hooks) disable(ctx context.Context, e *endpoint, why string) {
	const query = `UPDATE webhooks SET enabled = 0, disabled_why = $2, updated_at = $3 WHERE id = $1 AND enabled = 1 RETURNING id`
	var id string
	if err := h.db.Write().QueryRow(ctx, query, e.ID, why, h.now().UnixMicro()).Scan(&id); err != nil {
		return // another process was first, or it is done at the next failure
	}
	h.metrics.disabled.Inc()
	h.log.ErrorContext(ctx, "webhook disabled", "app", e.App, "webhook", e.ID, "why", why)
	if err := h.refresh(ctx); err != nil {
		h.log.WarnContext(ctx, "webhooks are not up to date", "err", err)
	}
}

// wellAgain forgets that an endpoint was failing.
func (h *Hooks) wellAgain(ctx context.Context, e *endpoint) {
	h.mu.Lock()
	was := h.lines[e.ID].fails > 0
	h.lines[e.ID].fails = 0
	h.mu.Unlock()
	if !was && e.FailingSince.IsZero() {
		return
	}
	const query = `UPDATE webhooks SET failing_since = 0 WHERE id = $1`
	if _, err := h.db.Write().Exec(ctx, query, e.ID); err != nil {
		h.log.WarnContext(ctx, "a webhook's recovery is not noted", "webhook", e.ID, "err", err)
		return
	}
	if err := h.refresh(ctx); err != nil {
		h.log.WarnContext(ctx, "webhooks are not up to date", "err", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
