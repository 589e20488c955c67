package routing

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// logicKey is a sorted set of the addresses of logic nodes, each with the time
// (Unix ms) until which it counts as there.
const logicKey = "herald:{im}/logic"

// nodesKey is a hash of nodes with connections: name → how it is, as JSON.
const nodesKey = "herald:{im}/nodes"

// Describe implements [Registry].
func (r *Redis) Describe(ctx context.Context, n Node) error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("routing: describe a node: %w", err)
	}
	if err := r.client.HSet(ctx, nodesKey, n.Name, text).Err(); err != nil {
		return fmt.Errorf("routing: describe a node in redis: %w", err)
	}
	return nil
}

// forgotten is after how long a node that says nothing is taken off the list.
const forgotten = 24 * time.Hour

// Nodes implements [Registry].
func (r *Redis) Nodes(ctx context.Context, within time.Duration) ([]Node, error) {
	found, err := r.client.HGetAll(ctx, nodesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("routing: nodes in redis: %w", err)
	}
	var nodes []Node
	for name, text := range found {
		var n Node
		if json.Unmarshal([]byte(text), &n) != nil || time.Since(n.Seen) > forgotten {
			r.client.HDel(ctx, nodesKey, name) // if not now, the next time
			continue
		}
		nodes = append(nodes, n)
	}
	return recent(nodes, within), nil
}

// Announce tells access nodes that there is a logic node at addr for a while.
func (r *Redis) Announce(ctx context.Context, addr string, lease time.Duration) error {
	now := time.Now()
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, logicKey, redis.Z{Score: float64(now.Add(lease).UnixMilli()), Member: addr})
		p.ZRemRangeByScore(ctx, logicKey, "-inf", strconv.FormatInt(now.UnixMilli(), 10))
		return nil
	})
	if err != nil {
		return fmt.Errorf("routing: announce in redis: %w", err)
	}
	return nil
}

// Withdraw undoes Announce.
func (r *Redis) Withdraw(ctx context.Context, addr string) error {
	if err := r.client.ZRem(ctx, logicKey, addr).Err(); err != nil {
		return fmt.Errorf("routing: withdraw in redis: %w", err)
	}
	return nil
}

// Announced returns the addresses of the logic nodes that are there.
func (r *Redis) Announced(ctx context.Context) ([]string, error) {
	addrs, err := r.client.ZRangeByScore(ctx, logicKey, &redis.ZRangeBy{Min: strconv.FormatInt(time.Now().UnixMilli(), 10), Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("routing: logic nodes in redis: %w", err)
	}
	return addrs, nil
}
