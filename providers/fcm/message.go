package fcm

import (
	"fmt"
	"time"

	"firebase.google.com/go/v4/messaging"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

const (
	// maxPayload is in bytes, of keys and values of data and the texts:
	// firebase.google.com/docs/cloud-messaging/customize-messages/set-message-type
	maxPayload = 4096
	// maxTTL is how long FCM keeps a message at most.
	maxTTL = 28 * 24 * time.Hour
)

// Weigh implements [providers.Provider]. Google does not say how it counts the
// blocks for one platform, so all of their JSON counts.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	w, _, err := weigh(d)
	return w, err
}

// weigh returns the options with the size.
func weigh(d *push.Delivery) (push.Payload, *options, error) {
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return push.Payload{Limit: maxPayload}, nil, err
	}
	n := len(d.Overrides[name]) + len(d.Title) + len(d.Body) + len(d.Replace()) + len(d.CollapseKey) +
		len(providers.IDKey) + len(d.ID) + len(providers.NotificationKey) + len(d.Notification.ID)
	for key, value := range d.Data {
		if isReserved(key) {
			return push.Payload{Limit: maxPayload}, nil, rejected("", fmt.Sprintf("data must not have the key %.40q, which is Google's own", key))
		}
		n += len(key) + len(value)
	}
	w := push.Payload{Bytes: n, Limit: maxPayload}
	if n > maxPayload {
		return w, nil, rejected("400", fmt.Sprintf("the message has %d bytes; Google takes %d", n, maxPayload))
	}
	return w, &o, nil
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

// message says the delivery in the SDK's words. The tag replaces on the screen.
// The collapse key replaces what waits for a device that is away; it is set only
// if the caller gave one, for FCM keeps at most four of them for a device and
// throws the others' messages away.
func message(d *push.Delivery, o *options) *messaging.Message {
	android := &messaging.AndroidConfig{
		Priority:     "high",
		CollapseKey:  d.CollapseKey,
		Notification: &messaging.AndroidNotification{Tag: d.Replace()},
	}
	if d.Class == push.Marketing {
		android.Priority = "normal" // may wait until the device wakes
	}
	if !d.ExpiresAt.IsZero() {
		ttl := min(max(time.Until(d.ExpiresAt).Round(time.Second), 0), maxTTL)
		android.TTL = &ttl
	}
	m := &messaging.Message{
		Token:        d.Address.Token,
		Data:         providers.AppData(d, d.ID),
		Notification: &messaging.Notification{Title: d.Title, Body: d.Body},
		Android:      android,
		APNS:         &messaging.APNSConfig{Headers: appleHeaders(d)},
	}
	o.say(m)
	if d.Silent {
		hush(android)
	}
	return m
}

// hush has quiet hours come before what the caller wishes. Android 8 and later
// go by the channel, and at least do not wake for it.
func hush(a *messaging.AndroidConfig) {
	a.Priority = "normal"
	if n := a.Notification; n != nil {
		n.Priority, n.Sound, n.DefaultSound, n.DefaultVibrateTimings, n.VibrateTimingMillis = messaging.PriorityLow, "", false, false, nil
	}
}
