package api

import (
	"context"
	"net/http"
	"testing"
)

func TestNotificationsCarryTheTraceOfTheirRequest(t *testing.T) {
	var routes []string
	h := open(t, func(_ *Config, p *Parts) {
		p.Trace = func(r *http.Request) (context.Context, string, func(string, int)) {
			return r.Context(), r.Header.Get("Traceparent"), func(route string, status int) {
				routes = append(routes, http.StatusText(status)+" "+route)
			}
		}
	})
	const body = `{"to":{"device":"d1"},"class":"otp","title":"hi"}`
	for _, trace := range []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", ""} {
		got := h.ask(http.MethodPost, "/v1/notifications", sendKey, body, "Content-Type", "application/json", "Traceparent", trace)
		if got.status != http.StatusAccepted {
			t.Fatalf("status = %d: %s", got.status, got.raw)
		}
		if h.last.Trace != trace {
			t.Errorf("the notification carries %q, want %q", h.last.Trace, trace)
		}
	}
	if len(routes) != 2 || routes[0] != "Accepted /v1/notifications" {
		t.Errorf("the spans ended with %v", routes)
	}
}
