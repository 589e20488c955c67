package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// nodeSilent is how old what a node says may be before it is taken for gone.
const nodeSilent = 15 * time.Second

// Nodes keeps what the processes with live connections say of themselves, and
// what operators ask of them.
type Nodes struct{ rdb redis.UniversalClient }

// NewNodes keeps it in rdb.
func NewNodes(rdb redis.UniversalClient) *Nodes { return &Nodes{rdb} }

// Say replaces what a node says, and tells whether it is asked to drain.
func (n *Nodes) Say(ctx context.Context, node push.Node) (drain bool, err error) {
	text, err := json.Marshal(node)
	if err != nil {
		return false, fmt.Errorf("redisstore: encode node: %w", err)
	}
	pipe := n.rdb.Pipeline()
	pipe.HSet(ctx, nodesKey, node.ID, text)
	asked := pipe.HGet(ctx, drainKey, node.ID)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("redisstore: say how a node is: %w", away(err))
	}
	until, err := strconv.ParseInt(asked.Val(), 10, 64)
	return err == nil && time.Now().Unix() < until, nil
}

// Gone takes a node out of the list.
func (n *Nodes) Gone(ctx context.Context, node string) error {
	pipe := n.rdb.Pipeline()
	pipe.HDel(ctx, nodesKey, node)
	pipe.HDel(ctx, drainKey, node)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: node is gone: %w", away(err))
	}
	return nil
}

// List returns the nodes that spoke of late, by name. Those that have been
// silent for long are forgotten.
func (n *Nodes) List(ctx context.Context) ([]push.Node, error) {
	found, err := n.rdb.HGetAll(ctx, nodesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("redisstore: list nodes: %w", away(err))
	}
	var all []push.Node
	for id, text := range found {
		var node push.Node
		if json.Unmarshal([]byte(text), &node) != nil || time.Since(node.At) > nodeSilent {
			if err := n.Gone(ctx, id); err != nil {
				return nil, err
			}
			continue
		}
		all = append(all, node)
	}
	slices.SortFunc(all, func(a, b push.Node) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Drain asks a node to send its connections elsewhere for a while; with a time
// that is over it takes the wish back.
func (n *Nodes) Drain(ctx context.Context, node string, until time.Time) error {
	if err := n.rdb.HSet(ctx, drainKey, node, until.Unix()).Err(); err != nil {
		return fmt.Errorf("redisstore: ask a node to drain: %w", away(err))
	}
	return nil
}
