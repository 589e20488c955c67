package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

const hello = `{"to":{"device":"d1"},"title":"Hi"}`

func TestConfigNamesEveryFault(t *testing.T) {
	err := Config{Rate: -1, Timeout: -1, WireTimeout: time.Second, Grace: 0}.Validate()
	for _, want := range []string{"api.rate", "api.timeout", "api.grace"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want a word about %s", err, want)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("DefaultConfig() is faulty: %v", err)
	}
	if err := (Config{Rate: 1, Burst: 10, Timeout: 1, WireTimeout: 1, Grace: 1}).Validate(); err == nil {
		t.Error("a burst below a full batch passes, and no full batch ever would")
	}
}

func TestNewNamesMissingParts(t *testing.T) {
	_, err := New(DefaultConfig(), Parts{})
	for _, part := range []string{"Queue", "Devices", "Apps", "Keys", "Credentials", "Deliveries", "Tokens"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("New() error = %v, want a word about %s", err, part)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	tests := map[string]struct {
		method, path string
		size         int
	}{
		"an 11 MB batch":          {"POST", "/v1/notifications:batch", 11 << 20},
		"an 11 MB notification":   {"POST", "/v1/notifications", 11 << 20},
		"a notification too long": {"POST", "/v1/notifications", maxNotification + 1},
		"an 11 MB device":         {"PUT", "/v1/devices/d1", 11 << 20},
		"11 MB of receipts":       {"POST", "/v1/receipts", 11 << 20},
		"11 MB of credentials":    {"PUT", "/v1/apps/demo/providers/apns", 11 << 20},
	}
	url := serveOn(t, open(t))
	for name, tt := range tests {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", name, chunked), func(t *testing.T) {
				var body io.Reader = bytes.NewReader(bytes.Repeat([]byte(" "), tt.size))
				if chunked {
					body = io.MultiReader(body) // hides the length
				}
				req, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+adminKey)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatalf("the answer was lost: %v", err)
				}
				defer res.Body.Close()
				raw, _ := io.ReadAll(res.Body)
				if res.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(raw), "body_too_large") {
					t.Errorf("answer = %d %s, want 413", res.StatusCode, raw)
				}
			})
		}
	}
	if got := open(t).ask("POST", "/v1/notifications", adminKey, hello, "Content-Encoding", "gzip"); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("a compressed body is answered %d, want 415", got.status)
	}
}

func TestAFullBodyIsTaken(t *testing.T) {
	pad := strings.Repeat(" ", maxNotification-len(hello))
	if got := open(t).ask("POST", "/v1/notifications", adminKey, hello+pad); got.status != http.StatusAccepted {
		t.Errorf("a body of exactly the limit is answered %d: %s", got.status, got.raw)
	}
}

func TestDeepJSONIsRefused(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for _, path := range []string{"/v1/notifications", "/v1/notifications:batch", "/v1/notifications:validate", "/v1/receipts"} {
		got := open(t).ask("POST", path, adminKey, deep)
		if got.status != http.StatusBadRequest || got.problem(t).Code != "json_too_deep" {
			t.Errorf("%s answers %d %s, want 400 json_too_deep", path, got.status, got.raw)
		}
	}
}

func TestPathsNobodyServes(t *testing.T) {
	tests := map[string]struct {
		method, path string
		status       int
	}{
		"no such path":             {"GET", "/v1/nothing", 404},
		"no such verb":             {"POST", "/v1/notifications:send", 404},
		"a verb asked with GET":    {"GET", "/v1/notifications:batch", 405},
		"a list of all to put":     {"PUT", "/v1/notifications", 405},
		"an escaped colon":         {"POST", "/v1/notifications%3Avalidate", 200},
		"a provider nobody has":    {"PUT", "/v1/apps/demo/providers/pigeon", 404},
		"credentials for live":     {"PUT", "/v1/apps/demo/providers/live", 404},
		"a callback nobody awaits": {"POST", "/v1/callbacks/apns", 404},
		"the root, with no page":   {"GET", "/", 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := open(t).ask(tt.method, tt.path, adminKey, hello)
			if got.status != tt.status {
				t.Errorf("status = %d, want %d: %s", got.status, tt.status, got.raw)
			}
			if tt.status >= 400 {
				got.problem(t)
			}
		})
	}
}

func TestRequestIDs(t *testing.T) {
	tests := map[string]struct {
		given string
		kept  bool
	}{
		"none":            {"", false},
		"a plain one":     {"req-17.a:b/c=+", true},
		"a line break":    {"a\nb", false},
		"much too long":   {strings.Repeat("x", 65), false},
		"a word in quote": {`"><script>`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := open(t).ask("GET", "/v1/nothing", "", "", "X-Request-Id", tt.given)
			id := got.header.Get("X-Request-Id")
			if (id == tt.given) != tt.kept || id == "" || got.problem(t).RequestID != id {
				t.Errorf("X-Request-Id = %q for %q, problem has %q", id, tt.given, got.problem(t).RequestID)
			}
		})
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	h := open(t)
	h.onEnqueue = func(context.Context, *push.Notification) error { panic("test: on purpose") }
	got := h.ask("POST", "/v1/notifications", sendKey, hello)
	if got.status != 500 || strings.Contains(got.raw, "on purpose") {
		t.Errorf("answer = %d %s, want a 500 without the cause", got.status, got.raw)
	}
	if log := h.log.String(); !strings.Contains(log, "on purpose") || !strings.Contains(log, "server_test.go") || !strings.Contains(log, got.problem(t).RequestID) {
		t.Errorf("the log lacks the cause, the stack or the request id: %s", log)
	}
}

func TestReadiness(t *testing.T) {
	ok := func(context.Context) error { return nil }
	tests := map[string]struct {
		checks map[string]Check
		status int
		want   string
	}{
		"all is there": {map[string]Check{"redis": ok, "queue": ok}, 200, `{"ready":true,"checks":[{"name":"queue","ok":true},{"name":"redis","ok":true}]}`},
		"redis is away": {
			map[string]Check{"redis": func(context.Context) error { return errors.New("redis does not answer") }, "queue": ok},
			503,
			`{"ready":false,"checks":[{"name":"queue","ok":true},{"name":"redis","ok":false,"detail":"redis does not answer"}]}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(_ *Config, p *Parts) { p.Checks = tt.checks })
			if got := h.ask("GET", "/readyz", "", ""); got.status != tt.status || strings.TrimSpace(got.raw) != tt.want {
				t.Errorf("answer = %d %s, want %d %s", got.status, got.raw, tt.status, tt.want)
			}
			if got := h.ask("GET", "/healthz", "", ""); got.status != 200 {
				t.Errorf("/healthz = %d, whatever is ready", got.status)
			}
		})
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	h := open(t)
	h.ask("POST", "/v1/notifications", sendKey, hello)
	h.ask("GET", "/v1/devices/d1", adminKey, "")
	h.ask("GET", "/v1/devices/d2", adminKey, "")
	got := h.ask("GET", "/metrics", "", "")
	for _, want := range []string{
		`herald_api_request_seconds_count{method="POST",route="/v1/notifications",status="202"} 1`,
		`herald_api_request_seconds_count{method="GET",route="/v1/devices/{device}",status="200"} 1`,
		`herald_api_request_seconds_count{method="GET",route="/v1/devices/{device}",status="404"} 1`,
	} {
		if !strings.Contains(got.raw, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	closed := open(t, func(c *Config, _ *Parts) { c.MetricsToken = "m3trics" })
	if got := closed.ask("GET", "/metrics", "", ""); got.status != 401 {
		t.Errorf("metrics with a token are shown to all: %d", got.status)
	}
	if got := closed.ask("GET", "/metrics", "m3trics", ""); got.status != 200 {
		t.Errorf("metrics with the right token: %d", got.status)
	}
}

func TestMounts(t *testing.T) {
	page := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	}
	h := open(t, func(_ *Config, p *Parts) {
		p.Mounts = map[string]http.Handler{"/": page("dashboard"), "/ops/queue/": page("queue")}
	})
	tests := map[string]string{
		"/": "dashboard", "/app.js": "dashboard", "/ops": "dashboard", "/ops/queue": "queue", "/ops/queue/x": "queue",
		"/ops/queues": "dashboard", "/v1x": "dashboard", "/healthz": "{\"status\":\"ok\"}\n",
	}
	for path, want := range tests {
		if got := h.ask("GET", path, "", ""); got.raw != want {
			t.Errorf("GET %s = %q, want %q", path, got.raw, want)
		}
	}
	if got := h.ask("GET", "/v1/nothing", "", ""); got.status != 404 || got.problem(t).Code != "not_found" {
		t.Errorf("a path of the API fell through to the dashboard: %s", got.raw)
	}
}

func TestRunLetsRequestsFinish(t *testing.T) {
	h := &house{world: newWorld()}
	arrived, proceed := make(chan struct{}), make(chan struct{})
	h.onEnqueue = func(context.Context, *push.Notification) error {
		close(arrived)
		<-proceed
		return nil
	}
	parts := h.furnish()
	ln := listen(t)
	parts.Listener = ln
	srv, err := New(DefaultConfig(), parts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()

	status := make(chan int, 1)
	go func() {
		req, _ := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, "http://"+ln.Addr().String()+"/v1/notifications", strings.NewReader(hello))
		req.Header.Set("Authorization", "Bearer "+sendKey)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	<-arrived
	cancel()
	close(proceed)
	if got := <-status; got != http.StatusAccepted {
		t.Errorf("a request on the way when shutdown began is answered %d, want 202", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Run() = %v, want nil after its context ended", err)
	}
}

func TestRunFailsWhenItCannotServe(t *testing.T) {
	ln := listen(t)
	_ = ln.Close()
	h := open(t, func(_ *Config, p *Parts) { p.Listener = ln })
	if err := h.Run(t.Context()); err == nil {
		t.Error("Run() = nil on a closed listener")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func serveOn(t *testing.T, h *house) (url string) {
	t.Helper()
	ln := listen(t)
	h.parts.Listener = ln
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}
