package sms

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"text":"x","from":"MG1","ttl_seconds":60}`:                     "",
		`{"sound":"x","ttl_seconds":0}`:                                  "sound ttl_seconds",
		`{"ttl_seconds":36001,"from":"` + strings.Repeat("x", 65) + `"}`: "from ttl_seconds",
		`{"text":5}`: "text",
	})
}

func TestTheCostIsKnownBeforeSending(t *testing.T) {
	p := providertest.HTTP(service()).Start(t, providertest.Accepts).Provider
	tests := map[string]struct {
		body, overrides string
		segments        int
	}{
		"one":                         {"x", `{}`, 1},
		"two":                         {strings.Repeat("x", 200), `{}`, 2},
		"one letter makes it UCS-2":   {strings.Repeat("x", 68) + "ł", `{}`, 2},
		"a shorter text for the road": {strings.Repeat("x", 200), `{"text":"Your parcel is here"}`, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			d.Body = tt.body
			d.Overrides = map[string]json.RawMessage{"sms": json.RawMessage(tt.overrides)}
			w, err := p.Weigh(d)
			if err != nil || w.Segments != tt.segments || w.CostMicros != int64(tt.segments)*7900 {
				t.Errorf("Weigh() = %+v, %v, want %d segments at 0.0079", w, err, tt.segments)
			}
			answer, err := p.Send(t.Context(), d)
			if err != nil || answer.CostMicros != w.CostMicros {
				t.Errorf("Send() = %+v, %v; Weigh() said %d", answer, err, w.CostMicros)
			}
		})
	}
}

func TestOverriddenSender(t *testing.T) {
	p := open1(t)
	ttl := 60
	for from, want := range map[string]url.Values{
		"":       {"From": {"+15550100"}},
		"Herald": {"From": {"Herald"}},
		"MG1":    {"MessagingServiceSid": {"MG1"}},
	} {
		f := p.form(delivery("n1.0.0"), &options{From: from, TTL: &ttl}, "x")
		if f.Get("From") != want.Get("From") || f.Get("MessagingServiceSid") != want.Get("MessagingServiceSid") || f.Get("ValidityPeriod") != "60" {
			t.Errorf("%q: form = %v, want %v for a minute", from, f, want)
		}
	}
}
