package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// lookups bounds how many audiences of a bundle are looked up at a time.
const lookups = 8

// bundler handles [taskBundle].
type bundler struct {
	w       *Worker
	urgency string
}

// ProcessTask carries notifications that the door has just taken in. Those for
// up to a chunk of devices are delivered here, together; a larger audience gets
// a task of its own that expands it.
func (h *bundler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	var b bundle
	if err := json.Unmarshal(t.Payload(), &b); err != nil {
		return fmt.Errorf("scheduler: decode bundle: %w: %w", err, asynq.SkipRetry)
	}
	room, err := h.w.takeRoom(ctx, h.urgency, b.app(), b.Devices)
	if err != nil {
		return err
	}
	defer room.keep(0)
	records, err := h.w.book(h.urgency).Load(ctx, b.Refs)
	if err != nil {
		return fmt.Errorf("scheduler: %w", err)
	}
	if err := h.rest(ctx, records); err != nil {
		return err
	}
	audiences, err := h.audiences(ctx, records)
	if err != nil {
		return err
	}
	parcels, err := h.parcels(ctx, records, audiences)
	if err != nil {
		return err
	}
	if err := h.note(ctx, records, audiences, parcels); err != nil {
		return err
	}
	r := &round{
		w: h.w, kind: taskDeliver, urgency: h.urgency, owner: owner(ctx),
		now: time.Now(), parcels: parcels, room: room,
	}
	return r.run(ctx)
}

// rest takes the paused ones out; they come again when their time is over, or
// when they are resumed.
func (h *bundler) rest(ctx context.Context, records []*redisstore.Record) error {
	for i, r := range records {
		if r == nil || !rests(r) {
			continue
		}
		ref := redisstore.Ref{App: r.Notification.App, ID: r.Notification.ID}
		if err := h.w.tasks.put(ctx, taskBundle, h.urgency, "", bundle{[]redisstore.Ref{ref}, 1}, r.Notification.ExpiresAt); err != nil {
			return err
		}
		records[i] = nil
	}
	return nil
}

// audience is the devices of a notification that are delivered here.
type audience struct {
	ids    []string
	looked bool // it was looked up, to its end
}

// audiences finds the devices of each notification.
func (h *bundler) audiences(ctx context.Context, records []*redisstore.Record) ([]audience, error) {
	all := make([]audience, len(records))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, record := range records {
		if record == nil {
			continue // forgotten: it was over a day ago
		}
		if ids := named(record.Notification.To); atOnce(record.Notification, ids) {
			all[i].ids = ids
			continue
		}
		group.Go(func() (err error) {
			all[i], err = h.lookUp(ctx, record.Notification)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return all, nil
}

// atOnce tells whether devices that are named one by one are one chunk, and
// need no expansion.
func atOnce(n *push.Notification, ids []string) bool {
	return len(ids) > 0 && len(ids) <= redisstore.ChunkSize && n.RatePerMinute == 0
}

// lookUp finds a small audience, and passes a large one on to be expanded.
func (h *bundler) lookUp(ctx context.Context, n *push.Notification) (audience, error) {
	if n.RatePerMinute > 0 || n.To.User == "" && len(n.To.Users) == 0 {
		return audience{}, h.expandLater(ctx, n)
	}
	ids, err := h.w.parts.Devices.Page(ctx, n.App, n.To, "", redisstore.ChunkSize)
	if err != nil {
		return audience{}, fmt.Errorf("scheduler: audience of %s: %w: %w", n.ID, push.ErrAway, err)
	}
	if len(ids) == redisstore.ChunkSize {
		return audience{}, h.expandLater(ctx, n)
	}
	return audience{ids, true}, nil
}

func (h *bundler) expandLater(ctx context.Context, n *push.Notification) error {
	return h.w.tasks.put(ctx, taskExpand, h.urgency, "", redisstore.Ref{App: n.App, ID: n.ID}, time.Time{})
}

// parcels makes the chunks of the audiences found. One that is there already,
// from a run that was cut off, is read instead.
func (h *bundler) parcels(ctx context.Context, records []*redisstore.Record, audiences []audience) ([]*parcel, error) {
	var parcels []*parcel
	var chunks []redisstore.Chunk
	var devices [][]string
	for i, a := range audiences {
		if len(a.ids) == 0 {
			continue
		}
		p := newParcel(records[i], 0)
		for k, id := range a.ids {
			p.slots = append(p.slots, redisstore.Slot{Index: k, Cell: redisstore.Cell{Device: id}})
		}
		parcels, chunks, devices = append(parcels, p), append(chunks, p.chunk), append(devices, a.ids)
	}
	if len(parcels) == 0 {
		return nil, nil
	}
	made, err := h.w.book(h.urgency).Make(ctx, chunks, devices)
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	if err := h.reread(ctx, parcels, made); err != nil {
		return nil, err
	}
	return parcels, nil
}

// reread reads the parcels whose chunks were there before.
func (h *bundler) reread(ctx context.Context, parcels []*parcel, made []bool) error {
	var old []*parcel
	var chunks []redisstore.Chunk
	for i, p := range parcels {
		if !made[i] {
			old, chunks = append(old, p), append(chunks, p.chunk)
		}
	}
	if len(old) == 0 {
		return nil
	}
	slots, err := h.w.book(h.urgency).Read(ctx, chunks, make([][]int, len(chunks)))
	if err != nil {
		return fmt.Errorf("scheduler: %w", err)
	}
	for i, p := range old {
		p.slots = slots[i]
	}
	return nil
}

// note tells the journal how large the audiences were that had to be looked up.
// What stands in the chunk counts, which a former run may have made.
func (h *bundler) note(ctx context.Context, records []*redisstore.Record, audiences []audience, parcels []*parcel) error {
	size := make(map[*push.Notification]int, len(parcels))
	for _, p := range parcels {
		size[p.n] = len(p.slots)
	}
	var extents []redisstore.Extent
	for i, r := range records {
		if audiences[i].looked {
			devices := size[r.Notification]
			extents = append(extents, redisstore.Extent{
				Notification: r.Notification, Chunks: min(1, devices), Devices: devices, Complete: true,
			})
		}
	}
	if len(extents) == 0 {
		return nil
	}
	if err := h.w.book(h.urgency).Expanded(ctx, extents...); err != nil {
		return fmt.Errorf("scheduler: %w", err)
	}
	return nil
}
