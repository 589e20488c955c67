package access_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/need"
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

	inbox  map[string][]im.Message
	record []im.Receipt
	away   bool
	asked  int // inbox reads

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
	w := &world{State: watched.New(soon), inbox: map[string][]im.Message{}}
	log := slog.New(slog.DiscardHandler)
	memory := routing.NewMemory()
	w.router = routing.New(routing.DefaultConfig(), memory, memory, log)
	cfg := access.DefaultConfig()
	cfg.Away = func(err error) bool { return errors.Is(err, errAway) }
	for _, f := range change {
		f(&cfg)
	}
	hub := longconn.NewHub()
	w.access = access.New(cfg, hub, w, w.router, w, w, log)
	w.router.Host(w.access)
	lc := longconn.DefaultConfig()
	lc.TCP, lc.WebSocket, lc.Grace = "127.0.0.1:0", "", time.Second
	server, err := longconn.Open(t.Context(), lc, hub, w.access, log)
	if err != nil {
		t.Fatal(err)
	}
	w.addr = server.TCPAddr().String()
	var stops []func()
	for _, run := range []func(context.Context) error{w.router.Run, w.access.Run, server.Run} {
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
	return w
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

func TestOnlyTheTokensOwnDeviceComesIn(t *testing.T) {
	tests := map[string]struct {
		id, user, token string
		want            mqtt.Reason
	}{
		"app/device":              {"d1", "demo/d1", "demo/d1", mqtt.Success},
		"device alone":            {"d1", "d1", "demo/d1", mqtt.Success},
		"no client id":            {"", "demo/d1", "demo/d1", mqtt.Success},
		"wrong token":             {"d1", "demo/d1", "nonsense", mqtt.BadCredentials},
		"no token":                {"d1", "demo/d1", "", mqtt.BadCredentials},
		"token of another device": {"d1", "demo/d1", "demo/d2", mqtt.BadCredentials},
		"token of another app":    {"d1", "demo/d1", "other/d1", mqtt.BadCredentials},
		"no user name":            {"d1", "", "demo/d1", mqtt.BadCredentials},
		"client id of another":    {"d2", "demo/d1", "demo/d1", mqtt.BadClientID},
		"app/device as client id": {"demo/d1", "demo/d1", "demo/d1", mqtt.BadClientID},
	}
	w := build(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, got := w.connect(t, tt.id, tt.user, tt.token); got != tt.want {
				t.Errorf("CONNACK 0x%02X, want 0x%02X", byte(got), byte(tt.want))
			}
		})
	}
}

func TestStoreThatIsAwayTurnsDevicesAwayForNow(t *testing.T) {
	w := build(t)
	w.Change(func() { w.away = true })
	if _, got := w.connect(t, "d1", "d1", "demo/d1"); got != mqtt.ServerUnavailable {
		t.Errorf("CONNACK 0x%02X, want 0x88", byte(got))
	}
}

func TestOfflineDeviceGetsItsMessagesWhenItComes(t *testing.T) {
	w := build(t)
	for _, id := range []string{"m1", "m2"} {
		if err := w.push(t, "d1", id, time.Now().Add(time.Hour)); !errors.Is(err, im.ErrNotHere) {
			t.Fatalf("push to an offline device = %v", err)
		}
	}
	if err := w.push(t, "d1", "too late", time.Now().Add(-time.Second)); !errors.Is(err, im.ErrNotHere) {
		t.Fatal(err)
	}
	d := w.enter(t, "d1")
	for _, want := range []string{"m1", "m2"} {
		p := d.Publish()
		if string(p.Payload) != want || p.Properties.MessageExpiry == 0 {
			t.Errorf("message %q with expiry %d, want %q", p.Payload, p.Properties.MessageExpiry, want)
		}
		d.Puback(p.ID)
	}
	w.Await(t, "proofs", func() bool { return slices.Equal(w.recorded("d1"), []string{"m1 delivered", "m2 delivered"}) })
	w.Lock()
	first := w.record[0]
	w.Unlock()
	if first.App != "demo" || !first.Ack || first.At.IsZero() || first.ReceivedAt.IsZero() {
		t.Errorf("receipt %+v", first)
	}
	if err := w.push(t, "d1", "m3", time.Time{}); err != nil {
		t.Errorf("push to an online device = %v", err)
	}
	if p := d.Publish(); string(p.Payload) != "m3" {
		t.Errorf("message %q, want m3", p.Payload)
	}
}

func TestUnacknowledgedMessageComesAgainOnTheNextConnection(t *testing.T) {
	w := build(t)
	d := w.enter(t, "d1")
	for _, id := range []string{"m1", "m2"} {
		if err := w.push(t, "d1", id, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	d.Puback(d.Publish().ID) // m1; then the client dies
	d.Publish()
	w.Await(t, "proof", func() bool { return len(w.record) == 1 })
	d.Close()
	d = w.enter(t, "d1")
	if p := d.Publish(); string(p.Payload) != "m2" || p.Dup {
		t.Errorf("message %q, DUP %v; want m2 as a new message", p.Payload, p.Dup)
	}
}

func TestAcknowledgedMessageIsNotRepeatedWhileItsProofIsOnItsWay(t *testing.T) {
	w := build(t, func(c *access.Config) { c.Linger = 200 * time.Millisecond })
	d := w.enter(t, "d1")
	if err := w.push(t, "d1", "m1", time.Time{}); err != nil {
		t.Fatal(err)
	}
	d.Puback(d.Publish().ID)
	d.Send(mqtt.AppendPing(nil, mqtt.PINGREQ)) // answered once the acknowledgement was read
	d.next()
	d.Close()
	d = w.enter(t, "d1")
	if err := w.push(t, "d1", "m2", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if p := d.Publish(); string(p.Payload) != "m2" {
		t.Errorf("message %q, want m2: m1 was acknowledged", p.Payload)
	}
}

// Whatever the interleaving of pushes and connects, each message arrives, and
// none twice on a connection.
func TestMessagePushedDuringConnectIsNeitherLostNorDoubled(t *testing.T) {
	w := build(t)
	const devices, each = 20, 20
	var wg sync.WaitGroup
	for i := range devices {
		name := fmt.Sprint("d", i)
		wg.Go(func() {
			for k := range each {
				if err := w.push(t, name, fmt.Sprint("m", k), time.Time{}); err != nil && !errors.Is(err, im.ErrNotHere) {
					t.Errorf("push = %v", err)
				}
			}
		})
		wg.Go(func() {
			d := w.enter(t, name)
			seen := map[string]bool{}
			for len(seen) < each {
				p := d.Publish()
				if seen[string(p.Payload)] {
					t.Errorf("%s got %s twice", name, p.Payload)
				}
				seen[string(p.Payload)] = true
				d.Puback(p.ID)
			}
		})
	}
	wg.Wait()
	w.Await(t, "all proofs", func() bool { return len(w.record) == devices*each })
}

func TestMoreThanTheWindowAndQueueHoldAllArrives(t *testing.T) {
	w := build(t)
	const n = 400 // window 32, queue 256
	w.Change(func() {
		for i := range n {
			w.inbox["demo/d1"] = append(w.inbox["demo/d1"], im.Message{ID: fmt.Sprint(i), Payload: fmt.Append(nil, i)})
		}
	})
	d := w.enter(t, "d1")
	seen := map[string]bool{}
	for len(seen) < n {
		p := d.Publish()
		if seen[string(p.Payload)] {
			t.Fatalf("%s came twice", p.Payload)
		}
		seen[string(p.Payload)] = true
		d.Puback(p.ID)
	}
}

func TestReportsAreReceipts(t *testing.T) {
	w := build(t)
	d := w.enter(t, "d1")
	tests := []struct {
		name, payload string
		want          mqtt.Reason
	}{
		{"displayed", `{"id":"m1","event":"displayed","at":"` + time.Now().Add(-time.Minute).UTC().Format(time.RFC3339) + `"}`, mqtt.Success},
		{"clicked, clock ahead", `{"id":"m1","event":"clicked","at":"2099-01-01T00:00:00Z"}`, mqtt.Success},
		{"clicked, clock of 1970", `{"id":"m2","event":"clicked","at":"1970-01-01T00:00:00Z"}`, mqtt.Success},
		{"no time", `{"id":"m3","event":"delivered"}`, mqtt.Success},
		{"unknown event", `{"id":"m1","event":"eaten"}`, mqtt.PayloadInvalid},
		{"no id", `{"event":"clicked"}`, mqtt.PayloadInvalid},
		{"no JSON", `hello`, mqtt.PayloadInvalid},
		{"deep JSON", strings.Repeat("[", 4000), mqtt.PayloadInvalid},
		{"unknown delivery", `{"id":"unknown","event":"clicked"}`, mqtt.Unspecified},
	}
	begin := time.Now()
	for i, tt := range tests {
		if got := d.report(uint16(i+1), tt.payload); got != tt.want {
			t.Errorf("%s: PUBACK 0x%02X, want 0x%02X", tt.name, byte(got), byte(tt.want))
		}
	}
	w.Lock()
	defer w.Unlock()
	if got := w.recorded("d1"); !slices.Equal(got, []string{"m1 displayed", "m1 clicked", "m2 clicked", "m3 delivered"}) {
		t.Errorf("recorded %q", got)
	}
	for i, r := range w.record {
		early := begin.Add(-2 * time.Second)
		if i == 0 {
			early = begin.Add(-62 * time.Second)
		}
		if r.Ack || r.At.Before(early) || r.At.After(time.Now()) || (i == 0) != r.At.Before(begin.Add(-30*time.Second)) {
			t.Errorf("receipt %+v", r)
		}
	}
}

func TestProofsWaitWhileTheRecordIsAway(t *testing.T) {
	w := build(t, func(c *access.Config) { c.MaxProofs = 3 })
	d := w.enter(t, "d1")
	for i := range 4 {
		if err := w.push(t, "d1", fmt.Sprint("m", i), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	w.Change(func() { w.away = true })
	for range 4 {
		d.Puback(d.Publish().ID)
	}
	d.Send(mqtt.AppendPing(nil, mqtt.PINGREQ))
	d.next()
	if got := w.access.Stats(); got.ProofsWaiting != 3 || got.ProofsDropped != 1 {
		t.Errorf("stats %+v, want 3 waiting and 1 dropped", got)
	}
	w.Change(func() { w.away = false })
	w.Await(t, "proofs", func() bool {
		return slices.Equal(w.recorded("d1"), []string{"m0 delivered", "m1 delivered", "m2 delivered"})
	})
}

func TestSessionThatOthersDidNotKnowIsDrainedAgain(t *testing.T) {
	w := build(t)
	d := w.enter(t, "d1")
	w.Await(t, "first drain", func() bool { return w.asked > 0 })
	w.Change(func() { w.inbox["demo/d1"] = []im.Message{{ID: "m1", Payload: []byte("m1")}} })
	w.access.Restored(im.Session{App: "demo", Device: "d1"})
	if p := d.Publish(); string(p.Payload) != "m1" {
		t.Errorf("message %q", p.Payload)
	}
}

func TestOnlyTheNamedSessionIsDisplaced(t *testing.T) {
	w := build(t)
	d := w.enter(t, "d1")
	var s im.Session
	w.access.Each(func(one im.Session) bool { s = one; return true })
	other := s
	other.Serial++
	w.access.Displace(other)
	d.Send(mqtt.AppendPing(nil, mqtt.PINGREQ))
	if h, _ := d.next(); h.Type != mqtt.PINGRESP {
		t.Fatalf("type %d, want PINGRESP", h.Type)
	}
	w.access.Displace(s)
	h, body := d.next()
	if reason, _, _ := mqtt.DecodeDisconnect(body, mqtt.V5); h.Type != mqtt.DISCONNECT || reason != mqtt.SessionTakenOver {
		t.Errorf("type %d, reason 0x%02X", h.Type, byte(reason))
	}
}

func TestMosquittoIsADevice(t *testing.T) {
	sub := need.Program(t, "mosquitto_sub", "apt-get install mosquitto-clients")
	for _, version := range []string{"mqttv311", "mqttv5"} {
		w := build(t)
		if err := w.push(t, "phone-1", "early", time.Now().Add(time.Hour)); !errors.Is(err, im.ErrNotHere) {
			t.Fatal(err)
		}
		host, port, _ := net.SplitHostPort(w.addr)
		cmd := exec.CommandContext(t.Context(), sub, "-V", version, "-h", host, "-p", port,
			"-i", "phone-1", "-u", "demo/phone-1", "-P", "demo/phone-1", "-t", "inbox", "-q", "1", "-C", "2")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Await(t, "proof of the first", func() bool { return len(w.record) == 1 })
		if err := w.push(t, "phone-1", "late", time.Time{}); err != nil {
			t.Errorf("%s: push = %v", version, err)
		}
		printed, err := io.ReadAll(bufio.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || string(printed) != "early\nlate\n" {
			t.Errorf("%s: mosquitto_sub printed %q, %v", version, printed, err)
		}
		w.Await(t, "proofs", func() bool { return slices.Equal(w.recorded("phone-1"), []string{"early delivered", "late delivered"}) })
	}
}
