package longconn

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald/longconn/mqtt"
)

// someone is a connection that holds a key.
type someone struct {
	holder

	n   uint64
	key string
}

func (s *someone) name() string { return s.key }

func (s *someone) number() uint64 { return s.n }

func TestSessionEndsWithItsTime(t *testing.T) {
	b := newBench()
	hub, c := b.srv.hub, &someone{n: 1, key: "d1"}
	park := func(expiry, delay uint32, said *int) {
		hub.claim("d1", c)
		hub.release("d1", c, b.srv, func() *parked {
			p := &parked{expiry: expiry, said: func(Conn, Publication) { *said++ }}
			if delay > 0 {
				p.will = &will{topic: "receipts", delay: delay}
			}
			return p
		})
	}
	tests := map[string]struct {
		expiry, delay uint32 // seconds
		after         time.Duration
		present       bool
		wills         int
	}{
		"in time":                        {expiry: 100, after: 90 * time.Second, present: true},
		"too late":                       {expiry: 100, after: 101 * time.Second},
		"will before the end":            {expiry: 100, delay: 50, after: 51 * time.Second, present: true, wills: 1},
		"will not yet":                   {expiry: 100, delay: 50, after: 49 * time.Second, present: true},
		"will at the end of the session": {expiry: 100, delay: 500, after: 101 * time.Second, wills: 1},
	}
	for name, tt := range tests {
		said := 0
		park(tt.expiry, tt.delay, &said)
		hub.sweep(time.Now().Add(tt.after))
		_, left, _ := hub.claim("d1", c)
		if (left != nil) != tt.present || said != tt.wills {
			t.Errorf("%s: session %v, %d wills", name, left != nil, said)
		}
		hub.release("d1", c, b.srv, func() *parked { return nil })
	}
	if n, held := hub.parked.Load(), b.srv.gate.held.Load(); n != 0 || held != 0 {
		t.Errorf("%d sessions and %d bytes are thought to wait", n, held)
	}
}

func TestSessionsThatWaitAreBounded(t *testing.T) {
	b := newBench()
	b.srv.cfg.MaxSessions = 3
	for i := range 5 {
		key := fmt.Sprint("d", i)
		c := &someone{n: uint64(i), key: key}
		b.srv.hub.claim(key, c)
		b.srv.hub.release(key, c, b.srv, func() *parked { return &parked{expiry: 10} })
	}
	if n := b.srv.hub.parked.Load(); n != 3 {
		t.Errorf("%d sessions wait", n)
	}
}

func TestSlowReaderGetsTheLatestWordOnly(t *testing.T) {
	b := newBench()
	b.window = 1
	b.feed(b.now, mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, ClientID: "d1"}))
	b.settle()
	var reports []error
	for i, collapse := range []string{"", "score", "", "score", "score"} {
		m := Message{ID: fmt.Sprint(i), Payload: fmt.Append(nil, "m", i), Collapse: collapse}
		b.deliver(b.now, m, func(err error) { reports = append(reports, err) })
	}
	var got []string
	for packet := uint16(1); packet < 5; packet++ {
		for written := b.settle(); len(written) > 0; {
			h, body, n, _ := mqtt.Split(written, 1<<16)
			if p, err := mqtt.DecodePublish(h, body, mqtt.V5); err == nil && h.Type == mqtt.PUBLISH {
				got = append(got, string(p.Payload))
			}
			written = written[n:]
		}
		b.feed(b.now, mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBACK, packet, 0))
	}
	if fmt.Sprint(got) != "[m0 m2 m4]" {
		t.Errorf("sent %v", got)
	}
	if want := []error{ErrReplaced, ErrReplaced, nil, nil, nil}; fmt.Sprint(reports) != fmt.Sprint(want) {
		t.Errorf("reports %v, want %v", reports, want)
	}
	if held := b.srv.gate.held.Load(); held != 0 {
		t.Errorf("%d bytes are thought to wait", held)
	}
}

func TestTableFindsWhatIsInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var got table
		want := map[string]holder{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			key := fmt.Sprint("d", rapid.IntRange(0, 60).Draw(t, "key"))
			if rapid.Bool().Draw(t, "put") {
				c := &someone{key: key}
				got.put(key, c)
				want[key] = c
			} else if len(want) > 0 {
				got.remove(key)
				delete(want, key)
			}
			for i := range 61 {
				key := fmt.Sprint("d", i)
				if c := got.get(key); c != want[key] {
					t.Fatalf("%s: %v, want %v", key, c, want[key])
				}
			}
			if got.n != len(want) {
				t.Fatalf("%d, want %d", got.n, len(want))
			}
		}
	})
}
