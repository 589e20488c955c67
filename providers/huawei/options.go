package huawei

import (
	"net/url"
	"slices"
	"strings"

	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to Huawei alone: the fields of its
// AndroidNotification, by our common names where other vendors have them too.
type options struct {
	Category   string           `json:"category"`
	ChannelID  string           `json:"channel_id"`
	Urgency    string           `json:"urgency"`
	Importance string           `json:"importance"`
	TTL        *int             `json:"ttl_seconds"`
	Click      *providers.Click `json:"click"`
	Badge      *providers.Badge `json:"badge"`
	Sound      string           `json:"sound"` // a file in the app, such as /raw/ping
	Image      string           `json:"image"`
	Color      string           `json:"color"` // #RRGGBB
	Visibility string           `json:"visibility"`
	Foreground *bool            `json:"foreground"` // shown while the app is open; true without a word
	DataOnly   bool             `json:"data_only"`  // goes to the app unseen
	Test       bool             `json:"test"`       // counts against the quota for tests
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for Huawei.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	if o.Category != "" && !slices.Contains(known, o.Category) {
		faults.OneOf("category", o.Category, known...)
	}
	faults.OneOf("urgency", o.Urgency, urgencyHigh, urgencyNormal)
	faults.OneOf("importance", o.Importance, importanceLow, importanceNormal, "HIGH")
	faults.OneOf("visibility", o.Visibility, "VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET")
	faults.Within("ttl_seconds", o.TTL, 1, int(maxTTL.Seconds()))
	o.Click.Check(faults, providers.ClickApp, providers.ClickURL, providers.ClickIntent)
	o.Badge.Check(faults)
	if u, err := url.Parse(o.Image); o.Image != "" && (err != nil || u.Scheme != "https") {
		faults.Add("image", "must be an https address")
	}
	if o.Color != "" && (len(o.Color) != 7 || o.Color[0] != '#' || strings.Trim(o.Color[1:], "0123456789abcdefABCDEF") != "") {
		faults.Add("color", "must be a color like #00aaff")
	}
	if o.DataOnly {
		for field, given := range map[string]bool{
			"click": o.Click != nil, "badge": o.Badge != nil, "sound": o.Sound != "", "image": o.Image != "",
			"channel_id": o.ChannelID != "", "importance": o.Importance != "", "color": o.Color != "",
		} {
			if given {
				faults.Add(field, "is not shown where data_only is true")
			}
		}
	}
}

// say puts what is meant for Huawei alone over what all vendors are told; the
// urgency is the provider's affair.
func (o *options) say(a *android) {
	if o.Category != "" {
		a.Category = o.Category
	}
	if o.Test {
		a.TargetUserType = 1
	}
	n := a.Notification
	if o.DataOnly || n == nil {
		a.Notification = nil
		return
	}
	n.ChannelID, n.Sound, n.Image, n.Color, n.Visibility = o.ChannelID, o.Sound, o.Image, o.Color, o.Visibility
	if o.Importance != "" {
		n.Importance = o.Importance
	}
	if o.Foreground != nil {
		n.Foreground = *o.Foreground
	}
	if b := o.Badge; b != nil {
		n.Badge = &badge{Add: b.Add, Set: b.Set, Class: b.Class}
	}
	n.ClickAction = o.Click.Tap(n.ClickAction)
}
