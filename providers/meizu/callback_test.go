package meizu

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
	for name, tt := range map[string]struct {
		kind  int
		stage push.Stage // "" for none
	}{
		"it has arrived":         {1, push.Delivered},
		"it was clicked":         {2, push.Clicked},
		"a type nobody knows of": {7, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := open1(t)
			_, param := p.mark().For("demo", "order-8812.0.3")
			rs, err := p.Callback(providertest.Report(t, "meizu", "demo"), cb(`{"NS-2018-1-%d":{"param":%q,"type":%d,"targets":["id-1"]}}`, tt.kind, param, tt.kind))
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
			if r.Stage != tt.stage || r.Source != push.VendorCallback || r.App != "demo" || r.Delivery != "order-8812.0.3" || r.ProviderID != "NS-2018-1" || r.Provider != "meizu" || r.At.After(time.Now()) {
				t.Errorf("receipt = %+v", r)
			}
		})
	}
}

func TestReportOnAChunkNamesItsDevices(t *testing.T) {
	p := open1(t)
	_, param := p.mark().For("demo", "order-8812.0")
	rs, err := p.Callback(providertest.Report(t, name, "demo"), cb(`{"m1-1":{"param":%q,"type":1,"targets":["id-1","id-2"]}}`, param))
	if err != nil || len(rs) != 2 || rs[0].Token != "id-1" || rs[1].Token != "id-2" || rs[1].Delivery != "order-8812.0" {
		t.Errorf("Callback() = %+v, %v, want one of each device", rs, err)
	}
}

func TestReportWithoutOurMarkIsNotBelieved(t *testing.T) {
	p := open1(t)
	_, good := p.mark().For("demo", "order-8812.0.3")
	for name, tt := range map[string]struct{ app, param string }{
		"no parameter":      {"demo", ""},
		"no mark":           {"demo", "order-8812.0.3"},
		"another's mark":    {"demo", "order-8812.0.3/AAAAAAAAAAAAAAAA"},
		"about another app": {"other", good},
	} {
		_, err := p.Callback(providertest.Report(t, "meizu", tt.app), cb(`{"m1-1":{"param":%q,"type":1}}`, tt.param))
		if !errors.Is(err, push.ErrCredentials) {
			t.Errorf("%s: error = %v, want credentials", name, err)
		}
	}
}

func TestReportThatMakesNoSenseIsInvalid(t *testing.T) {
	for name, body := range map[string]string{"nothing": "", "no form": "%zz", "no JSON": "cb=x", "a list": "cb=[]"} {
		_, err := open1(t).Callback(providertest.Report(t, "meizu", "demo"), []byte(body))
		if _, invalid := errors.AsType[*push.Invalid](err); !invalid {
			t.Errorf("%s: error = %v, want that it is invalid", name, err)
		}
	}
}

func cb(format string, args ...any) []byte {
	return []byte(url.Values{"cb": {fmt.Sprintf(format, args...)}, "access_token": {"t"}}.Encode())
}
