package routing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald/im"
)

// Deliver hands a message to a device, wherever it is connected, and returns
// nil once it is written to the device's socket. An error that is one of
// [im.ErrNotHere], [im.ErrFull], [im.ErrExpired] and [im.ErrTooLarge] means
// that it was not and will not be sent; after [im.ErrUnknown] it may have been.
func (r *Router) Deliver(ctx context.Context, app, device, id string, payload []byte, expires time.Time) error {
	m := im.Message{ID: id, Payload: payload, Expires: expires}
	if r.local != nil && r.local.Here(app, device) {
		err := r.await(ctx, func(done func(error)) { r.local.Deliver(app, device, m, done) })
		if !errors.Is(err, im.ErrNotHere) {
			return err
		}
	}
	d := Device{app, device}
	var last im.Place
	for range 2 { // it may move while the message is on its way, but not for ever
		place, err := r.find(ctx, d)
		if err != nil {
			// Nothing was sent. Whether the device is there nobody can tell.
			return fmt.Errorf("%w: %w", im.ErrNotHere, err)
		}
		if place.Node == "" || place == last {
			break
		}
		if r.own(place) {
			if r.local != nil && r.local.Here(app, device) {
				return r.await(ctx, func(done func(error)) { r.local.Deliver(app, device, m, done) })
			}
		} else if err := r.carry(ctx, d, place, m); !errors.Is(err, im.ErrNotHere) || errors.Is(err, errUnheard) {
			return err
		}
		last = place
	}
	if last.Node != "" {
		r.forget(Entry{Device: d, Place: last})
	}
	return im.ErrNotHere
}

// errUnheard is im.ErrNotHere for a node that is not listening just now. It
// says nothing against the entry: the node may be connecting to Redis again.
var errUnheard = fmt.Errorf("%w: its node is not listening", im.ErrNotHere)

// youngFor is how long after a session began its entry is not taken for wrong. A
// person's device is known before it is in: to remove the entry of one that comes
// in just now would hide it until the next sweep.
const youngFor = 10 * time.Second

// forget removes an entry that proved wrong.
func (r *Router) forget(e Entry) {
	if time.Since(e.Since) < youngFor {
		return
	}
	select {
	case r.changes <- change{entry: e, leave: true}:
	default:
	}
}

// await starts something that reports once, and waits for the report.
func (r *Router) await(ctx context.Context, start func(done func(error))) error {
	result := make(chan error, 1)
	start(func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	default:
	}
	patience := time.NewTimer(r.cfg.Wait)
	defer patience.Stop()
	select {
	case err := <-result:
		return err
	case <-patience.C:
		return fmt.Errorf("%w within %s", im.ErrUnknown, r.cfg.Wait)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", im.ErrUnknown, ctx.Err())
	}
}

// carry hands a message to another node.
func (r *Router) carry(ctx context.Context, d Device, to im.Place, m im.Message) error {
	var seq uint64
	err := r.await(ctx, func(done func(error)) {
		seq = r.expect(func(_ []byte, err error) { done(err) })
		r.post(to.Node, func(b []byte) []byte { return appendDeliver(b, seq, d, m) }, seq)
	})
	r.mu.Lock()
	delete(r.pending, seq)
	r.mu.Unlock()
	return err
}

// report hears what became of a delivery: of all of it, or of each of its
// devices, as numbers of outcomes.
type report func(each []byte, err error)

// expect gives a delivery to another node its sequence.
func (r *Router) expect(done report) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	r.pending[r.seq] = done
	return r.seq
}

// displace asks another node to close the session that it still has.
func (r *Router) displace(d Device, from im.Place) {
	r.post(from.Node, func(b []byte) []byte { return appendClosing(b, itemDisplace, d, from) }, 0)
}

// resolve reports on a delivery; an answer that comes too late finds nobody.
func (r *Router) resolve(seq uint64, each []byte, err error) {
	r.mu.Lock()
	done := r.pending[seq]
	delete(r.pending, seq)
	r.mu.Unlock()
	if done != nil {
		done(each, err)
	}
}

// peer is the way to another node: the frames that wait while others are being
// sent. It has a goroutine only while there are some.
type peer struct {
	items   []byte
	seqs    []uint64 // deliveries in items
	sending bool
}

// Bounds of what waits for one node and of one message on its channel.
const (
	maxWaiting = 16 << 20
	maxFrame   = 256 << 10
)

// post adds an item to what goes to a node next. seq is the delivery in it, or
// 0. Sending begins at once; what comes while it lasts goes together.
func (r *Router) post(node string, item func([]byte) []byte, seq uint64) {
	r.mu.Lock()
	p := r.peers[node]
	if p == nil {
		p = &peer{}
		r.peers[node] = p
	}
	if r.ended || len(p.items) > maxWaiting {
		r.mu.Unlock()
		r.resolve(seq, nil, im.ErrFull)
		return
	}
	if len(p.items) == 0 {
		p.items = appendHeader(p.items, r.cfg.Node)
	}
	p.items = item(p.items)
	if seq != 0 {
		p.seqs = append(p.seqs, seq)
	}
	start := !p.sending
	p.sending = true
	if start {
		r.senders.Add(1)
	}
	r.mu.Unlock()
	if start {
		go r.send(node, p)
	}
}

// send sends until nothing waits.
func (r *Router) send(node string, p *peer) {
	defer r.senders.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		r.mu.Lock()
		frame, seqs := p.items, p.seqs
		p.items, p.seqs = nil, nil
		if len(frame) == 0 {
			p.sending = false
			delete(r.peers, node)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		attempt, stop := context.WithTimeout(ctx, r.cfg.Wait)
		heard, err := r.link.Send(attempt, node, frame)
		stop()
		switch {
		case err != nil:
			err = fmt.Errorf("%w: %w", im.ErrUnknown, err)
		case !heard:
			err = errUnheard
		default:
			continue
		}
		for _, seq := range seqs {
			r.resolve(seq, nil, err)
		}
	}
}
