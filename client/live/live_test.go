package live

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestHeartbeatFindsWhatTheNetworkBears(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var h Heartbeat
	steps := []struct {
		name string
		well bool
		want time.Duration
	}{
		{"first", true, 210 * time.Second},
		{"second", true, 210 * time.Second},
		{"three that went well", true, 270 * time.Second},
		{"one that did not", false, 270 * time.Second},
		{"one that did again", true, 270 * time.Second},
		{"lost", false, 270 * time.Second},
		{"lost twice", false, 190 * time.Second},
		{"it stays", true, 190 * time.Second},
		{"it stays", true, 190 * time.Second},
		{"it stays", true, 190 * time.Second},
	}
	for _, s := range steps {
		if h.went(s.well, now); h.next(0) != s.want {
			t.Errorf("%s: %s, want %s", s.name, h.next(0), s.want)
		}
	}
	now = now.Add(25 * time.Hour)
	if h.went(true, now); h.next(0) != 250*time.Second {
		t.Errorf("after a day: %s", h.next(0))
	}
	if h.next(60) != time.Minute {
		t.Errorf("the server's wish counts: %s", h.next(60))
	}
	for range 100 {
		h.went(true, now)
	}
	if h.next(0) != mostBeat*time.Second {
		t.Errorf("at most: %s", h.next(0))
	}
}

func TestPausesDoubleAndAreNeverInStep(t *testing.T) {
	for n := range 40 {
		most := min(500*time.Millisecond<<min(n, 10), 30*time.Second) + 100*time.Millisecond
		if p := pause(n); p < 100*time.Millisecond || p > most {
			t.Errorf("pause(%d) = %s, at most %s", n, p, most)
		}
	}
	seen := map[time.Duration]bool{}
	for range 50 {
		seen[pause(5)] = true
	}
	if len(seen) < 40 {
		t.Errorf("%d different pauses of 50", len(seen))
	}
}

func TestStateSurvivesAndRepeatsAreDropped(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "state.json"))
	s, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	s.Heads, s.Cursor = map[string]uint64{"team": 7}, 9
	for _, id := range []string{"a", "b"} {
		if !s.show(id) || s.show(id) {
			t.Errorf("%s is shown once", id)
		}
	}
	for range 2 * remembered {
		s.show(time.Now().String())
	}
	if len(s.Seen) > remembered {
		t.Errorf("%d are remembered", len(s.Seen))
	}
	if err := f.Save(s); err != nil {
		t.Fatal(err)
	}
	got, err := f.Load()
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("loaded %+v, %v", got, err)
	}
	if err := os.WriteFile(string(f), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(); err == nil {
		t.Error("half a state was loaded")
	}
}

func TestPacketsThatAreCutShortAreNotRead(t *testing.T) {
	whole := publishPacket("inbox", 7, []byte("hello"))
	for n := range whole {
		if _, err := readPacket(bufio.NewReader(bytes.NewReader(whole[:n]))); err == nil {
			t.Errorf("%d of %d bytes made a packet", n, len(whole))
		}
	}
	p, err := readPacket(bufio.NewReader(bytes.NewReader(whole)))
	if err != nil {
		t.Fatal(err)
	}
	topic, id, payload, err := p.published()
	if topic != "inbox" || id != 7 || string(payload) != "hello" || err != nil {
		t.Errorf("published() = %q, %d, %q, %v", topic, id, payload, err)
	}
	for n := range 9 {
		short := p
		short.body = p.body[:n]
		if _, _, _, err := short.published(); err == nil && n < 10 {
			t.Errorf("a body of %d bytes was read", n)
		}
	}
	if _, err := readPacket(bufio.NewReader(strings.NewReader("\x30\xff\xff\xff\x7f"))); err == nil {
		t.Error("a giant was read")
	}
}

func FuzzConnack(f *testing.F) {
	f.Add([]byte{0, 0, 3, propServerKeepAlive, 1, 44})
	f.Add([]byte{0, 0, 7, 0x26, 0, 1, 'a', 0, 1, 'b'})
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = packet{kind: typeConnack, body: body}.connack()
		_ = packet{kind: typeDisconnect, body: body}.disconnect()
		_, _, _, _ = packet{kind: typePublish, flags: 2, body: body}.published()
	})
}

func TestConnackTellsTheKeepAlive(t *testing.T) {
	body := []byte{0, 0, 14, 0x21, 0, 32, 0x26, 0, 1, 'a', 0, 1, 'b', propServerKeepAlive, 1, 44, 0}
	got, err := packet{kind: typeConnack, body: body}.connack()
	if got.reason != 0 || got.keepAlive != 300 || err != nil {
		t.Errorf("connack() = %+v, %v", got, err)
	}
}

func TestServersWishForTheNextTryIsHonoured(t *testing.T) {
	pair := func(key, value string) []byte { return appendText(appendText([]byte{propUser}, key), value) }
	props := append(pair("other", "x"), pair("retry-after", "20")...)
	props = appendText(append(props, propServerReference), "b.example.com:1883")
	body := append([]byte{0x9c, byte(len(props))}, props...)
	var away *Away
	if err := (packet{kind: typeDisconnect, body: body}).disconnect().away(); !errors.As(err, &away) ||
		*away != (Away{Reason: 0x9c, Retry: 20 * time.Second, Server: "b.example.com:1883"}) {
		t.Fatalf("sent away: %+v", away)
	}
	for n := range 20 {
		least := min(20*time.Second<<min(n, 5), 10*time.Minute)
		if w := later(away.Retry, n); w < least || w > 2*least {
			t.Errorf("try %d waits %s, want %s to %s", n, w, least, 2*least)
		}
	}
	for _, odd := range []string{"", "soon", "-5", "99999999999999999999"} {
		b := pair("retry-after", odd)
		a := packet{kind: typeDisconnect, body: append([]byte{0x89, byte(len(b))}, b...)}.disconnect()
		if a.retry != 0 && odd != "99999999999999999999" {
			t.Errorf("retry-after %q is %s", odd, a.retry)
		}
	}
}

// A WebSocket is the stream that its messages hold, however they are cut.
func TestSocketReadsAndWritesAStream(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	s := &socket{Conn: here, in: bufio.NewReader(here)}
	go func() {
		_, _ = there.Write([]byte{0x82, 3, 'a', 'b', 'c', 0x80, 1, 'd', 0x82, 126, 0, 130})
		_, _ = there.Write(bytes.Repeat([]byte{'e'}, 130))
		_, _ = there.Write([]byte{0x88, 0})
	}()
	got, err := io.ReadAll(s)
	if err != nil || string(got) != "abcd"+strings.Repeat("e", 130) {
		t.Errorf("read %q, %v", got, err)
	}
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		go func() { _, _ = s.Write(bytes.Repeat([]byte{'x'}, size)) }()
		in := bufio.NewReader(there)
		var head [2]byte
		_, err := io.ReadFull(in, head[:])
		n := int(head[1] & 127)
		if wide := map[int]int{126: 2, 127: 8}[n]; err == nil && wide > 0 {
			length := make([]byte, wide)
			_, err = io.ReadFull(in, length)
			n = 0
			for _, c := range length {
				n = n<<8 | int(c)
			}
		}
		body := make([]byte, 4+n)
		if err == nil {
			_, err = io.ReadFull(in, body)
		}
		for i := range body[4:] {
			body[4+i] ^= body[i%4]
		}
		if err != nil || head[0] != 0x82 || head[1]&0x80 == 0 || !bytes.Equal(body[4:], bytes.Repeat([]byte{'x'}, size)) {
			t.Errorf("a message of %d bytes: %x, %v", size, head, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for addr, want := range map[string]string{
		"h:1883": "h:1883", "ws://h": "h:80", "wss://h/mqtt": "h:443", "ws://h:8083/x": "h:8083", "wss://[::1]/": "[::1]:443",
	} {
		if got, _, secure, err := split(addr); got != want || err != nil || secure != strings.HasPrefix(addr, "wss") {
			t.Errorf("split(%q) = %q, %v, %v", addr, got, secure, err)
		}
	}
	for _, addr := range []string{"http://h", "ws://", "mqtt://h:1"} {
		if _, _, _, err := split(addr); err == nil {
			t.Errorf("%q is taken", addr)
		}
	}
}
