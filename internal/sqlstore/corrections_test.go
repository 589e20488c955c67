package sqlstore_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestCorrectionsAreKeptByAppAndProvider(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, url string) {
		ctx := t.Context()
		made := time.Date(2026, 11, 24, 9, 30, 0, 123000, time.UTC)
		word := push.Correction{
			App: "demo", Provider: "fcm", Code: "QUOTA_EXCEEDED", Kind: "throttled", RetryAfterSeconds: 90,
			Scope: push.ScopeToken, Means: "我们的合同", By: "k1", At: made,
		}
		status := push.Correction{App: "demo", Provider: "fcm", Status: 503, Kind: "quota", By: "k1", At: made}
		elsewhere := push.Correction{App: "other", Provider: "fcm", Code: "QUOTA_EXCEEDED", Kind: "policy", By: "k2", At: made}
		for _, c := range []push.Correction{status, word, elsewhere} {
			if err := s.PutCorrection(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		again := open(t, url, oldKey) // another process
		if got, err := again.Corrections(ctx, "demo", "fcm"); err != nil || !slices.Equal(got, []push.Correction{word, status}) {
			t.Errorf("Corrections() = %+v, %v", got, err)
		}
		if got, err := s.Corrections(ctx, "demo", "apns"); err != nil || len(got) != 0 {
			t.Errorf("those of another provider are %+v, %v", got, err)
		}

		word.Kind, word.Means, word.By, word.At = "policy", "", "k3", made.Add(time.Hour)
		if err := s.PutCorrection(ctx, word); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteCorrection(ctx, "demo", "fcm", 503, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Corrections(ctx, "demo", "fcm"); err != nil || !slices.Equal(got, []push.Correction{word}) {
			t.Errorf("Corrections() afterwards = %+v, %v", got, err)
		}
		if err := s.DeleteCorrection(ctx, "demo", "fcm", 503, ""); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("deleting it twice: error = %v", err)
		}
		if got, _ := s.Corrections(ctx, "other", "fcm"); !slices.Equal(got, []push.Correction{elsewhere}) {
			t.Errorf("another app's = %+v", got)
		}
	})
}

func TestCorrectionThatCannotBeKept(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		good := push.Correction{App: "demo", Provider: "fcm", Code: "X", Kind: "policy", At: time.Now()}
		for name, change := range map[string]func(c *push.Correction){
			"no provider":         func(c *push.Correction) { c.Provider = "" },
			"code and status":     func(c *push.Correction) { c.Status = 503 },
			"neither of the two":  func(c *push.Correction) { c.Code = "" },
			"no such kind":        func(c *push.Correction) { c.Kind = "weather" },
			"a code with control": func(c *push.Correction) { c.Code = "a\x00b" },
		} {
			c := good
			change(&c)
			var invalid *push.Invalid
			if err := s.PutCorrection(t.Context(), c); !errors.As(err, &invalid) {
				t.Errorf("%s: error = %v", name, err)
			}
		}
		good.App = "nobody"
		if err := s.PutCorrection(t.Context(), good); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("of an unknown app: error = %v", err)
		}
	})
}
