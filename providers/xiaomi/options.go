package xiaomi

import (
	"net/url"
	"strings"

	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to Xiaomi alone.
type options struct {
	ChannelID  string           `json:"channel_id"`
	TTL        *int             `json:"ttl_seconds"`
	Click      *providers.Click `json:"click"`
	Sound      string           `json:"sound"`      // a file in the app: android.resource://…/raw/ping
	Foreground *bool            `json:"foreground"` // shown while the app is open; true without a word
	DataOnly   bool             `json:"data_only"`  // goes to the app unseen
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for Xiaomi.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	faults.Within("ttl_seconds", o.TTL, 1, int(maxTTL.Seconds()))
	o.Click.Check(faults, providers.ClickApp, providers.ClickURL, providers.ClickIntent)
	if o.Sound != "" && !strings.HasPrefix(o.Sound, "android.resource://") {
		faults.Add("sound", "must be like android.resource://com.example.app/raw/ping")
	}
	if o.DataOnly && (o.Click != nil || o.Sound != "" || o.ChannelID != "") {
		faults.Add("data_only", "shows nothing, so click, sound and channel_id mean nothing beside it")
	}
}

// say puts what is meant for Xiaomi alone over what all vendors are told.
func (o *options) say(f url.Values, silent bool) {
	if o.ChannelID != "" {
		f.Set("extra.channel_id", o.ChannelID)
	}
	if o.Sound != "" && !silent {
		f.Set("extra.sound_uri", o.Sound)
	}
	if o.Foreground != nil && !*o.Foreground {
		f.Set("extra.notify_foreground", "0")
	}
	if c := o.Click; c != nil {
		switch c.Open {
		case providers.ClickURL:
			f.Set("extra.notify_effect", "3")
			f.Set("extra.web_uri", c.Target)
		case providers.ClickIntent:
			f.Set("extra.notify_effect", "2")
			f.Set("extra.intent_uri", c.Target)
		}
	}
}
