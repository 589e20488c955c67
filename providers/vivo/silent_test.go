package vivo

import (
	"testing"
)

func TestQuietHoursAreQuiet(t *testing.T) {
	d := delivery("n1.0.0")
	d.Silent = true
	if got := open1(t).message(d, nil).NotifyType; got != 1 {
		t.Errorf("notifyType = %d, want none", got)
	}
}
