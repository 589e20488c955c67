package sqlstore

import (
	"fmt"
	"math"
	"slices"

	"github.com/herald-push/herald/push"
)

// checkDevices finds what no database could keep. What makes sense, such as a
// country that exists, is for the API to say.
func checkDevices(app string, devices []*push.Device) error {
	var f faults
	for i, d := range devices {
		prefix := ""
		if len(devices) > 1 {
			prefix = fmt.Sprintf("devices[%d].", i)
		}
		checkDevice(&f, prefix, app, d)
	}
	return f.err()
}

func checkDevice(f *faults, prefix, app string, d *push.Device) {
	if d.App != app {
		f.add(prefix+"app", "is another one")
	}
	f.named(prefix+"id", d.ID)
	for _, text := range []struct{ field, value string }{
		{"user", d.User}, {"platform", d.Platform}, {"maker", d.Maker}, {"model", d.Model}, {"os", d.OS},
		{"app_version", d.AppVersion}, {"country", d.Country}, {"carrier", d.Carrier},
		{"locale", d.Locale}, {"timezone", d.Timezone},
	} {
		f.text(prefix+text.field, text.value)
	}
	for i, tag := range d.Tags {
		f.named(fmt.Sprintf("%stags[%d]", prefix, i), tag)
	}
	if l := d.Location; l != nil && !(math.Abs(l.Lat) <= 90 && math.Abs(l.Lon) <= 180) {
		f.add(prefix+"location", "is not on the globe")
	}
	for i, a := range d.Addresses {
		field := fmt.Sprintf("%saddresses[%d].", prefix, i)
		f.named(field+"provider", a.Provider)
		f.named(field+"token", a.Token)
		f.text(field+"topic", a.Topic)
		f.text(field+"environment", a.Environment)
		if slices.ContainsFunc(d.Addresses[:i], func(b push.Address) bool { return b.Provider == a.Provider }) {
			f.add(field+"provider", "has an address before this one")
		}
	}
}

// laterWins returns the devices by id, the last one where two have the same.
func laterWins(devices []*push.Device) map[string]*push.Device {
	byID := make(map[string]*push.Device, len(devices))
	for _, d := range devices {
		byID[d.ID] = d
	}
	return byID
}

// rowsOf returns the devices as they are written: each id once and each address
// once, with the last device that claims it. The devices themselves stay as
// they are.
func rowsOf(devices []*push.Device, byID map[string]*push.Device) []*push.Device {
	type address struct{ provider, token string }
	claimed := make(map[address]bool, 2*len(devices))
	written := make(map[string]bool, len(devices))
	rows := make([]*push.Device, 0, len(byID))
	for _, d := range slices.Backward(devices) {
		if written[d.ID] {
			continue
		}
		written[d.ID] = true
		free := make([]push.Address, 0, len(d.Addresses))
		for _, a := range d.Addresses {
			if key := (address{a.Provider, a.Token}); !claimed[key] {
				claimed[key] = true
				free = append(free, a)
			}
		}
		if len(free) < len(d.Addresses) {
			row := *d
			row.Addresses = free
			d = &row
		}
		rows = append(rows, d)
	}
	return rows
}
