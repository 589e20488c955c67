package vivo

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
		more string // of the report, beside its parameter
		want int
	}{
		"of the older kind":          {`,"targets":"reg-1"`, 1},
		"it has arrived":             {`,"targets":"reg-1","ackType":"0","ackTime":"1700000000000"`, 1},
		"it has, in numbers":         {`,"targets":"reg-1","ackType":0,"ackTime":1700000000000`, 1},
		"a type of unsure meaning":   {`,"targets":"reg-1","ackType":"7"`, 0},
		"a time that is yet to come": {`,"ackTime":"99999999999999"`, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := open1(t)
			_, param := p.mark().For("demo", "order-8812.0.3")
			rs, err := p.Callback(providertest.Report(t, "vivo", "demo"), fmt.Appendf(nil, `{"121397329":{"param":%q%s}}`, param, tt.more))
			if err != nil || len(rs) != tt.want {
				t.Fatalf("Callback() = %+v, %v, want %d", rs, err, tt.want)
			}
			if tt.want == 0 {
				return
			}
			r := rs[0]
			if r.Stage != push.Delivered || r.Source != push.VendorCallback || r.Notification != "order-8812" || r.Provider != "vivo" {
				t.Errorf("receipt = %+v", r)
			}
			if r.App != "demo" || r.Delivery != "order-8812.0.3" || r.ProviderID != "121397329" || r.At.After(time.Now()) {
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
			_, err := p.Callback(providertest.Report(t, "vivo", tt.app), fmt.Appendf(nil, `{"m1":{"param":%q}}`, tt.param))
			if !errors.Is(err, push.ErrCredentials) {
				t.Errorf("Callback() error = %v, want credentials", err)
			}
		})
	}
	t.Run("one of two has it", func(t *testing.T) {
		rs, err := p.Callback(providertest.Report(t, "vivo", "demo"), fmt.Appendf(nil,
			`{"m1":{"param":%q},"m2":{"param":"x"}}`, good))
		if err != nil || len(rs) != 1 || rs[0].ProviderID != "m1" {
			t.Errorf("Callback() = %+v, %v, want the one", rs, err)
		}
	})
}

func TestReportThatMakesNoSenseIsInvalid(t *testing.T) {
	for name, body := range map[string]string{"nothing": "", "no JSON": "data=x", "a list": "[]"} {
		t.Run(name, func(t *testing.T) {
			_, err := open1(t).Callback(providertest.Report(t, "vivo", "demo"), []byte(body))
			if _, invalid := errors.AsType[*push.Invalid](err); !invalid {
				t.Errorf("Callback() error = %v, want that it is invalid", err)
			}
		})
	}
}
