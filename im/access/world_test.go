package access_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/watched"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
	"github.com/herald-push/herald/longconn/mqtt/mqtttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 10 * time.Second

var errAway = errors.New("store is away")

// world is everything around the access: tokens "app/device", an inbox, and a
// record that empties it as it takes receipts.
type world struct {
	*watched.State

	until  time.Time // when tokens run out; zero means never
	inbox  map[string][]im.Message
	record []im.Receipt
	away   bool
	asked  int               // inbox reads
	owners map[string]string // of devices
	talked []string
	shop   *shop

	access *access.Access
	router *routing.Router
	addr   string
}

func (w *world) Verify(_ context.Context, token string) (app, device string, err error) {
	w.Lock()
	defer w.Unlock()
	app, device, ok := strings.Cut(token, "/")
	switch {
	case w.away:
		return "", "", errAway
	case !ok:
		return "", "", errors.New("no token")
	}
	return app, device, nil
}

// VerifyUntil implements [access.Expiring].
func (w *world) VerifyUntil(ctx context.Context, token string) (app, device string, until time.Time, err error) {
	app, device, err = w.Verify(ctx, strings.TrimSuffix(token, "+"))
	w.Lock()
	defer w.Unlock()
	if until = w.until; strings.HasSuffix(token, "+") { // a newer one
		until = until.Add(time.Hour)
	}
	return app, device, until, err
}

func (w *world) Pending(_ context.Context, app, device string) (got []im.Message, err error) {
	w.Change(func() {
		w.asked++
		got = slices.Clone(w.inbox[im.Key(app, device)])
		if w.away {
			got, err = nil, errAway
		}
	})
	return got, err
}

func (w *world) Receive(_ context.Context, receipts []im.Receipt) []error {
	errs := make([]error, len(receipts))
	w.Change(func() {
		for i, r := range receipts {
			if w.away {
				errs[i] = errAway
				continue
			}
			if r.ID == "unknown" {
				errs[i] = errors.New("no such delivery")
				continue
			}
			w.record = append(w.record, r)
			key := im.Key(r.App, r.Device)
			w.inbox[key] = slices.DeleteFunc(w.inbox[key], func(m im.Message) bool { return m.ID == r.ID })
		}
	})
	return errs
}

// User implements [access.Chat].
func (w *world) User(_ context.Context, _, device string) (string, error) {
	w.Lock()
	defer w.Unlock()
	if w.owners["!"] != "" {
		return "", errAway
	}
	return w.owners[device], nil
}

// Say implements [access.Chat].
func (w *world) Say(_ context.Context, who im.Session, payload []byte) (bool, error) {
	w.Change(func() { w.talked = append(w.talked, fmt.Sprintf("%s of %q: %s", who.Key(), who.User, payload)) })
	return false, nil
}

// recorded lists what was recorded about a device.
func (w *world) recorded(device string) (events []string) {
	for _, r := range w.record {
		if r.Device == device {
			events = append(events, fmt.Sprintf("%s %s", r.ID, r.Event))
		}
	}
	return events
}

// push does what a scheduler does: the inbox first, then the live road.
func (w *world) push(t *testing.T, device, id string, expires time.Time) error {
	t.Helper()
	m := im.Message{ID: id, Payload: []byte(id), Expires: expires}
	key := im.Key("demo", device)
	w.Change(func() { w.inbox[key] = append(w.inbox[key], m) })
	online, err := w.router.Online(t.Context(), "demo", []string{device})
	if err != nil {
		t.Fatal(err)
	}
	if !online[0] {
		return im.ErrNotHere
	}
	return w.router.Deliver(t.Context(), "demo", device, id, m.Payload, expires)
}

func build(t *testing.T, change ...func(*access.Config)) *world {
	t.Helper()
	w := &world{State: watched.New(soon), inbox: map[string][]im.Message{}, shop: &shop{State: watched.New(30 * time.Second)}}
	n := w.node(t, routing.NewMemory(), "one", change...)
	w.access, w.router, w.addr = n.access, n.router, n.addr
	return w
}

// node is one of the processes with connections.
type node struct {
	access *access.Access
	router *routing.Router
	addr   string
}

// node opens one whose presence is in memory.
func (w *world) node(t *testing.T, memory *routing.Memory, name string, change ...func(*access.Config)) *node {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	where := routing.DefaultConfig()
	where.Node = name
	n := &node{router: routing.New(where, memory, memory, log)}
	cfg := access.DefaultConfig()
	cfg.Away = func(err error) bool { return errors.Is(err, errAway) }
	for _, f := range change {
		f(&cfg)
	}
	hub := longconn.NewHub()
	n.access = access.New(cfg, hub, w, n.router, w, w, log)
	n.access.Talk(w)
	n.access.Ask(w.shop)
	n.router.Host(n.access)
	lc := longconn.DefaultConfig()
	lc.TCP, lc.WebSocket, lc.Grace = "127.0.0.1:0", "", time.Second
	server, err := longconn.Open(t.Context(), lc, hub, n.access, log)
	if err != nil {
		t.Fatal(err)
	}
	n.addr = server.TCPAddr().String()
	var stops []func()
	for _, run := range []func(context.Context) error{n.router.Run, n.access.Run, server.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		stops = append(stops, func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run() = %v", err)
			}
		})
	}
	t.Cleanup(func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	})
	return n
}

// device is a client that speaks bytes.
type device struct {
	*mqtttest.Client

	t *testing.T
}

// connect says CONNECT and returns the answer.
func (w *world) connect(t *testing.T, id, user, token string) (*device, mqtt.Reason) {
	t.Helper()
	d := &device{mqtttest.Dial(t, w.addr, mqtt.V5, soon), t}
	d.Send(mqtt.AppendConnect(nil, mqtt.Connect{
		Version: mqtt.V5, Clean: true, KeepAlive: 60, ClientID: id,
		HasUser: true, Username: user, HasPass: true, Password: []byte(token),
	}))
	h, body := d.next()
	if h.Type != mqtt.CONNACK {
		t.Fatalf("answer is type %d", h.Type)
	}
	reason, _, _, err := mqtt.DecodeConnack(body, mqtt.V5)
	if err != nil {
		t.Fatal(err)
	}
	return d, reason
}

func (w *world) enter(t *testing.T, id string) *device {
	t.Helper()
	d, reason := w.connect(t, id, "demo/"+id, "demo/"+id)
	if reason != mqtt.Success {
		t.Fatalf("CONNACK 0x%02X", byte(reason))
	}
	return d
}

func (d *device) next() (mqtt.Header, []byte) {
	d.t.Helper()
	h, body := d.Next()
	if h.Type == 0 {
		d.t.Fatal("the server closed")
	}
	return h, body
}

// report publishes on receipts and returns the answer's reason.
func (d *device) report(id uint16, payload string) mqtt.Reason {
	d.t.Helper()
	d.Send(mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: access.ReceiptsTopic, ID: id, QoS: 1, Payload: []byte(payload)}))
	h, body := d.next()
	_, reason, err := mqtt.DecodeAck(h, body, mqtt.V5)
	if h.Type != mqtt.PUBACK || err != nil {
		d.t.Fatalf("type %d, %v, want PUBACK", h.Type, err)
	}
	return reason
}
