package sqlstore_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestAnErasureIsTakenByOneAtATimeAndKeepsWhatItKnows(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		if _, err := s.Erasure(ctx, "demo", "ann"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("one that nobody asked for: %v", err)
		}
		if _, err := s.AskErasure(ctx, "demo", ""); !errors.As(err, new(*push.Invalid)) {
			t.Errorf("of nobody: %v", err)
		}
		if _, err := s.AskErasure(ctx, "demo", "ann"); err != nil {
			t.Fatal(err)
		}
		var taken []push.Erasure
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				e, err := s.TakeErasure(ctx, time.Hour)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					taken = append(taken, e)
				case !errors.Is(err, push.ErrNotFound):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(taken) != 1 || taken[0].User != "ann" || taken[0].Tries != 1 {
			t.Fatalf("taken: %+v", taken)
		}
		e := taken[0]
		e.Devices, e.Stores = []string{"d1"}, []push.ErasedPart{{Store: "sql", What: "devices", Found: 1}}
		if err := s.KeepErasure(ctx, &e, 0); err != nil { // its process ends
			t.Fatal(err)
		}
		if _, err := s.AskErasure(ctx, "demo", "ann"); err != nil { // changes nothing
			t.Fatal(err)
		}
		again, err := s.TakeErasure(ctx, time.Hour)
		if err != nil || again.Tries != 2 || !slices.Equal(again.Devices, e.Devices) || !slices.Equal(again.Stores, e.Stores) {
			t.Fatalf("taken by the next: %+v, %v", again, err)
		}
		again.State = push.Erased
		if err := s.KeepErasure(ctx, &again, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeErasure(ctx, 0); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("one that is over is taken: %v", err)
		}
		anew, err := s.AskErasure(ctx, "demo", "ann")
		if err != nil || anew.State != push.Erasing || anew.Tries != 0 || len(anew.Stores) != 0 || !anew.EndedAt.IsZero() || !slices.Equal(anew.Devices, e.Devices) {
			t.Errorf("asked for anew: %+v, %v", anew, err)
		}
	})
}
