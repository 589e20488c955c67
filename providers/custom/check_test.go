package custom

import (
	"errors"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestServiceThatGivesTokensIsAskedForOne(t *testing.T) {
	if said, err := start(t, "getui", twinOf("getui"), nil).Check(t.Context()); err != nil || said == "" {
		t.Errorf("Check() = %q, %v", said, err)
	}
	wrong := map[string]any{"vars": map[string]string{"app_id": "app1", "app_key": appKey, "master_secret": "another"}}
	if _, err := start(t, "getui", twinOf("getui"), wrong).Check(t.Context()); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Check() with another secret: error = %v, want credentials", err)
	}
	if said, err := start(t, "jpush", twinOf("jpush"), nil).Check(t.Context()); err != nil || said != "" {
		t.Errorf("Check() of a service without tokens = %q, %v, want that there is nothing to ask", said, err)
	}
}
