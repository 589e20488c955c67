package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// looksAt is how many tasks of a state are looked through for those of an app.
const looksAt = 2000

// Tasks lists an app's tasks in a state of a queue, "" for all queues.
func (d *Door) Tasks(_ context.Context, app, queue, state string, limit int) ([]push.QueueTask, error) {
	inspector, begun, err := d.inspector()
	if err != nil {
		return nil, err
	}
	list := map[string]func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		"pending": inspector.ListPendingTasks, "active": inspector.ListActiveTasks, "scheduled": inspector.ListScheduledTasks,
		"retry": inspector.ListRetryTasks, "archived": inspector.ListArchivedTasks,
	}[state]
	if list == nil {
		return nil, fmt.Errorf("scheduler: tasks in state %q: %w", state, push.ErrNotFound)
	}
	var found []push.QueueTask
	for _, row := range rowsOf(queue) {
		if !slices.Contains(begun, row) {
			continue
		}
		all, err := list(row, asynq.PageSize(looksAt))
		if err != nil {
			return nil, fmt.Errorf("scheduler: list tasks of %s: %w: %w", row, push.ErrAway, err)
		}
		for _, info := range all {
			if t := taskOf(info); t.App == app && len(found) < limit {
				found = append(found, t)
			}
		}
	}
	return found, nil
}

// Task is one task of an app, with its payload; [push.ErrNotFound].
func (d *Door) Task(_ context.Context, app, queue, id string) (push.QueueTask, error) {
	inspector, _, err := d.inspector()
	if err != nil {
		return push.QueueTask{}, err
	}
	t, err := find(inspector, app, queue, id)
	return t.QueueTask, err
}

// shownTask is a task with the row of asynq's that it is in.
type shownTask struct {
	push.QueueTask
	row string
}

// RunTask has a task run as soon as a worker is free; [push.ErrNotFound], also
// for one that a worker has in hand.
func (d *Door) RunTask(_ context.Context, app, queue, id string) error {
	return d.act(app, queue, id, (*asynq.Inspector).RunTask)
}

// DropTask forgets a task. Its deliveries stay without an outcome until they
// expire; [push.ErrNotFound], also for one that a worker has in hand.
func (d *Door) DropTask(_ context.Context, app, queue, id string) error {
	return d.act(app, queue, id, (*asynq.Inspector).DeleteTask)
}

func (d *Door) act(app, queue, id string, do func(*asynq.Inspector, string, string) error) error {
	inspector, _, err := d.inspector()
	if err != nil {
		return err
	}
	t, err := find(inspector, app, queue, id)
	if err != nil {
		return err
	}
	err = do(inspector, t.row, t.ID)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, asynq.ErrTaskNotFound), t.State == "active", strings.Contains(err.Error(), "FAILED_PRECONDITION"), strings.Contains(err.Error(), "task is already"):
		return fmt.Errorf("scheduler: task %s is in hand or gone: %w", id, push.ErrNotFound)
	default:
		return fmt.Errorf("scheduler: task %s: %w: %w", id, push.ErrAway, err)
	}
}

func (d *Door) inspector() (*asynq.Inspector, []string, error) {
	inspector := asynq.NewInspectorFromRedisClient(d.parts.Redis)
	begun, err := inspector.Queues()
	if err != nil {
		return nil, nil, fmt.Errorf("scheduler: list queues: %w: %w", push.ErrAway, err)
	}
	return inspector, begun, nil
}

// rowsOf are the rows of a queue, of all queues for "".
func rowsOf(queue string) []string {
	if queue == "" {
		return allRows()
	}
	r := rows(queue)
	return r[:]
}

// find looks for a task in both rows of its queue.
func find(inspector *asynq.Inspector, app, queue, id string) (shownTask, error) {
	for _, row := range rowsOf(queue) {
		info, err := inspector.GetTaskInfo(row, id)
		if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
			continue
		}
		if err != nil {
			return shownTask{}, fmt.Errorf("scheduler: task %s: %w: %w", id, push.ErrAway, err)
		}
		if t := taskOf(info); t.App == app {
			if json.Valid(info.Payload) {
				t.Payload = info.Payload
			}
			return shownTask{t, row}, nil
		}
	}
	return shownTask{}, fmt.Errorf("scheduler: task %s of queue %s: %w", id, queue, push.ErrNotFound)
}

// taskOf reads whose task it is from what it carries.
func taskOf(info *asynq.TaskInfo) push.QueueTask {
	queue := strings.TrimSuffix(info.Queue, behind(""))
	t := push.QueueTask{
		ID: info.ID, Queue: queue, State: info.State.String(), Kind: info.Type, Retried: info.Retried, Most: info.MaxRetry,
		Error: info.LastErr, FailsAt: info.LastFailedAt.UTC(), NextAt: info.NextProcessAt.UTC(),
	}
	if info.LastFailedAt.IsZero() {
		t.FailsAt = time.Time{}
	}
	if info.NextProcessAt.IsZero() || info.NextProcessAt.Year() < 2000 {
		t.NextAt = time.Time{}
	}
	switch info.Type {
	case taskBundle:
		var b bundle
		if json.Unmarshal(info.Payload, &b) == nil {
			t.App, t.Size = b.app(), len(b.Refs)
		}
	case taskDeliver, taskCheck:
		var w work
		if json.Unmarshal(info.Payload, &w) == nil {
			t.App, t.Size = w.app(), w.size()
		}
	default: // they name their app at the top
		var ref struct {
			App string `json:"app"`
		}
		if json.NewDecoder(bytes.NewReader(info.Payload)).Decode(&ref) == nil {
			t.App, t.Size = ref.App, 1
		}
	}
	return t
}

// flow tells how many tasks a queue runs a second, from how its counter grew
// since it was last looked at.
type flow struct {
	mu   sync.Mutex
	last map[string]sample
}

type sample struct {
	at        time.Time
	total     int
	perSecond float64
}

// flowTime is how long a rate is measured at least.
const flowTime = 2 * time.Second

func (f *flow) rate(queue string, total int, now time.Time) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil {
		f.last = make(map[string]sample)
	}
	s, ok := f.last[queue]
	past := now.Sub(s.at)
	if ok && past < flowTime {
		return s.perSecond
	}
	fresh := sample{at: now, total: total}
	if ok && total >= s.total && past < time.Minute {
		fresh.perSecond = float64(total-s.total) / past.Seconds()
	}
	f.last[queue] = fresh
	return fresh.perSecond
}

// SetRate holds what is still to be begun of a notification to a rate; 0 takes
// the bound away. It counts from now; [push.ErrNotFound].
func (d *Door) SetRate(ctx context.Context, app, id string, perMinute int) (push.Progress, error) {
	if err := d.journal.SetRate(ctx, redisstore.Ref{App: app, ID: id}, perMinute); err != nil {
		return push.Progress{}, fmt.Errorf("scheduler: %w", err)
	}
	return d.Progress(ctx, app, id)
}

// Campaigns lists what operators look for by name: notifications to more than
// named devices, and those for later, the newest first. It answers refs with
// the time of their acceptance.
func (d *Door) Campaigns(ctx context.Context, app string, since, until time.Time, limit int) ([]redisstore.Noted, error) {
	return redisstore.NewCampaigns(d.parts.Redis).List(ctx, app, since, until, limit)
}

// noteCampaigns makes those of the members that are campaigns findable. To lose
// one from a list is a pity, and no reason to refuse it.
func (d *Door) noteCampaigns(ctx context.Context, members []*member) {
	var refs []redisstore.Noted
	for _, m := range members {
		if n := m.entry.Notification; m.err == nil && n != nil && isCampaign(n) {
			refs = append(refs, redisstore.Noted{App: n.App, ID: n.ID, At: n.AcceptedAt})
		}
	}
	if len(refs) == 0 {
		return
	}
	if err := redisstore.NewCampaigns(d.parts.Redis).Note(ctx, refs); err != nil {
		d.log.WarnContext(ctx, "campaigns are not in the list", "campaigns", len(refs), "err", err)
	}
}

func isCampaign(n *push.Notification) bool {
	return n.To.All || n.To.Tag != "" || n.To.Filter != "" || n.RatePerMinute > 0 ||
		len(n.To.Devices)+len(n.To.Users) > redisstore.ChunkSize || n.DeliverAt.After(n.AcceptedAt)
}
