package honor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestResultsBecomeReceipts(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		stage  push.Stage // "" for none
		kind   string
	}{
		"it is about to be shown":   {40000002, push.Delivered, ""},
		"the app got it":            {40000001, push.Delivered, ""},
		"it was clicked":            {40000007, push.Clicked, ""},
		"clicked, and led nowhere":  {40000011, push.Clicked, ""},
		"the screen is dark":        {40000013, "", ""},
		"the app is not installed":  {40000003, push.Failed, "unregistered"},
		"the token is no more":      {40000004, push.Failed, "unregistered"},
		"notifications are off":     {40000005, push.Failed, "policy"},
		"another person is there":   {40000014, push.Failed, "unreachable"},
		"a result of tomorrow":      {49999999, push.Failed, "rejected"},
		"the app does not run now":  {50000003, "", ""},
		"the system threw it away":  {40000009, push.Failed, "policy"},
		"it could not be displayed": {40000015, push.Failed, "policy"},
	} {
		t.Run(name, func(t *testing.T) {
			p := service(t).Open(t, "http://127.0.0.1:1", "").(*Provider)
			rs, err := p.Callback(providertest.Report(t, "honor", "demo"), results(p.config.tag("demo", "order-8812.0.3"), tt.status))
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
			if r.Stage != tt.stage || r.Kind != tt.kind || r.Source != push.VendorCallback || !r.At.Equal(time.UnixMilli(1700000000000)) {
				t.Errorf("receipt = %+v", r)
			}
			if r.App != "demo" || r.Notification != "order-8812" || r.Delivery != "order-8812.0.3" || r.ProviderID != "R1" || r.Provider != "honor" {
				t.Errorf("receipt = %+v", r)
			}
		})
	}
}

func TestResultsWithoutOurMarkAreNotBelieved(t *testing.T) {
	p := service(t).Open(t, "http://127.0.0.1:1", "").(*Provider)
	for name, tt := range map[string]struct{ app, tag string }{
		"no tag":                {"demo", ""},
		"the delivery alone":    {"demo", "order-8812.0.3"},
		"another's mark":        {"demo", "order-8812.0.3/AAAAAAAAAAAAAAAA"},
		"about another app":     {"other", p.config.tag("demo", "order-8812.0.3")},
		"an id without a place": {"demo", p.config.tag("demo", strings.Repeat("x", 60)+".0.0")},
	} {
		if _, err := p.Callback(providertest.Report(t, "honor", tt.app), results(tt.tag, 40000002)); !errors.Is(err, push.ErrCredentials) {
			t.Errorf("%s: error = %v, want credentials", name, err)
		}
	}
	for _, body := range []string{"", "{}", "[]", `{"statuses":7}`} {
		_, err := p.Callback(providertest.Report(t, "honor", "demo"), []byte(body))
		if _, invalid := errors.AsType[*push.Invalid](err); !invalid {
			t.Errorf("%q: error = %v, want that it is invalid", body, err)
		}
	}
}

func TestResultOnAChunkNamesItsDevice(t *testing.T) {
	p := service(t).Open(t, "http://127.0.0.1:1", "").(*Provider)
	rs, err := p.Callback(providertest.Report(t, "honor", "demo"), results(p.config.tag("demo", "n1.0"), 40000002))
	if err != nil || len(rs) != 1 || rs[0].Token != "t-1" || rs[0].Delivery != "n1.0" {
		t.Errorf("Callback() = %+v, %v", rs, err)
	}
}

func results(tag string, status int) []byte {
	return fmt.Appendf(nil, `{"statuses":[{"biTag":%q,"appid":"1","token":"t-1","status":%d,"timestamp":1700000000000,"requestId":"R1"}]}`, tag, status)
}
