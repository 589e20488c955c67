package live

import (
	"bufio"
	"bytes"
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
		_, _, _ = packet{kind: typeConnack, body: body}.connack()
		_, _, _, _ = packet{kind: typePublish, flags: 2, body: body}.published()
	})
}

func TestConnackTellsTheKeepAlive(t *testing.T) {
	body := []byte{0, 0, 14, 0x21, 0, 32, 0x26, 0, 1, 'a', 0, 1, 'b', propServerKeepAlive, 1, 44, 0}
	reason, keep, err := packet{kind: typeConnack, body: body}.connack()
	if reason != 0 || keep != 300 || err != nil {
		t.Errorf("connack() = %d, %d, %v", reason, keep, err)
	}
}
