package places

import (
	"context"
	"fmt"
	"slices"

	"github.com/herald-push/herald/push"
)

// IsPlace tells whether an audience is who is somewhere.
func IsPlace(to push.Audience) bool {
	return to.Near != nil || to.Polygon != nil || to.Place != ""
}

// audienceCells is how many cells an audience is looked for in, in each shard.
const audienceCells = 24

// where is the part of the earth that an audience names; nil for a place that is
// no more.
func (p *Places) where(ctx context.Context, app string, to push.Audience) (*region, error) {
	switch {
	case to.Near != nil:
		return newRegion(push.Shape{Circle: to.Near}), nil
	case to.Polygon != nil:
		return newRegion(push.Shape{Polygon: to.Polygon}), nil
	}
	a, err := p.ready(ctx, app)
	if err != nil {
		return nil, err
	}
	if n := a.places.get(to.Place); n != nil {
		return n.region, nil
	}
	return nil, nil
}

// HasPlace tells whether an app has a place of that name.
func (p *Places) HasPlace(ctx context.Context, app, id string) (bool, error) {
	g, err := p.where(ctx, app, push.Audience{Place: id})
	return g != nil, err
}

// Page returns up to limit ids of the devices that an audience by place means,
// beginning behind the id after ("" for the first page). Fewer than limit ids
// are the last page.
//
// The order is that of the shards, and of the ids in each. It does not depend
// on where a device is, so that one that moves between two pages may be missed
// or met, and never comes twice.
func (p *Places) Page(ctx context.Context, app string, to push.Audience, after string, limit int) ([]string, error) {
	var page []string
	err := p.walk(ctx, app, to, after, func(found []placed) (more bool) {
		for _, f := range found {
			if len(page) == limit {
				return false
			}
			page = append(page, f.device)
		}
		return len(page) < limit
	})
	return page, err
}

// Count is how many devices an audience by place has at the moment.
func (p *Places) Count(ctx context.Context, app string, to push.Audience) (n int, err error) {
	err = p.walk(ctx, app, to, "", func(found []placed) bool {
		n += len(found)
		return true
	})
	return n, err
}

// Preview is how many devices an audience has, and where some of them are,
// blurred.
func (p *Places) Preview(ctx context.Context, app string, to push.Audience, most int) (n int, some []push.Location, err error) {
	err = p.walk(ctx, app, to, "", func(found []placed) bool {
		n += len(found)
		for _, f := range found {
			if len(some) < most {
				at := p.blur(app, f.device, f.point)
				some = append(some, push.Location{Lat: at.lat, Lon: at.lon})
			}
		}
		return true
	})
	return n, some, err
}

// walk tells of an audience's devices behind one, in order, until tell has
// enough.
func (p *Places) walk(ctx context.Context, app string, to push.Audience, after string, tell func([]placed) bool) error {
	g, err := p.where(ctx, app, to)
	if err != nil || g == nil {
		return err
	}
	ranges := spans(cover(g.bounds, audienceCells))
	first := 0
	if after != "" {
		first = shardOf(after)
	}
	// One shard may be all that a page needs; who reads on gets more at a time.
	for shard, width := first, 2; shard < shards; {
		end := min(shard+width, shards)
		lots, err := p.index.search(ctx, app, shard, end, g, ranges, "")
		if err != nil {
			return err
		}
		for i, lot := range lots {
			slices.SortFunc(lot, func(a, b placed) int { return compare(a.device, b.device) })
			if shard+i == first && after != "" {
				lot = lot[sortedAfter(lot, after):]
			}
			if lot, err = p.meant(ctx, app, to, lot); err != nil {
				return err
			}
			if !tell(lot) {
				return nil
			}
		}
		shard, width = end, min(2*width, 16)
	}
	return nil
}

// sortedAfter is where the devices behind one begin.
func sortedAfter(lot []placed, after string) int {
	i, found := slices.BinarySearchFunc(lot, after, func(p placed, id string) int { return compare(p.device, id) })
	if found {
		i++
	}
	return i
}

// meant keeps those whom the audience's filter means too.
func (p *Places) meant(ctx context.Context, app string, to push.Audience, lot []placed) ([]placed, error) {
	if to.Filter == "" || len(lot) == 0 {
		return lot, nil
	}
	kept := lot[:0]
	for part := range slices.Chunk(lot, perStatement) {
		ids := make([]string, len(part))
		for i, f := range part {
			ids[i] = f.device
		}
		among, err := p.parts.Store.Among(ctx, app, ids, to.Filter)
		if err != nil {
			return nil, fmt.Errorf("places: filter: %w", err)
		}
		for _, f := range part { // both are in the same order
			if len(among) > 0 && among[0] == f.device {
				kept, among = append(kept, f), among[1:]
			}
		}
	}
	return kept, nil
}

func compare[T string | uint64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
