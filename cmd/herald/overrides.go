package main

import (
	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/providers/apns"
	"github.com/herald-push/herald/providers/fcm"
	"github.com/herald-push/herald/providers/smpp"
	"github.com/herald-push/herald/providers/sms"
	"github.com/herald-push/herald/providers/webpush"
)

// overrides are the providers that a notification may say something to alone.
func overrides() map[string]api.CheckOverrides {
	return map[string]api.CheckOverrides{
		"apns":    apns.CheckOverrides,
		"fcm":     fcm.CheckOverrides,
		"smpp":    smpp.CheckOverrides,
		"sms":     sms.CheckOverrides,
		"webpush": webpush.CheckOverrides,
	}
}
