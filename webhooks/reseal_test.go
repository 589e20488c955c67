package webhooks

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/seal"
)

func TestSecretsAreSealedAgain(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		hooks := h.open()
		w, _ := h.create(hooks, "https://example.com/rotated")
		if _, _, err := hooks.RotateWebhook(t.Context(), w.App, w.ID, 0); err != nil { // has an old secret too
			t.Fatal(err)
		}
		_, _ = h.create(hooks, "https://example.com/new")
		keysOf := func(text string) *seal.Keys {
			keys, err := seal.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		fresh, old := strings.Repeat("cd", 32), strings.Repeat("ab", 32)
		log := slog.New(slog.DiscardHandler)
		if _, err := Reseal(t.Context(), h.url, keysOf(fresh), log); err == nil {
			t.Error("what cannot be opened was sealed again")
		}
		for i, want := range []int{2, 0} {
			if n, err := Reseal(t.Context(), h.url, keysOf(fresh+" "+old), log); err != nil || n != want {
				t.Errorf("time %d: %d sealed again, %v; want %d", i+1, n, err, want)
			}
		}
		h.keys = keysOf(fresh) // the old key is gone
		if renewed := h.open(); len(renewed.known.Load().byID) != 2 {
			t.Errorf("%d endpoints open with the new key, want 2", len(renewed.known.Load().byID))
		}
	})
}
