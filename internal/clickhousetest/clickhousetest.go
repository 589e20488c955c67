// Package clickhousetest gives tests a real ClickHouse: the server of
// CLICKHOUSE_URL (a clickhouse-go DSN) if that is set, else the embedded
// engine in a child process, started once per test binary.
//
// A package that uses it begins its tests with
//
//	func TestMain(m *testing.M) { clickhousetest.Main(m) }
//
// because the child is the test binary itself.
package clickhousetest

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/internal/chdb"
	"github.com/herald-push/herald/internal/need"
)

// The child's orders, by environment.
const (
	envData     = "HERALD_CLICKHOUSETEST_DATA"
	envListen   = "HERALD_CLICKHOUSETEST_LISTEN"
	envPassword = "HERALD_CLICKHOUSETEST_PASSWORD"
	envDiscard  = "HERALD_CLICKHOUSETEST_DISCARD" // remove the data at the end
)

// Main runs the tests of a package, or, in a child process, the engine.
func Main(m *testing.M) {
	if os.Getenv(envData) == "" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve is the child: it runs until its standard input ends, which happens
// however the tests end.
func serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if os.Getenv(envDiscard) != "" {
		defer func() { _ = os.RemoveAll(os.Getenv(envData)) }() // what stays is the system's to clear away
	}
	library, err := chdb.Find()
	if err != nil {
		return err
	}
	return chdb.Run(ctx, chdb.Config{
		Library:  library,
		Data:     os.Getenv(envData),
		Listen:   os.Getenv(envListen),
		Password: os.Getenv(envPassword),
		Ready:    func(addr net.Addr) { fmt.Println(addr) },
		Log:      slog.New(slog.DiscardHandler),
	})
}

// shared starts the one engine that the tests of a binary share.
var shared = sync.OnceValues(func() (*Server, error) {
	data, err := os.MkdirTemp("", "herald-clickhouse-")
	if err != nil {
		return nil, err
	}
	s := &Server{data: data, listen: "127.0.0.1:0", password: rand.Text(), discard: true}
	return s, s.start()
})

// DSN returns the DSN of a fresh, empty database, dropped when the test ends.
// It skips the test where there is no ClickHouse, or fails it with
// HERALD_TEST_REQUIRE=1.
func DSN(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("CLICKHOUSE_URL"); dsn != "" {
		return freshDatabase(t, dsn)
	}
	require(t)
	s, err := shared()
	if err != nil {
		t.Fatalf("clickhousetest: %v", err)
	}
	return freshDatabase(t, s.DSN())
}

func require(t testing.TB) {
	t.Helper()
	if _, err := chdb.Find(); err != nil {
		need.Missing(t, "no ClickHouse: run scripts/chdb.sh once, or set CLICKHOUSE_URL (%v)", err)
	}
}

func freshDatabase(t testing.TB, dsn string) string {
	t.Helper()
	name := "herald_test_" + strings.ToLower(rand.Text()[:12])
	execute(t, dsn, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, dsn, "DROP DATABASE IF EXISTS "+name) })
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatalf("clickhousetest: CLICKHOUSE_URL is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

func execute(t testing.TB, dsn, statement string) {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatalf("clickhousetest: %v", err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatalf("clickhousetest: %v", err)
	}
	defer func() { _ = conn.Close() }() // the statement's answer is known
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("clickhousetest: %s: %v", statement, err)
	}
}

// Server is an embedded engine that one test owns and may kill.
type Server struct {
	data, listen, password string
	discard                bool // no one needs the data when the engine has ended

	cmd   *exec.Cmd
	leash io.Closer
}

// Start starts an engine of the test's own. It skips the test where there is
// no library, even if CLICKHOUSE_URL is set: no server of that URL is killed.
func Start(t testing.TB) *Server {
	t.Helper()
	require(t)
	s := &Server{data: t.TempDir(), listen: "127.0.0.1:0", password: rand.Text()}
	if err := s.start(); err != nil {
		t.Fatalf("clickhousetest: %v", err)
	}
	t.Cleanup(func() { s.Kill() })
	return s
}

// DSN is where the engine listens; the same after [Server.Restart].
func (s *Server) DSN() string {
	return (&url.URL{Scheme: "http", User: url.UserPassword("default", s.password), Host: s.listen, Path: "/default"}).String()
}

// Kill ends the engine as kill -9 does, and returns when it is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Stop ends the engine as Herald does, and returns its last error.
func (s *Server) Stop() error {
	_ = s.leash.Close()
	return s.cmd.Wait()
}

// Restart starts a killed engine again on its data and address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("clickhousetest: %v", err)
	}
}

func (s *Server) start() error {
	s.cmd = exec.Command(os.Args[0], "-test.run=^$")
	s.cmd.Env = append(os.Environ(), envData+"="+s.data, envListen+"="+s.listen, envPassword+"="+s.password)
	if s.discard {
		s.cmd.Env = append(s.cmd.Env, envDiscard+"=1")
	}
	complaints := new(strings.Builder)
	s.cmd.Stderr = complaints
	leash, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.leash = leash
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(addr, "127.") {
		s.Kill()
		return fmt.Errorf("the engine did not start (does TestMain call clickhousetest.Main?): %s", complaints)
	}
	s.listen = strings.TrimSpace(addr)
	return nil
}
