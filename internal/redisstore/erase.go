package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// personKeys are what is kept of a user and their devices by name: caches, what
// was learned, inboxes, collapse keys, caps.
func personKeys(app, user string, devices []string) []string {
	var keys []string
	for _, d := range devices {
		keys = append(keys, deviceKey(app, d), evidenceKey(app, d), inboxKey(app, d), collapseKey(app, d))
	}
	for _, class := range push.Classes {
		keys = append(keys, capKey(app, string(class), "u:"+user))
		for _, d := range devices {
			keys = append(keys, capKey(app, string(class), "d:"+d))
		}
	}
	return keys
}

// OfUser counts the keys that name a user or one of their devices.
func OfUser(ctx context.Context, rdb redis.UniversalClient, app, user string, devices []string) (int, error) {
	return overKeys(ctx, rdb, personKeys(app, user, devices), func(pipe redis.Pipeliner, key string) *redis.IntCmd { return pipe.Exists(ctx, key) })
}

// EraseUser removes them and returns how many there were. Chunks and bodies of
// notifications that are under way name devices too; they end with the
// notification's time, four weeks at most.
func EraseUser(ctx context.Context, rdb redis.UniversalClient, app, user string, devices []string) (int, error) {
	return overKeys(ctx, rdb, personKeys(app, user, devices), func(pipe redis.Pipeliner, key string) *redis.IntCmd { return pipe.Unlink(ctx, key) })
}

// overKeys does one thing to each key, which may lie on different nodes.
func overKeys(ctx context.Context, rdb redis.UniversalClient, keys []string, do func(redis.Pipeliner, string) *redis.IntCmd) (n int, err error) {
	pipe := rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		cmds[i] = do(pipe, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("redisstore: keys of a user: %w", away(err))
	}
	for _, cmd := range cmds {
		n += int(cmd.Val())
	}
	return n, nil
}
