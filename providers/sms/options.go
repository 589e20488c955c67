package sms

import (
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// options are what a notification may say to the text message service alone.
type options struct {
	Text string `json:"text"`        // in place of title and body
	From string `json:"from"`        // in place of the credentials' own
	TTL  *int   `json:"ttl_seconds"` // how long the service may keep trying
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for text
// messages.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	if len(o.From) > 64 {
		faults.Add("from", "must be a number, a name or a messaging service")
	}
	faults.Within("ttl_seconds", o.TTL, 1, maxValidity)
}

// text is what the person reads.
func (o *options) text(d *push.Delivery) string {
	switch {
	case o.Text != "":
		return o.Text
	case d.Title == "" || d.Body == "":
		return d.Title + d.Body
	default:
		return d.Title + "\n" + d.Body
	}
}
