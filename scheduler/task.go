package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// The kinds of task.
const (
	taskBundle  = "bundle"  // notifications fresh from the door
	taskExpand  = "expand"  // one notification whose audience is still to be read
	taskDeliver = "deliver" // deliveries to attempt, now or again
	taskCheck   = "check"   // deliveries to look after: has proof come?
	taskDigest  = "digest"  // a digest whose window has ended
)

// bundle is the payload of [taskBundle]: up to [bundleSize] notifications of
// one app and urgency. The payload of [taskExpand] is one [redisstore.Ref].
type bundle struct {
	Refs []redisstore.Ref `json:"refs"`
	// Devices is how many they name; an audience to be looked up counts one.
	Devices int `json:"devices"`
}

// app is whose notifications they are: one app's, except in tasks of an older
// version.
func (b *bundle) app() string {
	if len(b.Refs) == 0 {
		return ""
	}
	return b.Refs[0].App
}

// work is the payload of [taskDeliver] and [taskCheck].
type work struct {
	Jobs []job `json:"jobs"`
	// Try counts the failed attempts before this one, Parks the times in a row
	// that no place was found. Each sets the next delay.
	Try   int `json:"try,omitempty"`
	Parks int `json:"parks,omitempty"`
	// Timed says that the fallback timer for these deliveries is set already.
	Timed bool `json:"timed,omitempty"`
}

// job is all deliveries of a chunk, or those of some indexes.
type job struct {
	App     string `json:"app"`
	ID      string `json:"id"`
	Chunk   int    `json:"chunk"`
	Indexes []int  `json:"indexes,omitempty"`
}

// app is whose deliveries they are.
func (w *work) app() string {
	if len(w.Jobs) == 0 {
		return ""
	}
	return w.Jobs[0].App
}

// size is how many deliveries the work may have.
func (w *work) size() int {
	n := 0
	for _, j := range w.Jobs {
		if j.Indexes == nil {
			n += redisstore.ChunkSize
		}
		n += len(j.Indexes)
	}
	return n
}

const (
	bundleSize = 256
	// bundleDevices is how many devices the notifications of a bundle may name
	// before the next one goes into another.
	bundleDevices = 1024
	// taskLife bounds the time a worker has for one run of a task.
	taskLife = 10 * time.Minute
	// giveUp is how many runs may fail because something Herald itself needs is
	// away, before asynq puts the task in its archive: about a quarter of an hour.
	giveUp = 40
)

// queue puts tasks into asynq.
type queue struct{ client *asynq.Client }

// put queues a task, to run at a time if that is in the future. A task of the
// same id that is there already is as good.
func (q queue) put(ctx context.Context, kind, urgency, id string, payload any, at time.Time) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("scheduler: encode %s task: %w", kind, err)
	}
	opts := []asynq.Option{asynq.Queue(urgency), asynq.MaxRetry(giveUp), asynq.Timeout(taskLife)}
	if id != "" {
		opts = append(opts, asynq.TaskID(id))
	}
	if !at.IsZero() {
		opts = append(opts, asynq.ProcessAt(wholeSecond(at)))
	}
	_, err = q.client.EnqueueContext(ctx, asynq.NewTask(kind, body), opts...)
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("scheduler: queue %s task: %w: %w", kind, push.ErrAway, err)
	}
	return nil
}

// wholeSecond rounds up, because asynq keeps time in seconds, rounds down, and
// would run the task too early.
func wholeSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); whole.Before(t) {
		return whole.Add(time.Second)
	}
	return t
}
