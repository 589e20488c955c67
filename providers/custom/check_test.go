package custom

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestConfigurationSaysWhatToAsk(t *testing.T) {
	if said, err := start(t, "jpush", twinOf("jpush"), nil).Check(t.Context()); err != nil || said == "" {
		t.Errorf("Check() = %q, %v", said, err)
	}
	wrong := map[string]any{"vars": map[string]string{"app_id": "app1", "app_key": appKey, "master_secret": "another"}}
	if _, err := start(t, "jpush", twinOf("jpush"), wrong).Check(t.Context()); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Check() with another secret: error = %v, want credentials", err)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	if _, err := start(t, "jpush", page, nil).Check(t.Context()); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("Check() answered by something else: error = %v, want unavailable", err)
	}
	unsigned := map[string]any{"check": map[string]any{"method": "GET", "path": "no slash", "body": 1, "loud": true}}
	var c map[string]any
	if err := json.Unmarshal(Examples()["jpush"], &c); err != nil {
		t.Fatal(err)
	}
	maps.Copy(c, unsigned)
	text, _ := json.Marshal(c)
	if _, err := New(text); err == nil || !strings.Contains(err.Error(), "check.path") || !strings.Contains(err.Error(), "check.loud") {
		t.Errorf("New() error = %v, want the check's faults named", err)
	}
}

func TestServiceThatGivesTokensIsAskedForOne(t *testing.T) {
	if said, err := start(t, "getui", twinOf("getui"), nil).Check(t.Context()); err != nil || said == "" {
		t.Errorf("Check() = %q, %v", said, err)
	}
	wrong := map[string]any{"vars": map[string]string{"app_id": "app1", "app_key": appKey, "master_secret": "another"}}
	if _, err := start(t, "getui", twinOf("getui"), wrong).Check(t.Context()); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Check() with another secret: error = %v, want credentials", err)
	}
	if said, err := start(t, "umeng", twinOf("umeng"), nil).Check(t.Context()); err != nil || said != "" {
		t.Errorf("Check() of a service without tokens = %q, %v, want that there is nothing to ask", said, err)
	}
}
