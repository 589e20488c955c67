package places

import (
	"slices"
	"sort"
	"sync"

	"github.com/herald-push/herald/push"
)

// namedPlace is a place that can be asked about.
type namedPlace struct {
	push.Place
	region *region
	middle point
	score  uint64
}

func newNamedPlace(p push.Place) *namedPlace {
	n := &namedPlace{Place: p, region: newRegion(p.Shape)}
	n.middle = n.region.middle()
	n.score = score(n.middle)
	return n
}

// named are the places of one app. They are safe for concurrent use.
type named struct {
	mu    sync.RWMutex
	byID  map[string]*namedPlace
	order []*namedPlace // by score; nil when it has to be made anew
}

func newNamed() *named { return &named{byID: map[string]*namedPlace{}} }

func (n *named) put(p *namedPlace) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byID[p.ID], n.order = p, nil
}

func (n *named) remove(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.byID, id)
	n.order = nil
}

func (n *named) get(id string) *namedPlace {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.byID[id]
}

// sorted is the places in the order of their scores; the slice is never changed.
func (n *named) sorted() []*namedPlace {
	n.mu.RLock()
	order := n.order
	n.mu.RUnlock()
	if order != nil {
		return order
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.order == nil {
		n.order = make([]*namedPlace, 0, len(n.byID))
		for _, p := range n.byID {
			n.order = append(n.order, p)
		}
		slices.SortFunc(n.order, func(a, b *namedPlace) int {
			if a.score != b.score {
				return compare(a.score, b.score)
			}
			return compare(a.ID, b.ID)
		})
	}
	return n.order
}

// within finds the places whose middle is in a region.
func (n *named) within(g *region, ranges []span) (found []*namedPlace) {
	order := n.sorted()
	for _, r := range ranges {
		from := sort.Search(len(order), func(i int) bool { return order[i].score >= r.first })
		for _, p := range order[from:] {
			if p.score > r.last {
				break
			}
			if !isPolar(p.middle.lat) && g.contains(p.middle) {
				found = append(found, p)
			}
		}
	}
	if g.polar { // few places are there
		for _, p := range order {
			if isPolar(p.middle.lat) && g.contains(p.middle) {
				found = append(found, p)
			}
		}
	}
	return found
}
