package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-push/herald/internal/chdb"
	"github.com/herald-push/herald/internal/child"
	"github.com/herald-push/herald/internal/freeport"
)

// clickhousePassword is the environment variable that carries the engine's
// password to the child: arguments show in ps.
const clickhousePassword = "HERALD_CLICKHOUSE_PASSWORD"

// clickhouseCmd is the embedded engine: a process of its own, so that it can
// be ended and started again without Herald.
type clickhouseCmd struct {
	Data   string `required:"" type:"path" help:"Folder of the engine. One process at a time."`
	Listen string `default:"127.0.0.1:0" help:"Loopback address to serve the HTTP interface on."`
}

func (c *clickhouseCmd) Run(ctx context.Context, std streams) error {
	password := os.Getenv(clickhousePassword)
	if password == "" {
		return fmt.Errorf("%s is not set: the engine needs a password", clickhousePassword)
	}
	library, err := chdb.Find()
	if err != nil {
		return err
	}
	return chdb.Run(ctx, chdb.Config{
		Library:  library,
		Data:     c.Data,
		Listen:   c.Listen,
		Password: password,
		Log:      slog.New(slog.NewTextHandler(std.err, nil)),
	})
}

// devClickHouse finds the ClickHouse of `herald dev`: the one given, or else
// the embedded engine as a child with its files in dir, or else none, in which
// case the URL is empty.
func devClickHouse(given, dir string, log *slog.Logger) (server, error) {
	if given != "" {
		return server{URL: given, What: maskURL(given)}, nil
	}
	if _, err := chdb.Find(); errors.Is(err, chdb.ErrNoLibrary) {
		return server{
			What: "none: events wait in the spool",
			Warning: "no ClickHouse: every attempt and receipt is kept in the spool and nothing is lost, but analytics and " +
				"explain show nothing and the selector learns from memory alone. Run scripts/chdb.sh, or set CLICKHOUSE_URL.",
		}, nil
	} else if err != nil {
		return server{}, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return server{}, fmt.Errorf("clickhouse: %w", err)
	}
	port, err := freeport.Take()
	if err != nil {
		return server{}, fmt.Errorf("clickhouse: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return server{}, fmt.Errorf("clickhouse: find this executable: %w", err)
	}
	password, addr := rand.Text(), fmt.Sprintf("127.0.0.1:%d", port)
	engine := child.New(child.Program{
		Name: "clickhouse",
		Args: []string{self, "clickhouse", "--data", filepath.Join(dir, "store"), "--listen", addr},
		Env:  []string{clickhousePassword + "=" + password},
		Dir:  dir,
	}, log)
	return server{
		URL:  fmt.Sprintf("http://default:%s@%s/default", password, addr),
		What: fmt.Sprintf("embedded engine %s on %s, files in %s", chdb.Version(), addr, dir),
		part: named{"clickhouse", engine},
		ready: func(ctx context.Context) error {
			return engine.Ready(ctx, func(ctx context.Context) error { return dial(ctx, addr) })
		},
	}, nil
}

// dial tells whether somebody listens on addr.
func dial(ctx context.Context, addr string) error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
