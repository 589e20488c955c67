//go:build unix

package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Guard is the life of the process between Herald and the program: it takes
// the lock, runs args and ends them when leash closes or a signal comes. It
// returns the exit code to leave with.
func Guard(lock string, args []string, leash io.Reader) (int, error) {
	if len(args) == 0 {
		return 2, errors.New("child: no program to run")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	ctx, loose := context.WithCancel(ctx)
	defer loose()
	go func() {
		_, _ = io.Copy(io.Discard, leash) // ends when Herald does
		loose()
	}()

	held, err := acquire(ctx, lock)
	if err != nil {
		return 1, err
	}
	defer held.Close()
	return run(ctx, held, args)
}

// run runs the program until it ends or ctx does.
func run(ctx context.Context, held *os.File, args []string) (int, error) {
	// The kernel ties "die with your parent" to the thread that forked.
	runtime.LockOSThread()
	//nolint:noctx // a context would kill at once; run asks politely first
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// The program inherits the lock: it stays held while anything of the
	// program lives, even if this guard is killed.
	cmd.ExtraFiles = []*os.File{held}
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("child: start %s: %w", args[0], err)
	}
	if err := write(held, cmd.Process.Pid); err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return 1, err
	}

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what it says is in ProcessState too
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(grace):
		}
		// Whatever the program forked and left behind goes too.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// acquire takes the lock, waiting for the program of an earlier Herald to end.
// One that takes longer than its own grace has lost its guard: acquire ends it.
func acquire(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	patience := time.Now().Add(grace + 2*time.Second)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("child: lock %s: %w", path, err)
		}
		if time.Now().After(patience) {
			if pid := read(path); pid > 1 {
				_ = syscall.Kill(-pid, syscall.SIGKILL)
			}
			patience = time.Now().Add(grace)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("child: wait for %s: %w", path, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// write leaves the program's pid in its lock file, for whoever waits for it.
func write(f *os.File, pid int) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("child: write pid: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(pid)+"\n"), 0); err != nil {
		return fmt.Errorf("child: write pid: %w", err)
	}
	return nil
}

func read(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}
