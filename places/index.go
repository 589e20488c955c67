package places

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

//go:embed commit.lua
var commitLua string

// index is where devices are, in Redis.
type index struct {
	rdb    redis.UniversalClient
	commit *redis.Script
	keep   time.Duration
	now    func() time.Time
}

func newIndex(rdb redis.UniversalClient, keep time.Duration, now func() time.Time) *index {
	return &index{rdb: rdb, commit: redis.NewScript(commitLua), keep: keep, now: now}
}

// script is how the script begins to be called for a shard: alone it forgets
// who has been silent for too long.
func (x *index) script(shard string, now time.Time) (keys []string, args []any) {
	keys = []string{shard, shard + keyPolar, shard + keyNearby, shard + keyTimes, shard + keyRecords, shard + keyOutbox}
	return keys, []any{now.Add(-x.keep).Unix(), int64((x.keep + time.Hour) / time.Second)}
}

// change is what came of a device's reports.
type change struct {
	app, device string
	old, new    string // its record
	where       *point // nil for nowhere: it withdrew its consent, or has said nothing yet
	found       *point // where others may find it; nil for nowhere
	at          time.Time
	crossings   []crossing
}

// records reads the records of devices of one app, "" for none.
func (x *index) records(ctx context.Context, app string, devices []string) ([]string, error) {
	places := make(map[int][]int, len(devices)) // by shard
	for i, d := range devices {
		shard := shardOf(d)
		places[shard] = append(places[shard], i)
	}
	pipe := x.rdb.Pipeline()
	cmds := make(map[int]*redis.SliceCmd, len(places))
	for shard, at := range places {
		ids := make([]string, len(at))
		for k, i := range at {
			ids[k] = devices[i]
		}
		cmds[shard] = pipe.HMGet(ctx, shardKey(app, shard)+keyRecords, ids...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("places: read devices: %w", away(err))
	}
	found := make([]string, len(devices))
	for shard, at := range places {
		for k, v := range cmds[shard].Val() {
			found[at[k]], _ = v.(string)
		}
	}
	return found, nil
}

// write makes changes; those of which taken is false were overtaken by another.
func (x *index) write(ctx context.Context, changes []change, now time.Time) (taken []bool, err error) {
	type lot struct {
		keys []string
		args []any
		of   []int // changes
	}
	lots := make(map[string]*lot)
	for i, c := range changes {
		key := shardKey(c.app, shardOf(c.device))
		l := lots[key]
		if l == nil {
			l = &lot{}
			l.keys, l.args = x.script(key, now)
			lots[key] = l
		}
		l.of = append(l.of, i)
		l.args = append(l.args, c.device, c.old, c.new)
		l.args = append(l.args, scoresOf(c)...)
		l.args = append(l.args, c.at.Unix(), len(c.crossings))
		for _, x := range c.crossings {
			l.args = append(l.args, x.id, x.encode())
		}
	}
	run := func(send func(pipe redis.Pipeliner, l *lot) *redis.Cmd) (map[string]*redis.Cmd, error) {
		pipe := x.rdb.Pipeline()
		cmds := make(map[string]*redis.Cmd, len(lots))
		for key, l := range lots {
			cmds[key] = send(pipe, l)
		}
		_, _ = pipe.Exec(ctx) // each command is asked for its own error
		var missing error
		for _, cmd := range cmds {
			if err := cmd.Err(); redis.HasErrorPrefix(err, "NOSCRIPT") {
				missing = err
			} else if err != nil {
				return nil, err
			}
		}
		return cmds, missing
	}
	taken = make([]bool, len(changes))
	note := func(cmds map[string]*redis.Cmd) {
		for key, cmd := range cmds {
			answers, _ := cmd.Slice()
			if cmd.Err() != nil {
				continue
			}
			for k, i := range lots[key].of {
				taken[i] = k < len(answers) && answers[k] == int64(1)
			}
			delete(lots, key)
		}
	}
	cmds, err := run(func(pipe redis.Pipeliner, l *lot) *redis.Cmd {
		return pipe.EvalSha(ctx, x.commit.Hash(), l.keys, l.args...)
	})
	note(cmds)
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") { // a Redis that was restarted has forgotten it
		cmds, err = run(func(pipe redis.Pipeliner, l *lot) *redis.Cmd { return pipe.Eval(ctx, commitLua, l.keys, l.args...) })
		note(cmds)
	}
	if err != nil {
		return nil, fmt.Errorf("places: write devices: %w", away(err))
	}
	return taken, nil
}

// scoresOf are a change's three scores as the script wants them.
func scoresOf(c change) []any {
	scores := []any{"", "", ""}
	if c.where != nil {
		if isPolar(c.where.lat) {
			scores[1] = polarScore(*c.where)
		} else {
			scores[0] = score(*c.where)
		}
	}
	if c.found != nil && !isPolar(c.found.lat) {
		scores[2] = score(*c.found)
	}
	return scores
}

// placed is a device and where it is.
type placed struct {
	device string
	point
}

// search finds the devices of some shards of an app that are in a region, in no
// order.
func (x *index) search(ctx context.Context, app string, from, to int, g *region, ranges []span, which string) ([][]placed, error) {
	pipe := x.rdb.Pipeline()
	cmds := make([][]*redis.ZSliceCmd, to-from)
	now := x.now()
	for shard := from; shard < to; shard++ {
		key := shardKey(app, shard)
		keys, args := x.script(key, now)
		pipe.EvalSha(ctx, x.commit.Hash(), keys, args...)
		for _, r := range ranges {
			by := &redis.ZRangeBy{Min: strconv.FormatUint(r.first, 10), Max: strconv.FormatUint(r.last, 10)}
			cmds[shard-from] = append(cmds[shard-from], pipe.ZRangeByScoreWithScores(ctx, key+which, by))
		}
		if g.polar && which == "" {
			cmds[shard-from] = append(cmds[shard-from], pipe.ZRangeByScoreWithScores(ctx, key+keyPolar, &redis.ZRangeBy{Min: "-inf", Max: "+inf"}))
		}
	}
	if _, err := pipe.Exec(ctx); redis.HasErrorPrefix(err, "NOSCRIPT") { // a Redis that was restarted has forgotten it
		if err := x.commit.Load(ctx, x.rdb).Err(); err != nil {
			return nil, fmt.Errorf("places: search: %w", away(err))
		}
		return x.search(ctx, app, from, to, g, ranges, which)
	} else if err != nil {
		return nil, fmt.Errorf("places: search: %w", away(err))
	}
	found := make([][]placed, to-from)
	for i, of := range cmds {
		for k, cmd := range of {
			polar := k == len(ranges)
			for _, z := range cmd.Val() {
				p := placed{device: z.Member.(string)}
				if polar {
					p.point = polarAt(uint64(z.Score))
				} else {
					p.point = at(uint64(z.Score))
				}
				if g.contains(p.point) {
					found[i] = append(found[i], p)
				}
			}
		}
	}
	return found, nil
}

// position is where a device is; ok is false if nobody knows.
func (x *index) position(ctx context.Context, app, device string) (p point, ok bool, err error) {
	key := shardKey(app, shardOf(device))
	pipe := x.rdb.Pipeline()
	plain, polar := pipe.ZScore(ctx, key, device), pipe.ZScore(ctx, key+keyPolar, device)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return p, false, fmt.Errorf("places: position: %w", away(err))
	}
	if plain.Err() == nil {
		return at(uint64(plain.Val())), true, nil
	}
	return polarAt(uint64(polar.Val())), polar.Err() == nil, nil
}

// forget removes all that Redis has of devices, and returns of how many there
// was something.
func (x *index) forget(ctx context.Context, app string, devices []string) (n int, err error) {
	if len(devices) == 0 {
		return 0, nil
	}
	pipe := x.rdb.Pipeline()
	var counts []*redis.IntCmd
	for _, d := range devices {
		key := shardKey(app, shardOf(d))
		counts = append(counts, pipe.HDel(ctx, key+keyRecords, d))
		for _, which := range []string{"", keyPolar, keyNearby, keyTimes} {
			pipe.ZRem(ctx, key+which, d)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("places: forget devices: %w", away(err))
	}
	for _, c := range counts {
		n += int(c.Val())
	}
	return n, nil
}

// known counts the devices of which Redis has something.
func (x *index) known(ctx context.Context, app string, devices []string) (n int, err error) {
	if len(devices) == 0 {
		return 0, nil
	}
	records, err := x.records(ctx, app, devices)
	for _, r := range records {
		if r != "" {
			n++
		}
	}
	return n, err
}

// away marks an error of the connection as [push.ErrAway]; the end of the
// caller's own patience stays what it is.
func away(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", push.ErrAway, err)
}
