package providers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

// memory is a [TokenStore] as Redis is one.
type memory struct {
	mu    sync.Mutex
	token granted
	until time.Time // somebody's turn
	away  error
	hangs bool
}

func (m *memory) trouble(ctx context.Context) error {
	if m.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return m.away
}

func (m *memory) Token(ctx context.Context, _ string) (string, time.Time, time.Time, error) {
	if err := m.trouble(ctx); err != nil {
		return "", time.Time{}, time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !time.Now().Before(m.token.end) {
		return "", time.Time{}, time.Time{}, nil
	}
	return m.token.token, m.token.since, m.token.end, nil
}

func (m *memory) Keep(_ context.Context, _, token string, since, end time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token = granted{token, since, end}
	return m.away
}

func (m *memory) Turn(_ context.Context, _ string, lasting time.Duration) (func(time.Duration), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().Before(m.until) {
		return nil, nil
	}
	m.until = time.Now().Add(lasting)
	return func(after time.Duration) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.until = time.Now().Add(after)
	}, nil
}

// tenWorkers share a store and a desk.
func tenWorkers(t *testing.T, f func(t *testing.T, d *desk, m *memory, workers []*Tokens)) {
	synctest.Test(t, func(t *testing.T) {
		d, m := &desk{life: time.Hour, takes: time.Second}, &memory{}
		workers := make([]*Tokens, 10)
		for i := range workers {
			workers[i] = d.tokens()
			workers[i].Share(m, "demo/fake/1")
		}
		f(t, d, m, workers)
		synctest.Wait()
	})
}

func all(workers []*Tokens, f func(*Tokens)) {
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() { f(w) })
	}
	wg.Wait()
}

func TestTenWorkersFetchOneToken(t *testing.T) {
	tenWorkers(t, func(t *testing.T, d *desk, _ *memory, workers []*Tokens) {
		all(workers, func(w *Tokens) { expectToken(t, w, "t1") })
		if d.asked != 1 {
			t.Errorf("%d tokens were fetched at first, want 1", d.asked)
		}
		time.Sleep(56 * time.Minute) // it is time to renew it, and it still serves
		all(workers, func(w *Tokens) { expectToken(t, w, "t1") })
		time.Sleep(2 * time.Second)
		all(workers, func(w *Tokens) { expectToken(t, w, "t2") })
		if d.asked != 2 {
			t.Errorf("%d tokens were fetched with the renewal, want 2", d.asked)
		}
	})
}

func TestRefusedTokenIsFetchedAnewByOneWorker(t *testing.T) {
	tenWorkers(t, func(t *testing.T, d *desk, _ *memory, workers []*Tokens) {
		all(workers, func(w *Tokens) { expectToken(t, w, "t1") })
		time.Sleep(10 * time.Minute)
		all(workers, func(w *Tokens) {
			if w.Refused("t1") {
				t.Error("a token of ten minutes is young")
			}
			expectToken(t, w, "t2")
		})
		if d.asked != 2 {
			t.Errorf("%d tokens were fetched, want 2", d.asked)
		}
	})
}

func TestServiceThatRefusesIsAskedByOneWorkerAtATime(t *testing.T) {
	tenWorkers(t, func(t *testing.T, d *desk, _ *memory, workers []*Tokens) {
		d.refuse = &push.Error{Kind: push.ErrCredentials}
		begin := time.Now()
		all(workers, func(w *Tokens) {
			if _, err := w.Get(t.Context()); err == nil {
				t.Error("Get() error = nil")
			}
		})
		if took := time.Since(begin); took > fetchTimeout+time.Second || d.asked > 6 {
			t.Errorf("after %v it was asked %d times, want one at a time with a pause", took, d.asked)
		}
	})
}

func TestWithoutTheStoreEachFetchesItsOwn(t *testing.T) {
	for name, trouble := range map[string]func(*memory){
		"it is away": func(m *memory) { m.away = errors.New("connection refused") },
		"it hangs":   func(m *memory) { m.hangs = true },
	} {
		t.Run(name, func(t *testing.T) {
			tenWorkers(t, func(t *testing.T, _ *desk, m *memory, workers []*Tokens) {
				trouble(m)
				expectToken(t, workers[0], "t1")
				expectToken(t, workers[1], "t2")
			})
		})
	}
}

func TestWorkerThatDiesInItsTurnIsFollowed(t *testing.T) {
	tenWorkers(t, func(t *testing.T, d *desk, m *memory, workers []*Tokens) {
		if done, _ := m.Turn(t.Context(), "", 3*time.Second); done == nil {
			t.Fatal("no turn")
		} // and is never heard of again
		all(workers, func(w *Tokens) { expectToken(t, w, "t1") })
		if d.asked != 1 {
			t.Errorf("%d tokens were fetched, want 1", d.asked)
		}
	})
}
