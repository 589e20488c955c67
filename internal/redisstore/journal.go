package redisstore

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// remember is how long a notification's record outlives it: a repeated id is
// known, and late receipts count, for this long.
const remember = 24 * time.Hour

// Journal keeps notifications and the state of their deliveries. Its errors are
// [push.ErrAway] when Redis does not answer. It is safe for concurrent use.
type Journal struct {
	rdb     redis.UniversalClient
	scripts scripts
	gate    chan struct{} // has a place for each large call that may be under way; nil is no limit
}

// NewJournal keeps the journal in rdb.
func NewJournal(rdb redis.UniversalClient) *Journal {
	return &Journal{rdb: rdb, scripts: newScripts()}
}

// Gated is the same journal with at most so many large calls under way at a
// time. Redis serves its connections in turns, so whoever floods it over many
// makes all others wait: work that is not urgent goes through a gate.
func (j *Journal) Gated(most int) *Journal {
	return &Journal{rdb: j.rdb, scripts: j.scripts, gate: make(chan struct{}, most)}
}

// enter waits for the gate; whoever passed must call leave.
func (j *Journal) enter(ctx context.Context) (leave func(), err error) {
	if j.gate == nil {
		return func() {}, nil
	}
	select {
	case j.gate <- struct{}{}:
		return func() { <-j.gate }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("redisstore: wait for Redis: %w", ctx.Err())
	}
}

// Ref names a notification.
type Ref struct {
	App string `json:"app"`
	ID  string `json:"id"`
}

// Entry is a notification on its way in.
type Entry struct {
	Notification *push.Notification
	Hash         [32]byte // of the caller's body, which makes a repeat a repeat
	Devices      int      // size of an audience that was named device by device, else 0
}

// Verdict is what became of an [Entry].
type Verdict struct {
	Conflict bool               // the id is taken by another body
	Queued   bool               // a task for it is known to be in the queue
	First    *push.Notification // as it was accepted; of a repeat, the first one
}

// Accept takes notifications in, in one round trip. A crash after it leaves
// them accepted but not queued, which a repeat finds in its verdict.
func (j *Journal) Accept(ctx context.Context, entries []Entry) ([]Verdict, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	calls := make([]call, len(entries))
	for i, e := range entries {
		n := e.Notification
		body, err := json.Marshal(n)
		if err != nil {
			return nil, fmt.Errorf("redisstore: encode notification %s: %w", n.ID, err)
		}
		chunks, devices := 0, 0 // an audience that needs more than a chunk is expanded like any other
		if e.Devices <= ChunkSize {
			chunks, devices = min(1, e.Devices), e.Devices
		}
		calls[i] = call{j.scripts.accept, notificationKey(n.App, n.ID), []any{
			hex.EncodeToString(e.Hash[:]), body, string(n.Class), Start(n).UnixMilli(), expiry(n),
			chunks, devices, n.Campaign, n.Trace,
		}}
	}
	cmds, err := run(ctx, j.rdb, calls)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(entries))
	for i, cmd := range cmds {
		answer, err := cmd.StringSlice()
		if err != nil {
			return nil, fmt.Errorf("redisstore: accept %s: %w", entries[i].Notification.ID, err)
		}
		verdicts[i], err = verdict(answer, entries[i].Notification)
		if err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

func verdict(answer []string, n *push.Notification) (Verdict, error) {
	switch answer[0] {
	case "conflict":
		return Verdict{Conflict: true}, nil
	case "again":
		first := new(push.Notification)
		if err := json.Unmarshal([]byte(answer[2]), first); err != nil {
			return Verdict{}, fmt.Errorf("redisstore: decode notification %s: %w", n.ID, err)
		}
		return Verdict{Queued: answer[1] == "1", First: first}, nil
	default:
		return Verdict{First: n}, nil
	}
}

// Queued notes that tasks for these notifications are in the queue.
func (j *Journal) Queued(ctx context.Context, refs []Ref) error {
	leave, err := j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	pipe := j.rdb.Pipeline()
	for _, r := range refs {
		pipe.HSet(ctx, notificationKey(r.App, r.ID), "queued", "1")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: note %d queued: %w", len(refs), away(err))
	}
	return nil
}

// Record is a notification as the journal has it.
type Record struct {
	Notification *push.Notification
	Cancelled    bool
	Expanded     bool // the audience is known to its end
	Chunks       int  // chunks made so far, or all of them when Expanded
	Devices      int  // devices in these chunks
	Paused       bool // nothing more is begun
	Audience     int  // how many devices it will have, as counted at its first page; 0 before
	Pace         Pace // of a notification with a rate
}

// Pace is where a notification's rate begins to count.
type Pace struct {
	At   time.Time // zero before the first page
	From int       // devices in chunks by then
}

// Load reads notifications in one round trip; nil stands for one that is not
// there any more.
func (j *Journal) Load(ctx context.Context, refs []Ref) ([]*Record, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	pipe := j.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, len(refs))
	for i, r := range refs {
		cmds[i] = pipe.HMGet(ctx, notificationKey(r.App, r.ID), "body", "cancelled", "expanded", "chunks", "devices", "paused", "audience", "pace", "rate")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("redisstore: load %d notifications: %w", len(refs), away(err))
	}
	records := make([]*Record, len(refs))
	for i, cmd := range cmds {
		fields := cmd.Val()
		body, ok := fields[0].(string)
		if !ok {
			continue
		}
		r := &Record{
			Notification: new(push.Notification),
			Cancelled:    fields[1] != nil, Expanded: fields[2] != nil,
			Chunks: number(fields[3]), Devices: number(fields[4]),
			Paused: fields[5] != nil, Audience: number(fields[6]), Pace: paceOf(fields[7]),
		}
		if err := json.Unmarshal([]byte(body), r.Notification); err != nil {
			return nil, fmt.Errorf("redisstore: decode notification %s: %w", refs[i].ID, err)
		}
		if fields[8] != nil {
			r.Notification.RatePerMinute = number(fields[8])
		}
		records[i] = r
	}
	return records, nil
}

func paceOf(field any) Pace {
	text, ok := field.(string)
	at, from, _ := strings.Cut(text, ":")
	if !ok {
		return Pace{}
	}
	return Pace{At: time.UnixMilli(int64(number(at))), From: number(from)}
}

// Cancel marks a notification as taken back; [push.ErrNotFound].
func (j *Journal) Cancel(ctx context.Context, app, id string) error {
	return j.mark(ctx, app, id, "cancel", func(key string) error { return j.rdb.HSet(ctx, key, "cancelled", "1").Err() })
}

// Pause marks a notification as paused; [push.ErrNotFound].
func (j *Journal) Pause(ctx context.Context, app, id string) error {
	return j.mark(ctx, app, id, "pause", func(key string) error { return j.rdb.HSet(ctx, key, "paused", "1").Err() })
}

// Resume takes the mark of [Journal.Pause] away. A rate begins to count anew.
func (j *Journal) Resume(ctx context.Context, app, id string) error {
	return j.mark(ctx, app, id, "resume", func(key string) error { return j.rdb.HDel(ctx, key, "paused", "pace").Err() })
}

// SetRate gives a notification another rate, which begins to count anew;
// [push.ErrNotFound].
func (j *Journal) SetRate(ctx context.Context, r Ref, perMinute int) error {
	return j.mark(ctx, r.App, r.ID, "set rate", func(key string) error {
		pipe := j.rdb.TxPipeline()
		pipe.HSet(ctx, key, "rate", perMinute)
		pipe.HDel(ctx, key, "pace")
		_, err := pipe.Exec(ctx)
		return err
	})
}

// mark changes a notification's record if it is there.
func (j *Journal) mark(ctx context.Context, app, id, what string, change func(key string) error) error {
	key := notificationKey(app, id)
	there, err := j.rdb.Exists(ctx, key).Result()
	if err != nil {
		return fmt.Errorf("redisstore: %s: %w", what, away(err))
	}
	if there == 0 {
		return fmt.Errorf("redisstore: notification %s: %w", id, push.ErrNotFound)
	}
	if err := change(key); err != nil {
		return fmt.Errorf("redisstore: %s: %w", what, away(err))
	}
	return nil
}

// SetAudience notes how many devices a notification will have.
func (j *Journal) SetAudience(ctx context.Context, r Ref, devices int) error {
	if err := j.rdb.HSet(ctx, notificationKey(r.App, r.ID), "audience", devices).Err(); err != nil {
		return fmt.Errorf("redisstore: note audience: %w", away(err))
	}
	return nil
}

// SetPace notes where a notification's rate begins to count.
func (j *Journal) SetPace(ctx context.Context, r Ref, p Pace) error {
	text := strconv.FormatInt(p.At.UnixMilli(), 10) + ":" + strconv.Itoa(p.From)
	if err := j.rdb.HSet(ctx, notificationKey(r.App, r.ID), "pace", text).Err(); err != nil {
		return fmt.Errorf("redisstore: note pace: %w", away(err))
	}
	return nil
}

// Extent is how far a notification's audience is known.
type Extent struct {
	Notification    *push.Notification
	Chunks, Devices int
	Complete        bool // there are no more
}

// Expanded notes how far audiences are known, in one round trip.
func (j *Journal) Expanded(ctx context.Context, extents ...Extent) error {
	leave, err := j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	pipe := j.rdb.Pipeline()
	for _, e := range extents {
		fields := []any{"chunks", e.Chunks, "devices", e.Devices}
		if e.Complete {
			fields = append(fields, "expanded", "1")
		}
		pipe.HSet(ctx, notificationKey(e.Notification.App, e.Notification.ID), fields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: note expansion: %w", away(err))
	}
	return nil
}

// Start is when a notification's time begins to count: when it was accepted, or
// when it was to be delivered if that is later.
func Start(n *push.Notification) time.Time {
	if n.DeliverAt.After(n.AcceptedAt) {
		return n.DeliverAt
	}
	return n.AcceptedAt
}

// expiry is when Redis may forget the notification, in unix seconds.
func expiry(n *push.Notification) int64 {
	end := n.AcceptedAt
	if n.ExpiresAt.After(end) {
		end = n.ExpiresAt
	}
	return end.Add(remember).Unix()
}

func number(field any) int {
	s, _ := field.(string)
	n, _ := strconv.Atoi(s) // absent is 0; we wrote it ourselves
	return n
}
