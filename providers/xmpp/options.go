package xmpp

import "github.com/herald-push/herald/providers"

// options are what a notification may say to the XMPP server alone.
type options struct {
	Type  string `json:"type"` // in place of the credentials' own
	TTL   *int   `json:"ttl_seconds"`
	Store *bool  `json:"store"` // false: worth nothing in an archive (XEP-0334); otherwise the class decides
	// DataOnly leaves subject and body out, so that clients which are not the
	// app's show nothing.
	DataOnly bool `json:"data_only"`
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for XMPP.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

func (o *options) check(faults *providers.Faults) {
	faults.OneOf("type", o.Type, "chat", "headline")
	faults.Within("ttl_seconds", o.TTL, 1, 30*86400)
}
