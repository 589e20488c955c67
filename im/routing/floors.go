package routing

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// logicKey is a sorted set of the addresses of logic nodes, each with the time
// (Unix ms) until which it counts as there.
const logicKey = "herald:{im}/logic"

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
