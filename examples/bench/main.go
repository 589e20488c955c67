// Command bench measures Herald end to end on this machine: load generator,
// vendors' sandbox, Redis with its append-only file, ClickHouse and Herald all
// share it. It starts and ends everything itself, talks to loopback only, and
// every load is bounded in number and time.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	report "github.com/herald-push/herald/examples/figures"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	herald, out, only string
	fsync             string
	runs              int
	devices           int
	broadcast         int
}

func run() error {
	var o options
	flag.StringVar(&o.herald, "herald", "bin/herald", "the program to measure")
	flag.StringVar(&o.out, "out", "build/bench.json", "file for the figures")
	flag.StringVar(&o.only, "only", "", "comma-separated cases: egress, many, one, api, broadcast, urgent, fair, isolation, memory; default all")
	flag.StringVar(&o.fsync, "fsync", "everysec", "when Redis writes its append-only file through: everysec, as in its own defaults, or always, as herald dev has it")
	flag.IntVar(&o.runs, "runs", 5, "runs of each case")
	flag.IntVar(&o.devices, "devices", 50_000, "devices of the cases but broadcast")
	flag.IntVar(&o.broadcast, "broadcast", 1_000_000, "devices of the broadcast")
	flag.Parse()
	herald, err := filepath.Abs(o.herald)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "herald-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is the system's to clear away

	figures, err := o.measure(ctx, herald, dir)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d cores, %s, appendfsync %s, %s\n\n", runtime.NumCPU(), runtime.Version(), o.fsync, time.Now().UTC().Format(time.DateOnly))
	if err := report.Table(os.Stdout, figures); err != nil {
		return err
	}
	return report.Save(o.out, figures)
}

// measure brings a stack up for each group of cases that is wanted.
func (o options) measure(ctx context.Context, herald, dir string) ([]figure, error) {
	var all []figure
	if o.wants("egress") {
		more, err := o.egress(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	for _, group := range []struct {
		cases   string
		devices int
		measure func(context.Context, *stack) ([]figure, error)
	}{
		{"many,one,api", o.devices, o.pushes},
		{"broadcast", o.broadcast, o.million},
		{"urgent", o.broadcast, o.urgent},
		{"fair", o.devices, o.fair},
		{"isolation", o.devices, o.isolation},
		{"memory", o.devices, o.memory},
	} {
		if !slices.ContainsFunc(strings.Split(group.cases, ","), o.wants) {
			continue
		}
		s, err := start(ctx, herald, filepath.Join(dir, group.cases), o.fsync, group.devices)
		if err != nil {
			return nil, err
		}
		figures, err := group.measure(ctx, s)
		s.stop()
		if err != nil {
			return nil, err
		}
		all = append(all, figures...)
	}
	return all, nil
}

func (o options) wants(name string) bool {
	return o.only == "" || slices.Contains(strings.Split(o.only, ","), name)
}

// pushes are the cases with notifications to named devices.
func (o options) pushes(ctx context.Context, s *stack) ([]figure, error) {
	var figures []figure
	if err := s.burst(ctx, 200, 100, o.devices); err != nil { // connections, caches, lanes
		return nil, fmt.Errorf("warm up: %w", err)
	}
	if o.wants("many") {
		rates, costs, err := o.repeat(ctx, s, "100-device notifications", 1000, 100)
		if err != nil {
			return nil, err
		}
		figures = append(figures, of("deliveries, 100 devices a notification", "1/s", rates).Against("gorush, on record", 17_800))
		figures = append(figures, costs...)
	}
	var single []float64
	if o.wants("one") || o.wants("api") {
		if err := s.latency(ctx, 50); err != nil {
			return nil, err
		}
		rates, costs, err := o.repeat(ctx, s, "single notifications, vendor 50 ms", 20_000, 1)
		if err != nil {
			return nil, err
		}
		single = rates
		figures = append(figures, of("deliveries, one device a notification, vendor 50 ms", "1/s", rates).Against("gorush tuned, on record", 3_800))
		figures = append(figures, costs...)
	}
	if o.wants("api") {
		p99s, rate, err := o.doorAtHalfLoad(ctx, s, of("", "", single).Value/2)
		if err != nil {
			return nil, err
		}
		figures = append(figures, of(fmt.Sprintf("API p99 at %.0f requests/s (half load)", rate), "ms", p99s))
	}
	return figures, nil
}

// repeat measures one kind of burst several times: the rate, and what each part
// of the stack pays for one delivery.
func (o options) repeat(ctx context.Context, s *stack, what string, notifications, size int) (rates []float64, costs []figure, err error) {
	paid := map[string][]float64{}
	for i := range o.runs {
		before, began := s.cpu(), time.Now()
		self := cpuOf(os.Getpid())
		if err := s.burst(ctx, notifications, size, o.devices); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", what, err)
		}
		took := time.Since(began)
		n := float64(notifications * size)
		rates = append(rates, n/took.Seconds())
		for name, used := range s.cpu() {
			paid[name] = append(paid[name], float64((used-before[name]).Microseconds())/n)
		}
		paid["load generator"] = append(paid["load generator"], float64((cpuOf(os.Getpid())-self).Microseconds())/n)
		fmt.Fprintf(os.Stderr, "  %s, run %d of %d: %.0f/s\n", what, i+1, o.runs, rates[i])
	}
	for _, name := range slices.Sorted(maps.Keys(paid)) {
		costs = append(costs, of("  processor, "+name, "µs each", paid[name]))
	}
	return rates, costs, nil
}

// burst posts notifications of size devices each and waits until the vendor has
// taken every one and ClickHouse knows it.
func (s *stack) burst(ctx context.Context, notifications, size, devices int) error {
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
	defer stop()
	before, err := s.accepted(ctx)
	if err != nil {
		return err
	}
	known, err := s.knownAtStart(ctx)
	if err != nil {
		return err
	}
	name, total, began := runName(), notifications*size, time.Now()
	conns := 16
	if size == 1 {
		conns = 64
	}
	err = s.api.flood(ctx, conns, notifications, "/v1/notifications", func(i int) []byte {
		return notification(fmt.Sprintf("%s-%d", name, i), i*size, size, devices)
	})
	if err != nil {
		return err
	}
	posted := time.Since(began)
	if err := until(ctx, total+before, s.accepted); err != nil {
		return fmt.Errorf("APNs: %w", err)
	}
	sent := time.Since(began)
	defer func() {
		fmt.Fprintf(os.Stderr, "  all accepted by the API after %v, by the vendor after %v, in ClickHouse after %v\n",
			posted.Round(time.Millisecond), sent.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	}()
	if s.record == "" {
		return nil
	}
	if err := until(ctx, total+known, s.recorded); err != nil {
		return fmt.Errorf("ClickHouse: %w", err)
	}
	return nil
}

func (s *stack) knownAtStart(ctx context.Context) (int, error) {
	if s.record == "" {
		return 0, nil
	}
	return s.recorded(ctx)
}

// until asks every 20 ms whether a count has been reached.
func until(ctx context.Context, want int, count func(context.Context) (int, error)) error {
	for {
		got, err := count(ctx)
		if err != nil {
			return err
		}
		if got >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d arrived in time", got, want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// notification is a request for size devices from the first on.
func notification(id string, first, size, devices int) []byte {
	to := map[string]any{"device": deviceID(first % devices)}
	if size > 1 {
		ids := make([]string, size)
		for k := range ids {
			ids[k] = deviceID((first + k) % devices)
		}
		to = map[string]any{"devices": ids}
	}
	body, err := json.Marshal(map[string]any{
		"id": id, "to": to, "class": "transactional", "title": "Shipped", "body": "Your parcel is on its way",
		"data": map[string]string{"order": "8812"}, "ttl_seconds": 3600,
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return body
}

// doorAtHalfLoad measures the API's p99 while requests come at a fixed rate.
func (o options) doorAtHalfLoad(ctx context.Context, s *stack, rate float64) (p99s []float64, _ float64, err error) {
	for i := range o.runs {
		name := runName()
		took, err := s.api.pace(ctx, rate, 5*time.Second, "/v1/notifications", func(k int) []byte {
			return notification(fmt.Sprintf("%s-%d", name, k), k, 1, o.devices)
		})
		if err != nil {
			return nil, 0, err
		}
		p99s = append(p99s, float64(percentile(took, 0.99).Microseconds())/1000)
		fmt.Fprintf(os.Stderr, "  API at %.0f/s, run %d of %d: p99 %.1f ms\n", rate, i+1, o.runs, p99s[i])
	}
	return p99s, rate, nil
}

// million is one broadcast to all devices of the app.
func (o options) million(ctx context.Context, s *stack) ([]figure, error) {
	began := time.Now()
	body := fmt.Sprintf(`{"id":"all-%s","to":{"all":true},"class":"marketing","title":"News","body":"For everybody"}`, runName())
	if _, err := s.api.do(ctx, "POST", "/v1/notifications", []byte(body)); err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, 15*time.Minute)
	defer stop()
	next := 100_000
	err := until(ctx, o.broadcast, func(ctx context.Context) (int, error) {
		n, err := s.accepted(ctx)
		if n >= next {
			fmt.Fprintf(os.Stderr, "  broadcast: %d of %d after %.0f s, worker %.0f MiB\n", n, o.broadcast, time.Since(began).Seconds(), s.peakMemory("worker"))
			next += 100_000
		}
		return n, err
	})
	if err != nil {
		return nil, err
	}
	rate := float64(o.broadcast) / time.Since(began).Seconds()
	return []figure{
		of(fmt.Sprintf("deliveries, broadcast to %d devices", o.broadcast), "1/s", []float64{rate}),
		of("  worker's peak resident memory", "MiB", []float64{s.peakMemory("worker")}),
		of("  API's peak resident memory", "MiB", []float64{s.peakMemory("api")}),
		of("  Redis' peak resident memory", "MiB", []float64{s.peakMemory("redis")}),
	}, nil
}
