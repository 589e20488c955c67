package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// examineRedis asks whether Redis is there, keeps what it is given, and agrees
// with this machine about the time.
func examineRedis(ctx context.Context, c Config) []finding {
	if c.Redis.URL == "" {
		return nil // the configuration's fault, told already
	}
	options, err := redis.ParseURL(c.Redis.URL)
	if err != nil {
		return []finding{{about: "redis", err: fmt.Errorf("redis.url is not understood: %s", maskURL(c.Redis.URL))}}
	}
	options.MaxRetries = -1
	client := redis.NewClient(options)
	defer client.Close()

	info, err := client.Info(ctx, "server", "persistence", "memory").Result()
	if err != nil {
		return []finding{{
			about: "redis", err: fmt.Errorf("%s: %w", options.Addr, err),
			todo: "start it, or correct redis.url; the API answers 503 and accepts nothing without it",
		}}
	}
	facts := parseInfo(info)
	return []finding{
		{about: "redis", said: fmt.Sprintf("%s answers, version %s", options.Addr, facts["redis_version"])},
		examineAppendOnly(ctx, client, facts),
		examineEviction(facts),
		examineRedisClock(ctx, client),
	}
}

func examineAppendOnly(ctx context.Context, client *redis.Client, facts map[string]string) finding {
	f := finding{about: "redis file"}
	if facts["aof_enabled"] != "1" {
		f.err = errors.New("the append-only file is off: a restart of Redis loses accepted notifications")
		f.todo = "CONFIG SET appendonly yes, and the same in redis.conf"
		return f
	}
	// Managed services forbid CONFIG; then there is nothing to tell.
	policy, err := client.ConfigGet(ctx, "appendfsync").Result()
	if err == nil && policy["appendfsync"] != "always" {
		f.err = fmt.Errorf("appendfsync is %s: a crash may take back the last seconds' notifications after their 202", policy["appendfsync"])
		f.todo, f.mild = "CONFIG SET appendfsync always, if a 202 must be kept even then", true
		return f
	}
	f.said = "the append-only file is on"
	return f
}

func examineEviction(facts map[string]string) finding {
	f := finding{about: "redis room", said: "evicts nothing"}
	if policy := facts["maxmemory_policy"]; policy != "noeviction" {
		f.err = fmt.Errorf("maxmemory-policy is %s: Redis throws away tasks when memory is short", policy)
		f.todo = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
	}
	return f
}

func examineRedisClock(ctx context.Context, client *redis.Client) finding {
	f := finding{about: "clock"}
	before := time.Now()
	there, err := client.Time(ctx).Result()
	if err != nil {
		f.err, f.mild = fmt.Errorf("redis does not tell its time: %w", err), true
		return f
	}
	here := before.Add(time.Since(before) / 2)
	if off := there.Sub(here).Abs(); off > time.Second {
		f.err, f.mild = fmt.Errorf("this machine and Redis differ by %v: scheduled times and deadlines shift by that", off.Round(time.Millisecond)), true
		f.todo = "let both follow NTP"
		return f
	}
	f.said = "agrees with Redis within a second"
	return f
}

// parseInfo reads the lines "key:value" of INFO.
func parseInfo(info string) map[string]string {
	facts := map[string]string{}
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[key] = value
		}
	}
	return facts
}
