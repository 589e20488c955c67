package places

import (
	"math"
	"slices"
)

// The grid is that of Redis GEO: longitude and latitude as 26 bits each, their
// bits by turns, which makes 52 bits that a sorted set's score can hold. It ends
// at 85.05° north and south; what is nearer to a pole has a grid of its own
// ([polarScore]).
const (
	gridBits = 26
	gridEdge = 85.05112878 // degrees north and south
	gridSize = 1 << gridBits
)

// point is a position in degrees.
type point struct{ lat, lon float64 }

// score is where a point lies in the grid.
func score(p point) uint64 {
	return spread(steps(p.lat, -gridEdge, gridEdge)) | spread(steps(p.lon, -180, 180))<<1
}

// at is the middle of a score's field, half a metre wide: what Redis GEO answers
// for it too.
func at(score uint64) point {
	return point{middle(gather(score), -gridEdge, gridEdge), middle(gather(score>>1), -180, 180)}
}

// isPolar tells whether a latitude is beyond the grid.
func isPolar(lat float64) bool { return math.Abs(lat) >= gridEdge }

// polarScore is the same for points that are near a pole, latitude first.
func polarScore(p point) uint64 {
	return uint64(steps(p.lat, -90, 90))<<gridBits | uint64(steps(p.lon, -180, 180))
}

func polarAt(score uint64) point {
	p := point{middle(uint32(score>>gridBits), -90, 90), middle(uint32(score%gridSize), -180, 180)}
	if !isPolar(p.lat) { // it was just beyond the rim, and must not come to lie inside of it
		p.lat = math.Copysign(gridEdge, p.lat)
	}
	return p
}

// stored is a point as the index keeps it.
func stored(p point) point {
	if isPolar(p.lat) {
		return polarAt(polarScore(p))
	}
	return at(score(p))
}

func steps(v, lo, hi float64) uint32 {
	return uint32(min(max((v-lo)/(hi-lo)*gridSize, 0), gridSize-1))
}

func middle(step uint32, lo, hi float64) float64 {
	return lo + (float64(step)+0.5)*(hi-lo)/gridSize
}

// spread puts a zero before each of 26 bits.
func spread(x uint32) uint64 {
	v := uint64(x)
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f
	v = (v | v<<2) & 0x3333333333333333
	return (v | v<<1) & 0x5555555555555555
}

// gather undoes spread.
func gather(v uint64) uint32 {
	v &= 0x5555555555555555
	v = (v | v>>1) & 0x3333333333333333
	v = (v | v>>2) & 0x0f0f0f0f0f0f0f0f
	v = (v | v>>4) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return uint32(v | v>>16)
}

// rect is part of the map in degrees, its rim included. It does not cross the
// antimeridian.
type rect struct{ south, north, west, east float64 }

// cell is a field of a coarser grid: the first 2·level bits of a score.
type cell struct {
	level  uint8
	prefix uint64
}

// scores are those of a cell, the last one included.
func (c cell) scores() (first, last uint64) {
	rest := 2 * (gridBits - uint(c.level))
	return c.prefix << rest, (c.prefix+1)<<rest - 1
}

// cellOf is the cell of a score at a level.
func cellOf(score uint64, level uint8) cell {
	return cell{level, score >> (2 * (gridBits - uint(level)))}
}

func (c cell) rect() rect {
	lat, lon := gather(c.prefix), gather(c.prefix>>1)
	n := float64(uint64(1) << c.level)
	return rect{
		south: -gridEdge + float64(lat)*2*gridEdge/n, north: -gridEdge + float64(lat+1)*2*gridEdge/n,
		west: -180 + float64(lon)*360/n, east: -180 + float64(lon+1)*360/n,
	}
}

func (r rect) meets(o rect) bool {
	return r.south <= o.north && o.south <= r.north && r.west <= o.east && o.west <= r.east
}

func (r rect) within(o rect) bool {
	return o.south <= r.south && r.north <= o.north && o.west <= r.west && r.east <= o.east
}

// cover finds at most that many cells that together hold all of the rects, the
// smaller the more there may be. What lies beyond the grid is not covered.
func cover(rects []rect, most int) []cell {
	whole, open := []cell(nil), []cell{{}}
	for level := uint8(0); level < gridBits && len(open) > 0; level++ {
		done, next := whole, make([]cell, 0, 2*len(open))
		for _, c := range open {
			for quarter := range uint64(4) {
				child := cell{c.level + 1, c.prefix<<2 | quarter}
				area := child.rect()
				switch {
				case !slices.ContainsFunc(rects, area.meets):
				case slices.ContainsFunc(rects, area.within):
					done = append(done, child)
				default:
					next = append(next, child)
				}
			}
		}
		if len(done)+len(next) > most {
			break
		}
		whole, open = done, next
	}
	return append(slices.Clip(whole), open...)
}

// span is a range of scores, the last one included.
type span struct{ first, last uint64 }

// spans are the scores of cells, in order, each once.
func spans(cells []cell) []span {
	all := make([]span, len(cells))
	for i, c := range cells {
		all[i].first, all[i].last = c.scores()
	}
	slices.SortFunc(all, func(a, b span) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	merged := all[:0]
	for _, s := range all {
		if n := len(merged); n > 0 && s.first <= merged[n-1].last+1 {
			merged[n-1].last = max(merged[n-1].last, s.last)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}
