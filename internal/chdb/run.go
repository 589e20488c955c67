package chdb

import (
	"context"
	"fmt"
	"log/slog"
	"net"
)

// Config is what [Run] needs to be a ClickHouse.
type Config struct {
	// Library is the path of libchdb, see [Find].
	Library string
	// Data is the engine's folder. One process at a time.
	Data string
	// Listen is the address of the HTTP interface. Only loopback is allowed:
	// the password travels in clear. Default "127.0.0.1:0".
	Listen string
	// User (default "default") and Password (required) of the one account.
	User, Password string
	// Ready is called once with the address that is really listened on.
	Ready func(addr net.Addr)
	Log   *slog.Logger
}

// Run opens the engine and serves it until ctx ends. It is the whole of the
// process `herald clickhouse`, which gives way to others for the processor.
func Run(ctx context.Context, c Config) error {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.User == "" {
		c.User = "default"
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("chdb: listen: %w", err)
	}
	if addr, ok := ln.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		_ = ln.Close()
		return fmt.Errorf("chdb: %s is not a loopback address", ln.Addr())
	}
	yield()
	engine, err := Open(c.Library, c.Data)
	if err != nil {
		_ = ln.Close()
		return err
	}
	defer engine.Close()
	c.Log.InfoContext(ctx, "ClickHouse engine is up", "version", engine.version, "addr", ln.Addr().String(), "data", c.Data)
	if c.Ready != nil {
		c.Ready(ln.Addr())
	}
	return engine.Serve(ctx, ln, c.User, c.Password)
}
