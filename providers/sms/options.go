package sms

import "github.com/herald-push/herald/providers"

// options are what a notification may say to this service alone.
type options = providers.TextMessage

var overrides = providers.NewOverrides(name, func(o *options, faults *providers.Faults) {
	if len(o.From) > 64 {
		faults.Add("from", "must be a number, a name or a messaging service")
	}
	faults.Within("ttl_seconds", o.TTL, 1, maxValidity)
})

// CheckOverrides tells what is wrong with a notification's overrides for text
// messages.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }
