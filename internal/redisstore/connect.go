// Package redisstore keeps what push has in Redis: the journal of notifications
// and their deliveries, the inboxes of live devices, and a cache of devices.
// Each is a few hashes and a few Lua scripts; keys.go names every key.
package redisstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Connect makes a client of the Redis at a URL:
//
//	redis://[user:password@]host:port[/database]      rediss:// with TLS
//	redis+cluster://[user:password@]host:port,host:port,…
//
// It does not wait for the server: each command fails with an error while it is
// away, and a client outlives the server's restarts.
func Connect(at string) (redis.UniversalClient, error) {
	if rest, ok := strings.CutPrefix(at, "redis+cluster://"); ok {
		return connectCluster(rest)
	}
	o, err := redis.ParseURL(at)
	if err != nil {
		return nil, fmt.Errorf("redisstore: the Redis URL is not valid: %w", hide(err))
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: []string{o.Addr}, DB: o.DB, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		PoolSize: poolSize, DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		MaxRetries: 1, ContextTimeoutEnabled: true,
	}), nil
}

const (
	poolSize    = 64 // connections per node; a round holds one only for a round trip
	dialTimeout = 2 * time.Second
	ioTimeout   = 5 * time.Second
)

func connectCluster(rest string) (redis.UniversalClient, error) {
	o := &redis.UniversalOptions{
		IsClusterMode: true, PoolSize: poolSize, ContextTimeoutEnabled: true,
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
	}
	if login, hosts, ok := strings.Cut(rest, "@"); ok {
		o.Username, o.Password, _ = strings.Cut(login, ":")
		rest = hosts
	}
	hosts, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil || hosts == "" {
		return nil, fmt.Errorf("redisstore: the Redis cluster URL is not valid")
	}
	if values.Get("tls") == "true" {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o.Addrs = strings.Split(hosts, ",")
	return redis.NewUniversalClient(o), nil
}

// hide keeps a password in a faulty URL out of logs.
func hide(err error) error {
	if ue, ok := err.(*url.Error); ok { //nolint:errorlint // ParseURL returns it unwrapped
		return ue.Err
	}
	return err
}

// Ping tells whether Redis answers.
func Ping(ctx context.Context, rdb redis.UniversalClient) error {
	if err := rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redisstore: ping: %w", away(err))
	}
	return nil
}
