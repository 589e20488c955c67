//go:build unix

package child

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play the guard, and the Herald that is killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 4 && os.Args[1] == "child":
		code, err := Guard(os.Args[3], os.Args[5:], os.Stdin)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	case len(os.Args) > 2 && os.Args[1] == "herald":
		_ = New(sleeper(os.Args[2]), slog.New(slog.DiscardHandler)).Run(context.Background())
	default:
		os.Exit(m.Run())
	}
}

// sleeper is a program that lives until it is told to end.
func sleeper(dir string) Program {
	return Program{Name: "sleeper", Dir: dir, Args: []string{"sleep", "600"}}
}

func TestProgramEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(sleeper(dir), slog.New(slog.DiscardHandler)).Run(ctx) }()

	pid := waitForPid(t, dir, 0)
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("Run() = %v", err)
	}
	if alive(pid) {
		t.Errorf("program %d still runs after Run has returned", pid)
	}
}

func TestProgramDiesWhenHeraldIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	herald := exec.CommandContext(t.Context(), os.Args[0], "herald", dir)
	if err := herald.Start(); err != nil {
		t.Fatal(err)
	}
	pid := waitForPid(t, dir, 0)
	if err := herald.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = herald.Wait()
	eventually(t, "program dead", func() bool { return !alive(pid) })
}

func TestFreshStartWaitsForTheDyingOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// The first program needs a moment to end, as a server writing out its
	// files does; it appends a line when it has.
	ended := filepath.Join(dir, "ended")
	slow := Program{Name: "sleeper", Dir: dir, Args: []string{
		"sh", "-c", "trap 'sleep 0.3; echo done >>" + ended + "; exit' TERM; while :; do sleep 0.02; done",
	}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _ = New(slow, slog.New(slog.DiscardHandler)).Run(ctx) }()
	first := waitForPid(t, dir, 0)
	cancel()

	ctx, cancel = context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = New(sleeper(dir), slog.New(slog.DiscardHandler)).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	waitForPid(t, dir, first)
	if _, err := os.Stat(ended); err != nil {
		t.Errorf("the second program started before the first had ended: %v", err)
	}
}

func TestProgramThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = New(sleeper(dir), slog.New(slog.DiscardHandler)).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	first := waitForPid(t, dir, 0)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitForPid(t, dir, first)
}

func TestReadyTellsWhyTheProgramDoesNotStart(t *testing.T) {
	t.Parallel()
	c := New(Program{Name: "broken", Dir: t.TempDir(), Args: []string{
		"sh", "-c", "echo no such option >&2; exit 3",
	}}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }()
	defer func() { cancel(); <-done }()

	err := c.Ready(ctx, func(context.Context) error { return errors.New("connection refused") })
	if err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("Ready() = %v, want the program's last words", err)
	}
}

// Not parallel: a program that another test starts has all our files open for
// the moment between fork and exec, and with them the lock.
func TestLockNamesTheProcessThatHasIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "herald.lock")
	held, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	var taken *TakenError
	if _, err := Lock(path); !errors.As(err, &taken) || taken.PID != os.Getpid() {
		t.Errorf("second Lock() = %v, want a TakenError with pid %d", err, os.Getpid())
	}
	held.Close()
	again, err := Lock(path)
	if err != nil {
		t.Fatalf("Lock() after release = %v", err)
	}
	again.Close()
}

// waitForPid waits until the lock file names a program other than old.
func waitForPid(t *testing.T, dir string, old int) (pid int) {
	t.Helper()
	eventually(t, "program started", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "sleeper.lock"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return pid != 0 && pid != old && alive(pid)
	})
	return pid
}

// alive tells whether a process runs. One that has ended and that nobody has
// asked about yet (a zombie, in containers without an init) does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err != nil || !strings.HasPrefix(rest, "Z")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}
