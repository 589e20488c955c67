package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/herald-push/herald/push"
)

// maxOverrides is what all overrides of a notification may weigh together, in
// bytes: more than the payload of any vendor.
const maxOverrides = 8192

// checkOverrides has each provider look at what is said to it, and puts that
// into one spelling, so that white space and the order of fields make no
// difference to idempotency.
func (r *notificationRequest) checkOverrides(fs *faults, checks map[string]CheckOverrides) {
	total := 0
	for _, provider := range slices.Sorted(maps.Keys(r.Overrides)) {
		raw, field := r.Overrides[provider], "overrides."+shorten(provider)
		total += len(raw)
		check, known := checks[provider]
		if !known {
			fs.add(field, "is no provider here that takes overrides")
			continue
		}
		err := check(raw)
		var invalid *push.Invalid
		switch {
		case err == nil:
			if namesToken(raw) && (r.To == nil || r.To.Device == nil) {
				fs.add(field+".token", "is one device's, so to must name a device")
			}
			r.Overrides[provider] = canonical(raw)
		case errors.As(err, &invalid):
			for _, f := range invalid.Faults {
				fs.add(under(field, f.Field), f.Detail)
			}
		default:
			fs.add(field, "cannot be used")
		}
	}
	if total > maxOverrides {
		fs.addf("overrides", "have %d bytes together; at most %d are taken", total, maxOverrides)
	}
}

// namesToken reports whether overrides replace the device's own token.
func namesToken(raw []byte) bool {
	var o struct {
		Token json.RawMessage `json:"token"`
	}
	return json.Unmarshal(raw, &o) == nil && o.Token != nil
}

func under(field, inner string) string {
	if inner == "" {
		return field
	}
	return field + "." + inner
}

// canonical writes an object with its names in order and without white space;
// numbers keep their digits.
func canonical(raw []byte) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return slices.Clone(raw) // a check has read it, so this cannot be
	}
	b, err := json.Marshal(v)
	if err != nil {
		return slices.Clone(raw) // likewise
	}
	return b
}
