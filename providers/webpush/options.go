package webpush

import (
	"net/url"
	"strings"

	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to browsers alone. The first three
// are headers for the push service; the rest is for the service worker.
type options struct {
	Topic   *string       `json:"topic"`       // "" is none: then nothing that waits is replaced
	Urgency string        `json:"urgency"`     // otherwise the class's
	TTL     *int          `json:"ttl_seconds"` // 0 is now or never
	Options *presentation `json:"options"`
	URL     string        `json:"url"` // what a click opens, if the service worker does as it is told
}

// presentation is what showNotification takes beside the title, by its names:
// notifications.spec.whatwg.org/#dictdef-notificationoptions
type presentation struct {
	Actions            []action `json:"actions,omitempty"`
	Badge              string   `json:"badge,omitempty"`
	Dir                string   `json:"dir,omitempty"`
	Icon               string   `json:"icon,omitempty"`
	Image              string   `json:"image,omitempty"`
	Lang               string   `json:"lang,omitempty"`
	Renotify           bool     `json:"renotify,omitempty"`
	RequireInteraction bool     `json:"requireInteraction,omitempty"`
	Silent             *bool    `json:"silent,omitempty"`
	Tag                string   `json:"tag,omitempty"`
	Timestamp          *int     `json:"timestamp,omitempty"` // milliseconds since 1970
	Vibrate            []int    `json:"vibrate,omitempty"`
}

type action struct {
	Action string `json:"action"`
	Title  string `json:"title"`
	Icon   string `json:"icon,omitempty"`
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for
// browsers.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

// letters are those of base64url, which is all that a topic may have (RFC 8030,
// section 5.4).
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (o *options) check(faults *providers.Faults) {
	if t := o.Topic; t != nil && (len(*t) > 32 || strings.Trim(*t, letters) != "") {
		faults.Add("topic", `must be at most 32 letters, digits, "-" or "_"`)
	}
	faults.OneOf("urgency", o.Urgency, "very-low", "low", "normal", "high")
	faults.Within("ttl_seconds", o.TTL, 0, int(maxTTL.Seconds()))
	if u, err := url.Parse(o.URL); o.URL != "" && (err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http") {
		faults.Add("url", "must be an address, or a path on the page's own site")
	}
	if p := o.Options; p != nil {
		faults.OneOf("options.dir", p.Dir, "auto", "ltr", "rtl")
		if p.Renotify && p.Tag == "" {
			faults.Add("options.renotify", "is an error in browsers without a tag")
		}
		if p.Silent != nil && *p.Silent && p.Vibrate != nil {
			faults.Add("options.vibrate", "is an error in browsers where silent is true")
		}
		for _, a := range p.Actions {
			if a.Action == "" || a.Title == "" {
				faults.Add("options.actions", "must each have action and title")
			}
		}
	}
}

// message is what the service worker reads: the same as on the live connection,
// and how to show it.
type message struct {
	ID           string            `json:"id"` // the delivery: reported back in receipts, and what repeats are dropped by
	Notification string            `json:"notification"`
	Title        string            `json:"title,omitempty"`
	Body         string            `json:"body,omitempty"`
	Data         map[string]string `json:"data,omitempty"`
	CollapseKey  string            `json:"collapse_key,omitempty"`
	Silent       bool              `json:"silent,omitempty"` // to be shown without sound or vibration
	Options      *presentation     `json:"options,omitempty"`
	URL          string            `json:"url,omitempty"`
}
