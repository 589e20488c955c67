package api

import (
	"net/http"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestWhoMayTellWhereADeviceIs(t *testing.T) {
	const here = `{"positions":[{"lat":1,"lon":2}]}`
	tests := map[string]struct {
		path, auth string
		status     int
		code       string
	}{
		"the device itself":               {"/v1/devices/d1/positions", deviceToken, 200, ""},
		"the app's server":                {"/v1/devices/d1/positions", adminKey, 200, ""},
		"another device":                  {"/v1/devices/d9/positions", deviceToken, 403, "forbidden"},
		"a key that may only send":        {"/v1/devices/d1/positions", sendKey, 403, "forbidden"},
		"a key of another app's":          {"/v1/devices/nobody/positions", otherKey, 404, "not_found"},
		"nobody":                          {"/v1/devices/d1/positions", "", 401, "unauthorized"},
		"of a device that has not agreed": {"/v1/devices/d9/positions", adminKey, 403, "no_consent"},
		"of a device that is not there":   {"/v1/devices/d404/positions", adminKey, 404, "not_found"},
		"of what is no device":            {"/v1/devices/a%20b/positions", adminKey, 404, "not_found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := open(t).ask("POST", tt.path, tt.auth, here)
			if got.status != tt.status || codeOf(t, got) != tt.code {
				t.Errorf("answer = %d %s, want %d %s", got.status, got.raw, tt.status, tt.code)
			}
		})
	}
}

func TestAWithdrawnConsentEndsReports(t *testing.T) {
	h := open(t)
	if got := h.ask("PUT", "/v1/devices/d1/consent", deviceToken, `{"mode":"off"}`); got.status != 200 {
		t.Fatalf("withdraw: %d %s", got.status, got.raw)
	}
	if got := h.ask("POST", "/v1/devices/d1/positions", deviceToken, `{"positions":[{"lat":1,"lon":2}]}`); codeOf(t, got) != "no_consent" {
		t.Errorf("a report then: %d %s", got.status, got.raw)
	}
	for name, body := range map[string]string{"no mode": `{}`, "a mode nobody knows": `{"mode":"roughly"}`, "found nowhere": `{"mode":"off","nearby":true}`} {
		if got := h.ask("PUT", "/v1/devices/d1/consent", deviceToken, body); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
}

func TestForgettingPositionsKeepsTheConsent(t *testing.T) {
	h := open(t)
	if got := h.ask("DELETE", "/v1/devices/d1/positions", deviceToken, ""); got.status != http.StatusNoContent {
		t.Fatalf("forget: %d %s", got.status, got.raw)
	}
	if len(h.where.forgot) != 1 || h.where.consents["d1"].Mode != push.PlaceExact {
		t.Errorf("forgotten: %v, consent %+v", h.where.forgot, h.where.consents["d1"])
	}
}

func TestNearbyAsksForWhatIsAsked(t *testing.T) {
	tests := map[string]struct {
		query          string
		people, places bool
		kinds          int
	}{
		"anything":        {"", true, true, 0},
		"people":          {"&type=person", true, false, 0},
		"places":          {"&type=place", false, true, 0},
		"shops and bars":  {"&kind=shop,bar", false, false, 2},
		"people and bars": {"&type=person&kind=bar", true, false, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if got := h.ask("GET", "/v1/places/nearby?lat=1&lon=2"+tt.query, deviceToken, ""); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.raw)
			}
			q := h.where.query
			if q.People != tt.people || q.Places != tt.places || len(q.Kinds) != tt.kinds || q.Self != "d1" || q.Circle.Radius != 5000 {
				t.Errorf("asked for %+v", q)
			}
		})
	}
	if got := open(t).ask("GET", "/v1/places/nearby?lat=NaN&lon=2", deviceToken, ""); got.status != http.StatusUnprocessableEntity {
		t.Errorf("near NaN: %d %s", got.status, got.raw)
	}
}

func TestAFenceCountsWhenItIsAnswered(t *testing.T) {
	h := open(t)
	body := `{"circle":{"lat":1,"lon":2,"radius_m":50},"on":["enter","enter"],"notification":{"title":"Hi"}}`
	if got := h.ask("PUT", "/v1/fences/gate", sendKey, body); got.status != 200 || h.where.changed != 1 {
		t.Fatalf("put: %d %s; the room was told %d times", got.status, got.raw, h.where.changed)
	}
	f := h.where.fences["gate"]
	if len(f.On) != 1 || f.Notification == nil || f.Notification.Title != "Hi" || f.Notification.To.Device != "" || f.TTLSeconds == 0 {
		t.Errorf("kept %+v with %+v", f, f.Notification)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if got := h.ask(method, "/v1/fences/gate", deviceToken, body); got.status != http.StatusUnauthorized {
			t.Errorf("%s by a device: %d", method, got.status)
		}
	}
	if got := h.ask("PUT", "/v1/places/nearby", sendKey, `{"name":"x","circle":{"lat":1,"lon":2,"radius_m":50}}`); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a place that could not be read again: %d %s", got.status, got.raw)
	}
}

// codeOf is the code of a problem, "" for any other answer.
func codeOf(t *testing.T, a answer) string {
	t.Helper()
	if a.status < 400 {
		return ""
	}
	return a.problem(t).Code
}
