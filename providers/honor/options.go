package honor

import (
	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to Honor alone. Its names are those
// of Huawei's service, which Honor's is made after.
type options struct {
	Importance string           `json:"importance"`
	TTL        *int             `json:"ttl_seconds"`
	Click      *providers.Click `json:"click"`
	Badge      *providers.Badge `json:"badge"`
	Image      string           `json:"image"`
	DataOnly   bool             `json:"data_only"` // goes to the app unseen
	Test       bool             `json:"test"`      // counts against the quota for tests
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for Honor.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	faults.OneOf("importance", o.Importance, importanceLow, importanceNormal)
	faults.Within("ttl_seconds", o.TTL, 1, int(maxTTL.Seconds()))
	o.Click.Check(faults, providers.ClickApp, providers.ClickURL, providers.ClickIntent)
	o.Badge.Check(faults)
	if o.DataOnly && (o.Click != nil || o.Badge != nil || o.Image != "" || o.Importance != "") {
		faults.Add("data_only", "shows nothing, so click, badge, image and importance mean nothing beside it")
	}
}

// say puts what is meant for Honor alone over what all vendors are told.
func (o *options) say(a *android) {
	if o.Test {
		a.TargetUserType = 1
	}
	n := a.Notification
	if o.DataOnly || n == nil {
		a.Notification = nil
		return
	}
	n.Image = o.Image
	if o.Importance != "" {
		n.Importance = o.Importance
	}
	if b := o.Badge; b != nil {
		n.Badge = &badge{Add: b.Add, Set: b.Set, Class: b.Class}
	}
	n.ClickAction = o.Click.Tap(n.ClickAction)
}
