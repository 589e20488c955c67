package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
	"github.com/herald-push/herald/selector/sim"
)

// hidden is the simulator's world behind the sandbox's vendors: they take every
// message, and what is shown and proven is the world's to say.
type hidden struct {
	*installation
	world   *sim.World
	notices []sim.Notice
	truths  []sim.Truth
	round   int

	mu       sync.Mutex
	taken    []int // road by device; -1 is none yet
	receipts []client.Receipt
}

const (
	hiddenDevices = 600
	hiddenRounds  = 9
	covered       = 0.9 // of what arrives, a receipt comes for
)

// hiddenRoads are the world's roads that vendors play: all but the live one.
const hiddenRoads = 1<<sim.Live - 1

// The whole pipeline (API, queue, scheduler, selector, vendors, receipts) chooses
// about as well in a hidden world as the simulator says that the selector does in
// it. Its check comes after a second, by when fewer receipts have come than in the
// simulator's minute, so that it learns somewhat later.
func TestTheWholePipelineAgreesWithTheSimulator(t *testing.T) {
	t.Parallel()
	h := newHidden(t)
	simulated := sim.NewDriver(sim.Beliefs(), hiddenDevices, sim.Roads)
	var lot, oracle, simulator, pipeline float64
	thirds := [3]struct{ lot, oracle, pipeline float64 }{}
	for h.round = range hiddenRounds {
		h.look()
		h.send()
		h.follow(simulated, &simulator)
		for d := range hiddenDevices {
			n, truth := &h.notices[d], &h.truths[d]
			best, sum, roads := 0.0, 0.0, 0
			for r := range sim.Roads {
				if n.Roads>>r&1 == 1 {
					best, sum, roads = max(best, truth.OnTime[r]), sum+truth.OnTime[r], roads+1
				}
			}
			lot += sum / float64(roads)
			oracle += best
			pipeline += truth.OnTime[h.taken[d]]
			third := &thirds[3*h.round/hiddenRounds]
			third.lot += sum / float64(roads)
			third.oracle += best
			third.pipeline += truth.OnTime[h.taken[d]]
		}
	}
	share := func(x float64) float64 { return (x - lot) / (oracle - lot) }
	of := func(third int) float64 {
		t := thirds[third]
		return (t.pipeline - t.lot) / (t.oracle - t.lot)
	}
	t.Logf("of what lies between the lot (0) and the oracle (1): pipeline %.3f (from %.3f to %.3f), simulator %.3f", share(pipeline), of(0), of(2), share(simulator))
	if math.Abs(share(pipeline)-share(simulator)) > 0.25 {
		t.Errorf("the pipeline reaches a share of %.3f, the simulator %.3f", share(pipeline), share(simulator))
	}
	if of(2) < of(0)+0.05 {
		t.Errorf("the pipeline's share is %.3f at first and %.3f at last: it does not learn", of(0), of(2))
	}
}

func newHidden(t *testing.T) *hidden {
	h := &hidden{
		installation: install(t, 0, "selector: {check: 1s, exchange: 1s}"),
		world:        sim.New(sim.Config{Seed: 17, Devices: hiddenDevices, Days: 10, PerDay: 10}),
		notices:      make([]sim.Notice, hiddenDevices), truths: make([]sim.Truth, hiddenDevices),
		taken: make([]int, hiddenDevices),
	}
	names := sim.Names()
	for _, vendor := range names[:sim.Live] {
		if _, err := h.herald.PutCredentials(t.Context(), "shop", vendor, h.vendor.Credentials(vendor)); err != nil {
			t.Fatal(err)
		}
	}
	h.ask(h.start("api,worker")) // who decides is told what came of it
	h.look()
	var group errgroup.Group
	group.SetLimit(16)
	for d := range hiddenDevices {
		group.Go(func() error {
			_, err := h.herald.PutDevice(t.Context(), h.device(d))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.vendor.OnShow(h.show))
	return h
}

func (h *hidden) device(d int) client.Device {
	n := &h.notices[d]
	device := client.Device{
		ID: deviceName(d), Platform: "android", Maker: [...]string{"xiaomi", "huawei", "oppo", "vivo", "honor", "samsung", ""}[n.Maker],
		OS: fmt.Sprintf("%d.1", 10+n.OS), Country: "X" + string(rune('A'+n.Country)), Carrier: fmt.Sprint("carrier-", n.Carrier),
	}
	for r, vendor := range sim.Names() {
		if n.Roads>>r&1 == 1 {
			device.Addresses = append(device.Addresses, client.Address{Provider: vendor, Token: hiddenToken(d)})
		}
	}
	return device
}

// hiddenToken has a form that every vendor takes: vivo wants 23 characters.
func hiddenToken(d int) string { return fmt.Sprintf("%023d", d) }

// look finds the truth about the round's messages. A device that has none of the
// roads has FCM.
func (h *hidden) look() {
	for d := range hiddenDevices {
		n, truth := h.world.Ask(uint64(h.round*hiddenDevices+d+1), int32(d), float64(3600*(1+h.round)), sim.RealTime)
		n.Online = false
		if n.Roads &= hiddenRoads; n.Roads == 0 {
			n.Roads = 1 << sim.FCM
		}
		h.notices[d], h.truths[d] = n, truth
	}
}

// chance is in [0, 1), the same whenever the same is asked.
func (h *hidden) chance(d int, what string) float64 {
	f := fnv.New64a()
	fmt.Fprint(f, d, " ", h.round, " ", what)
	return float64(f.Sum64()>>11) / (1 << 53)
}

// proves tells whether a message to a device by a road arrives in time, and its
// receipt too.
func (h *hidden) proves(d, road int) bool {
	return h.chance(d, "arrives") < h.truths[d].OnTime[road] && h.chance(d, "is covered") < covered
}

// show is the device at the end of a road.
func (h *hidden) show(m sandbox.Message) {
	var d int
	if _, err := fmt.Sscanf(m.Token, "%d", &d); err != nil || m.Data["herald_notification"] != h.id() {
		return
	}
	names := sim.Names()
	road := slices.Index(names[:], m.Vendor)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken[d] = road
	if h.proves(d, road) {
		h.receipts = append(h.receipts, client.Receipt{ID: m.Data["herald_id"], Event: client.Delivered, Device: deviceName(d)})
	}
}

func (h *hidden) id() string { return fmt.Sprint("round-", h.round) }

// send plays a round through the pipeline: every device gets a message, what
// arrives is proven, and the selector has learned from all of it.
func (h *hidden) send() {
	h.t.Helper()
	h.mu.Lock()
	h.receipts = nil
	for d := range h.taken {
		h.taken[d] = -1
	}
	h.mu.Unlock()
	n := client.Notification{
		ID: h.id(), Title: "Hi", Body: "there", Class: client.Transactional, TTLSeconds: 120,
		Route: &client.Route{Until: client.Accepted},
	}
	for d := range hiddenDevices {
		n.To.Devices = append(n.To.Devices, deviceName(d))
	}
	if _, err := h.herald.Send(h.t.Context(), n); err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, time.Minute, "every message is taken", func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if d := slices.Index(h.taken, -1); d >= 0 {
			return fmt.Errorf("that to %s is not", deviceName(d))
		}
		return nil
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.evidence()
	results, err := h.herald.Receipts(h.t.Context(), h.receipts)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range results {
		if r.Problem != nil {
			h.t.Fatalf("receipt %d: %+v", r.Index, r.Problem)
		}
	}
	eventually(h.t, time.Minute, "the selector has learned of it", func() error {
		now := h.evidence()
		for _, r := range h.receipts {
			if was, is := before[r.Device], now[r.Device]; is == was {
				return errors.New("not of " + r.Device)
			}
		}
		return nil
	})
}

// evidence is what Redis keeps of each device.
func (h *hidden) evidence() map[string]string {
	rdb, err := redisstore.Connect(h.redis.URL())
	if err != nil {
		h.t.Fatal(err)
	}
	defer rdb.Close()
	keys := make([]push.DeviceKey, hiddenDevices)
	for d := range keys {
		keys[d] = push.DeviceKey{App: "shop", ID: deviceName(d)}
	}
	texts, err := redisstore.NewBrains(rdb).Evidence(h.t.Context(), keys)
	if err != nil {
		h.t.Fatal(err)
	}
	all := make(map[string]string, len(keys))
	for d, text := range texts {
		all[keys[d].ID] = text
	}
	return all
}

// follow plays the same round in the simulator, whose clock goes on by a check.
func (h *hidden) follow(s *sim.Driver, value *float64) {
	began := float64(1000 * (h.round + 1))
	for d := range hiddenDevices {
		n := h.notices[d]
		n.At = began
		road, _ := s.Choose(&n)
		*value += h.truths[d].OnTime[road]
		s.Sent(&n, road)
		if h.proves(d, road) {
			s.Receipt(n.ID, road, 0.3, began+0.3)
		}
	}
	for second := range brain.Check + 2 {
		s.Tick(began + float64(second) + 1)
	}
}
