package demo

import (
	"strings"
	"testing"
)

func TestTheFleetIsTheSameEachTime(t *testing.T) {
	first, second := devices(), devices()
	for i := range first {
		a, b := first[i], second[i]
		if a.ID != b.ID || a.Maker != b.Maker || len(a.Addresses) != len(b.Addresses) || a.Addresses[0] != b.Addresses[0] {
			t.Fatalf("device %d is %+v and then %+v", i, a.Device, b.Device)
		}
	}
}

func TestNoTwoDevicesShareAnAddress(t *testing.T) {
	owner := map[string]string{}
	for _, d := range append(devices(), phone()) {
		if len(d.Addresses) == 0 {
			t.Errorf("%s has no address", d.ID)
		}
		for _, a := range d.Addresses {
			if other := owner[a.Token]; other != "" {
				t.Errorf("%s and %s share %s", d.ID, other, a.Token)
			}
			owner[a.Token] = d.ID
			if a.Provider == "sms" && (!strings.HasPrefix(a.Token, "+") || len(a.Token) > 16) {
				t.Errorf("%s has the phone number %s", d.ID, a.Token)
			}
		}
	}
}

func TestOneGroupIsVisiblyWorse(t *testing.T) {
	count, sum := map[string]int{}, map[string]float64{}
	for _, d := range devices() {
		count[d.Maker]++
		sum[d.Maker] += d.arrives
	}
	for _, maker := range []string{"Apple", "Samsung", "Xiaomi"} {
		if count[maker] < 5 {
			t.Errorf("%d devices by %s are too few to see anything", count[maker], maker)
		}
	}
	if good, bad := sum["Apple"]/float64(count["Apple"]), sum["Xiaomi"]/float64(count["Xiaomi"]); good-bad < 0.2 {
		t.Errorf("Apple's get %.2f and Xiaomi's %.2f of what is sent: nothing to see", good, bad)
	}
}

func TestAnAppDropsWhatItHasShown(t *testing.T) {
	d := phone()
	if d.knows("a.0.0") || d.knows("b.0.0") {
		t.Error("a new delivery is taken for a known one")
	}
	if !d.knows("a.0.0") {
		t.Error("a known delivery is taken for a new one")
	}
}
