package webpush

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/providertest"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		// all is well
		`{"topic":"Az09-_","urgency":"very-low","ttl_seconds":0,"url":"/orders/1",
			"options":{"icon":"/i.png","tag":"t","renotify":true,"requireInteraction":true,"silent":false,"vibrate":[1],"actions":[{"action":"a","title":"A"}]}}`: "",
		// no topic at all
		`{"topic":""}`: "",
		// no object
		`5`: ".",
		// a topic too long
		`{"topic":"` + strings.Repeat("x", 33) + `"}`: "topic",
		// a topic of other signs
		`{"topic":"a+b"}`: "topic",
		// an urgency nobody knows
		`{"urgency":"now"}`: "urgency",
		// a ttl that has passed
		`{"ttl_seconds":-1}`: "ttl_seconds",
		// a ttl beyond four weeks
		`{"ttl_seconds":2419201}`: "ttl_seconds",
		// a click runs a script
		`{"url":"javascript:alert(1)"}`: "url",
		// names of other places
		`{"options":{"require_interaction":true},"sound":"x"}`: "options.require_interaction sound",
		// wrong types
		`{"options":{"silent":"yes","vibrate":"100"}}`: "options.silent options.vibrate",
		// what browsers refuse
		`{"options":{"renotify":true,"silent":true,"vibrate":[1],"dir":"up","actions":[{"action":"a"}]}}`: "options.actions options.dir options.renotify options.vibrate",
	})
}

func TestOverriddenHeaders(t *testing.T) {
	tests := map[string]struct {
		overrides      string
		topic, urgency string
		ttl            int // seconds, or up to a minute less
	}{
		"all three":                         {`{"topic":"score","urgency":"low","ttl_seconds":60}`, "score", "low", 60},
		"now or never, and nothing to join": {`{"topic":"","ttl_seconds":0}`, "", "normal", 0},
		"no longer than it is worth":        {`{"topic":"s","ttl_seconds":999999}`, "s", "normal", 3600},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			var got http.Header
			accept := s.Accept
			s.Accept = func(w http.ResponseWriter, r *http.Request) { got = r.Header; accept(w, r) }
			p := providertest.HTTP(s).Start(t, providertest.Accepts).Provider
			d := delivery("n1.0.0")
			d.Overrides = map[string]json.RawMessage{"webpush": json.RawMessage(tt.overrides)}
			d.ExpiresAt = time.Now().Add(time.Hour)
			if _, err := p.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			ttl, err := strconv.Atoi(got.Get("TTL"))
			if err != nil || got.Get("Topic") != tt.topic || got.Get("Urgency") != tt.urgency || ttl > tt.ttl || ttl < tt.ttl-60 {
				t.Errorf("Topic %q, Urgency %q, TTL %q; want %q, %q, %d", got.Get("Topic"), got.Get("Urgency"), got.Get("TTL"), tt.topic, tt.urgency, tt.ttl)
			}
		})
	}
}
