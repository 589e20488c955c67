package scheduler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// room is the places that a round holds for its deliveries in the memory of a
// worker. They are taken before anything is read and given back one by one.
type room struct {
	all  *semaphore.Weighted
	held int64
}

// takeRoom waits until there is room for n more deliveries of an urgency.
func (w *Worker) takeRoom(ctx context.Context, urgency string, n int) (*room, error) {
	r := &room{all: w.rooms[urgency], held: int64(min(max(n, 1), w.cfg.InFlight))}
	if err := r.all.Acquire(ctx, r.held); err != nil {
		return nil, fmt.Errorf("scheduler: wait for room: %w", err)
	}
	return r, nil
}

// keep gives back all places but n.
func (r *room) keep(n int) {
	if more := r.held - int64(n); more > 0 {
		r.held -= more
		r.all.Release(more)
	}
}

// leave gives one place back.
func (r *room) leave() { r.keep(int(max(0, r.held-1))) }

// crew runs attempts on goroutines that stay for a while: their stacks have
// grown to what a provider needs, which costs as much as the attempt itself.
type crew struct{ jobs chan func() }

// crewRest is how long a goroutine waits for more to do.
const crewRest = time.Second

func newCrew() *crew { return &crew{jobs: make(chan func())} }

// do runs f on a goroutine that is free, or a new one. Each lives until it has
// been idle for [crewRest]; done counts f.
func (c *crew) do(done *sync.WaitGroup, f func()) {
	done.Add(1)
	job := func() { defer done.Done(); f() }
	select {
	case c.jobs <- job:
	default:
		go c.member(job)
	}
}

func (c *crew) member(job func()) {
	rest := time.NewTimer(crewRest)
	defer rest.Stop()
	for {
		job()
		rest.Reset(crewRest)
		select {
		case job = <-c.jobs:
		case <-rest.C:
			return
		}
	}
}
