package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// waitingBusiness answers /x once it is let, and tells of who left before.
func waitingBusiness(t *testing.T) (w *world, asked *atomic.Int32, left <-chan struct{}, let func()) {
	t.Helper()
	asked = &atomic.Int32{}
	gone, go1 := make(chan struct{}, 8), make(chan struct{})
	w = newWorld(t, one("\n        call: {backend: main, path: /x}\n"), func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-go1:
			answerJSON(`1`)(w, r)
		case <-r.Context().Done():
			gone <- struct{}{}
		}
	})
	once := func() {
		select {
		case <-go1:
		default:
			close(go1)
		}
	}
	t.Cleanup(once)
	return w, asked, gone, once
}

// joined waits until so many callers wait for one answer.
func (w *world) joined(n int) {
	w.t.Helper()
	eventually(w.t, "callers who wait", func() bool {
		w.flights.mu.Lock()
		defer w.flights.mu.Unlock()
		for _, f := range w.flights.of {
			return f.waiting == n
		}
		return n == 0
	})
}

func TestWhoHasLeftIsNoLongerWorkedFor(t *testing.T) {
	w, asked, left, _ := waitingBusiness(t)
	ctx, leave := context.WithCancel(t.Context())
	answered := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := w.Call(ctx, phone(), Request{Service: "jobs", Operation: "get"})
			answered <- err
		}()
	}
	w.joined(2)
	eventually(t, "the call at the business", func() bool { return asked.Load() == 1 })
	leave()
	select {
	case <-left:
	case <-time.After(30 * time.Second):
		t.Fatal("the business is not told that everybody has left")
	}
	for range 2 {
		if e := asError(<-answered); e.Code != CodeCancelled {
			t.Errorf("who left is answered %v", e)
		}
	}
	w.joined(0)
	if s := w.Backends("demo", "jobs")[0]; s.Breaker != "closed" {
		t.Errorf("the breaker is %s: that callers leave is not the business's fault", s.Breaker)
	}
}

func TestOthersAreAnsweredWhenTheFirstHasLeft(t *testing.T) {
	w, asked, _, let := waitingBusiness(t)
	ctx, leave := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := w.Call(ctx, phone(), Request{Service: "jobs", Operation: "get"})
		first <- err
	}()
	eventually(t, "the call at the business", func() bool { return asked.Load() == 1 })
	go func() {
		a, err := w.Call(t.Context(), phone(), Request{Service: "jobs", Operation: "get"})
		if err == nil && string(a.Output) != "1" {
			t.Errorf("answer %s", a.Output)
		}
		second <- err
	}()
	w.joined(2)
	leave()
	w.joined(1)
	let()
	if err := <-second; err != nil || asked.Load() != 1 {
		t.Errorf("who stayed: %v after %d calls", err, asked.Load())
	}
	_ = <-first // answered or not: it has left
}

func TestAFaultOfOursReachesEverybodyWhoWaits(t *testing.T) {
	var f flights
	one, leads := f.join(t.Context(), cacheKey{1})
	if _, again := f.join(t.Context(), cacheKey{1}); !leads || again {
		t.Fatal("the first leads, the second does not")
	}
	one.make(func(context.Context) (*result, error) { panic("a bug") })
	<-one.done
	if one.err == nil || len(f.of) != 0 {
		t.Errorf("error %v, %d under way", one.err, len(f.of))
	}
}
