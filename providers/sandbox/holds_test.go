package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// apps are the sandbox's credentials, for every app.
type apps struct{ *sandbox.Sandbox }

func (a apps) Credentials(_ context.Context, _, provider string) ([]byte, int64, error) {
	return a.Sandbox.Credentials(provider), 1, nil
}

// A vendor that has had enough messages for one device hears of that one no more
// until its time is over, and takes the others'.
func TestOneDevicesThrottleHoldsNobodyElse(t *testing.T) {
	other := map[string]string{"apns": strings.Repeat("b2", 32), "fcm": "registration-token-of-phone-2"}
	words := map[string]string{"apns": "TooManyRequests", "fcm": "DEVICE_QUOTA_EXCEEDED"}
	s := start(t, sandbox.Config{})
	set := providers.NewSet(apps{s}, openers(""), nil)
	for vendor, word := range words {
		t.Run(vendor, func(t *testing.T) {
			script(t, s, vendor, `{"match":{"token":"`+tokens[vendor]+`"},"times":1,"do":{"code":"`+word+`","retry_after_s":9}}`)
			first, second, elsewhere := delivery(vendor, "n1.0.0"), delivery(vendor, "n2.0.0"), delivery(vendor, "n3.0.0")
			elsewhere.Address.Token = other[vendor]
			for name, d := range map[string]*push.Delivery{"the first": first, "the next": second} {
				_, err := set.Send(t.Context(), "demo", vendor, d)
				e, _ := errors.AsType[*push.Error](err)
				if e == nil || !errors.Is(e, push.ErrThrottled) || e.Scope != push.ScopeToken || e.RetryAfter <= 0 || e.RetryAfter > 9*time.Second {
					t.Fatalf("%s: Send() error = %+v, want throttled for 9s, the device alone", name, e)
				}
			}
			if _, err := set.Send(t.Context(), "demo", vendor, elsewhere); err != nil {
				t.Errorf("another device: Send() error = %v", err)
			}
			if n := s.Counts(vendor); n.Requests != 2 || n.Accepted != 1 {
				t.Errorf("counts = %+v, want one refused and one taken", n)
			}
		})
	}
}
