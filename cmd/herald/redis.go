package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/child"
	"github.com/herald-push/herald/internal/freeport"
)

// server is a Redis or a ClickHouse that this process uses.
type server struct {
	URL     string // how to reach it, password included
	What    string // for people, no password
	Warning string // what is worse than it could be; empty if nothing
	part    part   // nil if somebody else runs it
	ready   func(ctx context.Context) error
}

// devRedis finds the Redis of `herald dev`: the one given, or else a child of
// its own with its files in dir, or else one inside this process.
func devRedis(given, dir string, log *slog.Logger) (server, error) {
	if given != "" {
		return server{URL: given, What: maskURL(given), ready: pinger(given)}, nil
	}
	program, err := exec.LookPath("redis-server")
	if errors.Is(err, exec.ErrNotFound) {
		return miniRedis()
	}
	if err != nil {
		return server{}, fmt.Errorf("redis-server: %w", err)
	}
	return childRedis(program, dir, log)
}

func childRedis(program, dir string, log *slog.Logger) (server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return server{}, fmt.Errorf("redis: %w", err)
	}
	port, err := freeport.Take()
	if err != nil {
		return server{}, fmt.Errorf("redis: %w", err)
	}
	password := rand.Text()
	config := filepath.Join(dir, "redis.conf")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return server{}, fmt.Errorf("redis: %w", err)
	}
	if err := writeFile(config, redisConfig(dir, port, password)); err != nil {
		return server{}, fmt.Errorf("redis: %w", err)
	}
	redis := child.New(child.Program{Name: "redis", Args: []string{program, config}, Dir: dir}, log)
	url := fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", password, port)
	ping := pinger(url)
	return server{
		URL:   url,
		What:  fmt.Sprintf("redis-server on 127.0.0.1:%d, append-only file in %s", port, dir),
		part:  named{"redis", redis},
		ready: func(ctx context.Context) error { return redis.Ready(ctx, ping) },
	}, nil
}

// redisConfig makes every write durable before it is answered: a 202 of the
// API means that, and many requests share one write. Nothing is ever evicted.
func redisConfig(dir string, port int, password string) []byte {
	return fmt.Appendf(nil, `bind 127.0.0.1
port %d
requirepass %s
dir %q
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
`, port, password, dir)
}

func miniRedis() (server, error) {
	mini := miniredis.NewMiniRedis()
	password := rand.Text()
	mini.RequireAuth(password)
	if err := mini.StartAddr("127.0.0.1:0"); err != nil {
		return server{}, fmt.Errorf("redis: start the one in this process: %w", err)
	}
	return server{
		URL:  fmt.Sprintf("redis://:%s@%s/0", password, mini.Addr()),
		What: "in this process (miniredis)",
		Warning: "no redis-server on PATH and no REDIS_URL: the queue lives in this process, dies with it, " +
			"and is about ten times slower. Install Redis (Debian: apt-get install redis-server; macOS: brew install redis).",
		part: named{"redis", runFunc(func(ctx context.Context) error {
			<-ctx.Done()
			mini.Close()
			return nil
		})},
		ready: func(context.Context) error { return nil },
	}, nil
}

// pinger returns a probe that tells whether the Redis at url answers and has
// read its file.
func pinger(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		options, err := redis.ParseURL(url)
		if err != nil {
			return fmt.Errorf("redis: %s: %w", maskURL(url), err)
		}
		options.MaxRetries = -1
		client := redis.NewClient(options)
		defer client.Close()
		if err := client.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("redis at %s: %w", options.Addr, err)
		}
		return nil
	}
}

// redisLog takes what the Redis client says of itself, which is mostly that a
// server is away: whoever asked for something is told so as an error.
type redisLog struct{ log *slog.Logger }

// Printf implements the client's logger.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, args...))
}

// maskURL hides the password of a URL, and its whole user part where it cannot
// be read.
func maskURL(raw string) string {
	if raw == "" {
		return ""
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return "(not a URL)"
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return raw
	}
	user, _, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + user + ":***@" + rest[at+1:]
}
