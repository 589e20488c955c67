package main

import (
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/apns"
	"github.com/herald-push/herald/providers/custom"
	"github.com/herald-push/herald/providers/fcm"
	"github.com/herald-push/herald/providers/honor"
	"github.com/herald-push/herald/providers/huawei"
	"github.com/herald-push/herald/providers/meizu"
	"github.com/herald-push/herald/providers/oppo"
	"github.com/herald-push/herald/providers/smpp"
	"github.com/herald-push/herald/providers/sms"
	"github.com/herald-push/herald/providers/vivo"
	"github.com/herald-push/herald/providers/webpush"
	"github.com/herald-push/herald/providers/xiaomi"
	"github.com/herald-push/herald/providers/xmpp"
)

// service carries notifications: what it says of itself, and how it is opened
// for an app.
type service struct {
	providers.About

	open providers.Opener
}

// services is the one list of those that need credentials; a new one is a line
// here. The live connection needs none, and wire.go adds it. Services that
// report later do so at publicURL; without one they do not. Egress is the engine
// under those that take it.
func services(publicURL string, egress providers.Engine, notes smpp.Notes) []service {
	callback := func(provider string) string {
		if publicURL == "" {
			return ""
		}
		return strings.TrimSuffix(publicURL, "/") + "/v1/callbacks/" + provider
	}
	return []service{
		{apns.About(), apns.Opener(egress)},
		{custom.About(), custom.New},
		{fcm.About(), fcm.Opener(egress)},
		{honor.About(), honor.New},
		{huawei.About(), huawei.New},
		{meizu.About(), meizu.Opener(callback("meizu"))},
		{oppo.About(), oppo.Opener(callback("oppo"))},
		{smpp.About(), smpp.Opener(notes)},
		{sms.About(), sms.Opener(callback("sms"))},
		{vivo.About(), vivo.Opener(callback("vivo"))},
		{webpush.About(), webpush.New},
		{xiaomi.About(), xiaomi.Opener(callback("xiaomi"))},
		{xmpp.About(), xmpp.New},
	}
}

// openers are how the services are opened, by name.
func openers(publicURL string, egress providers.Engine, notes smpp.Notes) map[string]providers.Opener {
	by := make(map[string]providers.Opener)
	for _, s := range services(publicURL, egress, notes) {
		by[s.Name] = s.open
	}
	return by
}
