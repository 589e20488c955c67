//go:build linux

// Command bench-live measures the live connection on this machine, each figure
// beside Mosquitto's in the same run: memory of an idle connection, connects,
// acknowledged single deliveries, a broadcast, and the time from publishing to
// the acknowledgement at a fixed rate. Nodes, clients and Mosquitto are
// processes of their own, started and ended here, that talk over loopback; every
// load is bounded in number and time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	out, only, transport string
	runs, idle, crowd    int
	many, storm, roll    int
	rate                 int
	seconds              int
}

func run() error {
	var o options
	var role string
	var k kind
	flag.BoolVar(&k.secure, "secure", false, "for its own processes: a node with TLS")
	flag.BoolVar(&k.talks, "talks", false, "for its own processes: a node with the floors of messaging")
	flag.StringVar(&k.redis, "redis", "", "for its own processes: where presence is")
	flag.BoolVar(&k.inbox, "inbox", false, "for its own processes: devices have inboxes in Redis")
	flag.StringVar(&role, "role", "", "for its own processes: node or fleet")
	flag.StringVar(&o.out, "out", "build/bench-live.json", "file for the figures")
	flag.StringVar(&o.only, "only", "", "comma-separated cases: idle, tls, singles, broadcast, latency, im, group, storm, roll, many; default all")
	flag.StringVar(&o.transport, "transport", "epoll", "epoll or goroutines")
	flag.IntVar(&o.runs, "runs", 3, "runs of each case but idle")
	flag.IntVar(&o.idle, "idle", 19_000, "connections of one process")
	flag.IntVar(&o.crowd, "crowd", 50_000, "connections of the broadcast, over three processes")
	flag.IntVar(&o.many, "many", 150_000, "connections over eight processes")
	flag.IntVar(&o.storm, "storm", 50_000, "connections that are lost at once, over three processes")
	flag.IntVar(&o.roll, "roll", 40_000, "connections of four nodes that are restarted one after the other")
	flag.IntVar(&o.rate, "rate", 10_000, "messages a second of the latency case")
	flag.IntVar(&o.seconds, "seconds", 5, "length of the latency case")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch role {
	case "node":
		k.transport = o.transport
		return serveNode(ctx, k)
	case "fleet":
		return serveFleet()
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var figures []figure
	var failed error
	for _, c := range []struct {
		name    string
		measure func(context.Context, options) ([]figure, error)
	}{
		{"idle", measureIdle}, {"tls", measureTLS}, {"singles", measureSingles}, {"latency", measureLatency}, {"broadcast", measureBroadcast},
		{"im", measureTalk}, {"group", measureCrowd}, {"storm", measureStorm}, {"roll", measureRoll}, {"many", measureMany},
	} {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), c.name) {
			continue
		}
		begin := time.Now()
		more, err := measure(ctx, o, c.measure)
		switch {
		case errors.Is(err, errTooSmall):
			fmt.Fprintf(os.Stderr, "left out %s: %v\n", c.name, err)
		case err != nil: // the others are worth having
			failed = errors.Join(failed, fmt.Errorf("bench-live: %s: %w", c.name, err))
			fmt.Fprintf(os.Stderr, "failed %s: %v\n", c.name, err)
		default:
			fmt.Fprintf(os.Stderr, "measured %s in %.0f s\n", c.name, time.Since(begin).Seconds())
			figures = append(figures, more...)
		}
	}
	fmt.Printf("\n%d cores, %s, %s, transport %s\n\n", runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly), o.transport)
	for _, f := range figures {
		fmt.Println(f)
	}
	return errors.Join(failed, save(o.out, figures))
}

// measure gives one case its time: a machine on which it hangs measures the others
// all the same.
func measure(ctx context.Context, o options, of func(context.Context, options) ([]figure, error)) ([]figure, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return of(ctx, o)
}

// figure is one line of build/bench-live.json. Value is the median of Runs.
type figure struct {
	Name      string    `json:"name"`
	Unit      string    `json:"unit"`
	Value     float64   `json:"value"`
	Runs      []float64 `json:"runs"`
	Mosquitto float64   `json:"mosquitto,omitempty"` // in the same run; 0 if there is no such figure
	Target    float64   `json:"target,omitempty"`
}

func (f figure) String() string {
	s := fmt.Sprintf("%-58s %10.4g %-8s", f.Name, f.Value, f.Unit)
	if f.Target != 0 {
		s += fmt.Sprintf(" target %.4g", f.Target)
	}
	if f.Mosquitto != 0 {
		s += fmt.Sprintf(" Mosquitto %.4g", f.Mosquitto)
	}
	return s
}

func of(name, unit string, target float64, ours, theirs []float64) figure {
	return figure{Name: name, Unit: unit, Value: median(ours), Runs: ours, Mosquitto: median(theirs), Target: target}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func save(path string, figures []figure) error {
	b, err := json.MarshalIndent(figures, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, append(b, '\n'), 0o644) //nolint:gosec // figures are for everyone
	}
	if err != nil {
		return fmt.Errorf("bench-live: %w", err)
	}
	return nil
}
