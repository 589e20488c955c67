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

// openers is the one list of the services that carry notifications. The live
// connection is not in it: it needs no credentials, and wire.go adds it.
// Services that report later do so at publicURL; without one they do not.
// Egress is the engine under those that take it.
func openers(publicURL string, egress providers.Engine, notes smpp.Notes) map[string]providers.Opener {
	callback := func(provider string) string {
		if publicURL == "" {
			return ""
		}
		return strings.TrimSuffix(publicURL, "/") + "/v1/callbacks/" + provider
	}
	return map[string]providers.Opener{
		"apns":    apns.Opener(egress),
		"fcm":     fcm.Opener(egress),
		"honor":   honor.New,
		"http":    custom.New,
		"huawei":  huawei.New,
		"smpp":    smpp.Opener(notes),
		"sms":     sms.Opener(callback("sms")),
		"webpush": webpush.New,
		"xiaomi":  xiaomi.Opener(callback("xiaomi")),
		"xmpp":    xmpp.New,
		"oppo":    oppo.Opener(callback("oppo")),
		"meizu":   meizu.Opener(callback("meizu")),
		"vivo":    vivo.Opener(callback("vivo")),
	}
}
