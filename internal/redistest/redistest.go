// Package redistest gives a test a Redis of its own: a private redis-server
// with its append-only file in the test's folder, which the test may kill and
// start again.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/freeport"
	"github.com/herald-push/herald/internal/need"
)

// patience is how long a server may take to answer its first PING.
const patience = 10 * time.Second

// Server is one Redis, empty at the start and gone after the test.
type Server struct {
	t    testing.TB
	url  string
	addr string
	dir  string
	cmd  *exec.Cmd // nil if the server is not ours
}

// Start runs redis-server from PATH. Without it the server of REDIS_URL is
// used, in a logical database that no other test has. With neither the test is
// skipped, or fails if HERALD_TEST_REQUIRE is set.
func Start(t testing.TB) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		s := &Server{t: t, addr: freeAddr(t), dir: t.TempDir()}
		s.url = "redis://" + s.addr + "/0"
		t.Cleanup(s.Kill)
		s.Restart()
		return s
	}
	if at := os.Getenv("REDIS_URL"); at != "" {
		return borrow(t, at)
	}
	need.Missing(t, "no Redis: install redis-server (apt-get install redis-server) or set REDIS_URL")
	return nil
}

// URL is the server's address as clients take it, with the database.
func (s *Server) URL() string { return s.url }

// Kill ends the server as a crash would (kill -9), leaving its files.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may be dead already
	_ = s.cmd.Wait()         // its exit is what we asked for
	s.cmd = nil
}

// Restart starts the server on the port and the files it had, and returns when
// it answers. A borrowed server cannot be restarted: the test is skipped.
func (s *Server) Restart() {
	s.t.Helper()
	if s.dir == "" {
		s.t.Skip("this test kills Redis, so it needs redis-server in PATH")
	}
	host, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command("redis-server", "--bind", host, "--port", port, "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redistest: start: %v", err)
	}
	s.await()
}

// await returns once the server has read its files and answers.
func (s *Server) await() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if answer, err := ask(ctx, s.addr, "PING"); err == nil && answer[0] == "+PONG" {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("redistest: no answer from %s within %v", s.addr, patience)
		case <-tick.C:
		}
	}
}

// borrow takes an empty logical database of a server that is not ours, from 15
// down to 1, and empties it again after the test.
func borrow(t testing.TB, at string) *Server {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "redis" {
		t.Fatalf("redistest: REDIS_URL must look like redis://host:port: %v", err)
	}
	login := []string{}
	if pass, ok := u.User.Password(); ok {
		login = append(login, strings.TrimSpace("AUTH "+u.User.Username()+" "+pass))
	}
	for db := 15; db > 0; db-- {
		lines := append(login, fmt.Sprintf("SELECT %d", db), "DBSIZE", "SET herald:test 1 NX EX 300")
		answers, err := ask(t.Context(), u.Host, lines...)
		if err != nil {
			t.Fatalf("redistest: %s: %v", u.Host, err)
		}
		size, taken := answers[len(answers)-2], answers[len(answers)-1]
		if size != ":0" || taken != "+OK" {
			continue // somebody has data there, or another test has it
		}
		t.Cleanup(func() {
			_, _ = ask(context.Background(), u.Host, append(login, fmt.Sprintf("SELECT %d", db), "FLUSHDB")...)
		})
		u.Path = fmt.Sprintf("/%d", db)
		return &Server{t: t, url: u.String(), addr: u.Host}
	}
	t.Fatalf("redistest: no database of %s is empty and free", u.Host)
	return nil
}

// ask sends inline commands over a connection of its own and returns the first
// line of each answer.
func ask(ctx context.Context, addr string, commands ...string) ([]string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("redistest: dial: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a fresh connection takes a deadline
	}
	r := bufio.NewReader(conn)
	answers := make([]string, 0, len(commands))
	for _, c := range commands {
		if _, err := fmt.Fprintf(conn, "%s\r\n", c); err != nil {
			return nil, fmt.Errorf("redistest: write: %w", err)
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("redistest: read: %w", err)
		}
		answers = append(answers, strings.TrimSpace(line))
	}
	return answers, nil
}

func freeAddr(t testing.TB) string {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}
