package access_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
	"github.com/herald-push/herald/longconn/mqtt/mqtttest"
)

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

// A session stays on its node, but what the device had not acknowledged there is
// in its inbox and comes on whichever node it connects to next, each message once.
func TestUnacknowledgedMessagesComeOnAnotherNode(t *testing.T) {
	w := build(t)
	memory := routing.NewMemory()
	first, second := w.node(t, memory, "first"), w.node(t, memory, "second")
	for range 3 { // there and back
		w.router, w.addr = first.router, first.addr
		d := w.enter(t, "d1")
		for _, id := range []string{"m1", "m2", "m3"} {
			if err := w.push(t, "d1", id, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		w.Lock()
		acked := len(w.record)
		w.Unlock()
		d.Puback(d.Publish().ID) // m1
		d.Publish()              // m2 was seen, and not acknowledged
		w.Await(t, "proof of m1", func() bool { return len(w.record) == acked+1 })

		// The device comes at the other node, while the first still has it.
		w.router, w.addr = second.router, second.addr
		e := w.enter(t, "d1")
		for _, want := range []string{"m2", "m3"} {
			p := e.Publish()
			if string(p.Payload) != want || p.Dup {
				t.Errorf("message %q, DUP %v; want %s as a new message", p.Payload, p.Dup, want)
			}
			e.Puback(p.ID)
		}
		w.Await(t, "proof of all", func() bool { return len(w.record) == acked+3 })
		first, second = second, first
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

func TestTokenIsRenewedInBandOrEndsTheSession(t *testing.T) {
	w := build(t)
	w.Change(func() { w.until = time.Now().Add(1500 * time.Millisecond) })
	renew := func(d *device, token string) mqtt.Reason {
		d.Send(mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: access.TokenTopic, ID: 9, QoS: 1, Payload: []byte(token)}))
		h, body := d.next()
		if h.Type == mqtt.DISCONNECT {
			reason, _, _ := mqtt.DecodeDisconnect(body, mqtt.V5)
			return reason
		}
		_, reason, err := mqtt.DecodeAck(h, body, mqtt.V5)
		if err != nil {
			t.Fatal(err)
		}
		return reason
	}
	lazy, good := w.enter(t, "lazy"), w.enter(t, "good")
	stolen := w.enter(t, "stolen")
	if got := renew(good, "demo/good+"); got != mqtt.Success {
		t.Errorf("a new token: 0x%02X", byte(got))
	}
	if got := renew(stolen, "demo/good+"); got != mqtt.NotAuthorized {
		t.Errorf("another device's token: 0x%02X, want 0x87", byte(got))
	}
	h, body := lazy.Next()
	if reason, _, _ := mqtt.DecodeDisconnect(body, mqtt.V5); h.Type != mqtt.DISCONNECT || reason != mqtt.NotAuthorized {
		t.Errorf("type %d, reason 0x%02X once the token ran out, want DISCONNECT 0x87", h.Type, byte(reason))
	}
	if err := w.push(t, "good", "m1", time.Time{}); err != nil {
		t.Errorf("push to the renewed session = %v", err)
	}
}

func TestTokenNamesTheDeviceByItself(t *testing.T) {
	w := build(t)
	for token, want := range map[string]mqtt.Reason{"demo/d1": mqtt.Success, "nonsense": mqtt.BadCredentials} {
		c := mqtttest.Dial(t, w.addr, mqtt.V5, soon)
		c.Send(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Properties: mqtt.Properties{
			AuthMethod: longconn.TokenAuth, AuthData: []byte(token),
		}}))
		_, body := c.Next()
		reason, _, p, err := mqtt.DecodeConnack(body, mqtt.V5)
		if reason != want || err != nil || want == mqtt.Success && p.AssignedClientID != "d1" {
			t.Errorf("%s: CONNACK 0x%02X, assigned %q, %v", token, byte(reason), p.AssignedClientID, err)
		}
	}
}

func TestKeepAliveIsOffered(t *testing.T) {
	w := build(t, func(c *access.Config) { c.Heartbeat.Start = 90 * time.Second })
	c := mqtttest.Dial(t, w.addr, mqtt.V5, soon)
	c.Send(mqtt.AppendConnect(nil, mqtt.Connect{
		Version: mqtt.V5, Clean: true, KeepAlive: 600, ClientID: "d1",
		HasUser: true, Username: "d1", HasPass: true, Password: []byte("demo/d1"),
	}))
	_, body := c.Next()
	if _, _, p, err := mqtt.DecodeConnack(body, mqtt.V5); err != nil || p.ServerKeepAlive != 90 {
		t.Errorf("server keep alive %d, %v; want 90", p.ServerKeepAlive, err)
	}
}

func TestResumedSessionGetsWhatWasInFlightOnce(t *testing.T) {
	w := build(t)
	enter := func() (*device, bool) {
		d := &device{mqtttest.Dial(t, w.addr, mqtt.V5, soon), t}
		d.Send(mqtt.AppendConnect(nil, mqtt.Connect{
			Version: mqtt.V5, KeepAlive: 60, ClientID: "d1", HasUser: true, Username: "d1", HasPass: true, Password: []byte("demo/d1"),
			Properties: mqtt.Properties{SessionExpiry: 60},
		}))
		_, body := d.next()
		reason, present, _, err := mqtt.DecodeConnack(body, mqtt.V5)
		if reason != mqtt.Success || err != nil {
			t.Fatalf("CONNACK 0x%02X, %v", byte(reason), err)
		}
		return d, present
	}
	d, _ := enter()
	for _, id := range []string{"m1", "m2"} {
		if err := w.push(t, "d1", id, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	d.Puback(d.Publish().ID) // m1
	d.Publish()
	w.Await(t, "proof", func() bool { return len(w.record) == 1 })
	d2, present := enter() // while the first is still there
	if p := d2.Publish(); !present || string(p.Payload) != "m2" || !p.Dup {
		t.Fatalf("present %v, message %q, DUP %v; want m2 again", present, p.Payload, p.Dup)
	}
	w.Await(t, "look into the inbox", func() bool { return w.asked >= 2 })
	if err := w.push(t, "d1", "m3", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if p := d2.Publish(); string(p.Payload) != "m3" {
		t.Errorf("message %q, want m3: m2 lies in the inbox still, but was sent", p.Payload)
	}
}
