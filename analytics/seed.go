package analytics

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/push"
)

// SeedConfig says which events to invent. The same config invents the same.
type SeedConfig struct {
	App    string
	Events int       // at least; a delivery's events stay together
	Until  time.Time // the newest notification is accepted about then
	Days   int       // over how long
	Seed   uint64
	Batch  int // events in an insert
}

// DefaultSeedConfig is a month until now, in batches as large as suit ClickHouse.
func DefaultSeedConfig(app string, events int, now time.Time) SeedConfig {
	return SeedConfig{App: app, Events: events, Until: now.UTC().Truncate(time.Hour), Days: 30, Seed: 1, Batch: 100_000}
}

// Validate reports every fault at once, by the names of the command's flags.
func (c SeedConfig) Validate() error {
	var faults []push.Fault
	add := func(bad bool, field, detail string) {
		if bad {
			faults = append(faults, push.Fault{Field: field, Detail: detail})
		}
	}
	add(c.App == "", "app", "is missing")
	add(c.Events < 1 || c.Events > 1_000_000_000, "events", "must be 1 to 1,000,000,000")
	add(c.Days < 1 || c.Days > 365, "days", "must be 1 to 365")
	add(c.Batch < 100 || c.Batch > 500_000, "batch", "must be 100 to 500,000")
	if len(faults) > 0 {
		return fmt.Errorf("analytics: seed: %w", &push.Invalid{Faults: faults})
	}
	return nil
}

const createSeeds = `
	CREATE TABLE IF NOT EXISTS herald_seeds (name String, batch UInt32, events UInt64)
	ENGINE = ReplacingMergeTree ORDER BY (name, batch)`

// Seed fills the record with invented events, writers batches at a time, and
// calls progress with the number that are in after each. What an earlier call
// with the same config wrote stays and is not written again, so that an
// interrupted one goes on: batches are named for what is in them, and
// ClickHouse keeps a list of those it has. Memory holds one batch a writer.
func (s *Store) Seed(ctx context.Context, c SeedConfig, writers int, progress func(events int)) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	if err := s.change(ctx, createSeeds); err != nil {
		return failed("seed", err)
	}
	name := fmt.Sprintf("seed-%s-%d-%d-%d-%d-%d", c.App, c.Seed, c.Events, c.Days, c.Batch, c.Until.Unix())
	type batch struct {
		Batch  uint32 `ch:"batch"`
		Events uint64 `ch:"events"`
	}
	written, err := rows[batch](ctx, s, "read what is seeded", "SELECT DISTINCT batch, events FROM herald_seeds WHERE name = {name:String}",
		clickhouse.Named("name", name))
	if err != nil {
		return err
	}
	done, events := make(map[uint32]bool, len(written)), 0
	for _, b := range written {
		done[b.Batch], events = true, events+int(b.Events)
	}
	progress(events)

	counted := make(chan int)
	var group errgroup.Group
	group.Go(func() error {
		for n := range counted {
			events += n
			progress(events)
		}
		return nil
	})
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(max(writers, 1))
	for b := range (c.Events + c.Batch - 1) / c.Batch {
		if done[uint32(b)] || workCtx.Err() != nil {
			continue
		}
		work.Go(func() error {
			rs := c.batch(b)
			if err := s.write(workCtx, fmt.Sprintf("%s-%d", name, b), rs); err != nil {
				return err
			}
			err := s.conn.Exec(workCtx, "INSERT INTO herald_seeds SELECT {name:String}, {batch:UInt32}, {events:UInt64}",
				clickhouse.Named("name", name), clickhouse.Named("batch", uint32(b)), clickhouse.Named("events", uint64(len(rs))))
			if err == nil {
				counted <- len(rs)
			}
			return failed("note a batch", err)
		})
	}
	err = work.Wait()
	close(counted)
	_ = group.Wait() // never fails
	return err
}

// crowd is a kind of device with how common it is, its vendors' services, and
// how many of the messages that these take ever arrive.
type crowd struct {
	weight                   int
	platform, maker, service string
	arrives                  float64
	os                       []string
}

func crowds() []crowd {
	return []crowd{
		{22, "ios", "apple", "apns", 0.96, []string{"17.6.1", "18.5", "18.6", "26.0"}},
		{20, "android", "xiaomi", "xiaomi", 0.88, []string{"13", "14", "15"}},
		{14, "android", "oppo", "oppo", 0.85, []string{"13", "14", "15"}},
		{12, "android", "vivo", "vivo", 0.84, []string{"13", "14"}},
		{12, "harmony", "huawei", "huawei", 0.91, []string{"4.2", "5.0"}},
		{5, "android", "honor", "honor", 0.87, []string{"14", "15"}},
		{12, "android", "samsung", "fcm", 0.94, []string{"13", "14", "15", "16"}},
		{3, "web", "", "webpush", 0.78, []string{""}},
	}
}

// country has its weight and its carriers.
type country struct {
	weight   int
	code     string
	carriers []string
}

func countries() []country {
	return []country{
		{46, "CN", []string{"46000", "46001", "46011"}}, {10, "IN", []string{"40410", "40445"}}, {9, "US", []string{"310260", "311480"}},
		{8, "DE", []string{"26201", "26202", "26203"}}, {7, "BR", []string{"72405", "72411"}}, {6, "ID", []string{"51010"}},
		{5, "GB", []string{"23410", "23430"}}, {4, "FR", []string{"20801"}}, {3, "JP", []string{"44010"}}, {2, "NG", []string{"62130"}},
	}
}

// batch invents the b-th batch: deliveries of one stretch of time, in the order
// in which it comes to the writer's mind.
func (c SeedConfig) batch(b int) []push.Receipt {
	w := &seeder{SeedConfig: c, rng: rand.New(rand.NewPCG(c.Seed, uint64(b))), n: b, crowds: crowds(), countries: countries()}
	batches := (c.Events + c.Batch - 1) / c.Batch
	w.stretch = time.Duration(c.Days) * 24 * time.Hour / time.Duration(batches)
	w.from = c.Until.Add(-w.stretch * time.Duration(batches-b))
	want := min(c.Batch, c.Events-b*c.Batch)
	w.out = make([]push.Receipt, 0, want+16)
	for len(w.out) < want {
		w.notification()
	}
	return w.out
}

// seeder invents one batch.
type seeder struct {
	SeedConfig
	rng       *rand.Rand
	n         int
	made      int
	from      time.Time
	stretch   time.Duration
	crowds    []crowd
	countries []country
	out       []push.Receipt
}

// notification invents one: half of the marketing goes to many at once.
func (w *seeder) notification() {
	class, devices, campaign := push.Transactional, 1, ""
	switch p := w.rng.IntN(100); {
	case p < 12:
		class = push.OTP
	case p < 50:
		class = push.Chat
	case p < 53:
		class = push.Call
	case p < 54:
		class, devices = push.Marketing, 64+w.rng.IntN(448)
		campaign = fmt.Sprintf("%s-%02d", []string{"spring", "sale", "welcome-back", "news"}[w.rng.IntN(4)], w.rng.IntN(12))
	}
	w.made++
	id := fmt.Sprintf("%s-%x-%x", class, w.n, w.made)
	if devices == 1 { // ids of Herald's own making are random
		id = fmt.Sprintf("%012x", w.rng.Uint64()>>16)
	}
	accepted := w.from.Add(time.Duration(w.rng.Int64N(int64(w.stretch))))
	for i := range devices {
		w.delivery(push.Receipt{
			App: w.App, Notification: id, Class: class, Campaign: campaign, Delivery: push.DeliveryID(id, i/256, i%256),
		}, accepted)
	}
}

// delivery invents the device and what became of it on up to three roads.
func (w *seeder) delivery(base push.Receipt, accepted time.Time) {
	who, where := w.device(&base)
	roads := []string{who.service}
	if w.rng.IntN(100) < 35 {
		roads = []string{push.Live, who.service}
	}
	if base.Class == push.OTP {
		roads = append(roads, push.SMS)
	}
	after := time.Duration(2+w.rng.IntN(40)) * time.Millisecond
	for i, road := range roads {
		r := base
		r.Attempt, r.Road, r.Provider = i+1, i+1, road
		ended, took := w.attempt(&r, who, where, roads, accepted, after)
		if ended {
			return
		}
		after += took + 5*time.Second
	}
}

func (w *seeder) device(r *push.Receipt) (*crowd, *country) {
	who, where := pick(w.rng, w.crowds, func(c crowd) int { return c.weight }), pick(w.rng, w.countries, func(c country) int { return c.weight })
	r.Device = fmt.Sprintf("u%07d", int(math.Pow(w.rng.Float64(), 1.5)*5e6)) // some are written to more often
	r.Platform, r.Maker, r.Country = who.platform, who.maker, where.code
	r.OS = who.os[w.rng.IntN(len(who.os))]
	r.AppVersion = fmt.Sprintf("4.%d.%d", 6+w.rng.IntN(4), w.rng.IntN(3))
	if who.platform != "web" {
		r.Carrier = where.carriers[w.rng.IntN(len(where.carriers))]
	}
	return who, where
}

// attempt invents one attempt and the evidence that follows; ended is false if
// the next road is to be taken.
func (w *seeder) attempt(r *push.Receipt, who *crowd, where *country, roads []string, accepted time.Time, after time.Duration) (ended bool, took time.Duration) {
	median, arrives := 45*time.Millisecond, who.arrives
	switch r.Provider {
	case push.Live:
		median, arrives = 2*time.Millisecond, 0.93
	case push.SMS:
		median, arrives = 180*time.Millisecond, 0.97
	}
	if where.code == "NG" || where.code == "IN" {
		median, arrives = 2*median, arrives-0.05
	}
	took = w.around(median, 0.5)
	r.Source, r.Took, r.Stage = push.VendorReply, took, push.Accepted
	r.Bytes = 180 + w.rng.IntN(700)
	r.Why = fmt.Sprintf("%s %d %% of %d delivered for %s in %s over 7 days", r.Provider, int(100*arrives), 200+w.rng.IntN(40)*10, who.maker, where.code)
	r.Decision = w.decision(r.Provider, roads[r.Road-1:], arrives)
	switch p := w.rng.IntN(1000); {
	case r.Provider == push.Live:
		r.Stage = push.HandedOver
	case p < 12:
		r.Stage, r.Kind, r.Code, r.Detail = push.Failed, "unregistered", "410", "the device is not registered any more"
	case p < 18:
		r.Stage, r.Kind, r.Code, r.Detail = push.Failed, "throttled", "429", "too many requests"
	case p < 23:
		r.Stage, r.Kind, r.Detail = push.Unknown, "unknown", "no answer within 10s"
	}
	if r.Stage == push.Failed {
		r.Bytes = 0
	}
	if r.Stage == push.Accepted {
		r.ProviderID = w.providerID(r.Provider)
		if r.Provider == push.SMS {
			r.CostMicros, r.Bytes = int64(7300*(1+w.rng.IntN(2))), 40+w.rng.IntN(80)
		}
	}
	w.see(*r, accepted, after+took)
	if r.Stage == push.Failed || w.rng.Float64() > arrives {
		return false, took
	}
	proof := *r
	proof.Source, proof.Stage, proof.Took, proof.CostMicros, proof.Bytes = push.DeviceAck, push.Delivered, 0, 0, 0
	proof.Why, proof.Decision, proof.ProviderID, proof.Kind, proof.Code, proof.Detail = "", nil, "", "", "", ""
	if r.Provider == push.SMS {
		proof.Source = push.VendorCallback
	}
	at := after + took + w.around(10*median, 1.2)
	if w.rng.IntN(40) == 0 { // it was off for a while
		at += time.Duration(w.rng.ExpFloat64() * float64(6*time.Hour))
	}
	at = min(at, 20*24*time.Hour)
	w.see(proof, accepted, at)
	for _, s := range []push.Stage{push.Displayed, push.Clicked} {
		if w.rng.Float64() > map[push.Stage]float64{push.Displayed: 0.55, push.Clicked: 0.14}[s] {
			break
		}
		proof.Stage, proof.Source = s, push.AppReport
		at += w.around(20*time.Second, 1.5)
		w.see(proof, accepted, at)
	}
	return true, took
}

// see writes a receipt down, by a clock that now and then is wrong.
func (w *seeder) see(r push.Receipt, accepted time.Time, after time.Duration) {
	after = after.Round(100 * time.Microsecond)
	r.SinceAccepted, r.ReceivedAt = after, accepted.Add(after)
	r.At = r.ReceivedAt
	if r.Source == push.DeviceAck || r.Source == push.AppReport {
		r.At = r.At.Add(-time.Duration(20+w.rng.IntN(200)) * time.Millisecond)
		if w.rng.IntN(300) == 0 {
			r.At = r.At.Add(time.Duration(w.rng.NormFloat64() * float64(3*time.Hour)))
		}
	}
	tidy(&r, r.ReceivedAt)
	w.out = append(w.out, r)
}

// around is a duration of a log-normal kind.
func (w *seeder) around(median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*w.rng.NormFloat64())).Round(100 * time.Microsecond)
}

func (w *seeder) decision(chosen string, roads []string, score float64) *push.Decision {
	d := &push.Decision{Policy: "auto", Propensity: 1, Online: chosen == push.Live}
	if len(roads) > 1 && chosen != push.SMS {
		d.Propensity = 0.98
	}
	for i, road := range roads {
		c := push.Candidate{Provider: road, Score: float32(math.Round(100*(score-0.07*float64(i)))) / 100, Propensity: float32(d.Propensity)}
		if i > 0 {
			c.Propensity = float32(math.Round(1000*(1-d.Propensity)/float64(len(roads)-1)) / 1000)
		}
		d.Roads = append(d.Roads, c)
	}
	return d
}

// providerID is as random as the service's own ids.
func (w *seeder) providerID(provider string) string {
	switch provider {
	case "apns":
		x := fmt.Sprintf("%016X%016X", w.rng.Uint64(), w.rng.Uint64())
		return strings.Join([]string{x[:8], x[8:12], x[12:16], x[16:20], x[20:]}, "-")
	case "fcm":
		return fmt.Sprintf("0:%d%%%016x", 1_700_000_000_000_000+w.rng.Int64N(1e13), w.rng.Uint64())
	default:
		return fmt.Sprintf("%s%010d", provider[:1], w.rng.Int64N(1e10))
	}
}

// pick chooses by weight.
func pick[T any](rng *rand.Rand, all []T, weight func(T) int) *T {
	total := 0
	for _, x := range all {
		total += weight(x)
	}
	n := rng.IntN(total)
	for i := range all {
		if n -= weight(all[i]); n < 0 {
			return &all[i]
		}
	}
	return &all[0]
}
