package xiaomi

import (
	"testing"
)

func TestQuietHoursAreQuiet(t *testing.T) {
	d := delivery("n1.0.0")
	d.Silent = true
	if got := open1(t).form(d, "").Get("notify_type"); got != "4" {
		t.Errorf("notify_type = %s, want lights alone", got)
	}
}
