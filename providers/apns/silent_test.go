package apns

import (
	"testing"

	"github.com/herald-push/herald/push"
)

func TestQuietHoursComeBeforeTheCallersSound(t *testing.T) {
	ping := "ping.caf"
	o := &options{Sound: &ping, InterruptionLevel: "time-sensitive"}
	if a := system(&push.Notification{Title: "T"}, o); a.Sound != ping || a.InterruptionLevel != "time-sensitive" {
		t.Errorf("aloud: %+v", a)
	}
	if a := system(&push.Notification{Title: "T", Silent: true}, o); a.Sound != nil || a.InterruptionLevel != "passive" || a.Alert == nil {
		t.Errorf("in silence: %+v", a)
	}
}

func TestWhatShowsNothingIsKnown(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"push_type":"background"}`: true, `{"push_type":"location"}`: true, `{"push_type":"voip"}`: false,
		`{"push_type":"alert"}`: false, `{}`: false, ``: false,
	} {
		if got := unseen([]byte(raw)); got != want {
			t.Errorf("unseen(%s) = %v", raw, got)
		}
	}
}
