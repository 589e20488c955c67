package fcm

import (
	"encoding/json"
	"maps"
	"strconv"
	"time"

	"firebase.google.com/go/v4/messaging"

	"github.com/herald-push/herald/push"
)

// say puts what is meant for Google alone over what all providers are told.
func (o *options) say(m *messaging.Message) {
	if o.AnalyticsLabel != "" {
		m.FCMOptions = &messaging.FCMOptions{AnalyticsLabel: o.AnalyticsLabel}
	}
	if m.Notification != nil {
		m.Notification.ImageURL = o.Image
	}
	if o.DataOnly {
		m.Notification, m.Android.Notification = nil, nil
		// Apple wakes an app with nothing to show only so.
		m.APNS.Headers["apns-push-type"], m.APNS.Headers["apns-priority"] = "background", "5"
		m.APNS.Payload = &messaging.APNSPayload{Aps: &messaging.Aps{ContentAvailable: true}}
	}
	if o.Android != nil {
		o.Android.say(m.Android)
	}
	if o.APNS != nil {
		o.APNS.say(m.APNS)
	}
	if o.Webpush != nil {
		o.Webpush.say(m)
	}
}

func (a *android) say(to *messaging.AndroidConfig) {
	if a.CollapseKey != nil {
		to.CollapseKey = *a.CollapseKey
	}
	if a.Priority != "" {
		to.Priority = a.Priority
	}
	if a.TTL != "" {
		ttl := duration(a.TTL)
		if to.TTL == nil || ttl < *to.TTL { // no longer than it is worth anything
			to.TTL = &ttl
		}
	}
	to.RestrictedPackageName, to.DirectBootOK = a.RestrictedPackageName, a.DirectBootOK
	if a.FCMOptions != nil {
		to.FCMOptions = &messaging.AndroidFCMOptions{AnalyticsLabel: a.FCMOptions.AnalyticsLabel}
	}
	if a.Notification != nil && to.Notification != nil {
		a.Notification.say(to.Notification)
	}
}

func (n *androidNotification) say(to *messaging.AndroidNotification) {
	tag := to.Tag
	if n.Tag != "" {
		tag = n.Tag
	}
	*to = messaging.AndroidNotification{
		Tag: tag, Title: n.Title, Body: n.Body, Icon: n.Icon, Color: n.Color, Sound: n.Sound, ClickAction: n.ClickAction,
		BodyLocKey: n.BodyLocKey, BodyLocArgs: n.BodyLocArgs, TitleLocKey: n.TitleLocKey, TitleLocArgs: n.TitleLocArgs,
		ChannelID: n.ChannelID, ImageURL: n.Image, Ticker: n.Ticker, Sticky: n.Sticky, LocalOnly: n.LocalOnly,
		DefaultSound: n.DefaultSound, DefaultVibrateTimings: n.DefaultVibrateTimings, DefaultLightSettings: n.DefaultLightSettings,
		NotificationCount: n.NotificationCount,
	}
	// Words that are none of Google's were refused; the zero value says nothing.
	to.Priority = map[string]messaging.AndroidNotificationPriority{
		"PRIORITY_MIN": messaging.PriorityMin, "PRIORITY_LOW": messaging.PriorityLow, "PRIORITY_DEFAULT": messaging.PriorityDefault,
		"PRIORITY_HIGH": messaging.PriorityHigh, "PRIORITY_MAX": messaging.PriorityMax,
	}[n.Priority]
	to.Visibility = map[string]messaging.AndroidNotificationVisibility{
		"PRIVATE": messaging.VisibilityPrivate, "PUBLIC": messaging.VisibilityPublic, "SECRET": messaging.VisibilitySecret,
	}[n.Visibility]
	to.Proxy = map[string]messaging.AndroidNotificationProxy{
		"ALLOW": messaging.ProxyAllow, "DENY": messaging.ProxyDeny, "IF_PRIORITY_LOWERED": messaging.ProxyIfPriorityLowered,
	}[n.Proxy]
	if at, err := time.Parse(time.RFC3339Nano, n.EventTime); err == nil {
		to.EventTimestamp = &at
	}
	for _, t := range n.VibrateTimings {
		to.VibrateTimingMillis = append(to.VibrateTimingMillis, duration(t).Milliseconds())
	}
	if l := n.LightSettings; l != nil {
		to.LightSettings = &messaging.LightSettings{
			Color: l.Color, LightOnDurationMillis: duration(l.On).Milliseconds(), LightOffDurationMillis: duration(l.Off).Milliseconds(),
		}
	}
}

func (a *apns) say(to *messaging.APNSConfig) {
	maps.Copy(to.Headers, a.Headers)
	to.LiveActivityToken = a.LiveActivityToken
	if a.Payload != nil {
		to.Payload, _ = a.payload() // check has read it
	}
	if o := a.FCMOptions; o != nil {
		to.FCMOptions = &messaging.APNSFCMOptions{AnalyticsLabel: o.AnalyticsLabel, ImageURL: o.Image}
	}
}

func (a *apns) payload() (*messaging.APNSPayload, error) {
	p := new(messaging.APNSPayload)
	return p, json.Unmarshal(a.Payload, p)
}

func (w *webpush) say(m *messaging.Message) {
	m.Webpush = &messaging.WebpushConfig{Headers: w.Headers, Data: w.Data}
	if w.Data != nil {
		m.Webpush.Data = maps.Clone(m.Data) // Google takes one or the other
		maps.Copy(m.Webpush.Data, w.Data)
	}
	if w.Notification != nil {
		m.Webpush.Notification, _ = w.notification() // check has read it
	}
	if o := w.FCMOptions; o != nil {
		m.Webpush.FCMOptions = &messaging.WebpushFCMOptions{Link: o.Link}
	}
}

func (w *webpush) notification() (*messaging.WebpushNotification, error) {
	n := new(messaging.WebpushNotification)
	return n, json.Unmarshal(w.Notification, n)
}

// appleHeaders are for devices of Apple's behind Google: without them Apple
// would neither replace nor forget.
func appleHeaders(d *push.Delivery) map[string]string {
	h := map[string]string{"apns-collapse-id": d.Replace()}
	if !d.ExpiresAt.IsZero() {
		h["apns-expiration"] = strconv.FormatInt(d.ExpiresAt.Unix(), 10)
	}
	if d.Class == push.Marketing {
		h["apns-priority"] = "5"
	}
	return h
}
