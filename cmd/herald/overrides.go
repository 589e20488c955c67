package main

import (
	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/providers/apns"
	"github.com/herald-push/herald/providers/fcm"
	"github.com/herald-push/herald/providers/honor"
	"github.com/herald-push/herald/providers/huawei"
	"github.com/herald-push/herald/providers/oppo"
	"github.com/herald-push/herald/providers/smpp"
	"github.com/herald-push/herald/providers/sms"
	"github.com/herald-push/herald/providers/vivo"
	"github.com/herald-push/herald/providers/webpush"
	"github.com/herald-push/herald/providers/xiaomi"
)

// overrides are the providers that a notification may say something to alone.
func overrides() map[string]api.CheckOverrides {
	return map[string]api.CheckOverrides{
		"apns":    apns.CheckOverrides,
		"fcm":     fcm.CheckOverrides,
		"honor":   honor.CheckOverrides,
		"huawei":  huawei.CheckOverrides,
		"oppo":    oppo.CheckOverrides,
		"smpp":    smpp.CheckOverrides,
		"sms":     sms.CheckOverrides,
		"vivo":    vivo.CheckOverrides,
		"webpush": webpush.CheckOverrides,
		"xiaomi":  xiaomi.CheckOverrides,
	}
}
