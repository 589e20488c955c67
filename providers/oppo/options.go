package oppo

import (
	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to OPPO alone.
type options struct {
	ChannelID string           `json:"channel_id"`
	Category  string           `json:"category"`
	Level     *int             `json:"notify_level"` // how it shows itself: 1 in the bar, 2 on the lock screen too, 16 with a banner, sound and vibration
	TTL       *int             `json:"ttl_seconds"`
	Click     *providers.Click `json:"click"`
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for OPPO.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	if l := o.Level; l != nil && *l != 1 && *l != 2 && *l != 16 {
		faults.Add("notify_level", "is none of 1, 2, 16")
	}
	if o.Level != nil && o.Category == "" {
		faults.Add("notify_level", "means nothing to OPPO without category")
	}
	faults.Within("ttl_seconds", o.TTL, 1, int(maxTTL.Seconds()))
	o.Click.Check(faults, providers.ClickApp, providers.ClickURL, providers.ClickIntent, providers.ClickActivity)
}

// The ways that a click goes.
const (
	clickApp      = 0
	clickURL      = 2
	clickActivity = 4
	clickIntent   = 5
)

// say puts what is meant for OPPO alone over what all vendors are told.
func (o *options) say(n *notification, silent bool) {
	if o.ChannelID != "" {
		n.ChannelID = o.ChannelID
	}
	if o.Category != "" {
		n.Category = o.Category
	}
	if o.Level != nil && !silent {
		n.NotifyLevel = *o.Level
	}
	if c := o.Click; c != nil {
		switch c.Open {
		case providers.ClickURL:
			n.ClickAction, n.ClickURL = clickURL, c.Target
		case providers.ClickIntent:
			n.ClickAction, n.ClickURL = clickIntent, c.Target
		case providers.ClickActivity:
			n.ClickAction, n.ClickActivity = clickActivity, c.Target
		default:
			n.ClickAction = clickApp
		}
	}
}
