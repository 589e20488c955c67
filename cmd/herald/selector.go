package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/selector/sim"
)

// selectorCmd shows the selector at work without the rest.
type selectorCmd struct {
	Mode  selectorModeCmd  `cmd:"" help:"Show or say who chooses the roads: the selector, a fixed order, or both."`
	Stdio selectorStdioCmd `cmd:"" help:"Let a simulator drive the selector line by line over standard input and output."`
	Bench selectorBenchCmd `cmd:"" help:"Set the selector against other policies in a simulated world."`
}

type selectorStdioCmd struct{}

func (selectorStdioCmd) Run(std streams) error { return sim.Serve(os.Stdin, std.out) }

type selectorBenchCmd struct {
	Seeds int      `default:"3" help:"How many worlds."`
	First uint64   `default:"1" help:"Seed of the first."`
	Scale float64  `default:"0.2" help:"Size of the world: 1 is 200,000 devices and 24.5 million messages."`
	Days  float64  `default:"10" help:"Length of the world."`
	Only  []string `placeholder:"POLICY" help:"Policies besides random, the oracles and the vendor rule, such as herald. Default: all."`
	Out   string   `type:"path" placeholder:"FILE" help:"Write the rows of every seed here, as JSON."`
}

// benchResult is one world of build/bench-selector.json.
type benchResult struct {
	Seed    uint64    `json:"seed"`
	Devices int       `json:"devices"`
	Days    float64   `json:"days"`
	Rows    []sim.Row `json:"rows"`
}

func (b *selectorBenchCmd) Run(ctx context.Context, std streams) error {
	if b.Seeds < 1 || b.Scale <= 0 || b.Days <= 0 {
		return fmt.Errorf("--seeds %d, --scale %v and --days %v must be positive", b.Seeds, b.Scale, b.Days)
	}
	results := make([]benchResult, b.Seeds)
	done := make([]atomic.Int64, b.Seeds) // thousandths
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range results {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if ctx.Err() == nil {
				results[i] = b.play(b.First+uint64(i), func(part float64) { done[i].Store(int64(1000 * part)) })
				done[i].Store(1000)
			}
		})
	}
	go showProgress(ctx, std.err, done)
	group.Wait()
	cancel()
	fmt.Fprintln(std.err)
	if err := printBench(std.out, results); err != nil {
		return err
	}
	if b.Out == "" {
		return nil
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.Out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(b.Out, append(text, '\n'), 0o644)
}

func (b *selectorBenchCmd) play(seed uint64, progress func(float64)) benchResult {
	cfg := sim.DefaultConfig(seed).Scale(b.Scale)
	cfg.Days = b.Days
	w := sim.New(cfg)
	return benchResult{seed, cfg.Devices, cfg.Days, sim.Compare(w.Run(b.policies(w), progress))}
}

// yardsticks are the policies that the others are compared with.
var yardsticks = [...]string{"random", "oracle", "fair oracle", "vendor rule"}

// policies are those that were asked for, with the yardsticks.
func (b *selectorBenchCmd) policies(w *sim.World) []sim.Named {
	all := sim.All(w)
	if len(b.Only) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(p sim.Named) bool {
		return !slices.Contains(yardsticks[:], p.Name) && !slices.Contains(b.Only, p.Name)
	})
}

// showProgress keeps one line up to date until ctx ends.
func showProgress(ctx context.Context, w io.Writer, done []atomic.Int64) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sum := int64(0)
		for i := range done {
			sum += done[i].Load()
		}
		fmt.Fprintf(w, "\rworlds played: %.1f %%", float64(sum)/float64(10*len(done)))
	}
}

// printBench prints the mean of all worlds, a row for each policy.
func printBench(w io.Writer, results []benchResult) error {
	headers := []string{
		"POLICY", "IN TIME", "SHARE", "FAIR", "FIRST 3", "LOST", "OF VENDOR'S", "REACTS S", "RETURNS S",
		"P50 S", "P95 S", "CRIT P95 S", "SMS/100", "TWICE/100", "COST", "REGRET", "1/(K P)",
	}
	var rows [][]string
	for k := range results[0].Rows {
		mean := func(of func(sim.Row) float64) float64 {
			sum := 0.0
			for _, r := range results {
				sum += of(r.Rows[k])
			}
			return sum / float64(len(results))
		}
		number := func(digits int, of func(sim.Row) float64) string { return fmt.Sprintf("%.*f", digits, mean(of)) }
		rows = append(rows, []string{
			results[0].Rows[k].Policy,
			fmt.Sprintf("%.1f %%", 100*mean(func(r sim.Row) float64 { return r.OnTime })),
			number(3, func(r sim.Row) float64 { return r.Share }),
			number(3, func(r sim.Row) float64 { return r.Fair }),
			number(3, func(r sim.Row) float64 { return r.First }),
			number(0, func(r sim.Row) float64 { return r.Lost }),
			number(2, func(r sim.Row) float64 { return r.LostVendor }),
			seconds(results, k, func(r sim.Row) float64 { return r.Reaction }),
			seconds(results, k, func(r sim.Row) float64 { return r.Recovery }),
			number(1, func(r sim.Row) float64 { return r.P50 }),
			number(1, func(r sim.Row) float64 { return r.P95 }),
			number(0, func(r sim.Row) float64 { return r.Critical95 }),
			number(0, func(r sim.Row) float64 { return r.SMS }),
			number(1, func(r sim.Row) float64 { return r.Twice }),
			number(4, func(r sim.Row) float64 { return r.Cost }),
			number(4, func(r sim.Row) float64 { return r.Regret }),
			number(3, func(r sim.Row) float64 { return r.InversePK }),
		})
	}
	return formatFlag{}.print(w, nil, headers, rows)
}

// seconds is a mean over the worlds, or "never" if in one of them it never was.
func seconds(results []benchResult, k int, of func(sim.Row) float64) string {
	sum := 0.0
	for _, r := range results {
		if of(r.Rows[k]) < 0 {
			return "never"
		}
		sum += of(r.Rows[k])
	}
	return fmt.Sprintf("%.0f", sum/float64(len(results)))
}
