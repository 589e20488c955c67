package sqlstore_test

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
)

func TestASessionEndsForAllAndIsForgottenLater(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		for range 2 { // whoever signs out twice is out
			if err := s.EndSession(ctx, "a", time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.EndSession(ctx, "old", time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := s.EndSession(ctx, "b", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]bool{"a": true, "b": true, "old": false, "never": false} {
			if ended, err := s.SessionEnded(ctx, id); err != nil || ended != want {
				t.Errorf("session %q has ended: %v, %v; want %v", id, ended, err, want)
			}
		}
	})
}
