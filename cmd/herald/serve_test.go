package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/providers/sandbox"
)

// installedKey seals the credentials of an installation.
const installedKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// installation is Herald as it runs for real: roles in processes of their own,
// over a Redis and a database that they share.
type installation struct {
	t      *testing.T
	redis  *redistest.Server
	config string
	// database is where the devices are kept; see installedKey.
	database string
	vendor   *sandbox.Sandbox
	api      *program
	herald   *client.Client
	began    int // processes
}

// install starts Redis, the vendors and a process with the role api, and
// registers devices, from d0 on. More is further lines of its configuration.
func install(t *testing.T, devices int, more ...string) *installation {
	t.Helper()
	in := &installation{
		t: t, redis: redistest.Start(t), config: filepath.Join(t.TempDir(), "herald.yaml"),
		database: "sqlite:" + filepath.Join(t.TempDir(), "herald.db"),
	}
	config := fmt.Sprintf("listen: 127.0.0.1:0\nredis: {url: %q}\ndatabase: {url: %q}\nsealing: {key: %q}\nlongconn: {tcp: \"127.0.0.1:0\", websocket: \"\"}\n",
		in.redis.URL(), in.database, installedKey)
	config += strings.Join(more, "\n") + "\n"
	if err := os.WriteFile(in.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if in.vendor, err = sandbox.New(sandbox.Config{Devices: 2 * max(devices, 4096)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- in.vendor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("sandbox: %v", err)
		}
	})

	in.must("app", "create", "shop", "-c", in.config)
	key := in.must("key", "create", "--app", "shop", "--scopes", "admin", "-c", in.config)
	in.api = in.start("api")
	in.herald = &client.Client{Key: key, HTTP: &http.Client{Timeout: 20 * time.Second}}
	in.ask(in.api)
	if _, err := in.herald.PutCredentials(t.Context(), "shop", "apns", in.vendor.Credentials("apns")); err != nil {
		t.Fatal(err)
	}
	in.register(devices)
	return in
}

// ask makes a process with the role api the one that is asked from now on.
func (in *installation) ask(p *program) { in.herald.URL = "http://" + in.listens(p) }

func (in *installation) must(args ...string) string {
	in.t.Helper()
	cmd := herald(in.t.Context(), args...)
	out, err := cmd.Output()
	if err != nil {
		in.t.Fatalf("herald %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// start starts a process with a role and returns once it is up.
func (in *installation) start(role string) *program {
	in.t.Helper()
	in.began++
	data := filepath.Join(filepath.Dir(in.config), fmt.Sprintf("data-%d", in.began))
	p := launchIn(in.t, data, []string{"HERALD_DATA=" + data}, "serve", "--config", in.config, "--roles", role)
	in.listens(p)
	return p
}

// listens is the address that a process says it listens on.
func (in *installation) listens(p *program) (addr string) {
	in.t.Helper()
	says := regexp.MustCompile(`herald is up.*listen=(\S+)`)
	eventually(in.t, 60*time.Second, "herald serve is up", func() error {
		found := says.FindStringSubmatch(p.out.String())
		if found == nil {
			return errors.New(p.out.String())
		}
		addr = found[1]
		return nil
	})
	return addr
}

func (in *installation) register(devices int) {
	in.t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range devices {
		group.Go(func() error {
			id := fmt.Sprintf("d%d", i)
			_, err := in.herald.PutDevice(in.t.Context(), client.Device{
				ID: id, Platform: "ios", Maker: "Apple", Country: "DE",
				Addresses: []client.Address{{Provider: "apns", Token: apnsToken(id)}},
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		in.t.Fatal(err)
	}
}

// allDone waits until every delivery of these notifications was accepted by
// the vendor.
func (in *installation) allDone(ids []string, within time.Duration) {
	in.t.Helper()
	left := ids
	eventually(in.t, within, "every notification has its outcome", func() error {
		var mu sync.Mutex
		var open []string
		var group errgroup.Group
		group.SetLimit(16)
		var last client.Progress
		for _, id := range left {
			group.Go(func() error {
				p, err := in.herald.Progress(in.t.Context(), id)
				if err != nil {
					return err
				}
				if p.State != client.Done || p.Counts.Accepted != p.Counts.Deliveries {
					mu.Lock()
					defer mu.Unlock()
					open, last = append(open, id), p
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if left = open; len(left) > 0 {
			return fmt.Errorf("%d of %d are open, such as %+v", len(left), len(ids), last)
		}
		return nil
	})
}

func TestWorkersKilledInTheMiddleLoseAndRepeatNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute: asynq hands a dead worker's tasks over when their lease has run out")
	}
	t.Parallel()
	const devices, each = 2500, 8 // the sandbox keeps the last 8 messages of a device
	in := install(t, devices)
	var shown atomic.Int64
	defer in.vendor.OnShow(func(sandbox.Message) { shown.Add(1) })()
	if err := in.vendor.Set("apns", sandbox.Settings{LatencyMs: 20, JitterMs: 20}); err != nil {
		t.Fatal(err)
	}

	ids := in.sendBatches(devices, each)
	for _, share := range []int64{1, 2} {
		worker := in.start("worker")
		eventually(t, time.Minute, "the worker is in the middle of it", func() error {
			if n := shown.Load(); n < share*devices*each/4 {
				return fmt.Errorf("%d shown", n)
			}
			return nil
		})
		worker.kill()
	}
	in.start("worker")
	in.allDone(ids, 4*time.Minute)

	for i := range devices {
		messages := map[string]bool{}
		for _, m := range in.vendor.Shows("apns", apnsToken(fmt.Sprintf("d%d", i))) {
			messages[m.Data["herald_notification"]] = true
			if m.Collapse == "" {
				t.Fatalf("a message has no id to replace it by: %+v", m)
			}
		}
		shows := in.vendor.Shows("apns", apnsToken(fmt.Sprintf("d%d", i)))
		if len(shows) != each || len(messages) != each {
			t.Errorf("device d%d shows %d messages of %d notifications, want %d of %d", i, len(shows), len(messages), each, each)
		}
	}
	t.Logf("%d notifications, %d requests to the vendor", devices*each, shown.Load())
}

// sendBatches sends each device its notifications, by the thousand.
func (in *installation) sendBatches(devices, each int) (ids []string) {
	in.t.Helper()
	var batch []client.Notification
	flush := func() {
		results, err := in.herald.Batch(in.t.Context(), batch)
		if err != nil {
			in.t.Fatal(err)
		}
		for _, r := range results {
			if r.Status != http.StatusAccepted {
				in.t.Fatalf("item %d: %+v", r.Index, r.Problem)
			}
			ids = append(ids, r.ID)
		}
		batch = batch[:0]
	}
	for n := range each {
		for d := range devices {
			batch = append(batch, client.Notification{
				ID: fmt.Sprintf("n%d-%d", d, n), To: client.Audience{Device: fmt.Sprintf("d%d", d)}, Title: "Hi",
			})
			if len(batch) == 1000 {
				flush()
			}
		}
	}
	if len(batch) > 0 {
		flush()
	}
	return ids
}

func TestRedisRestartedUnderLoadLosesNothingAccepted(t *testing.T) {
	t.Parallel()
	in := install(t, 10)
	in.start("worker")
	impatient := *in.herald
	impatient.Tries = 1

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	var accepted []string
	refusals := map[int]int{}
	var senders errgroup.Group
	for s := range 4 {
		senders.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				n := client.Notification{ID: fmt.Sprintf("load-%d-%d", s, i), To: client.Audience{Device: fmt.Sprintf("d%d", i%10)}, Title: "load"}
				_, err := impatient.Send(t.Context(), n)
				var problem *client.Problem
				mu.Lock()
				switch {
				case err == nil:
					accepted = append(accepted, n.ID)
				case errors.As(err, &problem):
					refusals[problem.Status]++
				default:
					mu.Unlock()
					return err
				}
				mu.Unlock()
			}
			return nil
		})
	}
	count := func() (n, refused int) {
		mu.Lock()
		defer mu.Unlock()
		return len(accepted), refusals[http.StatusServiceUnavailable]
	}
	more := func(what string, than int) {
		eventually(t, time.Minute, what, func() error {
			if n, _ := count(); n < than {
				return fmt.Errorf("%d accepted", n)
			}
			return nil
		})
	}
	more("load before", 200)
	in.redis.Kill()
	eventually(t, time.Minute, "the API answers 503", func() error {
		if _, refused := count(); refused == 0 {
			return errors.New("no 503 yet")
		}
		return nil
	})
	in.redis.Restart()
	before, _ := count()
	more("load afterwards", before+200)
	stop()
	if err := senders.Wait(); err != nil {
		t.Fatal(err)
	}
	for status := range refusals {
		if status != http.StatusServiceUnavailable {
			t.Errorf("%d answers were %d, want 503 alone", refusals[status], status)
		}
	}
	in.allDone(accepted, 3*time.Minute)
}

func TestServeStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	in := install(t, 1)
	both := in.start("worker,conn")
	in.allDone(in.sendBatches(1, 3), time.Minute)
	for _, p := range []*program{both, in.api} {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			t.Fatal("herald serve did not end within a minute of SIGTERM")
		}
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("herald serve ended with %d", code)
		}
	}
}

func TestDoctorSaysWhatIsWrong(t *testing.T) {
	redis := redistest.Start(t)
	good := fmt.Sprintf("redis: {url: %q}\ndatabase: {url: %q}\nsealing: {key: %q}\ndata: %q\n",
		redis.URL(), "sqlite:"+filepath.Join(t.TempDir(), "herald.db"), strings.Repeat("0123456789abcdef", 4), t.TempDir())
	tests := map[string]struct {
		config string
		code   int
		want   []string
	}{
		"all is well": {good, 0, []string{"ok    config", "ok    redis", "ok    redis file", "ok    database", "warn  clickhouse"}},
		"nothing is there": {
			"redis: {url: \"redis://127.0.0.1:1\"}\ndatabase: {url: \"postgres://127.0.0.1:1/x\"}\nsealing: {key: short}\n", 1,
			[]string{"FAIL  redis", "FAIL  sealing", "→ start it"},
		},
		"a typing mistake": {good + "selektor: {}\n", 1, []string{"FAIL  config      selektor: unknown key"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, _ := herald(t.Context(), "doctor", "-c", writeConfig(t, tt.config)).CombinedOutput()
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("doctor says\n%s\nwant %q in it", out, want)
				}
			}
			if failed := strings.Contains(string(out), "to mend"); failed != (tt.code != 0) {
				t.Errorf("doctor says\n%s\nwant exit code %d", out, tt.code)
			}
		})
	}
}
