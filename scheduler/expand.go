package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// pageSize is how many ids of an audience are read at a time.
const pageSize = 8 * redisstore.ChunkSize

// errBacklog puts an expansion off: the queue it fills is long enough.
var errBacklog = errors.New("scheduler: the queue is long enough for now")

// expander handles [taskExpand].
type expander struct {
	w       *Worker
	urgency string
}

// ProcessTask cuts an audience into chunks and queues a task to deliver each.
//
// It remembers in the journal how far it came, so that it may stop at any point
// and go on from there: when the worker dies, and when the queue is so long
// that more of it would only fill Redis. Whoever writes a chunk first decides
// which devices are in it, and the next chunk begins after its last device.
func (h *expander) ProcessTask(ctx context.Context, t *asynq.Task) error {
	var ref redisstore.Ref
	if err := json.Unmarshal(t.Payload(), &ref); err != nil {
		return fmt.Errorf("scheduler: decode expansion: %w: %w", err, asynq.SkipRetry)
	}
	for began := time.Now(); ; {
		records, err := h.w.book(h.urgency).Load(ctx, []redisstore.Ref{ref})
		if err != nil {
			return fmt.Errorf("scheduler: %w", err)
		}
		record := records[0]
		// Whoever was named one by one was counted at the door: they are expanded
		// to the end, and each gets its outcome.
		counted := record != nil && len(named(record.Notification.To)) > 0
		switch {
		case record == nil || record.Cancelled && !counted:
			return nil
		case !counted && record.Expanded:
			return nil // another run came to the end before
		case !counted && !time.Now().Before(record.Notification.ExpiresAt):
			return h.note(ctx, record, true)
		case rests(record):
			return h.w.tasks.put(ctx, taskExpand, h.urgency, "", ref, record.Notification.ExpiresAt)
		}
		if err := h.w.backlog.wait(ctx, h.urgency, h.w.cfg.Backlog); err != nil {
			return err
		}
		due, early, err := h.pace(ctx, record)
		if err != nil {
			return err
		}
		if early > 0 {
			if on, err := h.wait(ctx, early, time.Since(began)); err != nil {
				return err
			} else if !on {
				return h.w.tasks.put(ctx, taskExpand, h.urgency, "", ref, time.Time{})
			}
			continue
		}
		complete, err := h.page(ctx, record, due)
		if err != nil || complete {
			return err
		}
	}
}

// page expands up to size devices of the audience from where the record says.
func (h *expander) page(ctx context.Context, record *redisstore.Record, size int) (complete bool, err error) {
	if err := h.count(ctx, record); err != nil {
		return false, err
	}
	ids, err := h.read(ctx, record, size)
	if err != nil {
		return false, err
	}
	last := len(ids) < size
	most := redisstore.ChunkSize
	if step := stepOf(record.Notification); step > 0 {
		most = step
	}
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), most)]
		ids = ids[len(chunk):]
		same, err := h.chunk(ctx, record, chunk)
		if err != nil {
			return false, err
		}
		if !same {
			return false, nil // another run cut differently: read again after its chunk
		}
	}
	if !last {
		return false, nil
	}
	return true, h.note(ctx, record, true)
}

// count notes how large an audience is before its first page is read, for those
// who look on.
func (h *expander) count(ctx context.Context, record *redisstore.Record) error {
	n := record.Notification
	if record.Audience > 0 || record.Chunks > 0 {
		return nil
	}
	if record.Audience = len(named(n.To)); record.Audience == 0 {
		var err error
		if record.Audience, err = h.w.parts.Devices.Count(ctx, n.App, n.To); err != nil {
			return fmt.Errorf("scheduler: size of the audience of %s: %w: %w", n.ID, push.ErrAway, err)
		}
	}
	if err := h.w.journal.SetAudience(ctx, redisstore.Ref{App: n.App, ID: n.ID}, record.Audience); err != nil {
		return fmt.Errorf("scheduler: %w", err)
	}
	return nil
}

// read reads up to size of the next ids of the audience.
func (h *expander) read(ctx context.Context, record *redisstore.Record, size int) ([]string, error) {
	n := record.Notification
	if ids := named(n.To); len(ids) > 0 {
		from := min(record.Devices, len(ids))
		return ids[from:min(from+size, len(ids))], nil
	}
	var after string
	if record.Chunks > 0 {
		var err error
		before := redisstore.Chunk{Notification: n, Number: record.Chunks - 1}
		if _, after, err = h.w.book(h.urgency).Tail(ctx, before); err != nil {
			return nil, fmt.Errorf("scheduler: %w", err)
		}
	}
	ids, err := h.w.parts.Devices.Page(ctx, n.App, n.To, after, size)
	if err != nil {
		return nil, fmt.Errorf("scheduler: audience of %s: %w: %w", n.ID, push.ErrAway, err)
	}
	return ids, nil
}

// chunk makes the record's next chunk and queues its delivery; same is false if
// it was there already, for other devices.
func (h *expander) chunk(ctx context.Context, record *redisstore.Record, ids []string) (same bool, err error) {
	n := record.Notification
	c := redisstore.Chunk{Notification: n, Number: record.Chunks}
	made, err := h.w.book(h.urgency).Make(ctx, []redisstore.Chunk{c}, [][]string{ids})
	if err != nil {
		return false, fmt.Errorf("scheduler: %w", err)
	}
	size, same := len(ids), true
	if !made[0] {
		var last string
		if size, last, err = h.w.book(h.urgency).Tail(ctx, c); err != nil {
			return false, fmt.Errorf("scheduler: %w", err)
		}
		same = size == len(ids) && last == ids[len(ids)-1]
	}
	id := fmt.Sprintf("deliver/%s/%s.%d", n.App, n.ID, c.Number)
	jobs := work{Jobs: []job{{App: n.App, ID: n.ID, Chunk: c.Number}}}
	if err := h.w.tasks.put(ctx, taskDeliver, h.urgency, id, jobs, time.Time{}); err != nil {
		return false, err
	}
	record.Chunks++
	record.Devices += size
	return same, h.note(ctx, record, false)
}

func (h *expander) note(ctx context.Context, r *redisstore.Record, complete bool) error {
	extent := redisstore.Extent{Notification: r.Notification, Chunks: r.Chunks, Devices: r.Devices, Complete: complete}
	if err := h.w.book(h.urgency).Expanded(ctx, extent); err != nil {
		return fmt.Errorf("scheduler: %w", err)
	}
	return nil
}

// backlog knows how long the queues are.
type backlog struct{ rdb redis.UniversalClient }

const (
	backlogPause  = 100 * time.Millisecond
	backlogPauses = 50 // and then the expansion gives its slot to another
)

// wait waits until fewer than most tasks wait in a queue to be taken. After some
// seconds it is [errBacklog].
func (b *backlog) wait(ctx context.Context, queue string, most int) error {
	pause := time.NewTicker(backlogPause)
	defer pause.Stop()
	for range backlogPauses {
		long, err := b.reaches(ctx, queue, most)
		if err != nil || !long {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("scheduler: wait for queue %s: %w", queue, ctx.Err())
		case <-pause.C:
		}
	}
	return errBacklog
}

// reaches tells whether so many tasks or more wait in a queue to be taken.
func (b *backlog) reaches(ctx context.Context, queue string, most int) (bool, error) {
	n, err := b.rdb.LLen(ctx, "asynq:{"+queue+"}:pending").Result()
	if err != nil {
		return false, fmt.Errorf("scheduler: length of queue %s: %w: %w", queue, push.ErrAway, err)
	}
	return n >= int64(most), nil
}

// appLife is how long a worker believes what it read about an app.
const appLife = 5 * time.Second

// appCache spares the apps' store a question per task.
type appCache struct {
	apps Apps
	now  func() time.Time
	mu   sync.Mutex
	all  map[string]cachedApp
}

type cachedApp struct {
	app   push.App
	until time.Time
}

func newAppCache(apps Apps, now func() time.Time) *appCache {
	return &appCache{apps: apps, now: now, all: make(map[string]cachedApp)}
}

// app returns an app as it was at most [appLife] ago. One that was deleted
// allows nothing.
func (c *appCache) app(ctx context.Context, id string) (push.App, error) {
	c.mu.Lock()
	cached, ok := c.all[id]
	c.mu.Unlock()
	if ok && c.now().Before(cached.until) {
		return cached.app, nil
	}
	app, err := c.apps.App(ctx, id)
	if errors.Is(err, push.ErrNotFound) {
		app, err = push.App{ID: id}, nil
	}
	if err != nil {
		return push.App{}, fmt.Errorf("%w: %w", push.ErrAway, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[id] = cachedApp{app, c.now().Add(appLife)}
	return app, nil
}
