package smpp

import "github.com/herald-push/herald/providers"

// options are what a notification may say to the service centre alone.
type options = providers.TextMessage

var overrides = providers.NewOverrides(name, func(o *options, faults *providers.Faults) {
	if o.From != "" {
		checkSender(faults, o.From)
	}
	faults.Within("ttl_seconds", o.TTL, 1, int(maxValidity.Seconds()))
})

// CheckOverrides tells what is wrong with a notification's overrides for text
// messages by SMPP.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }
