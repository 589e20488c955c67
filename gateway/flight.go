package gateway

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// flightTime bounds a request that many wait for.
const flightTime = 2 * maxTimeout

// flights are the requests under way, so that equal ones have one answer.
type flights struct {
	mu sync.Mutex
	of map[cacheKey]*flight
}

// flight is one of them. Who asks first makes it, also for those who come
// meanwhile; it ends early once none of them waits any longer.
type flight struct {
	all     *flights
	key     cacheKey
	ctx     context.Context
	end     context.CancelFunc
	waiting int // guarded by all.mu

	done chan struct{} // closed when there is a result
	res  *result
	err  error
}

// join waits for the flight of a key, or begins it.
func (f *flights) join(ctx context.Context, k cacheKey) (one *flight, leads bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one = f.of[k]
	if leads = one == nil; leads {
		if f.of == nil {
			f.of = map[cacheKey]*flight{}
		}
		one = &flight{all: f, key: k, done: make(chan struct{})}
		one.ctx, one.end = context.WithTimeout(context.WithoutCancel(ctx), flightTime)
		f.of[k] = one
	}
	one.waiting++
	return one, leads
}

func (f *flights) underWay(k cacheKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[k] != nil
}

// leave is called by who no longer waits.
func (f *flight) leave() {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.end()
		f.forget()
	}
}

// forget lets the next who asks begin anew; the lock is held.
func (f *flight) forget() {
	if f.all.of[f.key] == f {
		delete(f.all.of, f.key)
	}
}

// make asks, for all who wait.
func (f *flight) make(ask func(context.Context) (*result, error)) {
	defer func() {
		if r := recover(); r != nil { // whoever waits must hear of it
			f.err = fmt.Errorf("gateway: panic: %v\n%s", r, debug.Stack())
		}
		f.end()
		f.all.mu.Lock()
		f.forget()
		f.all.mu.Unlock()
		close(f.done)
	}()
	f.res, f.err = ask(f.ctx)
}

// together lets equal requests that are under way have one answer. It does not
// end with the caller who happened to be the first, but with the last.
func (c *call) together(ctx context.Context, k cacheKey, ask func(context.Context) (*result, error)) (*result, error) {
	f, leads := c.gateway.flights.join(ctx, k)
	defer context.AfterFunc(ctx, f.leave)()
	if leads {
		f.make(ask)
	}
	select {
	case <-f.done:
		return f.res, f.err
	case <-ctx.Done():
		return nil, fail(CodeCancelled, "the caller has left", ctx.Err())
	}
}
