//go:build unix

// Package child runs programs that must never outlive Herald: a Redis or a
// ClickHouse that `herald dev` started.
//
// Between Herald and the program stands a guard, a small process that waits on
// a pipe from Herald. When Herald ends in whatever way, kill -9 included, the
// kernel closes the pipe, and the guard ends the program. A lock file in the
// program's folder is held for the program's life, so the next Herald waits
// for a dying one instead of opening its files beside it.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is how long a program may take to end after TERM before it is killed.
// Redis writes out its append-only file and ClickHouse its last part in it.
const grace = 10 * time.Second

// Program is what to run.
type Program struct {
	Name string   // for logs and file names, such as "redis"
	Args []string // the program and its arguments; no secrets, they show in ps
	Env  []string // added to Herald's own environment; may hold secrets
	Dir  string   // the program's own folder: gets <name>.lock and <name>.log

	// Guard is the command line that ends up in [Guard]. Nil means this
	// executable with the argument "child".
	Guard []string
}

// Child keeps one program running.
type Child struct {
	program Program
	log     *slog.Logger

	mu    sync.Mutex
	exits int   // how often the program ended while it should have run
	last  error // why, the last time
}

// New returns a child that runs once [Child.Run] is called.
func New(p Program, log *slog.Logger) *Child {
	return &Child{program: p, log: log.With("child", p.Name)}
}

// Run starts the program and starts it again, with backoff, whenever it ends.
// When ctx ends it ends the program and returns nil.
func (c *Child) Run(ctx context.Context) error {
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second
	wait := shortest
	for {
		started := time.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.note(err)
		c.log.WarnContext(ctx, "child ended and is started again", "err", err, "after", wait)
		if time.Since(started) > longest {
			wait = shortest
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
}

// once runs the program a single time and returns why it ended.
func (c *Child) once(ctx context.Context) error {
	logFile, err := c.openLog()
	if err != nil {
		return err
	}
	defer logFile.Close()

	guard := c.program.Guard
	if guard == nil {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("child: find this executable: %w", err)
		}
		guard = []string{self, "child"}
	}
	args := append(guard[1:len(guard):len(guard)], "--lock", c.path(".lock"), "--")
	//nolint:noctx // the guard ends when its leash closes, and ends the program first
	cmd := exec.Command(guard[0], append(args, c.program.Args...)...)
	cmd.Env = append(os.Environ(), c.program.Env...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// A group of its own: Ctrl-C in a terminal reaches Herald alone, which
	// then ends its children in the right order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	leash, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("child: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("child: start %s: %w", c.program.Name, err)
	}
	defer context.AfterFunc(ctx, func() { leash.Close() })()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("child: %s: %w%s", c.program.Name, err, tail(logFile.Name()))
	}
	return fmt.Errorf("child: %s ended by itself%s", c.program.Name, tail(logFile.Name()))
}

// Ready polls probe until it returns nil. It gives up when ctx ends or when
// the program has ended three times, and then tells the last reason.
func (c *Child) Ready(ctx context.Context, probe func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		if last := c.gaveUp(3); last != nil {
			return last
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("child: %s does not answer: %w", c.program.Name, err)
		case <-tick.C:
		}
	}
}

func (c *Child) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exits++
	c.last = err
}

func (c *Child) gaveUp(after int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exits < after {
		return nil
	}
	return c.last
}

func (c *Child) path(suffix string) string {
	return filepath.Join(c.program.Dir, c.program.Name+suffix)
}

// openLog opens the program's log for appending. One that has grown past 10 MB
// starts anew, so a folder used for months does not fill the disk.
func (c *Child) openLog() (*os.File, error) {
	if err := os.MkdirAll(c.program.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	path, flags := c.path(".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY
	if info, err := os.Stat(path); err == nil && info.Size() > 10<<20 {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	return f, nil
}

// tail returns the last lines of a log for an error message.
func tail(path string) string {
	const most = 1 << 10
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	lines := strings.Split(string(bytes.TrimSpace(b)), "\n")
	lines = lines[max(0, len(lines)-3):]
	return "; its last words: " + strings.Join(lines, " | ")
}
