package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
)

// proof is a receipt on its way to the record. done, if set, hears whether it
// got there.
type proof struct {
	im.Receipt
	done func(error)
}

// proofs gathers receipts and records them in batches, in order. While they
// cannot be recorded they wait, up to a bound.
type proofs struct {
	cfg      Config
	receipts Receipts
	log      *slog.Logger
	wake     chan struct{} // has room for one

	mu       sync.Mutex
	queue    []proof
	added    uint64 // ever
	settled  uint64 // of these, no longer in queue
	recorded uint64
	dropped  uint64
	waiting  []waiter
}

// waiter wants to know when everything added before it is settled.
type waiter struct {
	until uint64
	ch    chan struct{}
}

func newProofs(cfg Config, receipts Receipts, log *slog.Logger) *proofs {
	return &proofs{cfg: cfg, receipts: receipts, log: log, wake: make(chan struct{}, 1)}
}

// add takes a proof; false means that there is no room.
func (p *proofs) add(one proof) bool {
	p.mu.Lock()
	full := len(p.queue) >= p.cfg.MaxProofs
	if full {
		p.dropped++
	} else {
		p.queue = append(p.queue, one)
		p.added++
	}
	n := len(p.queue)
	p.mu.Unlock()
	if n == 1 || n == p.cfg.Batch {
		p.stir()
	}
	return !full
}

func (p *proofs) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *proofs) counts() (recorded, dropped uint64, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recorded, p.dropped, len(p.queue)
}

// run records until ctx ends.
func (p *proofs) run(ctx context.Context) {
	const first, longest = 50 * time.Millisecond, 2 * time.Second
	pause := first
	for ctx.Err() == nil {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return
		}
		if _, _, n := p.counts(); n < p.cfg.Batch {
			wait(ctx, p.cfg.Linger)
		}
		for ctx.Err() == nil {
			left, err := p.flush(ctx)
			if err != nil {
				p.log.Warn("access: proofs not recorded", "waiting", left, "err", err)
				wait(ctx, pause)
				pause = min(2*pause, longest)
				continue
			}
			pause = first
			if left < p.cfg.Batch {
				if left > 0 {
					p.stir()
				}
				break
			}
		}
	}
}

// finish records what is left, until ctx ends. It leaves those who wait for an
// answer without one, as a crash would.
func (p *proofs) finish(ctx context.Context) {
	for ctx.Err() == nil {
		left, err := p.flush(ctx)
		switch {
		case err != nil:
			wait(ctx, 50*time.Millisecond)
		case left == 0:
			return
		}
	}
	if _, _, n := p.counts(); n > 0 {
		p.log.Error("access: proofs lost; their messages will be sent again", "proofs", n)
	}
}

// flush records one batch. left is how many wait then; an error means that the
// record is away and those that it did not take are waiting again.
func (p *proofs) flush(ctx context.Context) (left int, err error) {
	p.mu.Lock()
	batch := p.queue[:min(len(p.queue), p.cfg.Batch)]
	p.mu.Unlock()
	if len(batch) == 0 {
		return 0, nil
	}
	receipts := make([]im.Receipt, len(batch))
	for i := range batch {
		receipts[i] = batch[i].Receipt
	}
	attempt, cancel := context.WithTimeout(ctx, p.cfg.LoginTimeout)
	defer cancel()
	errs := p.receipts.Receive(attempt, receipts)
	return p.settleBatch(batch, errs)
}

// settleBatch takes the batch off the queue, but for those to be tried again.
func (p *proofs) settleBatch(batch []proof, errs []error) (left int, err error) {
	var again, settled []proof
	results := make([]error, 0, len(batch))
	for i := range batch {
		var e error
		if i < len(errs) {
			e = errs[i]
		}
		if e != nil && (p.cfg.Away(e) || errors.Is(e, context.Canceled)) {
			again, err = append(again, batch[i]), e
			continue
		}
		settled, results = append(settled, batch[i]), append(results, e)
	}
	p.mu.Lock()
	if len(again) < len(batch) {
		p.queue = p.queue[len(batch):]
		if len(again) > 0 {
			p.queue = append(again, p.queue...)
		}
	}
	p.settled += uint64(len(settled))
	for _, e := range results {
		if e == nil {
			p.recorded++
		} else {
			p.dropped++
		}
	}
	left = len(p.queue)
	p.wakeWaiters()
	p.mu.Unlock()
	for i, s := range settled {
		if results[i] != nil {
			p.log.Info("access: receipt refused", "app", s.App, "device", s.Device, "id", s.ID, "err", results[i])
		}
		if s.done != nil {
			s.done(results[i])
		}
	}
	return left, err
}

// wakeWaiters lets go of those whose proofs are settled.
func (p *proofs) wakeWaiters() {
	kept := p.waiting[:0]
	for _, w := range p.waiting {
		if w.until <= p.settled {
			close(w.ch)
			continue
		}
		kept = append(kept, w)
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
}

// settle waits until every proof added so far is settled, but no more than a
// second: while the record is away there is nothing to be gained by waiting.
func (p *proofs) settle(ctx context.Context) {
	p.mu.Lock()
	if p.settled == p.added {
		p.mu.Unlock()
		return
	}
	w := waiter{until: p.added, ch: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	limit := time.NewTimer(time.Second)
	defer limit.Stop()
	select {
	case <-w.ch:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// report is what a device publishes on [ReceiptsTopic].
type report struct {
	ID    string   `json:"id"`
	Event im.Event `json:"event"`
	At    string   `json:"at"` // RFC 3339; may be missing
}

// maxReport bounds a report in bytes, and maxID the message id in it.
const (
	maxReport = 4 << 10
	maxID     = 128
)

// oldest is how far back a device's clock is believed. Reports wait on the
// device while it is offline, so days are plausible; years are a flat battery.
const oldest = 30 * 24 * time.Hour

// parseReport reads a report that arrived now. A time in the future, or too
// long ago to be believed, or none at all, becomes the time of arrival.
func parseReport(payload []byte, now time.Time) (im.Receipt, error) {
	if len(payload) > maxReport {
		return im.Receipt{}, fmt.Errorf("report of %d bytes", len(payload))
	}
	var r report
	if err := json.Unmarshal(payload, &r); err != nil {
		return im.Receipt{}, err
	}
	switch r.Event {
	case im.Delivered, im.Displayed, im.Clicked:
	default:
		return im.Receipt{}, fmt.Errorf("event %.32q", r.Event)
	}
	if r.ID == "" || len(r.ID) > maxID {
		return im.Receipt{}, fmt.Errorf("id of %d bytes", len(r.ID))
	}
	at, err := time.Parse(time.RFC3339, r.At)
	if err != nil || at.After(now) || at.Before(now.Add(-oldest)) {
		at = now
	}
	return im.Receipt{ID: r.ID, Event: r.Event, At: at.UTC(), ReceivedAt: now}, nil
}
