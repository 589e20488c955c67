package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/chdb"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

// The tenants of the benchmarks: one that has all the devices, and a small one
// beside it.
const (
	app          = "bench"
	small        = "small"
	smallDevices = 1000
)

// stack is a whole installation on this machine, each part a process of its
// own, so that the system's own books say where the time goes.
type stack struct {
	dir     string
	herald  string // the program
	procs   []*process
	api     *caller
	beside  *caller // the small app's
	redis   string
	control string // the sandbox's control API
	record  string // ClickHouse, for counting what has arrived there
}

// process is one part of the stack.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when the part has ended
	err  error         // how it ended; to be read once done is closed
}

// start brings a stack up on an empty folder with the given devices
// registered, and some at FCM beside them. Whoever calls it owes a stop.
func start(ctx context.Context, herald, dir, fsync string, devices int) (_ *stack, err error) {
	s := &stack{dir: dir, herald: herald}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if err := s.folders("redis", "clickhouse", "sandbox", "api", "worker"); err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 5)
	if err != nil {
		return nil, err
	}
	redis, click, control, door, worker := ports[0], ports[1], ports[2], ports[3], ports[4]

	s.redis = "redis://127.0.0.1:" + redis + "/0"
	keys, err := s.seed(ctx, map[string]int{app: devices, small: smallDevices})
	if err != nil {
		return nil, err
	}
	password := rand.Text()
	env := []string{
		"HERALD_REDIS_URL=" + s.redis,
		"HERALD_DATABASE_URL=sqlite:" + filepath.Join(dir, "herald.db"),
		"HERALD_SEALING_KEY_FILE=" + filepath.Join(dir, "herald.key"),
		"HERALD_LOG_LEVEL=warn",
		"HERALD_CLICKHOUSE_PASSWORD=" + password,
	}
	if _, err := chdb.Find(); err == nil {
		s.record = "http://127.0.0.1:" + click + "/?user=default&password=" + password
		env = append(env, "HERALD_CLICKHOUSE_URL=http://default:"+password+"@127.0.0.1:"+click+"/default")
		if err := s.run(ctx, "clickhouse", env, herald, "clickhouse", "--data", filepath.Join(dir, "clickhouse", "store"), "--listen", "127.0.0.1:"+click); err != nil {
			return nil, err
		}
	}
	if err := s.run(ctx, "redis", nil, "redis-server", "--port", redis, "--bind", "127.0.0.1", "--dir", filepath.Join(dir, "redis"),
		"--appendonly", "yes", "--appendfsync", fsync, "--save", ""); err != nil {
		return nil, err
	}
	if err := s.run(ctx, "sandbox", nil, herald, "sandbox", "--control", control, "--dir", filepath.Join(dir, "sandbox")); err != nil {
		return nil, err
	}
	for _, port := range []string{redis, control} {
		if err := s.await(ctx, port); err != nil {
			return nil, err
		}
	}
	if s.record != "" {
		if err := s.migrate(ctx, click, env); err != nil {
			return nil, err
		}
	}
	if err := s.serve(ctx, env, map[string]string{"api": door, "worker": worker}); err != nil {
		return nil, err
	}
	s.control = "http://127.0.0.1:" + control
	s.api = newCaller("http://127.0.0.1:"+door, keys[app], 64)
	s.beside = newCaller("http://127.0.0.1:"+door, keys[small], 64)
	return s, s.credentials(ctx)
}

// folders makes a folder for each part.
func (s *stack) folders(names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	return nil
}

// migrate waits for ClickHouse and makes its tables.
func (s *stack) migrate(ctx context.Context, port string, env []string) error {
	if err := s.await(ctx, port); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, s.herald, "migrate")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bench: migrate: %w\n%s", err, out)
	}
	return nil
}

// serve starts Herald, a process for each role, on the role's port.
func (s *stack) serve(ctx context.Context, env []string, ports map[string]string) error {
	for role, port := range ports {
		mine := append([]string{"HERALD_LISTEN=127.0.0.1:" + port, "HERALD_DATA=" + filepath.Join(s.dir, role)}, env...)
		if err := s.run(ctx, role, mine, s.herald, "serve", "--roles", role); err != nil {
			return err
		}
	}
	for _, port := range ports {
		if err := s.await(ctx, port); err != nil {
			return err
		}
	}
	return nil
}

// seed makes the database: the apps, a key for each, and their devices.
func (s *stack) seed(ctx context.Context, apps map[string]int) (keys map[string]string, err error) {
	sealing, err := seal.LoadOrCreate(filepath.Join(s.dir, "herald.key"))
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(s.dir, "herald.db"), sealing, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer store.Close()
	keys = make(map[string]string, len(apps))
	for app, devices := range apps {
		if err := store.PutApp(ctx, push.App{ID: app, Name: "Benchmark"}); err != nil {
			return nil, err
		}
		if err := register(ctx, store, app, devices, iPhone); err != nil {
			return nil, err
		}
		if err := register(ctx, store, app, googleDevices, pixel); err != nil {
			return nil, err
		}
		if keys[app], err = store.CreateKey(ctx, app, []string{"send", "read", "admin"}, "bench"); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func register(ctx context.Context, store *sqlstore.Store, app string, devices int, make func(app string, i int) *push.Device) error {
	const batch = 5000
	for at := 0; at < devices; at += batch {
		var part []*push.Device
		for i := at; i < min(devices, at+batch); i++ {
			part = append(part, make(app, i))
		}
		if _, err := store.PutDevices(ctx, app, part); err != nil {
			return err
		}
		if devices > 100_000 && at%100_000 == 0 {
			fmt.Fprintf(os.Stderr, "  registered %d of %d devices\n", at+len(part), devices)
		}
	}
	return nil
}

func iPhone(app string, i int) *push.Device {
	return &push.Device{
		App: app, ID: deviceID(i), User: "u" + strconv.Itoa(i), Platform: "ios", Maker: "apple", Country: "DE",
		Addresses: []push.Address{{Provider: "apns", Token: token(app, i)}},
	}
}

func pixel(app string, i int) *push.Device {
	return &push.Device{
		App: app, ID: googleID(i), User: "g" + strconv.Itoa(i), Platform: "android", Maker: "google", Country: "DE",
		Addresses: []push.Address{{Provider: "fcm", Token: fmt.Sprintf("%s%d:%0140d", app, i, i)}},
	}
}

// token is a device token of the form that APNs takes, of one app alone.
func token(app string, i int) string { return fmt.Sprintf("%016x%048x", len(app), i+1) }

func deviceID(i int) string { return "d" + strconv.Itoa(i) }

func googleID(i int) string { return "g" + strconv.Itoa(i) }

// credentials gives the apps the sandbox's.
func (s *stack) credentials(ctx context.Context) error {
	for _, provider := range []string{"apns", "fcm"} {
		secret, err := get(ctx, s.control+"/control/credentials/"+provider)
		if err != nil {
			return err
		}
		for app, caller := range map[string]*caller{app: s.api, small: s.beside} {
			if _, err := caller.do(ctx, http.MethodPut, "/v1/apps/"+app+"/providers/"+provider, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// latency has APNs answer after a time.
func (s *stack) latency(ctx context.Context, ms int) error {
	return s.settings(ctx, fmt.Sprintf(`{"latency_ms":%d}`, ms))
}

// settings are APNs' manners from now on.
func (s *stack) settings(ctx context.Context, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.control+"/control/vendors/apns/settings", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	_, err = fetch(req)
	return err
}

// accepted is how many messages APNs has taken since the start.
func (s *stack) accepted(ctx context.Context) (int, error) {
	answer, err := get(ctx, s.control+"/control/vendors/apns")
	if err != nil {
		return 0, err
	}
	var vendor struct {
		Counts struct {
			Accepted int `json:"accepted"`
		} `json:"counts"`
	}
	if err := json.Unmarshal(answer, &vendor); err != nil {
		return 0, fmt.Errorf("bench: sandbox: %w", err)
	}
	return vendor.Counts.Accepted, nil
}

// recorded is how many deliveries ClickHouse knows to have been accepted.
func (s *stack) recorded(ctx context.Context) (int, error) {
	return s.ask(ctx, "SELECT count() FROM receipts WHERE stage = 'accepted'")
}

// ask puts a question to ClickHouse that has a number for its answer.
func (s *stack) ask(ctx context.Context, query string) (int, error) {
	answer, err := s.query(ctx, query)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(answer)
	if err != nil {
		return 0, fmt.Errorf("bench: ClickHouse: %w", err)
	}
	return n, nil
}

func (s *stack) query(ctx context.Context, query string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.record, strings.NewReader(query))
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	answer, err := fetch(req)
	return strings.TrimSpace(string(answer)), err
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return fetch(req)
}

func fetch(req *http.Request) ([]byte, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if res.StatusCode >= 300 {
		return nil, fmt.Errorf("bench: %s: %s: %.200s", req.URL.Path, res.Status, b.Bytes())
	}
	return b.Bytes(), nil
}

// run starts a part. Its output goes to a file beside its data.
func (s *stack) run(ctx context.Context, name string, env []string, program string, args ...string) error {
	out, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("bench: start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	s.procs = append(s.procs, p)
	return nil
}

// await waits until somebody listens on a port, or a part has died.
func (s *stack) await(ctx context.Context, port string) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			return c.Close()
		}
		for _, p := range s.procs {
			select {
			case <-p.done:
				log, _ := os.ReadFile(filepath.Join(s.dir, p.name+".log"))
				return fmt.Errorf("bench: %s ended (%w):\n%s", p.name, p.err, log)
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("bench: nobody listens on port %s", port)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the parts in the order of the journey.
func (s *stack) stop() {
	for _, p := range slices.Backward(s.procs) {
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	s.procs = nil
}

// cpu is the processor time each part has used so far.
func (s *stack) cpu() map[string]time.Duration {
	used := make(map[string]time.Duration, len(s.procs))
	for _, p := range s.procs {
		used[p.name] = cpuOf(p.cmd.Process.Pid)
	}
	return used
}

// cpuOf reads a process's user and system time (proc(5), fields 14 and 15 of
// stat, in hundredths of a second); 0 where there is no /proc.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if errors.Join(err1, err2) != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// peakMemory is the most resident memory a part has had, in MiB.
func (s *stack) peakMemory(name string) float64 {
	for _, p := range s.procs {
		if p.name != name {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			return 0
		}
		for line := range strings.Lines(string(status)) {
			if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")))
				return float64(n) / 1024
			}
		}
	}
	return 0
}

func freePorts(ctx context.Context, n int) ([]string, error) {
	ports := make([]string, n)
	for i := range ports {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		defer ln.Close()
		_, ports[i], _ = net.SplitHostPort(ln.Addr().String())
	}
	return ports, nil
}

// run names are unique within a day, which is how long ids are remembered.
func runName() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
