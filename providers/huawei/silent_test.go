package huawei

import (
	"testing"
)

func TestQuietHoursAreQuiet(t *testing.T) {
	c, err := parse([]byte(`{"client_id":"1","client_secret":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	d := delivery("n1.0.0")
	d.Silent = true
	if got := c.notification(d).Importance; got != importanceLow {
		t.Errorf("importance = %s, want %s", got, importanceLow)
	}
}
