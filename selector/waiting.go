package selector

import (
	"iter"
	"strings"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
)

// track is an attempt whose receipt is waited for. There are tens of thousands,
// so it holds no more than it must.
type track struct {
	brain.Track
	key    uint64
	device string
	proof  *proof // whose silence it would be
	arm    *arm   // the side of an A/B that it counts for; nil is none, or no longer
	over   bool   // it has reached the age of the check
}

// Device is whom it was sent to.
func (t *track) Device() push.DeviceKey { return push.DeviceKey{App: t.proof.app, ID: t.device} }

// page is how many tracks are kept in one piece of memory: they come and go in
// the order of their sending.
const page = 512

// waiting are the attempts that are waited for.
type waiting struct {
	most   int
	tracks map[uint64]*track
	proofs map[proof]*proof // each once
	pages  []*[page]track
	oldest int // place in the first page
	unseen int // place of the first not yet checked, counted from the first page
	next   int // place of the one to come
}

func newWaiting(most int) waiting {
	return waiting{most: most, tracks: make(map[uint64]*track), proofs: make(map[proof]*proof)}
}

// wants reports whether there is room for one more, and it is not there yet.
func (w *waiting) wants(key uint64) bool {
	return w.next-w.oldest < w.most && w.tracks[key] == nil
}

// add makes room for one that is wanted. It stays where it is until it is
// forgotten.
func (w *waiting) add(key uint64) *track {
	if w.next == len(w.pages)*page {
		w.pages = append(w.pages, new([page]track))
	}
	t := w.at(w.next)
	w.next++
	w.tracks[key] = t
	return t
}

func (w *waiting) at(place int) *track { return &w.pages[place/page][place%page] }

// proof is the one copy of the names.
func (w *waiting) proof(app, provider string) *proof {
	p := w.proofs[proof{app, provider}]
	if p == nil {
		p = &proof{strings.Clone(app), strings.Clone(provider)}
		w.proofs[*p] = p
	}
	return p
}

// due takes those that have reached the age of the check, after it has
// forgotten those beyond the horizon.
func (w *waiting) due(now, check float64) iter.Seq[*track] {
	for w.oldest < w.unseen && now-w.at(w.oldest).Sent() >= brain.Horizon {
		delete(w.tracks, w.at(w.oldest).key)
		*w.at(w.oldest) = track{} // lets go of its texts
		w.oldest++
	}
	for w.oldest >= page {
		w.pages[0] = nil
		w.pages = w.pages[1:]
		w.oldest, w.unseen, w.next = w.oldest-page, w.unseen-page, w.next-page
	}
	return func(yield func(*track) bool) {
		for w.unseen < w.next && now-w.at(w.unseen).Sent() >= check {
			w.unseen++
			if !yield(w.at(w.unseen - 1)) {
				return
			}
		}
	}
}
