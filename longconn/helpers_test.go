package longconn_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/watched"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
	"github.com/herald-push/herald/longconn/mqtt/mqtttest"
)

// TestMain runs everything with each transport that this system has.
func TestMain(m *testing.M) {
	code := 0
	for _, transport = range transports() {
		if code = max(code, m.Run()); code != 0 {
			fmt.Fprintln(os.Stderr, "with transport", transport)
			break
		}
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func transports() []string {
	if runtime.GOOS == "linux" {
		return []string{"epoll", "goroutines"}
	}
	return []string{"goroutines"}
}

const soon = 10 * time.Second

// transport is the one under test: all tests run on each; see TestMain.
var transport string

// porter lets in whoever knows the word and notes what happens.
type porter struct {
	*watched.State

	conns     map[string]longconn.Conn
	published []longconn.Publication
	acked     map[string]int
	closed    map[string][]longconn.Cause
	ready     int
	refreshed int
	mute      bool             // publications are not answered
	anyone    string           // whom a token is of that comes without a client id
	welcome   longconn.Welcome // but for key and tag
	asked     int              // CONNECTs
	remote    map[string]string
	hold      chan struct{} // if not nil, Connect waits for it in a goroutine
}

func newPorter() *porter {
	return &porter{
		State:  watched.New(soon),
		conns:  map[string]longconn.Conn{},
		acked:  map[string]int{},
		remote: map[string]string{},
		closed: map[string][]longconn.Cause{},
	}
}

func (p *porter) Connect(c longconn.Conn, h longconn.Hello) {
	answer := func() {
		if string(h.Password) != "sesame" {
			c.Refuse(mqtt.BadCredentials)
			return
		}
		name := h.ClientID
		p.Lock()
		if name == "" {
			name = p.anyone
		}
		p.Unlock()
		assigned := ""
		if name == "" {
			name, assigned = h.Username, h.Username
		}
		p.Lock()
		w := p.welcome
		p.Unlock()
		w.Key, w.Tag, w.AssignedClientID = name, name, assigned
		if c.Accept(w) {
			p.Change(func() { p.conns[name] = c })
		}
	}
	var hold chan struct{}
	p.Change(func() {
		p.asked++
		p.remote[h.ClientID] = h.Remote
		hold = p.hold
	})
	if hold == nil {
		answer()
		return
	}
	go func() {
		<-hold
		answer()
	}()
}

func (p *porter) Refresh(c longconn.Conn, token []byte) {
	p.Change(func() { p.refreshed++ })
	if string(token) != "sesame" {
		c.Refreshed(mqtt.NotAuthorized, time.Time{})
		return
	}
	c.Refreshed(mqtt.Success, time.Time{})
}

func (p *porter) Acked(_ longconn.Conn, id string) { p.Change(func() { p.acked[id]++ }) }

func (p *porter) Published(_ longconn.Conn, pub longconn.Publication) {
	var mute bool
	p.Change(func() {
		p.published = append(p.published, pub)
		mute = p.mute
	})
	if mute {
		return
	}
	reason := mqtt.Success
	if !strings.HasPrefix(pub.Topic, "receipts") {
		reason = mqtt.NotAuthorized
	}
	pub.Ack(reason)
}

func (p *porter) Ready(longconn.Conn) { p.Change(func() { p.ready++ }) }

func (p *porter) Closed(c longconn.Conn, cause longconn.Cause) {
	name, _ := c.Tag().(string)
	p.Change(func() { p.closed[name] = append(p.closed[name], cause) })
}

func (p *porter) conn(t *testing.T, name string) longconn.Conn {
	t.Helper()
	p.Await(t, "connection of "+name, func() bool { return p.conns[name] != nil })
	p.Lock()
	defer p.Unlock()
	return p.conns[name]
}

// house is a running server.
type house struct {
	*longconn.Server
	*porter
	hub  *longconn.Hub
	stop func() error
}

func open(t *testing.T, change ...func(*longconn.Config)) *house {
	t.Helper()
	return openFor(t, change...)
}

func openFor(t testing.TB, change ...func(*longconn.Config)) *house {
	t.Helper()
	cfg := longconn.DefaultConfig()
	cfg.TCP, cfg.WebSocket = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Grace = time.Second
	cfg.Transport = transport
	for _, f := range change {
		f(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	h := &house{porter: newPorter(), hub: longconn.NewHub()}
	var err error
	h.Server, err = longconn.Open(t.Context(), cfg, h.hub, h.porter, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return h
}

// deliver hands over and waits for the report.
func (h *house) deliver(t *testing.T, name string, m longconn.Message) error {
	t.Helper()
	report := make(chan error, 1)
	h.conn(t, name).Deliver(m, func(err error) { report <- err })
	select {
	case err := <-report:
		return err
	case <-time.After(soon):
		t.Fatalf("no report on %s within %s", m.ID, soon)
		return nil
	}
}

// raw is a client that speaks bytes.
type raw struct {
	*mqtttest.Client

	version byte
}

func (h *house) dial(t *testing.T, version byte) *raw {
	t.Helper()
	return &raw{mqtttest.Dial(t, h.TCPAddr().String(), version, soon), version}
}

// enter connects as a device and reads its CONNACK.
func (h *house) enter(t *testing.T, version byte, id string, change ...func(*mqtt.Connect)) *raw {
	t.Helper()
	r := h.dial(t, version)
	c := mqtt.Connect{Version: version, Clean: true, KeepAlive: 60, ClientID: id, Username: id, HasUser: true, Password: []byte("sesame"), HasPass: true}
	for _, f := range change {
		f(&c)
	}
	r.Send(mqtt.AppendConnect(nil, c))
	typ, body := r.next()
	if typ != mqtt.CONNACK {
		t.Fatalf("answer to CONNECT is type %d", typ)
	}
	if reason, _, _, err := mqtt.DecodeConnack(body, version); err != nil || reason != mqtt.Success {
		t.Fatalf("CONNACK reason 0x%02X, %v", byte(reason), err)
	}
	return r
}

// next reads one packet; type 0 means that the server closed.
func (r *raw) next() (mqtt.Type, []byte) {
	h, body := r.Next()
	return h.Type, body
}

// disconnected reads to the end and returns the reason in DISCONNECT, if any.
func (r *raw) disconnected() mqtt.Reason {
	reason := mqtt.Success
	for {
		typ, body := r.next()
		switch typ {
		case 0:
			return reason
		case mqtt.DISCONNECT:
			reason, _, _ = mqtt.DecodeDisconnect(body, r.version)
		default: // what was on its way before the end
		}
	}
}
