package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// Proof is evidence about one delivery.
type Proof struct {
	App, Notification string
	Chunk, Index      int // Index is -1 if the reporter knows the device and not the place
	Stage             push.Stage
	Device            string // "" if the reporter does not know it; then Index is known
	// Free says that it proves arrival by a road that costs nothing: what was
	// paid for another was paid twice.
	Free bool
	// InVain is the provider that says itself that the message will not arrive,
	// "" if none does: see [Cell.Deny].
	InVain string
}

// Known is what the journal knows about a delivery that evidence came for.
type Known struct {
	Index int
	Cell  Cell // before the evidence
	Class push.Class
	Start time.Time // see [Start]

	Campaign string
	Trace    string // see [push.Notification.Trace]
}

// Raise takes evidence in, in one round trip. It never lowers what is proven
// already. nil stands for a delivery that is not there or is another device's.
func (j *Journal) Raise(ctx context.Context, proofs []Proof) ([]*Known, error) {
	calls := make([]call, len(proofs))
	for i, p := range proofs {
		calls[i] = call{j.scripts.raise, chunkKey(p.App, p.Notification, p.Chunk), []any{
			indexName(p.Index), string(letter(p.Stage)), p.Device, p.Free, p.InVain,
		}}
	}
	cmds, err := run(ctx, j.rdb, calls)
	if err != nil {
		return nil, err
	}
	known := make([]*Known, len(proofs))
	for i, cmd := range cmds {
		found, err := cmd.StringSlice()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("redisstore: raise: %w", err)
		}
		if len(found) != 2 {
			return nil, fmt.Errorf("redisstore: raise answered %q", found)
		}
		cell, err := parseCell(found[1])
		if err != nil {
			return nil, err
		}
		index, err := strconv.Atoi(found[0])
		if err != nil {
			return nil, fmt.Errorf("redisstore: raise answered %q", found)
		}
		known[i] = &Known{Index: index, Cell: cell}
	}
	return known, j.describe(ctx, proofs, known)
}

// indexName is "" for a place that is not known.
func indexName(index int) string {
	if index < 0 {
		return ""
	}
	return strconv.Itoa(index)
}

// describe fills in what is the same for all deliveries of a notification.
func (j *Journal) describe(ctx context.Context, proofs []Proof, known []*Known) error {
	pipe := j.rdb.Pipeline()
	cmds := make(map[Ref]*redis.SliceCmd)
	for i, p := range proofs {
		ref := Ref{p.App, p.Notification}
		if known[i] != nil && cmds[ref] == nil {
			cmds[ref] = pipe.HMGet(ctx, notificationKey(p.App, p.Notification), "class", "start", "campaign", "trace")
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: describe proofs: %w", away(err))
	}
	for i, p := range proofs {
		if known[i] == nil {
			continue
		}
		fields := cmds[Ref{p.App, p.Notification}].Val()
		class, _ := fields[0].(string)
		campaign, _ := fields[2].(string)
		known[i].Class, known[i].Campaign = push.Class(class), campaign
		known[i].Trace, _ = fields[3].(string)
		known[i].Start = time.UnixMilli(int64(number(fields[1]))).UTC()
	}
	return nil
}

// counted are the stages that chunks count, in the order of [Journal.Counts].
var counted = []string{"n", "#a", "#d", "#p", "#k", "#f", "#u", "#e", "#x", "#s", "#2"}

// manyChunks bounds one round trip of [Journal.Counts].
const manyChunks = 512

// Counts adds up what the first chunks of a notification have counted. begun
// tells whether any of them is there.
func (j *Journal) Counts(ctx context.Context, app, id string, chunks int) (c push.Counts, begun bool, err error) {
	for from := 0; from < chunks; from += manyChunks {
		pipe := j.rdb.Pipeline()
		cmds := make([]*redis.SliceCmd, 0, manyChunks)
		for k := from; k < min(from+manyChunks, chunks); k++ {
			cmds = append(cmds, pipe.HMGet(ctx, chunkKey(app, id, k), counted...))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return push.Counts{}, false, fmt.Errorf("redisstore: count: %w", away(err))
		}
		for _, cmd := range cmds {
			f := cmd.Val()
			begun = begun || f[0] != nil
			c.Accepted += number(f[1])
			c.Delivered += number(f[2])
			c.Displayed += number(f[3])
			c.Clicked += number(f[4])
			c.Failed += number(f[5])
			c.Unknown += number(f[6])
			c.Expired += number(f[7])
			c.Cancelled += number(f[8])
			c.Suppressed += number(f[9])
			c.PaidTwice += number(f[10])
		}
	}
	return c, begun, nil
}
