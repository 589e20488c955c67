package sqlstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestQuestionsAreKeptByAppAndName(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		for _, q := range []push.SavedQuery{
			{App: "demo", Name: "slow", Text: "SELECT 1", Author: "ann"},
			{App: "demo", Name: "fast", Text: "SELECT 2", Author: "ann"},
			{App: "demo", Name: "slow", Text: "SELECT 3", Author: "bob"}, // in place of the first
			{App: "other", Name: "slow", Text: "SELECT 4", Author: "eve"},
		} {
			if err := s.PutQuery(ctx, &q); err != nil || q.UpdatedAt.IsZero() {
				t.Fatalf("put %s: %v", q.Name, err)
			}
		}
		all, err := s.Queries(ctx, "demo")
		if err != nil || len(all) != 2 || all[0].Name != "fast" || all[1].Text != "SELECT 3" || all[1].Author != "bob" {
			t.Errorf("Queries() = %+v, %v", all, err)
		}
		if err := s.DeleteQuery(ctx, "demo", "slow"); err != nil {
			t.Error(err)
		}
		if err := s.DeleteQuery(ctx, "demo", "slow"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("deleting again: %v", err)
		}
		if all, err := s.Queries(ctx, "other"); err != nil || len(all) != 1 {
			t.Errorf("another app's are %+v, %v", all, err)
		}
		for name, q := range map[string]push.SavedQuery{
			"no name":           {App: "demo", Text: "SELECT 1"},
			"a name with a nul": {App: "demo", Name: "a\x00", Text: "SELECT 1"},
			"a text with a nul": {App: "demo", Name: "a", Text: "SELECT \x00"},
		} {
			if err := s.PutQuery(ctx, &q); err == nil || !strings.Contains(err.Error(), "invalid") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
