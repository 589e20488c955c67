package places

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/golang/geo/s2"

	"github.com/herald-push/herald/push"
)

// fence is one that is in force.
type fence struct {
	push.Fence
	region *region
	hours  *hours
	cells  []cell
}

func newFence(f push.Fence) *fence {
	g := newRegion(f.Shape)
	return &fence{Fence: f, region: g, hours: newHours(f.Schedule), cells: cover(g.bounds, fenceCells)}
}

// fenceCells is how many cells a fence is found by: more of them are less often
// asked in vain, and cost memory.
const fenceCells = 16

// fences are those of one app, to be found by where a device is. They are safe
// for concurrent use.
type fences struct {
	mu     sync.RWMutex
	byID   map[string]*fence
	cells  map[cell][]*fence
	levels [gridBits + 1]int // how many entries of cells have this level
	polar  []*fence          // that reach beyond the grid
}

func newFences() *fences {
	return &fences{byID: map[string]*fence{}, cells: map[cell][]*fence{}}
}

// put takes a fence in, in place of one that has its id.
func (s *fences) put(f *fence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(f.ID)
	s.byID[f.ID] = f
	for _, c := range f.cells {
		s.cells[c] = append(s.cells[c], f)
		s.levels[c.level]++
	}
	if f.region.polar {
		s.polar = append(s.polar, f)
	}
}

// remove takes a fence out.
func (s *fences) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(id)
}

func (s *fences) take(id string) {
	f := s.byID[id]
	if f == nil {
		return
	}
	delete(s.byID, id)
	without := func(all []*fence) []*fence {
		return slices.DeleteFunc(all, func(o *fence) bool { return o == f })
	}
	for _, c := range f.cells {
		s.levels[c.level]--
		if left := without(s.cells[c]); len(left) > 0 {
			s.cells[c] = left
		} else {
			delete(s.cells, c)
		}
	}
	s.polar = without(s.polar)
}

func (s *fences) get(id string) *fence {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id]
}

func (s *fences) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byID)
}

// around appends the fences that a point lies in.
func (s *fences) around(p point, found []*fence) []*fence {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var on s2.Point
	ask := func(all []*fence) {
		for _, f := range all {
			if f.region.has(p, &on) {
				found = append(found, f)
			}
		}
	}
	if isPolar(p.lat) {
		ask(s.polar)
		return found
	}
	where := score(p)
	for level, n := range s.levels {
		if n > 0 {
			ask(s.cells[cellOf(where, uint8(level))])
		}
	}
	return found
}

// crossing is what a device has done at a fence, and is to be told of.
type crossing struct {
	id     string // of the notification
	app    string
	Device string        `json:"device"`
	Fence  string        `json:"fence"`
	What   push.Crossing `json:"what"`
	At     int64         `json:"at"`   // unix ms
	Kept   int64         `json:"kept"` // when it was written down, unix ms
}

func (c crossing) encode() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic("places: a crossing cannot be written as JSON: " + err.Error()) // strings and numbers
	}
	return string(text)
}

// name gives a crossing the id of its notification: whoever works out the same
// crossing from the same report comes to the same one, and it is sent once.
func (c crossing) name() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", c.Device, c.Fence, c.What, c.At))
	return "fence-" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// step is one report of a device that is held against the fences.
type step struct {
	app, device string
	where       point
	accuracy    float64
	at          time.Time // of the report
	stale       bool      // it is too old to tell anybody of
	now         time.Time
}

// maxVisits bounds the fences that are remembered of one device; it has not
// entered those beyond.
const maxVisits = 500

// unheard is how long a fence may be known to other processes alone.
const unheard = time.Minute

// kindOf is where a visit has the time of a crossing's last notification.
func kindOf(c push.Crossing) int {
	switch c {
	case push.Exit:
		return 1
	case push.Dwell:
		return 2
	default:
		return 0
	}
}

// cools tells whether a fence has sent something too lately to send it again.
func cools(told, now int64, f *fence) bool {
	return told > 0 && now-told < int64(f.CooldownSeconds)*1000
}

// evaluate moves a device's visits on by a report and appends what it has
// crossed.
func (s *fences) evaluate(r *record, st *step, crossed []crossing) []crossing {
	var room [8]*fence
	inside := s.around(st.where, room[:0])
	at := st.at.UnixMilli()
	tell := func(v *visit, f *fence, what push.Crossing) bool {
		told := &v.told[kindOf(what)]
		if st.stale || cools(*told, at, f) || !slices.Contains(f.On, what) || !f.hours.open(st.at) {
			return false
		}
		c := crossing{app: st.app, Device: st.device, Fence: f.ID, What: what, At: at, Kept: st.now.UnixMilli()}
		c.id = c.name()
		crossed = append(crossed, c)
		*told = at
		return true
	}
	vague := func(f *fence) bool { return f.MaxAccuracy > 0 && st.accuracy > f.MaxAccuracy }

	kept := r.fences[:0]
	for _, v := range r.fences {
		f := s.get(v.fence)
		if f == nil {
			// It is no more, or so new that this process has not heard of it.
			if at-v.since < unheard.Milliseconds() {
				kept = append(kept, v)
			}
			continue
		}
		if v.inside && !vague(f) && !slices.Contains(inside, f) && !f.region.contains(st.where) {
			v.inside = false
			tell(&v, f, push.Exit)
		}
		cools := slices.ContainsFunc(v.told[:], func(told int64) bool { return cools(told, at, f) })
		if v.inside || cools {
			kept = append(kept, v)
		}
	}
	r.fences = kept
	for _, f := range inside {
		if vague(f) {
			continue
		}
		i := slices.IndexFunc(r.fences, func(v visit) bool { return v.fence == f.ID })
		if i < 0 {
			if len(r.fences) == maxVisits {
				continue
			}
			r.fences = append(r.fences, visit{fence: f.ID})
			i = len(r.fences) - 1
		}
		v := &r.fences[i]
		if !v.inside {
			v.inside, v.dwelled, v.since = true, false, at
			tell(v, f, push.Enter)
		}
		if !v.dwelled && at-v.since >= int64(f.DwellSeconds)*1000 && slices.Contains(f.On, push.Dwell) {
			v.dwelled = tell(v, f, push.Dwell)
		}
	}
	return crossed
}
