package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCorrectionBindsTheAppAloneAndIsWrittenDown(t *testing.T) {
	h := open(t)
	const path = "/v1/providers/apns/codes"
	if got := h.ask("PUT", path+"/Unregistered", adminKey, `{"kind":"unreachable","means":"they come back"}`); got.status != 200 {
		t.Fatalf("PUT = %d %s", got.status, got.raw)
	}
	for _, want := range []string{"an app corrected a code", `"app":"demo"`, `"code":"Unregistered"`, `"kind":"unreachable"`, `"key":"admin000"`} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, h.log.String())
		}
	}
	shown := func(key string) int {
		var codes struct{ Corrections []json.RawMessage }
		if err := json.Unmarshal([]byte(h.ask("GET", path, key, "").raw), &codes); err != nil {
			t.Fatal(err)
		}
		return len(codes.Corrections)
	}
	if mine, theirs := shown(adminKey), shown(otherKey); mine != 2 || theirs != 0 {
		t.Errorf("the app has %d corrections and another %d, want 2 and none", mine, theirs)
	}
	if got := h.ask("DELETE", path+"/Unregistered", otherKey, ""); got.status != 404 {
		t.Errorf("another app takes it back: %d", got.status)
	}
	if got := h.ask("DELETE", path+"/Unregistered", adminKey, ""); got.status != 204 || shown(adminKey) != 1 {
		t.Errorf("DELETE = %d %s", got.status, got.raw)
	}
	if !strings.Contains(h.log.String(), "took a correction of a code back") {
		t.Error("that it was taken back is not in the log")
	}
}

func TestCorrectionThatIsRefused(t *testing.T) {
	good := `{"kind":"policy"}`
	tests := map[string]struct {
		path, key, body string
		status          int
		field           string
	}{
		"by a key that only sends":      {"apns/codes/Unregistered", sendKey, good, 403, ""},
		"of a provider without a table": {"http/codes/1011", adminKey, good, 404, ""},
		"a word with a dash":            {"apns/codes/not-a-word", adminKey, good, 422, "code"},
		"a word too long":               {"apns/codes/" + strings.Repeat("x", 49), adminKey, good, 422, "code"},
		"a status that is success":      {"apns/codes/http-204", adminKey, good, 422, "code"},
		"a status that is none":         {"apns/codes/http-5x3", adminKey, good, 422, "code"},
		"no kind":                       {"apns/codes/Unregistered", adminKey, `{}`, 422, "kind"},
		"a field that nobody knows":     {"apns/codes/Unregistered", adminKey, `{"kind":"policy","why":"so"}`, 422, "why"},
		"words with a line break":       {"apns/codes/Unregistered", adminKey, `{"kind":"policy","means":"a\nb"}`, 422, "means"},
		"a wait of two days":            {"apns/codes/Unregistered", adminKey, `{"kind":"policy","retry_after_seconds":172800}`, 422, "retry_after_seconds"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			p := h.ask("PUT", "/v1/providers/"+tt.path, tt.key, tt.body).problem(t)
			if p.Status != tt.status {
				t.Fatalf("PUT = %d (%s), want %d", p.Status, p.Detail, tt.status)
			}
			if tt.field != "" && (len(p.Faults) != 1 || p.Faults[0].Field != tt.field) {
				t.Errorf("faults = %+v, want one of %s", p.Faults, tt.field)
			}
		})
	}
}
