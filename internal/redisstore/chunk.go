package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// Chunk names the deliveries of up to [ChunkSize] devices of a notification.
type Chunk struct {
	Notification *push.Notification
	Number       int
}

func (c Chunk) key() string { return chunkKey(c.Notification.App, c.Notification.ID, c.Number) }

// Slot is one place in a chunk with what stands there.
type Slot struct {
	Index int
	Cell  Cell
}

// Make makes each chunk for its devices, unless it is there already: then made
// is false and the chunk may be for other devices. One round trip.
func (j *Journal) Make(ctx context.Context, chunks []Chunk, devices [][]string) (made []bool, err error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	calls := make([]call, len(chunks))
	for i, c := range chunks {
		args := make([]any, 1, 1+len(devices[i]))
		args[0] = expiry(c.Notification)
		for _, d := range devices[i] {
			args = append(args, d)
		}
		calls[i] = call{j.scripts.make, c.key(), args}
	}
	cmds, err := run(ctx, j.rdb, calls)
	if err != nil {
		return nil, err
	}
	made = make([]bool, len(cmds))
	for i, cmd := range cmds {
		n, err := cmd.Int()
		if err != nil {
			return nil, fmt.Errorf("redisstore: make chunk: %w", err)
		}
		made[i] = n == 1
	}
	return made, nil
}

// Read reads cells of each chunk, in one round trip: those of its indexes, or
// all where indexes is nil. What is not there is left out.
func (j *Journal) Read(ctx context.Context, chunks []Chunk, indexes [][]int) ([][]Slot, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	pipe := j.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, len(chunks))
	for i, c := range chunks {
		cmds[i] = pipe.HMGet(ctx, c.key(), fieldNames(indexes[i])...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("redisstore: read %d chunks: %w", len(chunks), away(err))
	}
	all := make([][]Slot, len(chunks))
	for i, cmd := range cmds {
		fields := cmd.Val()
		slots := make([]Slot, 0, len(fields))
		for k, field := range fields {
			text, ok := field.(string)
			if !ok {
				continue
			}
			cell, err := parseCell(text)
			if err != nil {
				return nil, err
			}
			index := k
			if indexes[i] != nil {
				index = indexes[i][k]
			}
			slots = append(slots, Slot{index, cell})
		}
		all[i] = slots
	}
	return all, nil
}

// Tail reads how many devices a chunk has and the last of them; 0 if the chunk
// is not there.
func (j *Journal) Tail(ctx context.Context, c Chunk) (n int, last string, err error) {
	text, err := j.rdb.HGet(ctx, c.key(), "n").Result()
	if err == redis.Nil { //nolint:errorlint // go-redis returns the value itself
		return 0, "", nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("redisstore: read chunk: %w", away(err))
	}
	n, _ = strconv.Atoi(text) // make.lua wrote it
	slots, err := j.Read(ctx, []Chunk{c}, [][]int{{n - 1}})
	if err != nil || len(slots[0]) == 0 {
		return 0, "", err
	}
	return n, slots[0][0].Cell.Device, nil
}

// Claim is a change of one cell that holds only if nobody else changed it.
type Claim struct {
	Index    int
	Seen, Be Cell
}

// Claim changes the cells of each chunk, in one round trip. For those that had
// changed meanwhile it returns what stands there now.
func (j *Journal) Claim(ctx context.Context, chunks []Chunk, claims [][]Claim) (refused [][]Slot, err error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	calls := make([]call, len(chunks))
	for i, c := range chunks {
		args := make([]any, 0, 3*len(claims[i]))
		for k := range claims[i] {
			cl := &claims[i][k]
			args = append(args, cl.Index, cl.Seen.String(), cl.Be.String())
		}
		calls[i] = call{j.scripts.claim, c.key(), args}
	}
	cmds, err := run(ctx, j.rdb, calls)
	if err != nil {
		return nil, err
	}
	refused = make([][]Slot, len(chunks))
	for i, cmd := range cmds {
		pairs, err := cmd.StringSlice()
		if err != nil {
			return nil, fmt.Errorf("redisstore: claim: %w", err)
		}
		for k := 0; k+1 < len(pairs); k += 2 {
			if pairs[k+1] == "" {
				continue // the chunk is gone
			}
			index, err1 := strconv.Atoi(pairs[k])
			cell, err2 := parseCell(pairs[k+1])
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("redisstore: claim answered %q", pairs[k:k+2])
			}
			refused[i] = append(refused[i], Slot{index, cell})
		}
	}
	return refused, nil
}

// Settle records the state of deliveries after attempts, in one round trip.
// Proof that came meanwhile is kept, and so is the device.
func (j *Journal) Settle(ctx context.Context, chunks []Chunk, slots [][]Slot) error {
	leave, err := j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	calls := make([]call, len(chunks))
	for i, c := range chunks {
		args := make([]any, 0, 6*len(slots[i]))
		for _, s := range slots[i] {
			args = append(args, s.Index, string(letter(s.Cell.Stage)), s.Cell.Attempt, appendSince(nil, &s.Cell), s.Cell.Tried, s.Cell.Hold.String())
		}
		calls[i] = call{j.scripts.settle, c.key(), args}
	}
	_, err = run(ctx, j.rdb, calls)
	return err
}

// everyField names all cells a chunk can have. It is never changed.
var everyField = func() []string {
	names := make([]string, ChunkSize)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}()

func fieldNames(indexes []int) []string {
	if indexes == nil {
		return everyField
	}
	names := make([]string, len(indexes))
	for i, index := range indexes {
		names[i] = strconv.Itoa(index)
	}
	return names
}
