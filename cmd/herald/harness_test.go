package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
)

// asProgram makes the test binary the program itself: the tests below start it
// as people do, and it starts itself for its children.
const asProgram = "HERALD_TEST_AS_PROGRAM"

// howToGet the programs that the tests run.
const howToGet = "make test installs it on Debian"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:], streams{os.Stdout, os.Stderr}))
	}
	clickhousetest.Main(m)
}

// program is a running `herald dev`.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	dir   string
	out   *safeBuffer
	done  chan struct{} // closed when it has ended
	facts facts
}

// startDev starts `herald dev` on dir with free ports and returns once it is
// ready. Whatever is left of it after the test is killed.
func startDev(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	p := launch(t, dir, append([]string{
		"dev", "--data", dir, "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--websocket", "127.0.0.1:0",
	}, args...)...)
	p.waitReady()
	return p
}

// launch starts the program without waiting for anything.
func launch(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	return launchIn(t, dir, nil, args...)
}

// launchIn starts the program with more in its environment.
func launchIn(t *testing.T, dir string, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, dir: dir, out: new(safeBuffer), done: make(chan struct{})}
	p.cmd = herald(context.WithoutCancel(t.Context()), args...)
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // what it says is in ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // ended already, if all went well
		<-p.done
		p.awaitChildren()
		if t.Failed() {
			t.Logf("herald %s said:\n%s", strings.Join(args, " "), p.out)
		}
	})
	return p
}

// herald is a command of the program.
func herald(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "REDIS_URL=", "CLICKHOUSE_URL=")
	return cmd
}

// waitReady waits for the banner, which is printed last. dev.json alone may
// still be that of a Herald that was killed.
func (p *program) waitReady() {
	p.t.Helper()
	eventually(p.t, 60*time.Second, "herald dev is ready", func() error {
		select {
		case <-p.done:
			p.t.Fatalf("herald dev ended: %v\n%s", p.cmd.ProcessState, p.out)
		default:
		}
		if !strings.Contains(p.out.String(), "Ctrl-C ends it") {
			return errors.New("no banner yet")
		}
		f, err := readFacts(p.dir)
		p.facts = f
		return err
	})
}

// stop asks the program to end and checks that it does so in good order.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		p.t.Fatal("herald did not end within a minute of Ctrl-C")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("herald ended with exit code %d\n%s", code, p.out)
	}
}

// awaitChildren waits for the servers of a Herald that was killed: their guards
// end them, and until then they write in the folder that the test removes.
func (p *program) awaitChildren() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for orphans(p.dir) != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// kill ends the program as a crash would.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.done
}

// run runs another command of Herald's against this one and returns what it
// printed.
func (p *program) run(args ...string) string {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("herald %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (p *program) try(args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := herald(p.t.Context(), append(args, "--data", p.dir)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// call makes a request of the API and decodes a JSON answer into into, if that
// is not nil. It returns the status, or 0 if there was no answer.
func (p *program) call(method, path string, body, into any) int {
	p.t.Helper()
	status, err := call(p.t.Context(), p.facts.URL, p.facts.APIKey, method, path, body, into)
	if err != nil {
		p.t.Logf("%s %s: %v", method, path, err)
	}
	return status
}

func call(ctx context.Context, url, key, method, path string, body, into any) (int, error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url+path, reader)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if into != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(b, into); err != nil {
			return res.StatusCode, fmt.Errorf("%w in %s", err, b)
		}
	}
	if res.StatusCode >= 400 {
		return res.StatusCode, fmt.Errorf("%s: %s", res.Status, b)
	}
	return res.StatusCode, nil
}

// eventually polls until ok returns nil.
func eventually(t *testing.T, within time.Duration, what string, ok func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s: %v", within, what, err)
		case <-tick.C:
		}
	}
}

// orphans lists the children of a Herald on dir that still live: the pids in
// their lock files are those of the programs.
func orphans(dir string) error {
	var left []string
	for _, name := range []string{"redis", "clickhouse"} {
		pid := childPid(dir, name)
		if pid > 0 && alive(pid) {
			left = append(left, fmt.Sprintf("%s (%d)", name, pid))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("still running: %s", strings.Join(left, ", "))
	}
	return nil
}

// childPid is the process id of a child of the Herald on dir; 0 if it has none.
func childPid(dir, name string) int {
	b, err := os.ReadFile(filepath.Join(dir, name, name+".lock"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// alive tells whether a process runs. One that has ended and that nobody has
// asked about yet (a zombie, in containers without an init) does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) || runtime.GOOS != "linux"
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// safeBuffer is a bytes.Buffer that may be read while a program writes to it.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// deviceBody is a device with one address of a form that its vendor takes.
func deviceBody(id, provider string) map[string]any {
	sum := sha256.Sum256([]byte(id))
	token := map[string]string{
		"apns": apnsToken(id),
		"fcm":  "test:" + hex.EncodeToString(sum[:]),
		"sms":  fmt.Sprintf("+1555%07d", binary.BigEndian.Uint32(sum[:])%10_000_000),
		"live": id,
	}[provider]
	return map[string]any{
		"platform": "ios", "maker": "Apple", "country": "DE",
		"addresses": []map[string]string{{"provider": provider, "token": token}},
	}
}

// apnsToken is a device token of the form that APNs takes.
func apnsToken(device string) string {
	sum := sha256.Sum256([]byte(device))
	return hex.EncodeToString(sum[:])
}
