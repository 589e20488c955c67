package places

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/examples/figures"
	"github.com/herald-push/herald/push"
)

// What is measured: a metropolis of 100 by 100 kilometres.
const (
	figureDevices = 1_000_000
	figureFences  = 50_000
	figureMovers  = 200_000
	figureAskers  = 1024
	figureRuns    = 3
)

// TestFigures is make bench-places: it measures, and fails on nothing but
// errors.
func TestFigures(t *testing.T) {
	out := os.Getenv("HERALD_PLACES_FIGURES")
	if out == "" {
		t.Skip("make bench-places")
	}
	w := newWorld(t)
	w.mu.Lock()
	w.clock = time.Now()
	w.mu.Unlock()
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same city every time
	var all []figures.Figure
	all = append(all, measureFences(rnd))
	all = append(all, w.measureReports(rnd))
	all = append(all, w.measureNear(rnd)...)
	if err := figures.Table(os.Stdout, all); err != nil {
		t.Fatal(err)
	}
	if err := figures.Save(out, all); err != nil {
		t.Fatal(err)
	}
}

// inTown is a point of the metropolis.
func inTown(rnd *rand.Rand) point {
	return offset(point{31.2, 121.5}, (rnd.Float64()-0.5)*100_000, (rnd.Float64()-0.5)*100_000)
}

func someFence(rnd *rand.Rand, id int) push.Fence {
	f := push.Fence{App: "demo", ID: fmt.Sprint("f", id), On: []push.Crossing{push.Enter, push.Exit}}
	middle, radius := inTown(rnd), 100+900*rnd.Float64()
	if id%2 == 0 {
		f.Circle = &push.Circle{Lat: middle.lat, Lon: middle.lon, Radius: radius}
		return f
	}
	for i := range 8 {
		at := to(middle, 2*math.Pi*float64(i)/8, radius*(0.5+0.5*rnd.Float64()))
		f.Polygon = append(f.Polygon, push.Location{Lat: at.lat, Lon: at.lon})
	}
	return f
}

// measureFences holds reports against all fences of a town, in memory.
func measureFences(rnd *rand.Rand) figures.Figure {
	town := newFences()
	for i := range figureFences {
		town.put(newFence(someFence(rnd, i)))
	}
	const n = 50_000
	var micros []float64
	for range figureRuns {
		points := make([]point, n)
		for i := range points {
			points[i] = stored(inTown(rnd))
		}
		began := time.Now()
		for i, p := range points {
			r := record{}
			town.evaluate(&r, &step{app: "demo", device: "d", where: p, at: noon.Add(time.Duration(i) * time.Second), now: noon, stale: true}, nil)
		}
		micros = append(micros, float64(time.Since(began).Nanoseconds())/1000/n)
	}
	return figures.Of(fmt.Sprintf("a report held against %d fences", figureFences), "µs", micros)
}

// measureReports has many devices tell where they are, one position at a time,
// with 1,000 fences in force and last places written into records.
func (w *world) measureReports(rnd *rand.Rand) figures.Figure {
	w.populate(rnd, "demo", "m", figureMovers)
	town := w.area("demo")
	for i := range 1000 {
		town.fences.put(newFence(someFence(rnd, i)))
	}
	town.loading.Lock()
	town.loaded = true
	town.loading.Unlock()
	const length = 5 * time.Second
	var rates []float64
	for range figureRuns {
		var n atomic.Int64
		end := time.Now().Add(length)
		var group sync.WaitGroup
		for asker := range figureAskers {
			own := rand.New(rand.NewPCG(uint64(asker), 3)) //nolint:gosec // as above
			group.Go(func() {
				for time.Now().Before(end) {
					p := inTown(own)
					at := push.Position{Lat: p.lat, Lon: p.lon, At: time.Now()}
					if _, err := w.Report(context.Background(), "demo", fmt.Sprint("m", own.IntN(figureMovers)), []push.Position{at}); err != nil {
						w.t.Error(err)
						return
					}
					n.Add(1)
				}
			})
		}
		group.Wait()
		rates = append(rates, float64(n.Load())/length.Seconds())
	}
	return figures.Of("position reports, one at a time, in Redis with its append-only file", "reports/s", rates)
}

// measureNear asks who is within 5 km, of a million.
func (w *world) measureNear(rnd *rand.Rand) (all []figures.Figure) {
	w.populate(rnd, "crowd", "d", figureDevices)
	for _, limit := range []int{100, 2048} {
		var tails, sizes []float64
		for range figureRuns {
			took := make([]time.Duration, 300)
			for i := range took {
				p := inTown(rnd)
				began := time.Now()
				page, err := w.Page(context.Background(), "crowd", push.Audience{Near: &push.Circle{Lat: p.lat, Lon: p.lon, Radius: 5000}}, "", limit)
				if err != nil {
					w.t.Fatal(err)
				}
				took[i] = time.Since(began)
				sizes = append(sizes, float64(len(page)))
			}
			slices.Sort(took)
			tails = append(tails, float64(took[len(took)*99/100].Microseconds())/1000)
		}
		slices.Sort(sizes)
		all = append(all, figures.Of(fmt.Sprintf("near, 5 km, of %d devices: p99 to the first page of %d (median size %.0f)", figureDevices, limit, sizes[len(sizes)/2]), "ms", tails))
	}
	return all
}

// populate places devices, as if they had reported.
func (w *world) populate(rnd *rand.Rand, app, prefix string, n int) {
	r := record{mode: push.PlaceExact, at: 1}
	text := r.encode()
	now := time.Now()
	for from := 0; from < n; from += 20_000 {
		changes := make([]change, 0, 20_000)
		for i := from; i < min(from+20_000, n); i++ {
			p := stored(inTown(rnd))
			changes = append(changes, change{app: app, device: fmt.Sprint(prefix, i), new: text, where: &p, at: now})
		}
		if _, err := w.index.write(context.Background(), changes, now); err != nil {
			w.t.Fatal(err)
		}
	}
}
