//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
)

// rollEvict is how many clients a second a node sends away before it is restarted.
const rollEvict = 2_500

// measureRoll restarts four nodes one after the other, each emptied first, while
// messages are sent to the devices: none may be lost, and the devices must not all
// come back at once.
func measureRoll(ctx context.Context, o options) ([]figure, error) {
	const nodes, rate = 4, 1_000
	each := o.roll / nodes
	if err := enough(uint64(each*3/2+500), float64(o.roll)*14_000+1<<30); err != nil {
		return nil, err
	}
	t, err := openTown(ctx, o, nodes, "-inbox")
	if err != nil {
		return nil, err
	}
	defer func() { t.end() }()
	sender, err := start(ctx, "node", "-redis", t.redis, "-inbox")
	if err != nil {
		return nil, err
	}
	defer sender.end()
	if _, err := t.all(func(i int) order { return order{Do: "connect", Addr: t.nodes[i].addr, First: i * each, N: each} }); err != nil {
		return nil, err
	}
	seconds := 4*(each/rollEvict+4) + 5
	roam := roaming{town: t, most: rate * seconds}
	roam.begin()
	begin := time.Now()
	if err := sender.tell(order{Do: "post", N: rate * seconds, First: o.roll, Rate: rate}); err != nil {
		return nil, err
	}
	for i := range t.nodes {
		if err := roam.restart(ctx, o, i); err != nil {
			return nil, err
		}
	}
	took := time.Since(begin).Seconds()
	r, err := sender.hear()
	if err != nil {
		return nil, err
	}
	sent := int(r.Values["sent"])
	got, err := roam.end(sent, 30*time.Second)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("rolling restart of 4 nodes with %d connections", o.roll)
	return []figure{
		of(name, "s", 0, []float64{took}, nil),
		of(fmt.Sprintf("  lost of %d messages sent meanwhile (asked: 0)", sent), "", 0, []float64{float64(sent) - got["distinct"]}, nil),
		of("  came again on the next connection, for devices to drop", "", 0, []float64{got["got"] - got["distinct"]}, nil),
		of("  connections made in the worst second", "1/s", 2*rollEvict, []float64{busiest(got)}, nil),
	}, nil
}

// roaming keeps the fleets of a town alive while its nodes come and go.
type roaming struct {
	town *town
	most int // messages there will be

	mu     sync.Mutex
	addrs  []string
	last   []map[string]float64 // of each fleet
	err    error
	ended  bool
	fleets sync.WaitGroup
}

func (r *roaming) begin() {
	for _, n := range r.town.nodes {
		r.addrs = append(r.addrs, n.addr)
	}
	r.last = make([]map[string]float64, len(r.town.fleets))
	for i, f := range r.town.fleets {
		r.fleets.Go(func() {
			for {
				r.mu.Lock()
				o, over := order{Do: "roam", Addrs: slices.Clone(r.addrs), N: r.most, Seconds: 0.5}, r.ended
				r.mu.Unlock()
				if over {
					return
				}
				v, err := f.do(o)
				r.mu.Lock()
				if r.last[i] = v; err != nil {
					r.err, r.ended = err, true
				}
				r.mu.Unlock()
			}
		})
	}
}

// restart empties a node, ends it and starts another in its place.
func (r *roaming) restart(ctx context.Context, o options, i int) error {
	old := r.town.nodes[i]
	r.mu.Lock()
	r.addrs = slices.DeleteFunc(r.addrs, func(a string) bool { return a == old.addr })
	r.mu.Unlock()
	if _, err := old.do(order{Do: "empty", Rate: rollEvict}); err != nil {
		return err
	}
	old.end()
	next, err := start(ctx, "node", "-transport", o.transport, "-redis", r.town.redis, "-inbox")
	if err != nil {
		return err
	}
	r.town.nodes[i] = next
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addrs = append(r.addrs, next.addr)
	return r.err
}

// end waits until all messages have come, or for a time, and adds up what the
// fleets say.
func (r *roaming) end(sent int, patience time.Duration) (map[string]float64, error) {
	total := map[string]float64{}
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		clear(total)
		r.mu.Lock()
		for _, v := range r.last {
			for k, n := range v {
				total[k] += n
			}
		}
		over, err := int(total["distinct"]) >= sent || time.Now().After(deadline) || r.err != nil, r.err
		r.ended = over
		r.mu.Unlock()
		if over {
			r.fleets.Wait()
			return total, err
		}
	}
}

// roam lets the devices live for a time; those that lose their connection come
// back to any node of the list after up to two seconds.
func (f *fleet) roam(o order) (map[string]float64, error) {
	f.addrs = f.addrs[:0]
	for _, a := range o.Addrs {
		at, err := netip.ParseAddrPort(a)
		if err != nil {
			return nil, err
		}
		f.addrs = append(f.addrs, at)
	}
	if f.seen == nil {
		f.seen = make([]bool, o.N)
		f.ins = f.ins[:0]
	}
	var failed error
	until := time.Now().Add(time.Duration(o.Seconds * float64(time.Second)))
	err := f.serve(func() bool {
		now := time.Now()
		for len(f.again) > 0 {
			f.late = append(f.late, comeback{f.again[0], now.Add(rand.N(2 * time.Second))})
			f.again = f.again[1:]
		}
		keep := f.late[:0]
		for _, c := range f.late {
			if now.Before(c.at) || len(f.addrs) == 0 {
				keep = append(keep, c)
			} else if failed = f.dial(c.phone, f.addrs[rand.N(len(f.addrs))], rand.N(16)); failed != nil {
				return true
			}
		}
		f.late = keep
		return now.After(until)
	}, time.Now().Add(time.Minute))
	if failed == nil {
		failed = err
	}
	distinct := 0
	for _, s := range f.seen {
		if s {
			distinct++
		}
	}
	said := map[string]float64{"got": float64(f.got), "distinct": float64(distinct)}
	for _, in := range f.ins {
		said["in "+strconv.FormatInt(in.Unix(), 10)]++
	}
	return said, failed
}

// comeback is a device that connects again at a time.
type comeback struct {
	phone *phone
	at    time.Time
}

// busiest is how many connections the fleets made together in the fullest second.
func busiest(said map[string]float64) (most float64) {
	for k, n := range said {
		if strings.HasPrefix(k, "in ") {
			most = max(most, n)
		}
	}
	return most
}

// post sends o.N messages to o.First devices in turn, at o.Rate a second, as a
// worker does: into the inbox first, then to the node where the device is. What
// does not get through there the device finds in its inbox.
func (n *node) post(o order) (map[string]float64, error) {
	const batch = 20
	ctx := context.Background()
	begin := time.Now()
	var all sync.WaitGroup
	room := make(chan struct{}, 4096)
	for i := 0; i < o.N; i += batch {
		if wait := time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(o.Rate))); wait > 0 {
			time.Sleep(wait)
		}
		var letters []redisstore.Letter
		for k := i; k < min(i+batch, o.N); k++ {
			now := time.Now()
			letters = append(letters, redisstore.Letter{
				App: app, Device: device(k * 7919 % o.First), Delivery: "r" + strconv.Itoa(k), Expires: now.Add(time.Hour),
				Payload: fmt.Appendf(nil, `{"n":"%010d","sent_at":%q}`, k, now.UTC().Format(time.RFC3339Nano)),
			})
		}
		if err := n.inbox.Put(ctx, letters); err != nil {
			return nil, err
		}
		for _, l := range letters {
			room <- struct{}{}
			all.Go(func() {
				defer func() { <-room }()
				_ = n.router.Deliver(ctx, l.App, l.Device, l.Delivery, l.Payload, l.Expires) // the inbox has it
			})
		}
	}
	all.Wait()
	return map[string]float64{"sent": float64(o.N)}, nil
}
