package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/im"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 30 * time.Second

// board is where nodes announce themselves.
type board struct {
	mu    sync.Mutex
	addrs []string
}

func (b *board) Announce(_ context.Context, addr string, _ time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.addrs, addr) {
		b.addrs = append(b.addrs, addr)
	}
	return nil
}

func (b *board) Withdraw(_ context.Context, addr string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addrs = slices.DeleteFunc(b.addrs, func(a string) bool { return a == addr })
	return nil
}

func (b *board) Announced(context.Context) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.addrs), nil
}

// floor is a logic node.
type floor struct {
	name string
	hold chan struct{} // if set, Say waits for its end

	mu    sync.Mutex
	said  []string
	acked []string
	busy  int
	most  int
}

func (f *floor) Say(ctx context.Context, who im.Session, payload []byte) (bool, error) {
	f.mu.Lock()
	f.busy++
	f.most = max(f.most, f.busy)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.busy--
		f.mu.Unlock()
	}()
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch string(payload) {
	case "refuse":
		return false, errors.New("not here")
	case "away":
		return true, errors.New("store is away")
	}
	f.said = append(f.said, fmt.Sprintf("%s/%s/%s/%d: %s", who.App, who.Device, who.User, who.Serial, payload))
	return false, nil
}

func (f *floor) Acked(app, user, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acked = append(f.acked, app+"/"+user+"/"+id)
}

func (f *floor) words() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.said)
}

var secret = bytes.Repeat([]byte("k"), 32)

// run runs something until stop, or the end of the test.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func serve(t *testing.T, b *board, f *floor, change ...func(*Config)) (s *Server, stop func()) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	for _, c := range change {
		c(&cfg)
	}
	s, err := Open(t.Context(), cfg, secret, f, b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, run(t, s.Run)
}

func connect(t *testing.T, b *board, key []byte, change ...func(*Config)) *Client {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Patience = soon
	for _, c := range change {
		c(&cfg)
	}
	c, err := NewClient(cfg, key, b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	return c
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func ann(device string) im.Session {
	return im.Session{App: "demo", Device: device, User: "ann", Serial: 7}
}

func TestWhatIsSaidReachesTheLogicAndTheAnswerComesBack(t *testing.T) {
	b, f := &board{}, &floor{}
	serve(t, b, f)
	c := connect(t, b, secret)
	tests := map[string]struct{ retry, fails bool }{
		"hello":  {false, false},
		"refuse": {false, true},
		"away":   {true, true},
		"":       {false, false},
	}
	for payload, want := range tests {
		retry, err := c.Say(t.Context(), ann("d1"), []byte(payload))
		if retry != want.retry || (err != nil) != want.fails {
			t.Errorf("Say(%q) = %v, %v", payload, retry, err)
		}
	}
	if !slices.Contains(f.words(), "demo/d1/ann/7: hello") {
		t.Errorf("said %q", f.words())
	}
	c.Acked("demo", "ann", "im:x:1")
	eventually(t, "acknowledgement", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Equal(f.acked, []string{"demo/ann/im:x:1"})
	})
}

func TestAUserIsLedToOneNodeWhileItIsThere(t *testing.T) {
	b := &board{}
	floors, stops := map[string]*floor{}, map[string]func(){}
	for range 3 {
		f := &floor{}
		s, stop := serve(t, b, f)
		floors[s.Addr()], stops[s.Addr()] = f, stop
	}
	c := connect(t, b, secret)
	eventually(t, "streams to all nodes", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := 0
		for _, p := range c.peers {
			for _, s := range p.streams {
				if s.up() {
					n++
				}
			}
		}
		return n == 3*c.cfg.Streams
	})
	const users, each = 60, 4
	say := func(round string) {
		var all sync.WaitGroup
		for u := range users {
			all.Go(func() {
				for i := range each {
					who := im.Session{App: "demo", Device: fmt.Sprint("d", i), User: fmt.Sprint("u", u)}
					if _, err := c.Say(t.Context(), who, []byte(round)); err != nil {
						t.Errorf("Say() = %v", err)
					}
				}
			})
		}
		all.Wait()
	}
	at := func() map[string]string { // user → node
		where := map[string]string{}
		for addr, f := range floors {
			for _, line := range f.words() {
				user := strings.Split(line, "/")[2]
				if where[user] != "" && where[user] != addr {
					t.Errorf("%s was led to two nodes", user)
				}
				where[user] = addr
			}
			f.mu.Lock()
			f.said = nil
			f.mu.Unlock()
		}
		return where
	}
	say("one")
	first := at()
	used := map[string]bool{}
	for _, addr := range first {
		used[addr] = true
	}
	if len(first) != users || len(used) != 3 {
		t.Fatalf("%d users on %d nodes", len(first), len(used))
	}
	var gone string
	for addr := range used {
		gone = addr
		break
	}
	stops[gone]()
	say("two")
	for user, addr := range at() {
		if addr == gone || first[user] != gone && addr != first[user] {
			t.Errorf("%s moved from %s to %s; %s is gone", user, first[user], addr, gone)
		}
	}
}

func TestANodeGrantsHowMuchMayBeUnderWay(t *testing.T) {
	b, f := &board{}, &floor{hold: make(chan struct{})}
	serve(t, b, f, func(c *Config) { c.Window = 5; c.Patience = soon })
	c := connect(t, b, secret, func(c *Config) { c.Streams = 1 })
	var all sync.WaitGroup
	const n = 40
	for i := range n {
		all.Go(func() {
			if _, err := c.Say(t.Context(), ann(fmt.Sprint("d", i)), []byte("x")); err != nil {
				t.Errorf("Say() = %v", err)
			}
		})
	}
	eventually(t, "a full window", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.busy == 5
	})
	close(f.hold)
	all.Wait()
	if f.most != 5 || len(f.words()) != n {
		t.Errorf("%d at a time, %d in all", f.most, len(f.words()))
	}
}

func TestANodeThatLeavesAnswersWhatItHas(t *testing.T) {
	b, old := &board{}, &floor{hold: make(chan struct{})}
	_, stop := serve(t, b, old, func(c *Config) { c.Patience = soon })
	c := connect(t, b, secret)
	answered := make(chan error, 1)
	go func() {
		_, err := c.Say(context.Background(), ann("d1"), []byte("in time"))
		answered <- err
	}()
	eventually(t, "a call under way", func() bool {
		old.mu.Lock()
		defer old.mu.Unlock()
		return old.busy == 1
	})
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	eventually(t, "the farewell", func() bool { return c.pick(ann("d2")) == nil })
	next := &floor{}
	serve(t, b, next)
	if _, err := c.Say(t.Context(), ann("d2"), []byte("later")); err != nil {
		t.Errorf("Say() = %v", err)
	}
	close(old.hold)
	if err := <-answered; err != nil {
		t.Errorf("Say() = %v", err)
	}
	<-stopped
	if !slices.Equal(old.words(), []string{"demo/d1/ann/7: in time"}) || !slices.Equal(next.words(), []string{"demo/d2/ann/7: later"}) {
		t.Errorf("said %q and %q", old.words(), next.words())
	}
}

func TestACallWhoseNodeIsLostIsMadeAgain(t *testing.T) {
	b, first := &board{}, &floor{hold: make(chan struct{})}
	s, _ := serve(t, b, first)
	c := connect(t, b, secret)
	answered := make(chan error, 1)
	go func() {
		_, err := c.Say(context.Background(), ann("d1"), []byte("x"))
		answered <- err
	}()
	eventually(t, "a call under way", func() bool {
		first.mu.Lock()
		defer first.mu.Unlock()
		return first.busy == 1
	})
	second := &floor{}
	serve(t, b, second)
	s.grpc.Stop() // as if it were killed: nobody says goodbye
	if err := <-answered; err != nil {
		t.Errorf("Say() = %v", err)
	}
	if got := second.words(); len(got) != 1 {
		t.Errorf("the other node heard %q", got)
	}
	close(first.hold)
}

func TestWithoutALogicNodeTheDeviceSaysItAgain(t *testing.T) {
	c := connect(t, &board{}, secret, func(c *Config) { c.Patience = 50 * time.Millisecond })
	retry, err := c.Say(t.Context(), ann("d1"), []byte("x"))
	if !retry || !errors.Is(err, im.ErrAway) {
		t.Errorf("Say() = %v, %v", retry, err)
	}
	c.Acked("demo", "ann", "im:x:1") // is dropped
}

func TestWhoHasAnotherSealingKeyIsNotLetIn(t *testing.T) {
	b, f := &board{}, &floor{}
	serve(t, b, f)
	c := connect(t, b, bytes.Repeat([]byte("x"), 32), func(c *Config) { c.Patience = time.Second })
	if _, err := c.Say(t.Context(), ann("d1"), []byte("x")); !errors.Is(err, im.ErrAway) {
		t.Errorf("Say() = %v", err)
	}
	if got := f.words(); len(got) != 0 {
		t.Errorf("it was let say %q", got)
	}
}

func TestItemsThatAreCutShortAreNotRead(t *testing.T) {
	k := call{kind: itemSay, seq: 300, who: ann("d1"), payload: []byte("hello")}
	whole := k.append(nil)
	for n := range whole {
		r := &reader{b: whole[:n]}
		if n == 0 {
			continue
		}
		if r.call(); r.err == nil {
			t.Errorf("%d of %d bytes made a call", n, len(whole))
		}
	}
	r := &reader{b: whole}
	if got := r.call(); r.err != nil || r.more() || got.who != k.who || got.seq != k.seq || string(got.payload) != "hello" {
		t.Errorf("read %+v, %v", got, r.err)
	}
	r = &reader{b: []byte{99, 1, 0}}
	if r.call(); r.err == nil {
		t.Error("an unknown kind was read")
	}
}

func TestConfigNamesItsFaults(t *testing.T) {
	bad := Config{Listen: ":7420", Streams: 0, Window: 0}
	err := bad.Validate()
	for _, key := range []string{"im.link.streams", "im.link.window", "im.link.patience", "im.link.advertise"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Validate() = %v, want a word on %s", err, key)
		}
	}
	good := DefaultConfig()
	good.Listen, good.Advertise = ":7420", "10.0.0.7:7420"
	if err := errors.Join(good.Validate(), DefaultConfig().Validate()); err != nil {
		t.Error(err)
	}
}
