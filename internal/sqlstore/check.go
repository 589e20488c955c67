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
		{"user", d.User},
		{"platform", d.Platform},
		{"maker", d.Maker},
		{"model", d.Model},
		{"os", d.OS},
		{"app_version", d.AppVersion},
		{"country", d.Country},
		{"carrier", d.Carrier},
		{"locale", d.Locale},
		{"timezone", d.Timezone},
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
