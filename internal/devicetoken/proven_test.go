package devicetoken

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// changing is an app's secret that can be changed.
type changing struct{ secret string }

func (c *changing) TokenSecret(context.Context, string) ([]byte, error) { return []byte(c.secret), nil }

func TestAProvenTokenHoldsNoLongerThanItsSecretAndItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &changing{strings.Repeat("a", 32)}
		tokens := New(kept, DefaultConfig())
		token, expires, err := tokens.Mint(t.Context(), "demo", "d1")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			app, device, until, err := tokens.VerifyUntil(t.Context(), token)
			if err != nil || app != "demo" || device != "d1" || !until.Equal(expires) {
				t.Fatalf("%s/%s until %v, %v", app, device, until, err)
			}
			if app, device, err := tokens.Verify(t.Context(), token); err != nil || app != "demo" || device != "d1" {
				t.Fatalf("%s/%s, %v", app, device, err)
			}
		}
		if _, _, err := tokens.Verify(t.Context(), token+"x"); !errors.Is(err, ErrInvalid) {
			t.Errorf("another text: %v", err)
		}
		kept.secret = strings.Repeat("b", 32)
		time.Sleep(DefaultConfig().KeepSecret + time.Second)
		if _, _, err := tokens.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
			t.Errorf("after the secret was changed: %v", err)
		}
		kept.secret = strings.Repeat("a", 32)
		time.Sleep(DefaultConfig().KeepSecret + time.Second)
		if _, _, err := tokens.Verify(t.Context(), token); err != nil {
			t.Errorf("once it is the old one again: %v", err)
		}
		time.Sleep(25 * time.Hour)
		if _, _, err := tokens.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
			t.Errorf("after its time: %v", err)
		}
	})
}
