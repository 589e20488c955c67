package oppo

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestReportsBecomeReceipts(t *testing.T) {
	tests := map[string]struct {
		event string
		stage push.Stage // "" for none
		fault string     // kind of failure
	}{
		"it has arrived":             {"push_arrive", push.Delivered, ""},
		"nobody has this token":      {"regid_invalid", push.Failed, "unregistered"},
		"the device has had enough":  {"user_daily_limit", push.Failed, "policy"},
		"an event that is not known": {"push_dream", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := open1(t)
			_, param := p.mark().For("demo", "order-8812.0.3")
			rs, err := p.Callback(providertest.Report(t, "oppo", "demo"), fmt.Appendf(nil,
				`[{"messageId":"m1","appId":"a","taskId":"m1","registrationIds":"reg-1","eventTime":"1700000000000","param":%q,"eventType":%q}]`, param, tt.event))
			if err != nil {
				t.Fatal(err)
			}
			if tt.stage == "" {
				if len(rs) != 0 {
					t.Errorf("receipts = %+v, want none", rs)
				}
				return
			}
			if len(rs) != 1 {
				t.Fatalf("%d receipts, want 1", len(rs))
			}
			r := rs[0]
			if r.Stage != tt.stage || r.Kind != tt.fault || r.Source != push.VendorCallback || !r.At.Equal(time.UnixMilli(1700000000000)) {
				t.Errorf("receipt = %+v", r)
			}
			if r.App != "demo" || r.Notification != "order-8812" || r.Delivery != "order-8812.0.3" || r.ProviderID != "m1" || r.Provider != "oppo" {
				t.Errorf("receipt = %+v", r)
			}
		})
	}
}

func TestReportWithoutOurMarkIsNotBelieved(t *testing.T) {
	p := open1(t)
	_, good := p.mark().For("demo", "order-8812.0.3")
	mark := good[len("order-8812.0.3"):]
	tests := map[string]struct{ app, param string }{
		"no parameter":           {"demo", ""},
		"no mark":                {"demo", "order-8812.0.3"},
		"another's mark":         {"demo", "order-8812.0.3/AAAAAAAAAAAAAAAA"},
		"about another delivery": {"demo", "order-8812.0.4" + mark},
		"about another app":      {"other", good},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := p.Callback(providertest.Report(t, "oppo", tt.app), fmt.Appendf(nil, `[{"messageId":"m1","param":%q,"eventType":"push_arrive"}]`, tt.param))
			if !errors.Is(err, push.ErrCredentials) {
				t.Errorf("Callback() error = %v, want credentials", err)
			}
		})
	}
	t.Run("one of two has it", func(t *testing.T) {
		rs, err := p.Callback(providertest.Report(t, "oppo", "demo"), fmt.Appendf(nil,
			`[{"messageId":"m1","param":%q,"eventType":"push_arrive"},{"messageId":"m2","param":"x","eventType":"push_arrive"}]`, good))
		if err != nil || len(rs) != 1 || rs[0].ProviderID != "m1" {
			t.Errorf("Callback() = %+v, %v, want the one", rs, err)
		}
	})
}

func TestReportThatMakesNoSenseIsInvalid(t *testing.T) {
	for name, body := range map[string]string{"nothing": "", "no JSON": "data=x", "no list": "{}"} {
		t.Run(name, func(t *testing.T) {
			_, err := open1(t).Callback(providertest.Report(t, "oppo", "demo"), []byte(body))
			if _, invalid := errors.AsType[*push.Invalid](err); !invalid {
				t.Errorf("Callback() error = %v, want that it is invalid", err)
			}
		})
	}
}
