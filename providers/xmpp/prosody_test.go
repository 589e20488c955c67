package xmpp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/freeport"
	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/internal/watched"
	"github.com/herald-push/herald/push"
)

// prosody is a real server of the test's own, with ann@example.org and
// bob@example.org, the component push.example.org and no encryption.
type prosody struct {
	dir             string
	c2s, components string // ports
	cmd             *exec.Cmd

	*watched.State

	log []string // all that it said
}

const prosodyConfig = `
pidfile = %[1]q
data_path = %[2]q
run_as_root = true
interfaces = { "127.0.0.1" }
component_interfaces = { "127.0.0.1" }
c2s_ports = { %[3]s }
component_ports = { %[4]s }
modules_enabled = { "roster", "saslauth", "ping" }
modules_disabled = { "s2s", "s2s_auth_certs", "tls" }
authentication = "internal_plain"
c2s_require_encryption = false
log = { { levels = { min = "info" }, to = "console" } }
VirtualHost "example.org"
Component %[5]q
  component_secret = %[6]q
`

func startProsody(t *testing.T) *prosody {
	t.Helper()
	need.Program(t, "prosody", "apt-get install prosody")
	s := &prosody{dir: t.TempDir(), c2s: freePort(t), components: freePort(t), State: watched.New(20 * time.Second)}
	accounts := filepath.Join(s.dir, "data", "example%2eorg", "accounts")
	write(t, filepath.Join(s.dir, "prosody.cfg.lua"), fmt.Sprintf(prosodyConfig,
		filepath.Join(s.dir, "pid"), filepath.Join(s.dir, "data"), s.c2s, s.components, domain, secret))
	for _, user := range []string{"ann", "bob"} {
		write(t, filepath.Join(accounts, user+".dat"), `return { ["password"] = "sesame" };`)
	}
	t.Cleanup(s.kill)
	s.start(t)
	return s
}

// start returns when both ports are open.
func (s *prosody) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command("prosody", "-F", "--config", filepath.Join(s.dir, "prosody.cfg.lua"))
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.Change(func() { s.log = nil })
	go func() { // ends with the server
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.Change(func() { s.log = append(s.log, lines.Text()) })
		}
	}()
	s.says(t, "Activated service 'component' on [")
	s.says(t, "Activated service 'c2s' on [")
}

// says waits until the server's log has a line with a text.
func (s *prosody) says(t *testing.T, text string) {
	t.Helper()
	s.Await(t, text, func() bool {
		return slices.ContainsFunc(s.log, func(line string) bool { return strings.Contains(line, text) })
	})
}

func (s *prosody) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *prosody) open(t *testing.T, more map[string]any) *Provider {
	t.Helper()
	c := map[string]any{"tls": false}
	maps.Copy(c, more)
	return openAt(t, "127.0.0.1:"+s.components, "", c)
}

// device is a real client: xmpp.js.
type device struct {
	in   io.Writer
	next func(event string) map[string]any
}

func (s *prosody) device(t *testing.T, user, manner string) device {
	t.Helper()
	node := need.Program(t, "node", "apt-get install nodejs npm")
	need.File(t, "testdata/npm/node_modules/@xmpp/client", "npm ci --prefix providers/xmpp/testdata/npm")
	cmd := exec.CommandContext(t.Context(), node, "testdata/device.cjs", s.c2s, "example.org", user, "sesame", manner)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // it ends with its input, or with the test
	})
	lines := bufio.NewScanner(out)
	d := device{in: in, next: func(event string) map[string]any {
		t.Helper()
		for lines.Scan() {
			var got map[string]any
			if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			if got["event"] == event {
				return got
			}
			t.Logf("%s: %s", user, lines.Text())
		}
		t.Fatalf("xmpp.js ended without %q", event)
		return nil
	}}
	d.next("online")
	return d
}

func send(t *testing.T, p *Provider, id, to string) {
	t.Helper()
	d := delivery(id)
	d.Address.Token = to
	if _, err := p.Send(t.Context(), d); err != nil {
		t.Fatalf("Send(%s) error = %v", id, err)
	}
}

func (h *heard) await(t *testing.T, n int) []push.Receipt {
	t.Helper()
	h.Await(t, fmt.Sprint("receipts: ", n), func() bool { return len(h.receipts) >= n })
	h.Lock()
	defer h.Unlock()
	return h.receipts
}

func TestRealDeviceGetsTheMessageAndSaysSo(t *testing.T) {
	s := startProsody(t)
	ann, bob := s.device(t, "ann", "answers"), s.device(t, "bob", "silent")
	p := s.open(t, nil)
	h := hear(p)

	// Bob's client is online and never answers: nothing may be said of n1.
	send(t, p, "n1.0.0", "bob@example.org")
	if got := bob.next("message"); got["id"] != "n1.0.0" {
		t.Errorf("bob got %v", got)
	}
	send(t, p, "n2.0.0", "ann@example.org")
	got := ann.next("message")
	want := delivery("n2.0.0")
	if got["title"] != want.Title || got["body"] != "On its way\uFFFD]]>" || got["type"] != "chat" || got["late"] != false {
		t.Errorf("ann got %v", got)
	}
	var app payload
	if err := json.Unmarshal([]byte(got["payload"].(string)), &app); err != nil || app.ID != "n2.0.0" || app.Data["html"] != "</json><x>" {
		t.Errorf("payload %+v, %v", app, err)
	}
	if r := h.await(t, 1)[0]; r.Stage != push.Delivered || r.Delivery != "n2.0.0" || r.Device != "phone/1" || r.App != "demo" || r.Source != push.DeviceAck {
		t.Errorf("receipt %+v", r)
	}
	fmt.Fprintln(ann.in, "n2.0.0")
	rs := h.await(t, 2)
	if r := rs[1]; r.Stage != push.Displayed || r.Delivery != "n2.0.0" {
		t.Errorf("receipt %+v", r)
	}
	if len(rs) != 2 {
		t.Errorf("%d receipts, want 2", len(rs))
	}
}

func TestRealServerKeepsTheMessageForADeviceThatIsAway(t *testing.T) {
	s := startProsody(t)
	p := s.open(t, nil)
	h := hear(p)
	send(t, p, "n1.0.0", "ann@example.org")
	send(t, p, "n2.0.0", "nobody@example.org") // refused behind it: the first is with the server by then
	if r := h.await(t, 1)[0]; r.Delivery != "n2.0.0" || r.Stage != push.Failed || r.Kind != "unreachable" || r.Code != "service-unavailable" {
		t.Errorf("receipt %+v", r)
	}
	// The process that sent is gone; another, with its own messages, hears of it.
	p.CloseIdleConnections()
	s.says(t, "component disconnected")
	p = s.open(t, nil)
	h = hear(p)
	send(t, p, "n3.0.0", "bob@example.org")
	ann := s.device(t, "ann", "answers")
	if got := ann.next("message"); got["id"] != "n1.0.0" || got["late"] != true {
		t.Errorf("ann got %v", got)
	}
	if r := h.await(t, 1)[0]; r.Delivery != "n1.0.0" || r.Stage != push.Delivered {
		t.Errorf("receipt %+v", r)
	}
}

func TestRealServerRefusesTheConnection(t *testing.T) {
	s := startProsody(t)
	first := s.open(t, nil)
	send(t, first, "n1.0.0", "ann@example.org")
	tests := map[string]struct {
		more map[string]any
		want error
	}{
		"the secret is wrong":         {map[string]any{"secret": "guess"}, push.ErrCredentials},
		"no component of this domain": {map[string]any{"domain": "elsewhere.example.org"}, push.ErrCredentials},
		"not a component's port":      {map[string]any{"address": "127.0.0.1:" + s.c2s}, push.ErrCredentials},
		"it is connected already":     {nil, push.ErrUnavailable},
		"TLS where there is none":     {map[string]any{"tls": true}, push.ErrUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := s.open(t, tt.more)
			_, err := p.Send(t.Context(), delivery("n1.0.1"))
			var e *push.Error
			if !errors.As(err, &e) || !errors.Is(err, tt.want) {
				t.Errorf("Send() error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRealServerMayDieAndComeBack(t *testing.T) {
	s := startProsody(t)
	p := s.open(t, nil)
	h := hear(p)
	send(t, p, "n1.0.0", "ann@example.org")
	stream, err := p.link.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	<-stream.ended
	if _, err := p.Send(t.Context(), delivery("n1.0.1")); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("Send() error = %v while the server is away", err)
	}
	s.start(t)
	ann := s.device(t, "ann", "answers")
	s.says(t, "External component successfully authenticated") // nobody asked for it
	send(t, p, "n1.0.2", "ann@example.org")
	for ann.next("message")["id"] != "n1.0.2" { // n1.0.0 may have been kept
	}
	h.Await(t, "receipt", func() bool { return len(h.receipts) > 0 && h.receipts[len(h.receipts)-1].Delivery == "n1.0.2" })
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
