package redisstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// nodeSilent is how old what a node says may be before it is taken for gone.
const nodeSilent = 15 * time.Second

// Nodes keeps what the processes with live connections say of themselves.
type Nodes struct{ rdb redis.UniversalClient }

// NewNodes keeps it in rdb.
func NewNodes(rdb redis.UniversalClient) *Nodes { return &Nodes{rdb} }

// Say replaces what a node says.
func (n *Nodes) Say(ctx context.Context, node push.Node) error {
	text, err := json.Marshal(node)
	if err != nil {
		return fmt.Errorf("redisstore: encode node: %w", err)
	}
	if err := n.rdb.HSet(ctx, nodesKey, node.ID, text).Err(); err != nil {
		return fmt.Errorf("redisstore: say how a node is: %w", away(err))
	}
	return nil
}

// Gone takes a node out of the list.
func (n *Nodes) Gone(ctx context.Context, node string) error {
	if err := n.rdb.HDel(ctx, nodesKey, node).Err(); err != nil {
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
