package sqlstore

import (
	"slices"

	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/push"
)

// rows are devices as they are written: each id, address and tag once. What two
// devices claim is the later one's, as if one were written after the other.
type rows struct {
	byID      map[string]*push.Device
	devices   []deviceRow
	addresses []addressRow
	tags      []tagRow
}

// deviceRow is a device with the keys that its versions are compared by. Its
// location is the app's word: what the device has reported is not written back.
type deviceRow struct {
	*push.Device
	Location   *push.Location `json:"location,omitempty"`
	OSKey      string         `json:"os_key"`
	VersionKey string         `json:"app_version_key"`
}

func deviceRowOf(d *push.Device) deviceRow {
	row := deviceRow{Device: d, OSKey: audience.VersionKey(d.OS), VersionKey: audience.VersionKey(d.AppVersion)}
	if d.Location != nil && d.Location.At.IsZero() {
		row.Location = d.Location
	}
	return row
}

type (
	addressRow [5]string // device, provider, token, topic, environment
	tagRow     [2]string // device, tag
)

func rowsOf(devices []*push.Device) rows {
	type address struct{ provider, token string }
	claimed := make(map[address]bool, 2*len(devices))
	r := rows{byID: make(map[string]*push.Device, len(devices))}
	for _, d := range slices.Backward(devices) {
		if r.byID[d.ID] != nil {
			continue
		}
		r.byID[d.ID] = d
		r.devices = append(r.devices, deviceRowOf(d))
		for _, a := range d.Addresses {
			if key := (address{a.Provider, a.Token}); !claimed[key] {
				claimed[key] = true
				r.addresses = append(r.addresses, addressRow{d.ID, a.Provider, a.Token, a.Topic, a.Environment})
			}
		}
		for i, tag := range d.Tags {
			if !slices.Contains(d.Tags[:i], tag) {
				r.tags = append(r.tags, tagRow{d.ID, tag})
			}
		}
	}
	return r
}
