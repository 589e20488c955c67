package smpp

import (
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// options are what a notification may say to the service centre alone.
type options struct {
	Text string `json:"text"`        // in place of title and body
	From string `json:"from"`        // in place of the credentials' own
	TTL  *int   `json:"ttl_seconds"` // how long the service may keep trying
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for text
// messages by SMPP.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	if o.From != "" {
		checkSender(faults, o.From)
	}
	faults.Within("ttl_seconds", o.TTL, 1, int(maxValidity.Seconds()))
}

// whole is what the person reads.
func (o *options) whole(d *push.Delivery) string {
	switch {
	case o.Text != "":
		return o.Text
	case d.Title == "" || d.Body == "":
		return d.Title + d.Body
	default:
		return d.Title + "\n" + d.Body
	}
}

// until is when the service may stop trying; zero is its own default.
func (o *options) until(d *push.Delivery, now time.Time) time.Time {
	if o.TTL == nil {
		return d.ExpiresAt
	}
	end := now.Add(time.Duration(*o.TTL) * time.Second)
	if !d.ExpiresAt.IsZero() && d.ExpiresAt.Before(end) {
		return d.ExpiresAt
	}
	return end
}
