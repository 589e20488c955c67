package longconn

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// bench is an engine without a transport.
type bench struct {
	engine
	log  []string // what would have been passed on
	now  time.Time
	told bool // the first message was delivered

	connack, bye mqtt.Properties // what a script heard last
	last         mqtt.Publish
	refusal      mqtt.Reason // of CONNECT, unless 0
	answer       mqtt.Reason // to publications and new tokens
	slow         bool        // publications are not answered
	welcome      Welcome
	left         *parked // by an earlier connection
}

func newBench() *bench {
	cfg := DefaultConfig()
	b := &bench{now: time.Unix(1_800_000_000, 0)}
	srv := &services{cfg: &cfg, stats: &Stats{}, hub: NewHub(), serial: func() uint64 { return 1 }, gate: newGate(&cfg)}
	b.engine = newEngine(srv, b.now)
	return b
}

// settle does what a transport would: it answers CONNECT and publications,
// writes, and notes the rest. It returns what was written.
func (b *bench) settle() (written []byte) {
	for b.work != nil && (len(b.work.events) > 0 || len(b.work.out) > 0) {
		events := b.work.events
		b.work.events = nil
		for _, ev := range events {
			b.pass(ev)
		}
		w := b.w()
		out, sent := w.out, w.sent
		w.out, w.sent = nil, nil
		written = append(written, out...)
		for _, done := range sent {
			done(nil)
		}
	}
	b.rest()
	return written
}

func (b *bench) pass(ev event) {
	switch ev.kind {
	case evConnect:
		b.log = append(b.log, "connect "+ev.hello.ClientID)
		if b.refusal != 0 {
			b.refuse(b.refusal)
			return
		}
		b.accept(b.now, b.welcome, b.left)
	case evRefresh:
		b.log = append(b.log, "refresh "+string(ev.token))
		b.refreshed(b.answer, time.Time{})
	case evAcked:
		b.log = append(b.log, "acked "+ev.id)
	case evPublished:
		b.log = append(b.log, fmt.Sprintf("published %s %s", ev.pub.topic, ev.pub.payload))
		if ev.pub.packet != 0 && !b.slow {
			b.ack(ev.pub.packet, b.answer)
		}
	case evReport:
		ev.done(ev.err)
	case evReady:
		b.log = append(b.log, "ready")
	case evClosed:
		b.log = append(b.log, "closed "+b.cause.String())
	}
}

// conversation is all that a client may say: CONNECT, much, and what it says
// once that is answered.
func conversation(version byte) (connect, much, last []byte) {
	connect = mqtt.AppendConnect(nil, mqtt.Connect{Version: version, Clean: true, ClientID: "d1", KeepAlive: 60})
	much = mqtt.AppendSubscribe(nil, version, mqtt.Subscribe{ID: 1, Filters: []mqtt.Filter{{Topic: "inbox", QoS: 1}}})
	for qos := range byte(3) {
		much = mqtt.AppendPublish(much, version, mqtt.Publish{Topic: "receipts", ID: 10 + uint16(qos), QoS: qos, Payload: bytes.Repeat([]byte{'a' + qos}, 150)})
	}
	much = mqtt.AppendAck(much, version, mqtt.PUBACK, 1, mqtt.Success)
	much = mqtt.AppendPing(much, mqtt.PINGREQ)
	last = mqtt.AppendAck(nil, version, mqtt.PUBREL, 12, mqtt.Success)
	return connect, much, append(last, 0xE0, 0)
}

// converse feeds the parts, delivering a message once CONNECT was answered. It
// returns the packets written, sorted, for an answer of the handler may be
// overtaken by one of the engine's own.
func converse(t *testing.T, parts ...[]byte) (packets, log []string) {
	t.Helper()
	b := newBench()
	var written []byte
	for _, p := range parts {
		b.feed(b.now, p)
		written = append(written, b.settle()...)
		if b.state == open && !b.told {
			b.told = true
			b.deliver(b.now, Message{ID: "m1", Payload: []byte("hi")}, func(err error) {
				b.log = append(b.log, fmt.Sprint("report ", err))
			})
			written = append(written, b.settle()...)
		}
	}
	for len(written) > 0 {
		_, _, n, err := mqtt.Split(written, 1<<16)
		if err != nil || n == 0 {
			t.Fatalf("wrote % x: %v", written, err)
		}
		packets, written = append(packets, fmt.Sprintf("% x", written[:n])), written[n:]
	}
	if held := b.srv.gate.held.Load(); held != 0 {
		t.Fatalf("%d bytes are thought to wait", held)
	}
	slices.Sort(packets)
	return packets, b.log
}

func TestEngineDoesNotCareHowBytesArrive(t *testing.T) {
	for _, version := range []byte{mqtt.V311, mqtt.V5} {
		connect, much, last := conversation(version)
		wantPackets, wantLog := converse(t, connect, much, last)
		if end := wantLog[len(wantLog)-1]; end != "closed disconnected" || !slices.Contains(wantLog, "acked m1") {
			t.Fatalf("log %q", wantLog)
		}
		check := func(how string, parts ...[]byte) {
			packets, log := converse(t, parts...)
			if !slices.Equal(packets, wantPackets) || !slices.Equal(log, wantLog) {
				t.Fatalf("version %d, %s: log %q, want %q; wrote %q, want %q", version, how, log, wantLog, packets, wantPackets)
			}
		}
		for cut := range connect {
			check(fmt.Sprint("CONNECT cut at ", cut), connect[:cut], connect[cut:], much, last)
		}
		for cut := range much {
			check(fmt.Sprint("cut at ", cut), connect, much[:cut], much[cut:], last)
		}
		for cut := range last {
			check(fmt.Sprint("end cut at ", cut), connect, much, last[:cut], last[cut:])
		}
		var single [][]byte
		for _, part := range [][]byte{connect, much, last} {
			single = slices.AppendSeq(single, slices.Chunk(part, 1))
		}
		check("byte by byte", single...)
	}
}

func TestEngineGivesItsMemoryBack(t *testing.T) {
	b := newBench()
	connect, much, last := conversation(mqtt.V311)
	for _, p := range [][]byte{connect, much, last[:4]} { // all but DISCONNECT
		b.feed(b.now, p)
		b.settle()
	}
	for i := range 40 {
		b.deliver(b.now, Message{ID: fmt.Sprint(i), Payload: []byte("hi")}, func(error) {})
	}
	b.settle()
	for id := uint16(1); id <= 50; id++ {
		b.feed(b.now, mqtt.AppendAck(nil, mqtt.V311, mqtt.PUBACK, id, mqtt.Success))
		b.settle()
	}
	if b.work != nil {
		t.Errorf("an idle connection still holds %+v", b.work)
	}
	if s := b.sess; s.inflight != nil || s.queue != nil || s.bytes != 0 || len(s.acked) != 40 || s.waiting != nil {
		t.Errorf("an idle connection holds %+v", s)
	}
	b.feed(b.now, mqtt.AppendAck(mqtt.AppendPing(nil, mqtt.PINGREQ), mqtt.V311, mqtt.PUBREL, 12, mqtt.Success))
	b.settle()
	b.feed(b.now, mqtt.AppendPing(nil, mqtt.PINGREQ))
	b.settle()
	if b.sess != nil || b.work != nil || b.ext != nil {
		t.Errorf("a quiet connection holds %+v", b.sess)
	}
	if held := b.srv.gate.held.Load(); held != 0 {
		t.Errorf("%d bytes are thought to wait", held)
	}
}

func TestPacketIdentifiersWrapAndSkipThoseInFlight(t *testing.T) {
	b := newBench()
	b.feed(b.now, mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V311, Clean: true, ClientID: "d1"}))
	b.settle()
	send := func(id string) uint16 {
		b.deliver(b.now, Message{ID: id}, func(error) {})
		h, body, _, err := mqtt.Split(b.settle(), 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		p, err := mqtt.DecodePublish(h, body, mqtt.V311)
		if err != nil {
			t.Fatal(err)
		}
		return p.ID
	}
	if got := send("first"); got != 1 {
		t.Errorf("first identifier %d", got)
	}
	b.sess.next = 65535
	if got := send("last"); got != 65535 {
		t.Errorf("identifier %d, want 65535", got)
	}
	if got := send("wrapped"); got != 2 {
		t.Errorf("identifier %d, want 2: 0 is none and 1 is in flight", got)
	}
}

func TestExpiredMessageLeavesTheQueue(t *testing.T) {
	b := newBench()
	b.window = 1
	b.feed(b.now, mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, ClientID: "d1"}))
	b.settle()
	var reports []error
	for _, id := range []string{"a", "b", "c"} {
		m := Message{ID: id, Payload: []byte(id)}
		if id == "b" {
			m.Expires = b.now.Add(time.Second)
		}
		b.deliver(b.now, m, func(err error) { reports = append(reports, err) })
	}
	b.settle()
	b.now = b.now.Add(2 * time.Second)
	b.feed(b.now, mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBACK, 1, mqtt.Success))
	if written := b.settle(); !bytes.HasSuffix(written, []byte("c")) {
		t.Errorf("wrote %q after the first was acknowledged, want c", written)
	}
	if fmt.Sprint(reports) != fmt.Sprint([]error{nil, ErrExpired, nil}) {
		t.Errorf("reports %v", reports)
	}
}

// unhex turns "10 0c 'MQTT' 04" into bytes.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var out []byte
	for f := range strings.FieldsSeq(s) {
		if strings.HasPrefix(f, "'") {
			out = append(out, strings.Trim(f, "'")...)
			continue
		}
		b, err := hex.DecodeString(f)
		if err != nil {
			t.Fatalf("%q in %q: %v", f, s, err)
		}
		out = append(out, b...)
	}
	return out
}

func concat(a, b, c []byte) []byte { return slices.Concat(a, b, c) }

// FuzzEngine: whatever a client sends, in whatever pieces, the engine neither
// panics nor keeps more than it may, ends at most once, and what it writes is
// MQTT.
func FuzzEngine(f *testing.F) {
	for _, version := range []byte{mqtt.V311, mqtt.V5} {
		whole := concat(conversation(version))
		f.Add(whole, uint8(7))
		f.Add(append(whole[:20:20], 0xFF, 0xFF, 0xFF, 0xFF), uint8(1))
	}
	f.Fuzz(func(t *testing.T, input []byte, step uint8) {
		b := newBench()
		var written []byte
		for part := range slices.Chunk(input, int(step)+1) {
			b.feed(b.now, part)
			written = append(written, b.settle()...)
			if b.state == open {
				b.deliver(b.now, Message{ID: fmt.Sprint(len(written)), Payload: part}, func(error) {})
				written = append(written, b.settle()...)
			}
			if b.work != nil && len(b.work.in) > b.srv.cfg.MaxPacket {
				t.Fatalf("keeps %d bytes", len(b.work.in))
			}
		}
		ends := 0
		for _, line := range b.log {
			if len(line) > 6 && line[:6] == "closed" {
				ends++
			}
		}
		if ends > 1 || (b.accepted && b.state == closed) != (ends == 1) {
			t.Fatalf("closed %d times: %q", ends, b.log)
		}
		for len(written) > 0 {
			_, _, n, err := mqtt.Split(written, 1<<20)
			if err != nil || n == 0 {
				t.Fatalf("wrote % x: %v", written, err)
			}
			written = written[n:]
		}
	})
}
