// Package postgrestest gives tests a real PostgreSQL: the one at POSTGRES_URL,
// or else a private server of the test process, made from the binaries that
// Debian or Homebrew installed.
package postgrestest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-push/herald/internal/need"
)

// server is a server that tests may make databases in.
type server struct {
	url   string
	alive io.Closer // keeps a private server running; nil for one that was given
}

// start finds or starts the one server of this test process.
var start = sync.OnceValues(func() (*server, error) {
	if given := os.Getenv("POSTGRES_URL"); given != "" {
		return &server{url: given}, nil
	}
	return startPrivate()
})

// URL returns the postgres:// URL of a new, empty database, dropped when the
// test ends. Without any PostgreSQL the test is skipped, or fails if
// HERALD_TEST_REQUIRE is set.
func URL(t testing.TB) string {
	t.Helper()
	srv, err := start()
	if err != nil {
		const how = "set POSTGRES_URL, or install it: apt-get install postgresql, or brew install postgresql"
		need.Missing(t, "no PostgreSQL to test with: %v; %s", err, how)
	}

	name := "herald_test_" + strings.ToLower(rand.Text())
	run(t.Context(), t, srv.url, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		run(ctx, t, srv.url, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})

	u, err := url.Parse(srv.url)
	if err != nil {
		t.Fatal("postgrestest: POSTGRES_URL is not a URL") // the cause would show its password
	}
	u.Path = "/" + name
	return u.String()
}

func run(ctx context.Context, t testing.TB, at, statement string) {
	t.Helper()
	if err := exec(ctx, at, statement); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
}

func exec(ctx context.Context, at, statement string) error {
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
