package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector"
)

// piped is the selector as the scheduler uses it: asked by Rank, told by
// receipts, its evidence kept where workers keep it. The world plays vendors and
// devices; the time is the bubble's.
type piped struct {
	quiet
	selector *selector.Selector
	began    time.Time
	memory   *memory
	chosen   map[uint64]push.Receipt // of the choice that is being made
}

// memory keeps what Redis would.
type memory struct {
	mu   sync.Mutex
	kept map[push.DeviceKey]string
}

func (m *memory) of(d push.DeviceKey) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[d]
}

func (m *memory) Evidence(_ context.Context, devices []push.DeviceKey) ([]string, error) {
	all := make([]string, len(devices))
	for i, d := range devices {
		all[i] = m.of(d)
	}
	return all, nil
}

func (m *memory) KeepEvidence(_ context.Context, devices []push.DeviceKey, was, evidence []string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stands := make([]string, len(devices))
	for i, d := range devices {
		if m.kept[d] == was[i] {
			m.kept[d] = evidence[i]
		}
		stands[i] = m.kept[d]
	}
	return stands, nil
}

func (m *memory) Spend(context.Context, string, string, int64) (int64, error) { return 0, nil }

// device is the notice's device as the scheduler knows it.
func (p *piped) device(n *Notice) *push.Device {
	makers := [...]string{"xiaomi", "huawei", "oppo", "vivo", "honor", "samsung", ""}
	d := &push.Device{
		App: fmt.Sprint("app-", n.App), ID: fmt.Sprint("device-", n.Device), Platform: "android", Maker: makers[n.Maker],
		OS: fmt.Sprintf("%d.1", 10+n.OS), Country: fmt.Sprint("country-", n.Country), Carrier: fmt.Sprint("carrier-", n.Carrier),
	}
	d.Evidence = p.memory.of(push.DeviceKey{App: d.App, ID: d.ID})
	return d
}

func (p *piped) Choose(n *Notice, _ *Truth) (int, float64) {
	names := Names()
	class := [...]push.Class{RealTime: push.Chat, Normal: push.Marketing, Critical: push.Transactional}[n.Class]
	d := p.device(n)
	q := push.Question{
		Device: d, Delivery: fmt.Sprintf("n%d.0.0", n.ID), Attempts: n.Attempt - 1, Class: class, Online: n.Online,
		Left: time.Duration(n.TTL * float64(time.Second)),
	}
	for _, road := range roadsOf(n) {
		q.Providers = append(q.Providers, names[road])
	}
	choice := p.selector.Rank(&q)[0]
	r := push.Receipt{Delivery: q.Delivery, Provider: choice.Provider, Attempt: n.Attempt, Class: class, Decision: choice.Decision}
	r.Describe(d)
	p.chosen[n.ID] = r
	return slices.Index(names[:], choice.Provider), choice.Decision.Propensity
}

// tell brings a receipt of a notice's attempt in, after seconds after it.
func (p *piped) tell(n *Notice, road int, after float64, change func(r *push.Receipt)) {
	r, chosen := p.chosen[n.ID]
	if !chosen {
		r = push.Receipt{Delivery: fmt.Sprintf("n%d.0.0", n.ID), Attempt: n.Attempt}
		r.Describe(p.device(n))
	}
	r.Provider = Names()[road]
	r.ReceivedAt = p.began.Add(time.Duration((n.At + after) * float64(time.Second)))
	change(&r)
	p.selector.Observe(&r)
}

func (p *piped) Sent(n *Notice, road int) {
	p.tell(n, road, 0, func(r *push.Receipt) { r.Stage, r.Source = push.Accepted, push.VendorReply })
	delete(p.chosen, n.ID)
}

func (p *piped) Refused(n *Notice, road int) {
	p.tell(n, road, 0, func(r *push.Receipt) {
		r.Stage, r.Source, r.Kind = push.Failed, push.VendorReply, push.KindName(push.ErrUnavailable)
	})
	delete(p.chosen, n.ID)
}

func (p *piped) Receipt(n *Notice, road int, age, _ float64) {
	p.tell(n, road, age, func(r *push.Receipt) { r.Stage, r.Source = push.Delivered, push.VendorCallback })
}

func (p *piped) Clicked(n *Notice, road int, _ bool, now float64) {
	p.tell(n, road, now-n.At, func(r *push.Receipt) { r.Stage, r.Source = push.Clicked, push.AppReport })
}

// Tick lets the bubble's time pass; the selector learns meanwhile.
func (p *piped) Tick(now float64) {
	time.Sleep(time.Until(p.began.Add(time.Duration(now * float64(time.Second)))))
}

// What the simulator says of the brain is true of the selector that the
// scheduler asks and receipts teach.
func TestThePipelineReachesWhatTheSimulatorPromises(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(Config{Seed: 11, Devices: 300, Days: 0.12, PerDay: 400})
		kept := &memory{kept: map[push.DeviceKey]string{}}
		s := selector.New(selector.DefaultConfig(), selector.Parts{Memory: kept, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		policies := append(All(w)[:5], Named{"simulator", Ours(w)},
			Named{"pipeline", &piped{selector: s, began: time.Now(), memory: kept, chosen: map[uint64]push.Receipt{}}})
		rows := Compare(w.Run(policies, nil))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, r := range rows {
			t.Logf("%-14s %.1f %% share %.3f, lost %.0f, 1/(K p) %.3f", r.Policy, 100*r.OnTime, r.Share, r.Lost, r.InversePK)
		}
		simulator, pipeline := rows[5], rows[6]
		if math.Abs(simulator.Share-pipeline.Share) > 0.06 {
			t.Errorf("the simulator reaches a share of %.3f, the pipeline %.3f", simulator.Share, pipeline.Share)
		}
		if vendor := rows[4]; pipeline.Share <= vendor.Share {
			t.Errorf("the pipeline's share of %.3f is not above the vendor rule's %.3f", pipeline.Share, vendor.Share)
		}
		if pipeline.InversePK < 0.85 || pipeline.InversePK > 1.15 {
			t.Errorf("the mean of 1/(K propensity) is %.3f, want about 1: the propensities are not true", pipeline.InversePK)
		}
	})
}
