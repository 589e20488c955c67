package vivo

import (
	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to vivo alone.
type options struct {
	Category   string           `json:"category"`
	TTL        *int             `json:"ttl_seconds"`
	Click      *providers.Click `json:"click"`
	Sound      string           `json:"sound"`      // how it makes itself heard: none, sound, vibrate, both
	Foreground *bool            `json:"foreground"` // shown while the app is open; true without a word
	Badge      bool             `json:"badge"`      // one more on the app's icon
	Test       bool             `json:"test"`       // goes to the console's test devices alone
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for vivo.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

// sounds are vivo's notifyType by our word.
var sounds = map[string]int{"none": 1, "sound": 2, "vibrate": 3, "both": 4}

func (o *options) check(faults *providers.Faults) {
	faults.OneOf("sound", o.Sound, "none", "sound", "vibrate", "both")
	faults.Within("ttl_seconds", o.TTL, int(minTTL.Seconds()), int(maxTTL.Seconds()))
	o.Click.Check(faults, providers.ClickApp, providers.ClickURL, providers.ClickIntent)
}

// say puts what is meant for vivo alone over what all vendors are told.
func (o *options) say(m *message, silent bool) {
	if o.Category != "" {
		m.Category = o.Category
	}
	if o.Sound != "" && !silent {
		m.NotifyType = sounds[o.Sound]
	}
	m.Foreground, m.AddBadge = o.Foreground, o.Badge
	if o.Test {
		m.PushMode = 1
	}
	if c := o.Click; c != nil {
		switch c.Open {
		case providers.ClickURL:
			m.SkipType, m.SkipContent = 2, c.Target
		case providers.ClickIntent:
			m.SkipType, m.SkipContent = 4, c.Target
		}
	}
}
