package vivo

import (
	"testing"

	"github.com/herald-push/herald/push"
)

func TestQuietHoursAreQuiet(t *testing.T) {
	d := delivery("n1.0.0")
	d.Silent = true
	if m, _, err := open1(t).message([]*push.Delivery{d}); err != nil || m.NotifyType != 1 {
		t.Errorf("notifyType = %d, %v, want none", m.NotifyType, err)
	}
}
