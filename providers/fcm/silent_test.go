package fcm

import (
	"testing"

	"firebase.google.com/go/v4/messaging"
)

func TestQuietHoursAreQuiet(t *testing.T) {
	d := delivery("n1.0.0")
	d.Silent = true
	loud := &options{Android: &android{Priority: "high", Notification: &androidNotification{Sound: "siren", DefaultSound: true}}}
	if n := message(d, loud).Android; n.Priority != "normal" || n.Notification.Sound != "" || n.Notification.DefaultSound {
		t.Errorf("the caller's sound comes before quiet hours: %+v", n.Notification)
	}
	if a := message(d, &options{DataOnly: true}).Android; a.Priority != "normal" {
		t.Errorf("data only: priority = %s", a.Priority)
	}
	if a := message(d, &options{}).Android; a.Priority != "normal" || a.Notification.Priority != messaging.PriorityLow {
		t.Errorf("priority = %s, %v", a.Priority, a.Notification.Priority)
	}
}
