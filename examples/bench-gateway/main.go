// Command bench-gateway measures what it costs to call a business through Herald
// on this machine, beside a direct call and nginx as a plain reverse proxy in the
// same run: the time that is added at a fixed rate with jq on both sides, answers
// from the cache, and what a business that hangs takes from the others. Herald,
// the business and nginx are processes of their own, started and ended here, that
// talk over loopback.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/herald-push/herald/examples/figures"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-gateway:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	herald, out    string
	runs, rate     int
	length         time.Duration
	business, only string
}

func run() error {
	var o options
	flag.StringVar(&o.herald, "herald", "bin/herald", "the program")
	flag.StringVar(&o.out, "out", "build/bench-gateway.json", "file for the figures")
	flag.IntVar(&o.runs, "runs", 5, "runs of each case")
	flag.IntVar(&o.rate, "rate", 5_000, "calls a second of the case overhead")
	flag.DurationVar(&o.length, "length", 3*time.Second, "length of a run")
	flag.StringVar(&o.only, "only", "", "one case: overhead, cached or hanging")
	flag.StringVar(&o.business, "business", "", "for its own process: the business, at this address")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.business != "" {
		return serveBusiness(ctx, o.business)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s, err := start(ctx, o.herald)
	if s != nil {
		defer s.stop()
	}
	if err != nil {
		return err
	}
	var all []figures.Figure
	for _, c := range []struct {
		name    string
		measure func(context.Context, *stack, options) ([]figures.Figure, error)
	}{{"overhead", overhead}, {"cached", cached}, {"hanging", hanging}} {
		if o.only != "" && o.only != c.name {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", c.name)
		more, err := c.measure(ctx, s, o)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		all = append(all, more...)
	}
	fmt.Printf("\n%d cores, %s, %s, %d runs of %v\n\n", runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly), o.runs, o.length)
	if err := figures.Table(os.Stdout, all); err != nil {
		return err
	}
	return figures.Save(o.out, all)
}

// conns is how many connections ask. Devices have one each.
const conns = 64

// overhead asks at a fixed rate: the business, nginx before it, Herald before it.
func overhead(ctx context.Context, s *stack, o options) ([]figures.Figure, error) {
	subjects := []*target{s.direct, s.nginx, s.jobs}
	p50, p99 := make([][]float64, len(subjects)), make([][]float64, len(subjects))
	var paid []float64
	for run := range o.runs + 1 {
		for i, t := range subjects {
			before := s.processor("herald")
			took, err := t.pace(ctx, o.rate, o.length)
			if err != nil {
				return nil, err
			}
			if run == 0 {
				continue // warm now
			}
			if t == s.jobs {
				paid = append(paid, 1e6*(s.processor("herald")-before)/float64(len(took)))
			}
			p50[i] = append(p50[i], percentile(took, 0.50))
			p99[i] = append(p99[i], percentile(took, 0.99))
		}
	}
	added := func(of [][]float64, i int) []float64 {
		var out []float64
		for run := range of[0] {
			out = append(out, of[i][run]-of[0][run])
		}
		return out
	}
	nginx50, nginx99 := figures.Of("", "", added(p50, 1)), figures.Of("", "", added(p99, 1))
	return []figures.Figure{
		figures.Of("direct call, p50", "ms", p50[0]),
		figures.Of("direct call, p99", "ms", p99[0]),
		figures.Of("added by Herald, jq on both sides, p50", "ms", added(p50, 2)).Against("nginx", nginx50.Value),
		figures.Of("added by Herald, jq on both sides, p99", "ms", added(p99, 2)).Against("nginx", nginx99.Value),
		figures.Of("  Herald's processor time for it", "µs each", paid),
	}, nil
}

// cached asks as fast as answers come for what Herald has kept.
func cached(ctx context.Context, s *stack, o options) ([]figures.Figure, error) {
	var kept, plain, paid []float64
	for run := range o.runs + 1 {
		for _, one := range []struct {
			t   *target
			out *[]float64
		}{{s.popular, &kept}, {s.nginx, &plain}} {
			before := s.processor("herald")
			rate, err := one.t.flood(ctx, o.length)
			if err != nil {
				return nil, err
			}
			if run == 0 {
				continue // warm now
			}
			*one.out = append(*one.out, rate)
			if one.t == s.popular {
				paid = append(paid, 1e6*(s.processor("herald")-before)/(rate*o.length.Seconds()))
			}
		}
	}
	return []figures.Figure{
		figures.Of("answers from the cache", "/s", kept).Against("nginx, nothing kept", figures.Of("", "", plain).Value),
		figures.Of("  Herald's processor time for it", "µs each", paid),
	}, nil
}

// hanging asks one business as fast as answers come, with and without calls to
// another that takes them and never answers.
func hanging(ctx context.Context, s *stack, o options) ([]figures.Figure, error) {
	const stuckRate = 100 // calls a second
	var share, alone []float64
	for run := range o.runs + 1 {
		before, err := s.jobs.flood(ctx, o.length)
		if err != nil {
			return nil, err
		}
		beside, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- s.stuck.disturb(beside, stuckRate) }()
		during, err := s.jobs.flood(ctx, o.length)
		end()
		if stuck := <-ended; err == nil {
			err = stuck
		}
		if err != nil {
			return nil, err
		}
		if run > 0 {
			alone, share = append(alone, before), append(share, 100*during/before)
		}
	}
	return []figures.Figure{
		figures.Of("calls with jq on both sides, as fast as they go", "/s", alone),
		figures.Of("of these beside a business that hangs", "%", share),
	}, nil
}
