// Package watched lets a test wait for what other goroutines do, without
// asking again and again.
package watched

import (
	"sync"
	"testing"
	"time"
)

// State is what many goroutines change and a test looks at. Whoever holds its
// lock may read; changes go through [State.Change].
type State struct {
	sync.Mutex

	patience time.Duration
	changed  chan struct{} // closed and replaced at every change
}

// New returns a state for which a test waits as long as patience.
func New(patience time.Duration) *State {
	return &State{patience: patience, changed: make(chan struct{})}
}

// Change runs f under the lock and wakes those who wait.
func (s *State) Change(f func()) {
	s.Lock()
	defer s.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Await returns when the condition, asked under the lock after every change,
// holds. It ends the test when patience does.
func (s *State) Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(s.patience)
	for {
		s.Lock()
		ok, changed := holds(), s.changed
		s.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no %s within %s", what, s.patience)
		}
	}
}
