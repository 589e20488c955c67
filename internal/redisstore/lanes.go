package redisstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

const (
	laneLease  = 5 * time.Second // how long a worker's word about its lanes holds
	laneMemory = time.Minute     // how long its name is kept
)

// Lanes is where workers tell each other, and operators, how their lanes are,
// and where operators tell the workers which to keep off. It is safe for
// concurrent use.
type Lanes struct{ rdb redis.UniversalClient }

// NewLanes keeps them in rdb.
func NewLanes(rdb redis.UniversalClient) *Lanes { return &Lanes{rdb} }

// LaneOrders are what operators want of the lanes, by app and provider.
type LaneOrders struct {
	Off map[LaneName]push.LaneSwitch
	// Fresh changes for a lane whose credentials were changed.
	Fresh map[LaneName]string
}

// LaneName names a lane.
type LaneName struct{ App, Provider string }

func (n LaneName) String() string { return n.App + "/" + n.Provider }

// Publish tells how a worker's lanes are, which holds for some seconds, and
// reads the operators' orders and the words of the other workers.
func (l *Lanes) Publish(ctx context.Context, worker string, now time.Time, word []byte) (LaneOrders, [][]byte, error) {
	pipe := l.rdb.Pipeline()
	pipe.Set(ctx, laneWordKey(worker), word, laneLease)
	pipe.ZAdd(ctx, laneWorkersKey, redis.Z{Score: float64(now.Unix()), Member: worker})
	pipe.ZRemRangeByScore(ctx, laneWorkersKey, "-inf", strconv.FormatInt(now.Add(-laneMemory).Unix(), 10))
	read := readLanes(ctx, pipe)
	if _, err := pipe.Exec(ctx); err != nil {
		return LaneOrders{}, nil, fmt.Errorf("redisstore: publish lanes: %w", away(err))
	}
	others := make([]string, 0, len(read.workers.Val()))
	for _, w := range read.workers.Val() {
		if w != worker {
			others = append(others, w)
		}
	}
	words, err := l.words(ctx, others)
	return read.orders(), words, err
}

// Read reads the operators' orders and the words of all workers.
func (l *Lanes) Read(ctx context.Context) (LaneOrders, [][]byte, error) {
	pipe := l.rdb.Pipeline()
	read := readLanes(ctx, pipe)
	if _, err := pipe.Exec(ctx); err != nil {
		return LaneOrders{}, nil, fmt.Errorf("redisstore: read lanes: %w", away(err))
	}
	words, err := l.words(ctx, read.workers.Val())
	return read.orders(), words, err
}

// Leave takes back a worker's word.
func (l *Lanes) Leave(ctx context.Context, worker string) error {
	pipe := l.rdb.Pipeline()
	pipe.Del(ctx, laneWordKey(worker))
	pipe.ZRem(ctx, laneWorkersKey, worker)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: leave lanes: %w", away(err))
	}
	return nil
}

// SwitchOff keeps a lane off until it is switched on.
func (l *Lanes) SwitchOff(ctx context.Context, n LaneName, s push.LaneSwitch) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("redisstore: switch lane off: %w", err)
	}
	if err := l.rdb.HSet(ctx, laneOffKey, n.String(), text).Err(); err != nil {
		return fmt.Errorf("redisstore: switch lane off: %w", away(err))
	}
	return nil
}

// SwitchOn undoes [Lanes.SwitchOff].
func (l *Lanes) SwitchOn(ctx context.Context, n LaneName) error {
	if err := l.rdb.HDel(ctx, laneOffKey, n.String()).Err(); err != nil {
		return fmt.Errorf("redisstore: switch lane on: %w", away(err))
	}
	return nil
}

// Freshen lets all workers try a lane anew.
func (l *Lanes) Freshen(ctx context.Context, n LaneName, now time.Time) error {
	if err := l.rdb.HSet(ctx, laneFreshKey, n.String(), now.UnixNano()).Err(); err != nil {
		return fmt.Errorf("redisstore: freshen lane: %w", away(err))
	}
	return nil
}

func (l *Lanes) words(ctx context.Context, workers []string) ([][]byte, error) {
	if len(workers) == 0 {
		return nil, nil
	}
	keys := make([]string, len(workers))
	for i, w := range workers {
		keys[i] = laneWordKey(w)
	}
	values, err := l.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("redisstore: words of lanes: %w", away(err))
	}
	var words [][]byte
	for _, v := range values {
		if text, ok := v.(string); ok { // else that worker is gone
			words = append(words, []byte(text))
		}
	}
	return words, nil
}

type laneRead struct {
	workers    *redis.StringSliceCmd
	off, fresh *redis.MapStringStringCmd
}

func readLanes(ctx context.Context, pipe redis.Pipeliner) laneRead {
	return laneRead{
		workers: pipe.ZRange(ctx, laneWorkersKey, 0, -1),
		off:     pipe.HGetAll(ctx, laneOffKey),
		fresh:   pipe.HGetAll(ctx, laneFreshKey),
	}
}

func (r laneRead) orders() LaneOrders {
	o := LaneOrders{Off: make(map[LaneName]push.LaneSwitch), Fresh: make(map[LaneName]string)}
	for field, text := range r.off.Val() {
		s := push.LaneSwitch{Reason: "no reason can be read"}
		_ = json.Unmarshal([]byte(text), &s) // a lane that somebody wants off is off
		o.Off[laneNamed(field)] = s
	}
	for field, stamp := range r.fresh.Val() {
		o.Fresh[laneNamed(field)] = stamp
	}
	return o
}

// laneNamed undoes [LaneName.String]. A provider's name has no slash.
func laneNamed(s string) LaneName {
	i := strings.LastIndexByte(s, '/')
	return LaneName{s[:max(i, 0)], s[i+1:]}
}
