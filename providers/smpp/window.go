package smpp

import (
	"context"
	"slices"
	"sync"
)

// window bounds the requests that are unanswered at once. It halves when the
// service is overloaded and opens again by one after as many answers as it is
// wide. Whoever waits is served in order.
type window struct {
	mu    sync.Mutex
	most  int
	limit int // from 1 to most
	used  int
	good  int // answers since limit last changed
	epoch int // counts the halvings
	queue []chan int
}

func newWindow(most int) *window { return &window{most: most, limit: most} }

// acquire takes a place and returns the epoch to give it back with.
func (w *window) acquire(ctx context.Context) (epoch int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	w.mu.Lock()
	if w.used < w.limit && len(w.queue) == 0 {
		defer w.mu.Unlock()
		w.used++
		return w.epoch, nil
	}
	turn := make(chan int, 1)
	w.queue = append(w.queue, turn)
	w.mu.Unlock()
	select {
	case epoch := <-turn:
		return epoch, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.queue, turn); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
	} else { // the place came too late
		w.used--
		w.serve()
	}
	return 0, ctx.Err()
}

// verdict is what a request says about the service's load.
type verdict int

const (
	silent verdict = iota // nothing
	taken
	overloaded
)

// release gives a place back. Of the requests of one epoch the first that finds
// the service overloaded halves the window; the others say nothing new.
func (w *window) release(epoch int, v verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used--
	switch {
	case v == overloaded && epoch == w.epoch:
		w.limit = max(1, w.limit/2)
		w.epoch++
		w.good = 0
	case v == taken && w.limit < w.most:
		if w.good++; w.good >= w.limit {
			w.limit++
			w.good = 0
		}
	}
	w.serve()
}

// serve gives free places to those who wait.
func (w *window) serve() {
	for w.used < w.limit && len(w.queue) > 0 {
		w.used++
		w.queue[0] <- w.epoch
		w.queue = w.queue[1:]
	}
}
