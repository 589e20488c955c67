package meizu

import (
	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to Meizu alone.
type options struct {
	TTL      *int             `json:"ttl_seconds"`
	Click    *providers.Click `json:"click"`
	Sound    *bool            `json:"sound"`    // true without a word
	Vibrate  *bool            `json:"vibrate"`  // true without a word
	Float    *bool            `json:"float"`    // shown over what is open; true without a word
	Expanded string           `json:"expanded"` // what the open notification says in place of the body
	DataOnly bool             `json:"data_only"`
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for Meizu.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	faults.Within("ttl_seconds", o.TTL, 0, int(maxTTL.Seconds()))
	o.Click.Check(faults, providers.ClickApp, providers.ClickURL, providers.ClickActivity)
	if o.Click != nil && len(o.Click.Target) > maxTarget {
		faults.Add("click.target", "must be at most 1000 bytes")
	}
	if o.DataOnly && (o.Click != nil || o.Sound != nil || o.Vibrate != nil || o.Float != nil || o.Expanded != "") {
		faults.Add("data_only", "shows nothing, so click, sound, vibrate, float and expanded mean nothing beside it")
	}
}
