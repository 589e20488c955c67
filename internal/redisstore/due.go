package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed due_put.lua
var duePutLua string

//go:embed due_take.lua
var dueTakeLua string

// Due keeps what is to be looked at later, by queue. Entries of about the same
// time lie in one list, so that a million of them cost little more than their
// text. Whoever takes a lot holds it on lease: when it dies, the lot is due
// again under the same name. It is safe for concurrent use.
type Due struct {
	rdb       redis.UniversalClient
	put, take script
}

// NewDue keeps entries in rdb.
func NewDue(rdb redis.UniversalClient) *Due {
	return &Due{rdb: rdb, put: newScript(duePutLua), take: newScript(dueTakeLua)}
}

// DueEntry is a line of text that is due at a time. It begins with its weight, a
// number, and has no line break.
type DueEntry struct {
	At   time.Time
	Text string
}

// Lot is entries that were handed out together.
type Lot struct {
	Name    string // the same each time the lot is handed out
	Entries []string
	Since   time.Time // when the first was due; zero if the lot is handed out again
}

// dueKeys are the keys of a queue's due set, all in one slot.
type dueKeys struct{ ticks, lists, count, leases, held string }

func keysOfDue(queue string) dueKeys {
	base := prefix + "due/" + queue + "}"
	return dueKeys{base, base + ":", base + "/n", base + "/leases", base + "/held"}
}

// Put puts entries down, in one round trip.
func (d *Due) Put(ctx context.Context, queue string, entries ...DueEntry) error {
	if len(entries) == 0 {
		return nil
	}
	k := keysOfDue(queue)
	now := time.Now()
	args := make([]any, 2, 2+2*len(entries))
	args[0], args[1] = k.lists, k.count
	for _, e := range entries {
		args = append(args, tick(e.At, now), e.Text)
	}
	_, err := run(ctx, d.rdb, []call{{d.put, k.ticks, args}})
	return err
}

// tick rounds up, the more the farther off: entries of one tick share a list.
func tick(at, now time.Time) int64 {
	step := int64(50)
	switch far := at.Sub(now); {
	case far > time.Hour:
		step = 10_000
	case far > time.Minute:
		step = 1000
	}
	return (at.UnixMilli() + step - 1) / step * step
}

// Take hands out entries that are due, until they weigh most or more, on a
// lease; ok is false if there are none.
func (d *Due) Take(ctx context.Context, queue string, most int, lease time.Duration) (lot Lot, ok bool, err error) {
	k := keysOfDue(queue)
	now := time.Now()
	name := strconv.FormatUint(rand.Uint64(), 36)
	cmds, err := run(ctx, d.rdb, []call{{d.take, k.ticks, []any{
		k.lists, k.count, k.leases, k.held, now.UnixMilli(), now.Add(lease).UnixMilli(), name, most,
	}}})
	if err != nil {
		return Lot{}, false, err
	}
	answer, err := cmds[0].StringSlice()
	if errors.Is(err, redis.Nil) {
		return Lot{}, false, nil
	}
	if err != nil || len(answer) != 3 {
		return Lot{}, false, fmt.Errorf("redisstore: take what is due: %q: %w", answer, err)
	}
	lot = Lot{Name: answer[0], Entries: strings.Split(answer[1], "\n")}
	if ms, err := strconv.ParseInt(answer[2], 10, 64); err == nil {
		lot.Since = time.UnixMilli(ms)
	}
	return lot, true, nil
}

// Keep sets the end of the leases of lots in hand. One in the past gives them
// back.
func (d *Due) Keep(ctx context.Context, queue string, until time.Time, lots ...string) error {
	members := make([]redis.Z, len(lots))
	for i, name := range lots {
		members[i] = redis.Z{Score: float64(until.UnixMilli()), Member: name}
	}
	if err := d.rdb.ZAddXX(ctx, keysOfDue(queue).leases, members...).Err(); err != nil {
		return fmt.Errorf("redisstore: keep leases: %w", away(err))
	}
	return nil
}

// Done forgets a lot.
func (d *Due) Done(ctx context.Context, queue, lot string) error {
	k := keysOfDue(queue)
	pipe := d.rdb.Pipeline()
	pipe.HDel(ctx, k.held, lot) // first: without it the lease is nothing
	pipe.ZRem(ctx, k.leases, lot)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: forget what was due: %w", away(err))
	}
	return nil
}

// Reclaim ends all leases of a queue.
func (d *Due) Reclaim(ctx context.Context, queue string) error {
	lots, err := d.rdb.ZRange(ctx, keysOfDue(queue).leases, 0, -1).Result()
	if err != nil {
		return fmt.Errorf("redisstore: read leases: %w", away(err))
	}
	if len(lots) == 0 {
		return nil
	}
	return d.Keep(ctx, queue, time.Unix(0, 0), lots...)
}

// DueState is what waits in a queue's due set.
type DueState struct {
	Entries int       // not handed out
	Held    int       // lots in hand
	Oldest  time.Time // when the first of the entries is due; zero if there is none
}

// State tells what waits.
func (d *Due) State(ctx context.Context, queue string) (s DueState, err error) {
	k := keysOfDue(queue)
	pipe := d.rdb.Pipeline()
	count, held, first := pipe.Get(ctx, k.count), pipe.ZCard(ctx, k.leases), pipe.ZRangeWithScores(ctx, k.ticks, 0, 0)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return DueState{}, fmt.Errorf("redisstore: state of what is due: %w", away(err))
	}
	s.Entries, _ = strconv.Atoi(count.Val()) // absent is 0
	s.Held = int(held.Val())
	if z := first.Val(); len(z) > 0 {
		s.Oldest = time.UnixMilli(int64(z[0].Score))
	}
	return s, nil
}
