package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestCanaryGuardsTheOldCredentials(t *testing.T) {
	const good = `{"key_id":"ABC1234567","team_id":"DEF7654321","key":"PEM","topic":"com.example.app"}`
	played := strings.Replace(good, "{", `{"endpoint":"https://127.0.0.1:8443",`, 1)
	refused := &push.Error{Provider: "apns", Kind: push.ErrCredentials, Detail: "InvalidProviderToken"}
	away := &push.Error{Provider: "apns", Kind: push.ErrUnavailable, Detail: "no route"}
	tests := map[string]struct {
		query, body string
		said        string
		err         error
		asked, kept bool
		want        string // in the answer
	}{
		"the vendor takes them":                {"", good, "it takes them", nil, true, true, `"canary":"it takes them"`},
		"the vendor refuses them":              {"", good, "", refused, true, false, "InvalidProviderToken"},
		"the vendor is away":                   {"", good, "", away, true, true, "not proven"},
		"the vendor is away and must be asked": {"?canary=required", good, "", away, true, false, "no route"},
		"there is nobody to ask":               {"", good, "", nil, true, true, `"version":1`},
		"there is nobody to ask, as required":  {"?canary=required", good, "", nil, true, false, "cannot be asked"},
		"they are not to be asked about":       {"?canary=off", good, "", refused, false, true, `"version":1`},
		"another server plays the vendor":      {"", played, "", refused, false, true, `"version":1`},
		"another server that must be asked":    {"?canary=required", played, "", refused, true, false, "InvalidProviderToken"},
		"a word that means nothing":            {"?canary=maybe", good, "", nil, false, false, `"field":"canary"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			asked := false
			h := open(t, func(_ *Config, p *Parts) {
				p.Canary = func(context.Context, string, []byte) (string, error) { asked = true; return tt.said, tt.err }
			})
			got := h.ask(http.MethodPut, "/v1/apps/demo/providers/apns"+tt.query, adminKey, tt.body, "Content-Type", "application/json")
			if kept := got.status == http.StatusOK; kept != tt.kept || !kept && got.status != http.StatusUnprocessableEntity {
				t.Errorf("status = %d, want it kept: %v", got.status, tt.kept)
			}
			if asked != tt.asked {
				t.Errorf("the vendor was asked: %v, want %v", asked, tt.asked)
			}
			if !strings.Contains(string(got.raw), tt.want) {
				t.Errorf("answer = %s, want %s in it", got.raw, tt.want)
			}
		})
	}
}
