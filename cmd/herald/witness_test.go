package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/client/live"
	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/providers/sandbox"
)

// TestTheWitnessMissesNothing has people talk and be pushed to over two access
// nodes and two logic nodes, kills one of each and Redis (-9) and stops a tenth of
// the devices from hearing, and counts by name: one missing and one twice do not
// cancel out.
//
// In the suite it is small; HERALD_WITNESS_ROUNDS (make witness) makes it as long
// as wanted, with more people.
func TestTheWitnessMissesNothing(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	rounds, _ := strconv.Atoi(os.Getenv("HERALD_WITNESS_ROUNDS"))
	people := 10
	if rounds > 0 {
		people = 60
	}
	w := newWitness(t, people)
	for range max(rounds, 1) {
		w.accident("access node", func() {
			w.conns[0].kill()
			w.conns = w.conns[1:]
			w.access()
		})
		w.accident("logic node", func() {
			w.logics[0].kill()
			w.logics = append(w.logics[1:], w.start("im"))
		})
		w.accident("redis", func() {
			w.redis.Kill()
			w.redis.Restart()
		})
		w.accident("a tenth of the devices", w.deafen)
	}
	w.settle()
	w.compare()
}

// witness is an installation with people, and what each of them said and heard.
type witness struct {
	*installation

	conns, logics []*program
	people        []*soul
	calm          context.CancelFunc // ends the load
	load          errgroup.Group

	mu    sync.Mutex
	nodes []string          // where the access nodes speak MQTT
	said  map[string]string // client id → who is to hear it
	sent  map[string]string // notification → whose device it is for
	shown map[string]time.Time
	wants []string // accidents
}

// soul is a person with a device on the Go SDK.
type soul struct {
	*live.Device

	name, device string
	road         *road

	mu    sync.Mutex
	heard map[string]int // client id → how often
	shown map[string]int // notification → how often on the live connection
	count int            // of messages said
}

func newWitness(t *testing.T, people int) *witness {
	t.Helper()
	w := &witness{
		installation: install(t, 0), said: map[string]string{}, sent: map[string]string{}, shown: map[string]time.Time{},
	}
	t.Setenv("HERALD_IM_LINK_LISTEN", "127.0.0.1:0")
	t.Cleanup(w.vendor.OnShow(func(m sandbox.Message) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if id := m.Data["herald_notification"]; w.shown[id].IsZero() {
			w.shown[id] = time.Now()
		}
	}))
	w.logics = []*program{w.start("im"), w.start("im")}
	w.access()
	w.access()
	w.start("worker")
	for i := range people {
		w.people = append(w.people, w.born(i))
	}
	ctx, calm := context.WithCancel(context.WithoutCancel(t.Context()))
	w.calm = calm
	for i, p := range w.people {
		w.load.Go(func() error { return w.talk(ctx, p, w.people[(i+1)%people]) })
	}
	w.load.Go(func() error { return w.push(ctx) })
	t.Cleanup(func() { calm(); _ = w.load.Wait() })
	w.progress("before")
	return w
}

// access starts an access node.
func (w *witness) access() {
	w.t.Helper()
	w.conns = append(w.conns, w.start("conn"))
	var nodes []string
	for _, c := range w.conns {
		nodes = append(nodes, net.JoinHostPort(w.mqttOf(c)))
	}
	w.mu.Lock()
	w.nodes = nodes
	w.mu.Unlock()
}

// born registers a person's device and connects it, by a road of its own to
// whichever access node is there.
func (w *witness) born(i int) *soul {
	w.t.Helper()
	p := &soul{name: fmt.Sprint("p", i), device: fmt.Sprint("phone-", i), heard: map[string]int{}, shown: map[string]int{}}
	_, err := w.herald.PutDevice(w.t.Context(), client.Device{
		ID: p.device, User: p.name, Platform: "ios", Maker: "Apple", Country: "DE",
		Addresses: []client.Address{{Provider: "live", Token: p.device}, {Provider: "apns", Token: apnsToken(p.device)}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.road = newRoad(w.t, func() []string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.nodes
	}, i)
	p.Device = live.New(live.Config{
		Addr: p.road.listener.Addr().String(), API: w.herald.URL, Device: p.device,
		Token: func(ctx context.Context) (live.Token, error) {
			token, err := w.herald.DeviceToken(ctx, p.device)
			return live.Token{Token: token.Token, ExpiresAt: token.ExpiresAt}, err
		},
		OnMessage: func(m live.Message) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.heard[m.ClientID]++
		},
		OnNotification: func(n live.Notification) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.shown[n.Notification]++
		},
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("%s: Run() = %v", p.name, err)
		}
	})
	return p
}

// pace is how often each person says something: within what one may.
const pace = 200 * time.Millisecond

// talk has one person write to another until ctx ends. What was said counts; what
// was not answered may be said or not, and counts when it is heard twice.
func (w *witness) talk(ctx context.Context, from, to *soul) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		id := fmt.Sprint(from.name, "/", n)
		_, err := from.Send(ctx, live.Draft{To: to.name, Text: id, ClientID: id})
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s says %s: %w", from.name, id, err)
		}
		w.mu.Lock()
		w.said[id] = to.name
		w.mu.Unlock()
		from.mu.Lock()
		from.count++
		from.mu.Unlock()
	}
}

// push sends notifications to one device after the other until ctx ends. Without
// proof from the live connection within two seconds the vendor is next.
func (w *witness) push(ctx context.Context) error {
	tick := time.NewTicker(pace / 2)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		w.notify(fmt.Sprint("n-", n), w.people[n%len(w.people)])
	}
}

// notify sends a notification and notes it if it was taken.
func (w *witness) notify(id string, to *soul) bool {
	impatient := *w.herald
	impatient.Tries = 1
	_, err := impatient.Send(context.WithoutCancel(w.t.Context()), client.Notification{
		ID: id, To: client.Audience{Device: to.device}, Title: "Hi", Class: client.Transactional,
		Route: &client.Route{Roads: []string{"live", "apns"}, WaitSeconds: 2},
	})
	if err != nil {
		return false // Redis is away: nobody knows whether it was taken, and it is not counted on
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[id] = to.device
	return true
}

// accident does something to the installation and waits until everybody talks
// again.
func (w *witness) accident(what string, do func()) {
	w.t.Helper()
	w.wants = append(w.wants, what)
	do()
	w.progress(what)
}

// progress waits until each person has said some more.
func (w *witness) progress(after string) {
	w.t.Helper()
	const more = 3
	want := make([]int, len(w.people))
	for i, p := range w.people {
		want[i] = p.spoken() + more
	}
	eventually(w.t, 90*time.Second, "everybody talks after "+after, func() error {
		for i, p := range w.people {
			if n := p.spoken(); n < want[i] {
				return fmt.Errorf("%s has said %d of %d", p.name, n, want[i])
			}
		}
		return nil
	})
}

func (p *soul) spoken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// deafen keeps a tenth of the devices from hearing and saying anything, though
// their connections stand, and sees that what is pushed to them meanwhile is
// handed to the vendor, before they hear again.
func (w *witness) deafen() {
	deaf := w.people[:max(1, len(w.people)/10)]
	for _, p := range deaf {
		p.road.stop(true)
	}
	var ids []string
	for i, p := range deaf {
		for k := range 3 {
			id := fmt.Sprintf("deaf-%d-%d-%d", len(w.wants), i, k)
			eventually(w.t, 60*time.Second, id+" is taken", func() error {
				if !w.notify(id, p) {
					return errors.New("not taken")
				}
				return nil
			})
			ids = append(ids, id)
		}
	}
	eventually(w.t, 90*time.Second, "what nobody acknowledges goes the next road", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, id := range ids {
			if w.shown[id].IsZero() {
				return errors.New(id + " was not handed to the vendor")
			}
		}
		return nil
	})
	for _, p := range deaf {
		p.road.stop(false)
	}
}

// settle ends the load and waits until all that was said was heard, and all that
// was sent shown.
func (w *witness) settle() {
	w.t.Helper()
	w.calm()
	if err := w.load.Wait(); err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, 2*time.Minute, "everything has arrived", func() error {
		if lost := w.missing(); len(lost) > 0 {
			return fmt.Errorf("%d are missing, such as %s", len(lost), lost[0])
		}
		return nil
	})
}

// missing lists what has not arrived.
func (w *witness) missing() (lost []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	byName := map[string]*soul{}
	for _, p := range w.people {
		byName[p.name], byName[p.device] = p, p
	}
	for id, to := range w.said {
		if byName[to].times(id) == 0 {
			lost = append(lost, "message "+id)
		}
	}
	for id, device := range w.sent {
		p := byName[device]
		p.mu.Lock()
		n := p.shown[id]
		p.mu.Unlock()
		if n == 0 && w.shown[id].IsZero() {
			lost = append(lost, "notification "+id)
		}
	}
	return lost
}

func (p *soul) times(clientID string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard[clientID]
}

// compare counts what came twice: in what was said, and on the live connection.
func (w *witness) compare() {
	w.t.Helper()
	var twice []string
	messages, notifications := 0, 0
	for _, p := range w.people {
		p.mu.Lock()
		for id, n := range p.heard {
			if messages++; n > 1 {
				twice = append(twice, fmt.Sprintf("%s heard %s %d times", p.name, id, n))
			}
		}
		for id, n := range p.shown {
			if notifications++; n > 1 {
				twice = append(twice, fmt.Sprintf("%s was shown %s %d times", p.name, id, n))
			}
		}
		p.mu.Unlock()
	}
	slices.Sort(twice)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Logf("%d messages said, %d heard; %d notifications taken, %d shown live, %d by the vendor; after %s: lost 0, twice %d",
		len(w.said), messages, len(w.sent), notifications, len(w.shown), strings.Join(w.wants, ", "), len(twice))
	if len(twice) > 0 {
		w.t.Errorf("%d came twice: %q", len(twice), twice[:min(10, len(twice))])
	}
}

// road leads a device to one of the nodes that are there, and can be stopped: then
// it stands, and carries nothing.
type road struct {
	listener net.Listener
	nodes    func() []string

	mu      sync.Mutex
	changed *sync.Cond
	stopped bool
	closed  bool
	conns   []net.Conn
}

func newRoad(t *testing.T, nodes func() []string, first int) *road {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{listener: l, nodes: nodes}
	r.changed = sync.NewCond(&r.mu)
	t.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.closed = true
		for _, c := range r.conns {
			c.Close()
		}
		r.changed.Broadcast()
	})
	go func() {
		for n := first; ; n++ {
			here, err := l.Accept()
			if err != nil {
				return
			}
			r.lead(here, n)
		}
	}()
	return r
}

// lead connects to the nth node, or the next that is there.
func (r *road) lead(here net.Conn, n int) {
	nodes := r.nodes()
	for i := range nodes {
		there, err := net.Dial("tcp", nodes[(n+i)%len(nodes)]) //nolint:noctx // ends with the test
		if err != nil {
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, here, there)
		r.mu.Unlock()
		go r.carry(there, here)
		go r.carry(here, there)
		return
	}
	here.Close()
}

func (r *road) carry(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		for r.stopped && !r.closed {
			r.changed.Wait()
		}
		r.mu.Unlock()
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				from.Close()
			}
			return
		}
	}
}

func (r *road) stop(stop bool) {
	r.mu.Lock()
	r.stopped = stop
	r.mu.Unlock()
	r.changed.Broadcast()
}
