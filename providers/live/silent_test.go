package live_test

import (
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/live"
	"github.com/herald-push/herald/push"
)

func TestSilenceIsToldToTheApp(t *testing.T) {
	for silent, want := range map[bool]bool{true: true, false: false} {
		b, err := live.Encode(&push.Notification{ID: "n", Silent: silent}, "n.0.0", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(b), `"silent":true`); got != want {
			t.Errorf("silent %v: payload %s", silent, b)
		}
	}
}
