package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/client/live"
	"github.com/herald-push/herald/internal/need"
)

// jobsOf declares a business whose server is at url.
const jobsOf = `
app: demo
service: jobs
backends:
  agency: {url: "%s", allow_private: true, timeout_ms: 25000}
versions:
  1:
    deprecated: 2026-01-01
    sunset: 2099-12-31
    operations:
      search:
        input: {type: object, required: [q]}
        adapt: {version: "2", input: "{text: .q}", output: "[.jobs[].title]"}
  2:
    operations:
      search:
        input: {type: object, required: [text], properties: {text: {type: string}}}
        output: {type: object, required: [jobs]}
        call: {backend: agency, path: /positions, request: "{query: {text: .text, page: $page.number}}", response: "{jobs: [.items[] | {title: .t}]}"}
        pagination: {style: page, next: .more}
      echo:
        call: {backend: agency, path: /echo, response: .text}
      whoami:
        call: {backend: agency, path: /echo, request: "{query: {text: $caller.user}}", response: .text}
      gone:
        call: {backend: agency, path: /gone, errors: [{when: .status == 409, code: job_closed, status: 409}]}
      hang:
        call: {backend: agency, path: /hang}
`

// agency is the business's server. left hears of callers of /hang who left.
func agency(t *testing.T) (url string, left <-chan struct{}) {
	t.Helper()
	gone, end := make(chan struct{}, 16), make(chan struct{})
	answer := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /positions", func(w http.ResponseWriter, r *http.Request) {
		titles := map[string]string{"1": "Cook", "2": "Pastry cook"}
		page := r.URL.Query().Get("page")
		answer(w, http.StatusOK, map[string]any{"items": []map[string]string{{"t": titles[page]}}, "more": page == "1"})
	})
	mux.HandleFunc("GET /echo", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]string{"text": r.URL.Query().Get("text")})
	})
	mux.HandleFunc("GET /gone", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusConflict, map[string]string{"error": "CLOSED"})
	})
	mux.HandleFunc("GET /hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			gone <- struct{}{}
		case <-end:
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() { close(end); server.Close() })
	return server.URL, gone
}

// startWithJobs starts a Herald that knows the agency.
func startWithJobs(t *testing.T) (p *program, left <-chan struct{}) {
	t.Helper()
	url, left := agency(t)
	services := t.TempDir()
	if err := os.WriteFile(filepath.Join(services, "jobs.yaml"), fmt.Appendf(nil, jobsOf, url), 0o600); err != nil {
		t.Fatal(err)
	}
	return startDev(t, t.TempDir(), "--no-demo", "--services", services), left
}

// credentials registers a device of a user and gives what it connects with.
func (p *program) credentials(user, device string) map[string]string {
	p.t.Helper()
	p.person(user, device, "live")
	var token struct {
		Token     string `json:"token"`
		ExpiresAt string `json:"expires_at"`
	}
	p.call(http.MethodPost, "/v1/devices/"+device+"/token", nil, &token)
	return map[string]string{
		"url": p.facts.WebSocket, "client_id": device, "username": "demo/" + device, "password": token.Token, "expires_at": token.ExpiresAt,
	}
}

// TestBusinessesAnswerOverTheLiveConnection has devices of all kinds ask one
// business through a real Herald: the JavaScript client on MQTT.js, the Go
// client, a stock MQTT client of either version, and JSON over WebSocket.
func TestBusinessesAnswerOverTheLiveConnection(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	need.Program(t, "node", howToGet)
	rr := need.Program(t, "mosquitto_rr", howToGet)
	mqtt, err := filepath.Abs("../../longconn/testdata/mqttjs/node_modules/mqtt/build/index.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mqtt); err != nil {
		need.Missing(t, "MQTT.js is absent: npm ci --prefix longconn/testdata/mqttjs")
	}
	t.Parallel()
	p, left := startWithJobs(t)

	t.Run("the Go client", func(t *testing.T) { p.goClientCalls(t, left) })
	t.Run("the JavaScript client", func(t *testing.T) {
		arg, err := json.Marshal(map[string]any{"mqtt": mqtt, "device": p.credentials("ann", "ann-node")})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "node", "../../client/js/testdata/call.mjs", string(arg)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "ok") {
			t.Fatalf("%v: %s", err, out)
		}
	})
	t.Run("stock clients", func(t *testing.T) {
		c := p.credentials("eve", "eve-stock")
		host, port, _ := strings.Cut(strings.TrimPrefix(p.facts.MQTT, "mqtt://"), ":")
		for version, topics := range map[string][2]string{
			"mqttv5": {"services/jobs/whoami", "answers"}, "mqttv311": {"services/jobs/whoami/1", "answers/1"},
		} {
			out, err := exec.CommandContext(t.Context(), rr, "-V", version, "-h", host, "-p", port, "-W", "30", "-i", "eve-stock",
				"-u", c["username"], "-P", c["password"], "-t", topics[0], "-e", topics[1], "-m", `{"version":2}`).CombinedOutput()
			if err != nil || !strings.Contains(string(out), `"output":"eve"`) {
				t.Errorf("%s: %v: %s", version, err, out)
			}
		}
	})
	t.Run("the same answer over HTTP", func(t *testing.T) {
		var answer client.ServiceAnswer
		p.call(http.MethodPost, "/v1/services/jobs/search", map[string]any{"version": 1, "input": map[string]string{"q": "cook"}}, &answer)
		if string(answer.Output) != `["Cook"]` || answer.Deprecated == nil || answer.Deprecated.Use != 2 {
			t.Errorf("%+v", answer)
		}
	})
}

func (p *program) goClientCalls(t *testing.T, left <-chan struct{}) {
	t.Helper()
	g, stop := p.gadget("bob", strings.TrimPrefix(p.facts.MQTT, "mqtt://"), nil)
	got, err := g.Call(t.Context(), "jobs.search", client.ServiceCall{Version: 1, Input: map[string]string{"q": "cook"}})
	if err != nil || string(got.Output) != `["Cook"]` || got.Deprecated == nil || got.Deprecated.Sunset != "2099-12-31" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, want := range map[string]string{
		"jobs.gone": "409 job_closed", "jobs.fire": "404 unknown_operation", "nobody.home": "404 unknown_service", "jobs.search": "422 invalid_input",
	} {
		_, err := g.Call(t.Context(), name, client.ServiceCall{Version: 2})
		problem, ok := errors.AsType[*client.Problem](err)
		if !ok || fmt.Sprintf("%d %s", problem.Status, problem.Code) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	called := make(chan error, 1)
	go func() {
		_, err := g.Call(ctx, "jobs.hang", client.ServiceCall{Version: 2})
		called <- err
	}()
	eventually(t, 30*time.Second, "the call is under way", func() error { return p.underWay("agency") })
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	select {
	case <-left:
	case <-time.After(30 * time.Second):
		t.Error("the business is not told that the caller has left")
	}
	go func() {
		_, err := g.Call(t.Context(), "jobs.hang", client.ServiceCall{Version: 2})
		called <- err
	}()
	eventually(t, 30*time.Second, "the call is under way", func() error { return p.underWay("agency") })
	stop()
	if err := <-called; !errors.Is(err, live.ErrLost) {
		t.Errorf("lost: %v", err)
	}
}

// underWay is nil while a back end of the service jobs is being asked.
func (p *program) underWay(backend string) error {
	var state struct {
		Backends []struct {
			Backend  string
			UnderWay int `json:"under_way"`
		}
	}
	p.call(http.MethodGet, "/v1/gateway/services/jobs/state", nil, &state)
	for _, b := range state.Backends {
		if b.Backend == backend && b.UnderWay > 0 {
			return nil
		}
	}
	return fmt.Errorf("state %+v", state)
}

// TestABusinessHasItsPage looks at a service in a real browser: what was called,
// the last day as ClickHouse has it, and the playground.
func TestABusinessHasItsPage(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p, _ := startWithJobs(t)
	if p.facts.ClickHouse == "" {
		need.Missing(t, "no embedded ClickHouse; scripts/chdb.sh installs it")
	}
	for _, text := range []string{"cook", "nurse"} {
		p.call(http.MethodPost, "/v1/services/jobs/search", map[string]any{"version": 2, "input": map[string]string{"text": text}}, nil)
	}
	p.call(http.MethodPost, "/v1/services/jobs/gone", map[string]any{"version": 2}, nil)
	page := startBrowser(t)
	run := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(page, steps...); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(script string) func() error {
		return func() error {
			ok, err := chromedp.Run(page, chromedp.Evaluate[bool](script))
			if err != nil || !ok {
				return fmt.Errorf("%s is %v: %w", script, ok, err)
			}
			return nil
		}
	}
	run(chromedp.Navigate(p.facts.Dashboard))
	eventually(t, 60*time.Second, "the last day is drawn, of three calls of which one failed", func() error {
		run(chromedp.Navigate(p.facts.URL + "/services/jobs?try=2+search"))
		return shows(`!!document.querySelector("svg.hours[aria-label^='3 calls in the last day, 1 of them failed']")`)()
	})
	if err := shows(`document.querySelector("#follow").textContent.includes("job_closed 1")`)(); err != nil {
		t.Error(err)
	}
	run(chromedp.SetValue(`textarea[name=input]`, `{"text": "cook"}`),
		chromedp.SetValue(`textarea[name=answers]`, `{"": {"status": 200, "body": {"items": [{"t": "Cook"}], "more": false}}}`),
		chromedp.Click(`#try .button`))
	eventually(t, 30*time.Second, "the mapping's result is shown", shows(`document.querySelector("pre.said-here").textContent.includes('"title": "Cook"')`))
	run(chromedp.SetValue(`textarea[name=answers]`, `{"": {"status": 200, "body": {"items": 7}}}`), chromedp.Click(`#try .button`))
	eventually(t, 30*time.Second, "why it fails is shown", shows(`document.querySelector("pre.said-here").textContent.includes("mapping_failed")`))
}
