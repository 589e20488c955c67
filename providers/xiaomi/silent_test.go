package xiaomi

import (
	"testing"

	"github.com/herald-push/herald/push"
)

func TestQuietHoursAreQuiet(t *testing.T) {
	d := delivery("n1.0.0")
	d.Silent = true
	if got := open1(t).form([]*push.Delivery{d}, nil, "").Get("notify_type"); got != "4" {
		t.Errorf("notify_type = %s, want lights alone", got)
	}
}
