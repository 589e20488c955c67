package api

import (
	"strings"
	"testing"
)

func TestSelectionOutlivesAChangeOfTheApp(t *testing.T) {
	h := open(t)
	if got := h.ask("PUT", "/v1/apps/demo/selection", adminKey, `{"kill":true,"rules":[{"mode":"shadow"}]}`); got.status != 200 {
		t.Fatalf("selection: %d %s", got.status, got.raw)
	}
	if got := h.ask("PUT", "/v1/apps/demo", adminKey, `{"name":"Demo","policy":{"sms_budget_micros_per_day":5000000}}`); got.status != 200 {
		t.Fatalf("app: %d %s", got.status, got.raw)
	}
	got := h.ask("GET", "/v1/apps/demo/selection", adminKey, "")
	if got.status != 200 || !strings.Contains(got.raw, `"kill":true`) || !strings.Contains(got.raw, `"shadow"`) {
		t.Errorf("selection after the app was changed: %d %s", got.status, got.raw)
	}
	if got := h.ask("GET", "/v1/apps/demo", adminKey, ""); !strings.Contains(got.raw, `"sms_budget_micros_per_day":5000000`) {
		t.Errorf("app = %s, want its budget", got.raw)
	}
	if got := h.ask("PUT", "/v1/apps/demo", adminKey, `{"name":"Demo","policy":{"sms_budget_micros_per_day":-1}}`); got.status != 422 {
		t.Errorf("a negative budget was taken: %d", got.status)
	}
	if got := h.ask("PUT", "/v1/apps/demo/selection", sendKey, `{}`); got.status != 403 {
		t.Errorf("a key that may only send switched the selector: %d", got.status)
	}
}
