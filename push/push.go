// Package push holds the words of Herald: what a notification is, where it
// goes, what may come of it and how it fails. It imports the standard library
// only, so every room of the house can speak these words without knowing
// another room.
package push

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Class says how much may be risked and spent on a notification.
type Class string

// The message classes. Exploration is zero for OTP and Call; frequency caps
// and quiet hours bind Marketing and never OTP or Call.
const (
	OTP           Class = "otp"
	Transactional Class = "transactional"
	Chat          Class = "chat"
	Call          Class = "call"
	Marketing     Class = "marketing"
)

// Classes lists every class in the order documents show them.
var Classes = [...]Class{OTP, Transactional, Chat, Call, Marketing}

// Known reports whether c is one of [Classes].
func (c Class) Known() bool {
	for _, k := range Classes {
		if c == k {
			return true
		}
	}
	return false
}

// Repeats tells whether a second copy of such a message is better than none: a
// code that comes twice is still a code.
func (c Class) Repeats() bool { return c == OTP }

// Urgency is the queue a class waits in: "critical", "default" or "bulk".
func (c Class) Urgency() string {
	switch c {
	case OTP, Call:
		return "critical"
	case Marketing:
		return "bulk"
	default:
		return "default"
	}
}

// Names of the providers and route words that the code itself refers to.
const (
	Live = "live" // our own connection
	SMS  = "sms"  // text messages by an HTTP service
	SMPP = "smpp" // text messages by SMPP 3.4
	Auto = "auto" // in a route: the best vendor for the device, chosen by the selector
)

// IsSMS reports whether a provider sends text messages: they cost money, go to
// phone numbers, and only where the app's policy allows it.
func IsSMS(provider string) bool { return provider == SMS || provider == SMPP }

// Notification is what was asked: reach these people with this, before then.
type Notification struct {
	App string `json:"app"`
	// ID is unique within the app: the caller's own or one made by the API.
	// 1 to 64 bytes of [A-Za-z0-9_-:] (no dot: a delivery's ID uses it).
	ID    string            `json:"id"`
	To    Audience          `json:"to"`
	Class Class             `json:"class"`
	Title string            `json:"title,omitempty"`
	Body  string            `json:"body,omitempty"`
	Data  map[string]string `json:"data,omitempty"`
	// Template is the app's template that Title, Body and Data were worded by,
	// with Variables; "" if the caller gave them.
	Template string `json:"template,omitempty"`
	// Localized is the content in the template's languages, by [LocaleKey].
	Localized map[string]Content `json:"localized,omitempty"`
	Variables map[string]string  `json:"variables,omitempty"`
	// Campaign is the caller's name for what this is part of: the record's
	// numbers can be asked for by it. 0 to 64 bytes.
	Campaign string `json:"campaign,omitempty"`
	// CollapseKey lets a newer notification replace an older one on the device.
	// 0 to 64 bytes.
	CollapseKey string `json:"collapse_key,omitempty"`
	Route       Route  `json:"route,omitzero"`
	// Overrides are what is meant for one provider alone, by its name: a JSON
	// object that only the provider's own room can read.
	Overrides map[string]json.RawMessage `json:"overrides,omitempty"`
	// DeliverAt is the earliest time of sending; zero means now.
	DeliverAt time.Time `json:"deliver_at,omitzero"`
	// DeliverAtLocal is a wall time ([WallTime]) that each device is sent to at
	// by its own clock. DeliverAt is then when the first clock on earth shows
	// it, and ExpiresAt counts from the last; see [Notification.Clock].
	DeliverAtLocal string `json:"deliver_at_local,omitempty"`
	// RatePerMinute bounds how many deliveries are begun in a minute; 0 is as
	// fast as it goes.
	RatePerMinute int `json:"rate_per_minute,omitempty"`
	// QuietHours is what becomes of it in quiet hours; "" is the app's choice.
	QuietHours QuietAction `json:"quiet_hours,omitempty"`
	// Digest collects it with others into one notification; nil sends it alone.
	Digest *DigestRule `json:"digest,omitempty"`
	// Silent lets it arrive without sound or vibration.
	Silent bool `json:"silent,omitempty"`
	// AcceptedAt is when the API took it, ExpiresAt when it stops being worth
	// sending: the later of AcceptedAt and DeliverAt plus the caller's ttl.
	AcceptedAt time.Time `json:"accepted_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// Trace is the W3C traceparent under which its story is told to a collector;
	// "" for most, which are not traced.
	Trace string `json:"trace,omitempty"`
}

// Audience names who is to be reached; exactly one field is set,
// but for Filter.
type Audience struct {
	Device  string   `json:"device,omitempty"`
	Devices []string `json:"devices,omitempty"`
	User    string   `json:"user,omitempty"` // all devices of this user
	Users   []string `json:"users,omitempty"`
	Tag     string   `json:"tag,omitempty"` // all devices that carry this tag
	All     bool     `json:"all,omitempty"` // all devices of the app
	// Near, Polygon and Place are all devices that were last seen there.
	Near    *Circle    `json:"near,omitempty"`
	Polygon []Location `json:"polygon,omitempty"`
	Place   string     `json:"place,omitempty"` // the app's name for it
	// Filter is an expression over the devices' attributes, in the language of
	// docs/scheduling.md. It stands alone, or beside Tag, All, Near, Polygon or
	// Place.
	Filter string `json:"filter,omitempty"`
}

// Route is what the caller wishes about the roads. Its zero value leaves
// everything to the selector.
type Route struct {
	// Roads are tried in order: provider names, or "auto" for the vendors of
	// the device in the selector's order. Empty means live, then auto, then sms
	// where the app's policy allows it for the class.
	Roads []string `json:"roads,omitempty"`
	// Until is the proof that ends the journey: Accepted, Delivered (default)
	// or Displayed.
	Until Stage `json:"until,omitempty"`
	// WaitSeconds is how long a road may stay without that proof before the
	// next is taken. 0 means the class's default.
	WaitSeconds int `json:"wait_seconds,omitempty"`
	// Parallel is how many roads are taken at once to begin with, those that
	// cost money left out. 0 is the class's default: a call takes the live
	// connection and the best vendor together, the others one road.
	Parallel int `json:"parallel,omitempty"`
}

// Address is where one provider finds one device.
type Address struct {
	Provider string `json:"provider"`
	// Token is the provider's own name for the device: APNs device token, FCM
	// registration token, phone number in E.164, and for "live" the device id.
	Token string `json:"token"`
	// Topic is APNs' bundle id where it differs from the credentials' own.
	Topic string `json:"topic,omitempty"`
	// Environment is "production" (default) or "sandbox", for APNs.
	Environment string `json:"environment,omitempty"`
}

// Device is one installation of an app.
type Device struct {
	App        string    `json:"app"`
	ID         string    `json:"id"`
	User       string    `json:"user,omitempty"`
	Platform   string    `json:"platform"` // ios android harmony web desktop
	Maker      string    `json:"maker,omitempty"`
	Model      string    `json:"model,omitempty"`
	OS         string    `json:"os,omitempty"`
	AppVersion string    `json:"app_version,omitempty"`
	Country    string    `json:"country,omitempty"` // ISO 3166-1 alpha-2, upper case
	Carrier    string    `json:"carrier,omitempty"`
	Locale     string    `json:"locale,omitempty"`   // BCP 47
	Timezone   string    `json:"timezone,omitempty"` // IANA name
	Tags       []string  `json:"tags,omitempty"`
	Location   *Location `json:"location,omitempty"`
	Addresses  []Address `json:"addresses,omitempty"` // at most one per provider
	CreatedAt  time.Time `json:"created_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at,omitzero"`
	// Evidence is what the selector has learned of the device, in its own
	// encoding. It comes with the device from the cache and belongs to nobody
	// else.
	Evidence string `json:"-"`
}

// Location is a position in degrees.
type Location struct {
	Lat float64 `json:"lat"`
	Lon float64 `json:"lon"`
	// At is when the device itself reported it, and Accuracy how exact it is, in
	// metres; zero for one that the app gave.
	At       time.Time `json:"at,omitzero"`
	Accuracy float64   `json:"accuracy_m,omitempty"`
}

// Address returns the device's address at a provider.
func (d *Device) Address(provider string) (Address, bool) {
	for _, a := range d.Addresses {
		if a.Provider == provider {
			return a, true
		}
	}
	return Address{}, false
}

// App is a tenant. It owns keys, credentials, devices and quotas.
type App struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Policy Policy `json:"policy"`
}

// Policy is what an app allows.
type Policy struct {
	// SMSClasses may fall back to SMS without the caller asking for it by name
	// in the route, and are the only ones that may use SMS at all.
	SMSClasses []Class `json:"sms_classes"`
	// Timezone (IANA) is that of devices and users who have none. Default UTC.
	Timezone string `json:"timezone,omitempty"`
	// Locale (BCP 47) is that of devices that have none, or one that a template
	// lacks. Default: the template's own.
	Locale string `json:"locale,omitempty"`
	// QuietHours are the app's; a user may have a window of their own.
	QuietHours *QuietHours `json:"quiet_hours,omitempty"`
	// Caps bound how much a user gets.
	Caps []Cap `json:"caps,omitempty"`
	// SMSBudget is what text messages may cost in a day (UTC), in millionths of
	// the app's currency; 0 is no bound. The nearer it is, the more a message
	// must be worth to get one.
	SMSBudget int64 `json:"sms_budget_micros_per_day,omitempty"`
	// Chat is about what the app's people say to each other.
	Chat ChatPolicy `json:"chat,omitzero"`
	// Selection says who chooses the roads; nothing is the selector, always.
	Selection Selection `json:"selection,omitzero"`
}

// ChatPolicy is what an app allows in chat.
type ChatPolicy struct {
	// KeepDays is after how many days messages are forgotten; 0 keeps them.
	KeepDays int `json:"keep_days,omitempty"`
	// Unscreened is what becomes of a message when a webhook that is to be asked
	// before does not answer: [PassUnscreened], [RefuseUnscreened], or empty for
	// what the installation's configuration says.
	Unscreened string `json:"unscreened,omitempty"`
}

// What becomes of a message that nobody could look at.
const (
	PassUnscreened   = "pass"
	RefuseUnscreened = "refuse"
)

// AllowsSMS reports whether a notification of class c may cost an SMS.
func (p Policy) AllowsSMS(c Class) bool {
	return slices.Contains(p.SMSClasses, c)
}

// Delivery is one notification for one device by one provider: what a provider
// is handed for an attempt. The notification is shared, never changed.
type Delivery struct {
	*Notification

	// ID names the delivery ([DeliveryID]). It goes out through every provider
	// as the message id that devices drop repeats by.
	ID      string
	Device  string
	Address Address
}

// Replace is the key under which a provider's own replace field should file
// the delivery: the caller's collapse key, or else the notification, so that a
// resend after a crash replaces instead of showing twice. It is the same for
// all devices, for some services take many of them in one request. At most 64
// bytes, which is APNs' limit.
func (d *Delivery) Replace() string {
	if d.CollapseKey != "" {
		return d.CollapseKey
	}
	return d.Notification.ID
}

// Chunk is the id that the deliveries of a chunk share, such as "order-8812.0".
// It goes out in place of their own where one request is for many devices.
// Together with the device, or its address, it leads back to the delivery.
func (d *Delivery) Chunk() string {
	chunk, _, _ := cutLast(d.ID)
	return chunk
}

// CommonID is the id that goes out in one request for these deliveries: the
// delivery's own, or of several that of their [Delivery.Chunk].
func CommonID(ds []*Delivery) string {
	if len(ds) == 1 {
		return ds[0].ID
	}
	return ds[0].Chunk()
}

// DeliveryID names the index-th delivery of a notification's chunk. Chunks and
// indexes are small numbers from 0, so the id leads back to its record without
// a look-up: "order-8812.0.17".
func DeliveryID(notification string, chunk, index int) string {
	b := make([]byte, 0, len(notification)+12)
	b = append(b, notification...)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(chunk), 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(index), 10)
	return string(b)
}

// ParseDeliveryID undoes [DeliveryID]; ok is false for anything else.
func ParseDeliveryID(id string) (notification string, chunk, index int, ok bool) {
	rest, last, found := cutLast(id)
	if !found {
		return "", 0, 0, false
	}
	notification, middle, found := cutLast(rest)
	if !found || notification == "" {
		return "", 0, 0, false
	}
	chunk, err1 := strconv.Atoi(middle)
	index, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || chunk < 0 || index < 0 {
		return "", 0, 0, false
	}
	return notification, chunk, index, true
}

// ParseChunkID undoes [Delivery.Chunk]; ok is false for anything else.
func ParseChunkID(id string) (notification string, chunk int, ok bool) {
	notification, last, found := cutLast(id)
	if !found || notification == "" || strings.Contains(notification, ".") {
		return "", 0, false
	}
	chunk, err := strconv.Atoi(last)
	if err != nil || chunk < 0 {
		return "", 0, false
	}
	return notification, chunk, true
}

// NotificationOf names the notification that the id of a delivery, or the one
// that a chunk shares, belongs to; ok is false for anything else.
func NotificationOf(id string) (notification string, ok bool) {
	if notification, _, _, ok = ParseDeliveryID(id); ok {
		return notification, true
	}
	notification, _, ok = ParseChunkID(id)
	return notification, ok
}

func cutLast(s string) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, '.'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
