package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func TestPutDeviceNamesTheFaultyFields(t *testing.T) {
	tests := map[string]struct{ device, body, want string }{
		"platform missing":           {"d2", `{}`, "platform"},
		"an id with a slash hidden":  {"d%2F2", `{"platform":"ios"}`, "device"},
		"unknown platform":           {"d2", `{"platform":"toaster"}`, "platform"},
		"country in lower case":      {"d2", `{"platform":"ios","country":"de"}`, "country"},
		"a zone nobody lives in":     {"d2", `{"platform":"ios","timezone":"Mars/Base"}`, "timezone"},
		"the server's own zone":      {"d2", `{"platform":"ios","timezone":"Local"}`, "timezone"},
		"a locale with blanks":       {"d2", `{"platform":"ios","locale":"de DE"}`, "locale"},
		"a model with a line break":  {"d2", `{"platform":"ios","model":"a\nb"}`, "model"},
		"an empty tag":               {"d2", `{"platform":"ios","tags":["a",""]}`, "tags[1]"},
		"half a place":               {"d2", `{"platform":"ios","location":{"lat":91}}`, "location.lat location.lon"},
		"no such provider":           {"d2", `{"platform":"ios","addresses":[{"provider":"pigeon","token":"t"}]}`, "addresses[0].provider"},
		"auto is no provider":        {"d2", `{"platform":"ios","addresses":[{"provider":"auto","token":"t"}]}`, "addresses[0].provider"},
		"two addresses at one":       {"d2", `{"platform":"ios","addresses":[{"provider":"apns","token":"a"},{"provider":"apns","token":"b"}]}`, "addresses[1].provider"},
		"a token missing":            {"d2", `{"platform":"ios","addresses":[{"provider":"apns"}]}`, "addresses[0].token"},
		"a number without its plus":  {"d2", `{"platform":"ios","addresses":[{"provider":"sms","token":"015112345678"}]}`, "addresses[0].token"},
		"somebody else's live token": {"d2", `{"platform":"ios","addresses":[{"provider":"live","token":"d1"}]}`, "addresses[0].token"},
		"an environment of its own":  {"d2", `{"platform":"ios","addresses":[{"provider":"apns","token":"a","environment":"test"}]}`, "addresses[0].environment"},
		"an id in the body":          {"d2", `{"platform":"ios","id":"d3"}`, "id"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			got := h.ask("PUT", "/v1/devices/"+tt.device, adminKey, tt.body)
			if got.status != http.StatusUnprocessableEntity {
				t.Fatalf("status = %d, want 422: %s", got.status, got.raw)
			}
			var fields []string
			for _, f := range got.problem(t).Faults {
				fields = append(fields, f.Field)
			}
			if s := strings.Join(fields, " "); s != tt.want {
				t.Errorf("faults at %q, want %q", s, tt.want)
			}
			if _, written := h.devices["demo/d2"]; written {
				t.Error("a faulty device was written")
			}
		})
	}
}

func TestATokenMakesADeviceReachable(t *testing.T) {
	h := open(t)
	addresses := func() string {
		var names []string
		for _, a := range h.devices["demo/d1"].Addresses {
			names = append(names, a.Provider+"="+a.Token)
		}
		return strings.Join(names, " ")
	}
	got := h.ask("POST", "/v1/devices/d1/token", adminKey, "")
	var token tokenResponse
	if err := json.Unmarshal([]byte(got.raw), &token); err != nil || token.Token != deviceToken || !token.ExpiresAt.Equal(noon.Add(24*time.Hour)) {
		t.Fatalf("token = %+v, %v: %s", token, err, got.raw)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		t.Error("a token may be kept by caches")
	}
	if got := addresses(); got != "apns=8f3c0de5a1 live=d1" {
		t.Errorf("addresses = %q, want a live one", got)
	}
	h.ask("PUT", "/v1/devices/d1", adminKey, `{"platform":"ios","addresses":[{"provider":"apns","token":"new"}]}`)
	if got := addresses(); got != "apns=new live=d1" {
		t.Errorf("addresses after the app registered again = %q, want the live one kept", got)
	}
	if got := h.ask("POST", "/v1/devices/d9/token", adminKey, ""); got.status != http.StatusNotFound {
		t.Errorf("a token for nobody is answered %d, want 404", got.status)
	}
}

func TestReceipts(t *testing.T) {
	tests := map[string]struct {
		key, body string
		status    int
		want      string // a fault's field, or device and time of what was received
	}{
		"a device says when":           {deviceToken, `{"receipts":[{"id":"order-1.0.0","event":"displayed","at":"2026-03-01T11:59:58Z"}]}`, 200, "d1 displayed 11:59:58"},
		"an id that many share":        {deviceToken, `{"receipts":[{"id":"order-1.0","event":"clicked"}]}`, 200, "d1 clicked 12:00:00"},
		"a device without a clock":     {deviceToken, `{"receipts":[{"id":"order-1.0.0","event":"clicked"}]}`, 200, "d1 clicked 12:00:00"},
		"a clock that is ahead":        {deviceToken, `{"receipts":[{"id":"order-1.0.0","event":"delivered","at":"2031-01-01T00:00:00Z"}]}`, 200, "d1 delivered 12:00:00"},
		"a server for a device":        {adminKey, `{"receipts":[{"id":"order-1.0.0","event":"clicked","device":"d1"}]}`, 200, "d1 clicked 12:00:00"},
		"a server for nobody":          {adminKey, `{"receipts":[{"id":"order-1.0.0","event":"clicked"}]}`, 422, "receipts[0].device"},
		"a device for another":         {deviceToken, `{"receipts":[{"id":"order-1.0.0","event":"clicked","device":"d2"}]}`, 422, "receipts[0].device"},
		"an event of our own":          {deviceToken, `{"receipts":[{"id":"order-1.0.0","event":"failed"}]}`, 422, "receipts[0].event"},
		"a notification is not enough": {deviceToken, `{"receipts":[{"id":"order-1","event":"clicked"}]}`, 422, "receipts[0].id"},
		"no receipts":                  {deviceToken, `{"receipts":[]}`, 422, "receipts"},
		"a time in words":              {deviceToken, `{"receipts":[{"id":"order-1.0.0","event":"clicked","at":"now"}]}`, 422, "receipts[0].at"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			got := h.ask("POST", "/v1/receipts", tt.key, tt.body)
			if got.status != tt.status {
				t.Fatalf("status = %d, want %d: %s", got.status, tt.status, got.raw)
			}
			if tt.status != 200 {
				if f := got.problem(t).Faults; len(f) != 1 || f[0].Field != tt.want {
					t.Errorf("faults = %v, want one at %s", f, tt.want)
				}
				return
			}
			r := h.received[0]
			if s := fmt.Sprint(r.Device, " ", r.Stage, " ", r.At.Format(time.TimeOnly)); s != tt.want || r.App != "demo" || r.Source != push.AppReport {
				t.Errorf("received %q from %s of %s, want %q", s, r.Source, r.App, tt.want)
			}
		})
	}
}

func TestReceiptsWhenTheStoreIsAway(t *testing.T) {
	h := open(t)
	h.storeErr = fmt.Errorf("redis: %w", push.ErrAway)
	got := h.ask("POST", "/v1/receipts", adminKey, `{"receipts":[{"id":"order-1.0.0","event":"clicked","device":"d1"}]}`)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("answer = %d, Retry-After %q; want 503 with it", got.status, got.header.Get("Retry-After"))
	}
}

func TestCallbacks(t *testing.T) {
	tests := map[string]struct {
		vendor, signature string
		away              bool
		status            int
		received          int
	}{
		"a vendor reports":                 {"sms", "good", false, 204, 1},
		"one that wants to hear something": {"huawei", "good", false, 200, 1},
		"somebody plays the vendor":        {"huawei", "bad", false, 401, 0},
		"the store is away just now":       {"huawei", "good", true, 503, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if tt.away {
				h.storeErr = push.ErrAway
			}
			got := h.ask("POST", "/v1/callbacks/"+tt.vendor, "", "order-1.0.0", "X-Signature", tt.signature)
			if got.status != tt.status || len(h.received) != tt.received {
				t.Errorf("status = %d with %d received, want %d with %d: %s", got.status, len(h.received), tt.status, tt.received, got.raw)
			}
			if got.status == 200 && got.raw != `{"code":"0"}` {
				t.Errorf("the vendor hears %s", got.raw)
			}
		})
	}
}

func TestSMSFollowsThePolicyAtOnce(t *testing.T) {
	h := open(t)
	sms := `{"to":{"device":"d1"},"title":"Hi","class":"call","route":{"roads":["sms"]}}`
	if got := h.ask("POST", "/v1/notifications", adminKey, sms); got.status != 422 {
		t.Fatalf("sms that the policy forbids: %d %s", got.status, got.raw)
	}
	if got := h.ask("PUT", "/v1/apps/demo", adminKey, `{"name":"Demo","policy":{"sms_classes":["call"]}}`); got.status != 200 {
		t.Fatalf("policy: %d %s", got.status, got.raw)
	}
	if got := h.ask("POST", "/v1/notifications", adminKey, sms); got.status != 202 {
		t.Errorf("sms that the policy allows now: %d %s", got.status, got.raw)
	}
	if got := h.ask("PUT", "/v1/apps/demo", adminKey, `{"name":"","policy":{"sms_classes":["gossip"]}}`); got.status != 422 || len(got.problem(t).Faults) != 2 {
		t.Errorf("a faulty app: %d %s", got.status, got.raw)
	}
}
