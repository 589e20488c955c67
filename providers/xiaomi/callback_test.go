package xiaomi

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestReportsBecomeReceipts(t *testing.T) {
	tests := map[string]struct {
		kind  int
		stage push.Stage // "" for none
		fault string     // kind of failure
	}{
		"it has arrived":           {1, push.Delivered, ""},
		"it was clicked":           {2, push.Clicked, ""},
		"nobody has this token":    {16, push.Failed, "unregistered"},
		"the quota is used up":     {128, push.Failed, "quota"},
		"a type of unsure meaning": {64, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := open1(t)
			_, param := p.mark().For("demo", "order-8812.0.3")
			rs, err := p.Callback(providertest.Report(t, "xiaomi", "demo"), data(fmt.Sprintf(
				`{"scm1":{"param":%q,"type":%d,"targets":"reg+id/1==","jobkey":"","barStatus":"Enable","timestamp":1700000000000}}`, param, tt.kind)))
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
			if r.App != "demo" || r.Notification != "order-8812" || r.Delivery != "order-8812.0.3" || r.ProviderID != "scm1" || r.Provider != "xiaomi" {
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
			_, err := p.Callback(providertest.Report(t, "xiaomi", tt.app), data(fmt.Sprintf(`{"scm1":{"param":%q,"type":1}}`, tt.param)))
			if !errors.Is(err, push.ErrCredentials) {
				t.Errorf("Callback() error = %v, want credentials", err)
			}
		})
	}
	t.Run("one of two has it", func(t *testing.T) {
		rs, err := p.Callback(providertest.Report(t, "xiaomi", "demo"), data(fmt.Sprintf(`{"scm1":{"param":%q,"type":1},"scm2":{"param":"x","type":1}}`, good)))
		if err != nil || len(rs) != 1 || rs[0].ProviderID != "scm1" {
			t.Errorf("Callback() = %+v, %v, want the one", rs, err)
		}
	})
}

func TestReportThatMakesNoSenseIsInvalid(t *testing.T) {
	for name, body := range map[string]string{"nothing": "", "no form": "%zz", "no JSON": "data=x", "a list": "data=[]"} {
		t.Run(name, func(t *testing.T) {
			_, err := open1(t).Callback(providertest.Report(t, "xiaomi", "demo"), []byte(body))
			if _, invalid := errors.AsType[*push.Invalid](err); !invalid {
				t.Errorf("Callback() error = %v, want that it is invalid", err)
			}
		})
	}
}

func data(reports string) []byte { return []byte(url.Values{"data": {reports}}.Encode()) }
