package brain

import "math"

// edges are the upper ends of the buckets that receipts are counted in by their
// age, in seconds. Receipts later than the last one are not waited for.
var edges = [...]float64{
	0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 6.5, 8, 10, 12, 15, 17, 20, 23, 26, 30, 35, 40, 47,
	55, 65, 75, 90, 100, 120, 160, 200, 300, 450, 600, 1200, 3600,
}

const buckets = len(edges)

// delays are the curves by which receipts come in, for each provider to devices
// that were online and to those that were not: what was counted with old ages
// forgotten, and what follows from it, worked out once in a while.
type delays struct {
	counts []histogram // by provider × 2 + online
	share  []histogram // the part of all receipts that came by each edge
	second [][window]float32
	half   []float64 // see [Brain.Typical]
}

type histogram [buckets]float32

const (
	// delayMemory is how many receipts a curve remembers.
	delayMemory = 5000
	// delayPrior is how many receipts the first guess is worth.
	delayPrior = 10
	// delayGuess is the median age of receipts before any was seen.
	delayGuess = 3.0
)

func newDelays(providers int) *delays {
	d := &delays{
		counts: make([]histogram, 2*providers),
		share:  make([]histogram, 2*providers),
		second: make([][window]float32, providers),
		half:   make([]float64, 2*providers),
	}
	for i := range d.counts {
		before := 0.0
		for k, edge := range edges {
			// Half by the guess, and long tails: as 1 - 1/(1 + age/guess).
			by := edge / (edge + delayGuess)
			d.counts[i][k] = float32(delayPrior * (by - before))
			before = by
		}
	}
	d.refresh()
	return d
}

func at(provider int, online bool) int {
	if online {
		return 2*provider + 1
	}
	return 2 * provider
}

// count takes in a receipt.
func (d *delays) count(provider int, online bool, age float64) {
	h := &d.counts[at(provider, online)]
	var sum float32
	for _, n := range h {
		sum += n
	}
	if sum > delayMemory {
		for k := range h {
			h[k] *= 0.99
		}
	}
	h[bucket(age)]++
}

func bucket(age float64) int {
	for k, edge := range edges {
		if age <= edge {
			return k
		}
	}
	return buckets - 1
}

// refresh works the curves out from the counts.
func (d *delays) refresh() {
	for i := range d.counts {
		var sum float32
		for _, n := range d.counts[i] {
			sum += n
		}
		var by float32
		for k, n := range d.counts[i] {
			by += n
			d.share[i][k] = by / sum
		}
		d.half[i] = d.typical(i, sum)
	}
	for p := range d.second {
		var both histogram
		var sum float32
		for k := range both {
			both[k] = d.counts[2*p][k] + d.counts[2*p+1][k]
			sum += both[k]
		}
		var by float32
		for k := range both {
			by += both[k] / sum
			both[k] = by
		}
		before := float32(0)
		for age := range window {
			now := both.by(float64(age) + 0.5)
			d.second[p][age] = now - before
			before = now
		}
	}
}

// by is the part of the receipts that came by an age, on a straight line
// between the edges.
func (h *histogram) by(age float64) float32 {
	if age <= 0 {
		return 0
	}
	k := bucket(age)
	lower, before := 0.0, float32(0)
	if k > 0 {
		lower, before = edges[k-1], h[k-1]
	}
	part := float32(math.Min(1, (age-lower)/(edges[k]-lower)))
	return before + part*(h[k]-before)
}

// onTime is the part of what is counted as delivered that arrives within ttl
// seconds.
func (d *delays) onTime(provider int, online bool, ttl float64) float32 {
	h := &d.share[at(provider, online)]
	return min(1, h.by(ttl)/h.by(Horizon))
}

// Typical is by how many seconds half of a road's receipts have come, 0 while too
// few are known.
func (b *Brain) Typical(provider int, online bool) float64 {
	return b.delays.half[at(provider, online)]
}

// typical works that out for one curve.
func (d *delays) typical(i int, receipts float32) float64 {
	if receipts < 3*delayPrior {
		return 0
	}
	for k, by := range d.share[i] {
		if by >= 0.5 {
			return edges[k]
		}
	}
	return 0
}
