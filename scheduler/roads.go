package scheduler

import (
	"fmt"
	"slices"

	"github.com/herald-push/herald/push"
)

// road is one way to a device, in the order of trial.
type road struct {
	push.Choice
	// Skipped is why it cannot be taken now; empty if it can.
	Skipped string
}

// usual is the route of a notification that names none. SMS drops out where
// the app's policy does not allow it.
var usual = []string{push.Live, push.Auto, push.SMS}

// roads lists the ways of a notification to a device: the words of its route,
// with "auto" standing for the device's vendors in the picker's order.
func roads(picker Picker, n *push.Notification, d *push.Device, policy push.Policy, online bool) []road {
	words := n.Route.Roads
	if len(words) == 0 {
		words = usual
		if !policy.AllowsSMS(n.Class) {
			words = usual[:2]
		} else if _, ok := d.Address(push.SMPP); ok {
			words = append(slices.Clone(usual), push.SMPP)
		}
	}
	all := make([]road, 0, len(words)+len(d.Addresses))
	for _, word := range words {
		if word == push.Auto {
			for _, c := range picker.Rank(d, n.Class, vendors(d, words)) {
				all = append(all, road{Choice: c})
			}
			continue
		}
		if !slices.ContainsFunc(all, func(r road) bool { return r.Provider == word }) {
			all = append(all, direct(word, n, d, policy, online))
		}
	}
	return all
}

// direct is a road that the route names itself.
func direct(word string, n *push.Notification, d *push.Device, policy push.Policy, online bool) road {
	r := road{Choice: push.Choice{Provider: word, Why: "the route names it"}}
	if _, ok := d.Address(word); !ok {
		r.Skipped = "the device has no address there"
		return r
	}
	switch {
	case word == push.Live && !online:
		r.Skipped = "the device is not connected"
	case word == push.Live:
		r.Why = "the device is connected"
	case push.IsSMS(word) && !policy.AllowsSMS(n.Class):
		r.Skipped = fmt.Sprintf("the app's policy allows no sms for class %s", n.Class)
	case push.IsSMS(word) && len(n.Route.Roads) == 0:
		r.Why = fmt.Sprintf("the app's policy allows sms for class %s", n.Class)
	}
	return r
}

// vendors are the device's providers that "auto" stands for: neither our own
// connection nor what costs money, nor what the route names beside it.
func vendors(d *push.Device, words []string) []string {
	var names []string
	for _, a := range d.Addresses {
		if a.Provider != push.Live && !push.IsSMS(a.Provider) && !slices.Contains(words, a.Provider) {
			names = append(names, a.Provider)
		}
	}
	return names
}

// usesLive tells whether a route goes over our own connection.
func usesLive(n *push.Notification) bool {
	return len(n.Route.Roads) == 0 || slices.Contains(n.Route.Roads, push.Live)
}
