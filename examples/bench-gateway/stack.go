package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stack is all that is measured.
type stack struct {
	dir   string
	procs []*process

	direct, nginx        *target // the business itself, and behind nginx
	jobs, popular, stuck *target // the same through Herald; kept; one that hangs
}

// process is one part of it.
type process struct {
	name string
	cmd  *exec.Cmd
	said string
	done chan struct{}
}

// declared are the services: one with jq on both sides and schemas, one whose
// answer is kept, one that hangs.
const declared = `
app: demo
service: bench
backends:
  agency: {url: "http://%[1]s", allow_private: true, concurrency: 512}
versions:
  1:
    operations:
      search:
        input: {type: object, required: [text], additionalProperties: false, properties: {text: {type: string, maxLength: 40}}}
        output: {type: object, required: [jobs], properties: {jobs: {type: array, items: {type: object, required: [id, title, town, pay]}}}}
        call:
          backend: agency
          path: /positions
          request: "{query: {text: .text, page: 1, size: 10}}"
          response: "{jobs: [.items[] | {id: (.ref | tostring), title: .t, town: .place, pay: {from: .low, to: .high}}]}"
      popular:
        call: {backend: agency, path: /positions, request: "{query: {text: .text, page: 1, size: 10}}", response: "[.items[].t]"}
        cache: {per: app, seconds: 3600}
`

const declaredStuck = `
app: demo
service: stuck
backends:
  agency: {url: "http://%[1]s", allow_private: true}
versions:
  1: {operations: {search: {call: {backend: agency, path: /hang}}}}
`

// start starts it all. Whoever calls it owes a stop, where there is a stack.
func start(ctx context.Context, herald string) (*stack, error) {
	dir, err := os.MkdirTemp("", "herald-bench-gateway-")
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir}
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return s, err
	}
	business, proxy := ports[0], ports[1]
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	if err := s.run("business", self, "-business", business); err != nil {
		return s, err
	}
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		return s, errors.New("nginx is the peer: apt-get install nginx-light")
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, business, proxy), 0o600); err != nil {
		return s, err
	}
	if err := s.run("nginx", nginx, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "nginx-errors.log")); err != nil {
		return s, err
	}
	get := func(b []byte, _, n int) []byte {
		b = append(b, "GET /positions?page=1&size=10&text=cook+"...)
		b = strconv.AppendInt(b, int64(n), 10)
		return append(b, " HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"...)
	}
	s.direct, s.nginx = &target{addr: business, request: get}, &target{addr: proxy, request: get}
	for _, t := range []*target{s.direct, s.nginx} {
		if err := await(ctx, "what listens on "+t.addr, func() error { return reachable(ctx, t.addr) }); err != nil {
			return s, err
		}
	}
	return s, s.startHerald(ctx, herald, business)
}

const nginxConf = `
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx-errors.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  keepalive_requests 100000000;
  upstream business { server %[2]s; keepalive 128; keepalive_requests 100000000; }
  server { listen %[3]s; location / { proxy_pass http://business; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`

// startHerald starts `herald dev` with the declarations, and registers a device
// for each connection.
func (s *stack) startHerald(ctx context.Context, program, business string) error {
	services, data := filepath.Join(s.dir, "services"), filepath.Join(s.dir, "data")
	if err := os.Mkdir(services, 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{"bench": declared, "stuck": declaredStuck} {
		if err := os.WriteFile(filepath.Join(services, name+".yaml"), fmt.Appendf(nil, text, business), 0o600); err != nil {
			return err
		}
	}
	if err := s.run("herald", program, "dev", "--no-demo", "--data", data, "--services", services,
		"--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--websocket", "127.0.0.1:0"); err != nil {
		return err
	}
	var facts struct {
		URL    string `json:"url"`
		APIKey string `json:"api_key"`
	}
	err := await(ctx, "herald dev", func() error {
		text, err := os.ReadFile(filepath.Join(data, "dev.json"))
		if err == nil {
			err = json.Unmarshal(text, &facts)
		}
		if err == nil && facts.URL == "" {
			err = errors.New("no URL yet")
		}
		return err
	})
	if err != nil {
		return err
	}
	addr := strings.TrimPrefix(facts.URL, "http://")
	heads := make([]string, conns)
	for c := range conns {
		id := fmt.Sprintf("phone-%d", c)
		var token struct {
			Token string `json:"token"`
		}
		err := post(ctx, http.MethodPut, facts.URL+"/v1/devices/"+id, facts.APIKey, map[string]any{"user": "user-" + id, "platform": "android"}, nil)
		if err == nil {
			err = post(ctx, http.MethodPost, facts.URL+"/v1/devices/"+id+"/token", facts.APIKey, map[string]any{}, &token)
		}
		if err != nil {
			return err
		}
		heads[c] = " HTTP/1.1\r\nHost: herald\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token.Token + "\r\nContent-Length: "
	}
	through := func(path string, numbered bool) *target {
		return &target{addr: addr, request: func(b []byte, c, n int) []byte {
			var room [64]byte
			body := append(room[:0], `{"version":1,"input":{"text":"cook `...)
			if numbered {
				body = strconv.AppendInt(body, int64(n), 10)
			}
			body = append(body, `"}}`...)
			b = append(append(append(b, "POST /v1/services/"...), path...), heads[c]...)
			b = strconv.AppendInt(b, int64(len(body)), 10)
			return append(append(b, "\r\n\r\n"...), body...)
		}}
	}
	s.jobs, s.popular, s.stuck = through("bench/search", true), through("bench/popular", false), through("stuck/search", true)
	return nil
}

func (s *stack) run(name, program string, args ...string) error {
	p := &process{name: name, said: filepath.Join(s.dir, name+".log"), done: make(chan struct{})}
	said, err := os.Create(p.said)
	if err != nil {
		return err
	}
	defer said.Close()
	p.cmd = exec.Command(program, args...) //nolint:noctx // stop ends it in good order
	p.cmd.Env = append(os.Environ(), "REDIS_URL=", "CLICKHOUSE_URL=")
	p.cmd.Stdout, p.cmd.Stderr = said, said
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // what it said is in its file
	}()
	s.procs = append(s.procs, p)
	return nil
}

// processor is how many seconds of the processors a part has had; 0 where the
// system does not tell.
func (s *stack) processor(name string) float64 {
	for _, p := range s.procs {
		if p.name != name {
			continue
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)) // there is none but on Linux
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 12 { // proc(5): utime and stime, in hundredths of a second
			user, _ := strconv.ParseFloat(fields[11], 64)
			system, _ := strconv.ParseFloat(fields[12], 64)
			return (user + system) / 100
		}
	}
	return 0
}

// stop ends all, the last first.
func (s *stack) stop() {
	for _, p := range slices.Backward(s.procs) {
		_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	_ = os.RemoveAll(s.dir) // what is left is the system's to clear away
}

// serveBusiness is the business: it finds ten positions whatever is asked, and
// on /hang it answers nobody.
func serveBusiness(ctx context.Context, addr string) error {
	var items []map[string]any
	for i := range 10 {
		items = append(items, map[string]any{"ref": 100 + i, "t": fmt.Sprintf("Cook number %d", i), "place": "Lyon", "low": 2100 + i, "high": 2400 + i})
	}
	found, err := json.Marshal(map[string]any{"items": items, "more": false})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /positions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(found) // who has left needs no answer
	})
	mux.HandleFunc("GET /hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close() // who asks is ended too
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func freePorts(ctx context.Context, n int) (addrs []string, err error) {
	for range n {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

func reachable(ctx context.Context, addr string) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil {
		nc.Close()
	}
	return err
}

func await(ctx context.Context, what string, there func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		err := there()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not start: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func post(ctx context.Context, method, url, key string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, res.Status, raw)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(raw, out)
	}
	return err
}
