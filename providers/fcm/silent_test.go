package fcm

import (
	"testing"

	"firebase.google.com/go/v4/messaging"
)

func TestQuietHoursAreQuiet(t *testing.T) {
	d := delivery("n1.0.0")
	d.Silent = true
	if a := message(d, &options{}).Android; a.Priority != "normal" || a.Notification.Priority != messaging.PriorityLow {
		t.Errorf("priority = %s, %v", a.Priority, a.Notification.Priority)
	}
}
