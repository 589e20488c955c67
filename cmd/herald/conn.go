package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/push"
)

// wireConnections makes this process a node: devices connect, their sessions
// become known to the others, and what they acknowledge becomes evidence.
func (h *house) wireConnections(ctx context.Context) (err error) {
	cfg := h.cfg.Access
	cfg.Away = func(err error) bool {
		return errors.Is(err, push.ErrAway) || errors.Is(err, context.DeadlineExceeded)
	}
	hub := longconn.NewHub()
	h.hub = hub
	h.access = access.New(cfg, hub, h.tokens, h.router,
		waiting{redisstore.NewInbox(h.redis), h.log}, evidence{h}, h.log)
	h.access.Track(uplink{h})
	h.router.Host(h.access)
	if h.conns, err = longconn.Open(ctx, h.cfg.LongConn, hub, h.access, h.log); err != nil {
		return err
	}
	h.drains = &drains{conns: h.conns, wishes: make(chan int, 16), log: h.log}
	h.router.Drains(h.drains.wish, func() (int, bool) { return hub.Len(), h.conns.Away() })
	return nil
}

// drains empties this node when an operator asks for it, and fills it again.
type drains struct {
	conns  *longconn.Server
	wishes chan int
	log    *slog.Logger
}

// wish asks for so many clients a second to be sent away; 0 lets them in again.
func (d *drains) wish(rate int) {
	select {
	case d.wishes <- rate:
	default: // an operator who asks that often asks again
	}
}

// Run does what was asked for last until ctx ends.
func (d *drains) Run(ctx context.Context) error {
	for {
		select {
		case rate := <-d.wishes:
			for again := true; again; {
				rate, again = d.obey(ctx, rate)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// obey does one thing, and returns early with the next if something else is
// asked for meanwhile.
func (d *drains) obey(ctx context.Context, rate int) (next int, again bool) {
	if rate == 0 {
		d.log.InfoContext(ctx, "the node takes clients again")
		d.conns.Fill()
		return 0, false
	}
	d.log.InfoContext(ctx, "the node sends its clients elsewhere", "per_second", rate)
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	empty := make(chan struct{})
	go func() {
		defer close(empty)
		d.conns.Empty(work, rate)
	}()
	select {
	case <-empty:
		return 0, false
	case next = <-d.wishes:
		cancel()
		<-empty
		return next, true
	}
}

// ready fails while clients are sent elsewhere, so that nothing in front of the
// node sends it more.
func (d *drains) ready(context.Context) error {
	if d.conns.Away() {
		return errors.New("the node sends its clients elsewhere")
	}
	return nil
}

// waiting is a device's inbox as access reads it.
type waiting struct {
	inbox *redisstore.Inbox
	log   *slog.Logger
}

// Pending implements [access.Inbox].
func (w waiting) Pending(ctx context.Context, app, device string) ([]im.Message, error) {
	letters, err := w.inbox.List(ctx, app, device)
	if err != nil {
		return nil, err
	}
	type dated struct {
		im.Message
		sent time.Time
	}
	messages := make([]dated, 0, len(letters))
	for id, payload := range letters {
		var about struct {
			SentAt    time.Time `json:"sent_at"`
			ExpiresAt time.Time `json:"expires_at"`
			Collapse  string    `json:"collapse_key"`
		}
		if err := json.Unmarshal([]byte(payload), &about); err != nil {
			w.log.ErrorContext(ctx, "a message in an inbox cannot be read", "device", device, "delivery", id, "err", err)
			continue // the others can
		}
		messages = append(messages, dated{im.Message{
			ID: id, Payload: []byte(payload), Expires: about.ExpiresAt, Collapse: about.Collapse,
		}, about.SentAt})
	}
	slices.SortFunc(messages, func(a, b dated) int { return a.sent.Compare(b.sent) })
	oldestFirst := make([]im.Message, len(messages))
	for i, m := range messages {
		oldestFirst[i] = m.Message
	}
	return oldestFirst, nil
}

// evidence passes what devices say on the live connection to the scheduler.
type evidence struct{ house *house }

// Receive implements [access.Receipts].
func (e evidence) Receive(ctx context.Context, reports []im.Receipt) []error {
	about := e.house.chatAcked(reports)
	if len(about) == 0 {
		return nil
	}
	rs := make([]push.Receipt, len(about))
	for i, at := range about {
		r := reports[at]
		rs[i] = push.Receipt{
			App: r.App, Device: r.Device, Delivery: r.ID,
			Stage: stageOf(r.Event), Source: push.AppReport,
			At: r.At, ReceivedAt: r.ReceivedAt,
		}
		if r.Ack {
			rs[i].Source = push.DeviceAck
		}
	}
	errs := make([]error, len(reports))
	for i, err := range e.house.scheduler.Receive(ctx, rs) {
		errs[about[i]] = err
	}
	return errs
}

func stageOf(e im.Event) push.Stage {
	switch e {
	case im.Displayed:
		return push.Displayed
	case im.Clicked:
		return push.Clicked
	default:
		return push.Delivered
	}
}
