package sqlstore_test

import (
	"errors"
	"testing"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestNewCredentialsAreOnTrialUntilProven(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		give := func(secret string) int64 {
			t.Helper()
			c, err := s.PutCredentials(ctx, "demo", "fcm", []byte(`{"k":"`+secret+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			return c.Version
		}
		trial := func(version int64) bool {
			t.Helper()
			on, err := s.OnTrial(ctx, "demo", "fcm", version)
			if err != nil {
				t.Fatal(err)
			}
			return on
		}
		first := give("one")
		if trial(first) {
			t.Error("the first have nothing to go back to, and are on trial")
		}
		second := give("two")
		if !trial(second) || trial(first) {
			t.Error("the second are in force, and on trial alone")
		}
		if err := s.ProveCredentials(ctx, "demo", "fcm", second); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RetractCredentials(ctx, "demo", "fcm", second, "no"); trial(second) || !errors.Is(err, push.ErrNotFound) {
			t.Errorf("proven ones are on trial, or were retracted: %v", err)
		}
		third := give("three")
		back, err := s.RetractCredentials(ctx, "demo", "fcm", third, "3 sends were refused")
		if err != nil || back.Version <= third || back.RetractedWhy != "3 sends were refused" {
			t.Fatalf("RetractCredentials() = %+v, %v", back, err)
		}
		secret, version, err := s.Credentials(ctx, "demo", "fcm")
		if err != nil || string(secret) != `{"k":"two"}` || version != back.Version || trial(version) {
			t.Errorf("in force are %s, %v, on trial %v; want the second, and never again on trial", secret, err, trial(version))
		}
		if _, err := s.RetractCredentials(ctx, "demo", "fcm", third, "again"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("a slower process retracts, too: %v", err)
		}
		if c, err := s.Credential(ctx, "demo", "fcm"); err != nil || c.RetractedWhy != "3 sends were refused" {
			t.Errorf("Credential() = %+v, %v", c, err)
		}
		give("four")
		if c, err := s.Credential(ctx, "demo", "fcm"); err != nil || c.RetractedWhy != "" {
			t.Errorf("newer ones say %q, %v", c.RetractedWhy, err)
		}
	})
}
