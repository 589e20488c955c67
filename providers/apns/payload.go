package apns

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/herald-push/herald/push"
)

// Apple's limits in bytes, the second for VoIP alone:
// developer.apple.com/documentation/usernotifications/generating-a-remote-notification
const (
	maxPayload = 4096
	maxVoIP    = 5120
)

// aps is the part of the payload that the system reads. MutableContent lets the
// app's notification service extension run, which is the only witness of
// delivery that iOS has; without such an extension it does nothing.
type aps struct {
	Alert             *alert   `json:"alert,omitempty"`
	Badge             *int     `json:"badge,omitempty"`
	Sound             any      `json:"sound,omitempty"`
	ThreadID          string   `json:"thread-id,omitempty"`
	Category          string   `json:"category,omitempty"`
	TargetContentID   string   `json:"target-content-id,omitempty"`
	InterruptionLevel string   `json:"interruption-level,omitempty"`
	RelevanceScore    *float64 `json:"relevance-score,omitempty"`
	FilterCriteria    string   `json:"filter-criteria,omitempty"`
	MutableContent    int      `json:"mutable-content,omitempty"`
	ContentAvailable  int      `json:"content-available,omitempty"`
	ContentChanged    bool     `json:"content-changed,omitempty"`

	Event          string          `json:"event,omitempty"`
	Timestamp      *int64          `json:"timestamp,omitempty"`
	ContentState   json.RawMessage `json:"content-state,omitempty"`
	StaleDate      *int            `json:"stale-date,omitempty"`
	DismissalDate  *int            `json:"dismissal-date,omitempty"`
	AttributesType string          `json:"attributes-type,omitempty"`
	Attributes     json.RawMessage `json:"attributes,omitempty"`
}

type alert struct {
	Title           string   `json:"title,omitempty"`
	Body            string   `json:"body,omitempty"`
	Subtitle        string   `json:"subtitle,omitempty"`
	TitleLocKey     string   `json:"title-loc-key,omitempty"`
	TitleLocArgs    []string `json:"title-loc-args,omitempty"`
	SubtitleLocKey  string   `json:"subtitle-loc-key,omitempty"`
	SubtitleLocArgs []string `json:"subtitle-loc-args,omitempty"`
	LocKey          string   `json:"loc-key,omitempty"`
	LocArgs         []string `json:"loc-args,omitempty"`
	LaunchImage     string   `json:"launch-image,omitempty"`
}

// system is what the device's system reads of a notification.
func system(n *push.Notification, o *options) aps {
	t := pushTypes[o.kind()]
	a := aps{TargetContentID: o.TargetContentID, FilterCriteria: o.FilterCriteria}
	if o.ContentAvailable || o.PushType == "background" {
		a.ContentAvailable = 1
	}
	a.ContentChanged = o.PushType == "controls" || o.PushType == "widgets"
	if o.LiveActivity != nil {
		a.live(n, o.LiveActivity)
	}
	if t.silent || o.LiveActivity != nil && !o.LiveActivity.Alert && o.LiveActivity.Event != "start" {
		return a
	}
	a.Alert = &alert{
		Title: n.Title, Body: n.Body, Subtitle: o.Subtitle, LaunchImage: o.LaunchImage,
		TitleLocKey: o.TitleLocKey, TitleLocArgs: o.TitleLocArgs,
		SubtitleLocKey: o.SubtitleLocKey, SubtitleLocArgs: o.SubtitleLocArgs,
		LocKey: o.LocKey, LocArgs: o.LocArgs,
	}
	a.Badge, a.Sound = o.Badge, o.sound()
	a.ThreadID, a.Category = o.ThreadID, o.Category
	a.InterruptionLevel, a.RelevanceScore = o.InterruptionLevel, o.RelevanceScore
	if n.Silent { // quiet hours come before what the caller wishes
		a.Sound, a.InterruptionLevel = nil, "passive"
	}
	if o.LiveActivity == nil && (o.MutableContent == nil || *o.MutableContent) {
		a.MutableContent = 1
	}
	return a
}

func (a *aps) live(n *push.Notification, l *liveActivity) {
	at := n.AcceptedAt.Unix()
	if l.Timestamp != nil {
		at = int64(*l.Timestamp)
	}
	a.Event, a.Timestamp, a.ContentState = l.Event, &at, l.ContentState
	a.StaleDate, a.DismissalDate = l.StaleDate, l.DismissalDate
	a.AttributesType, a.Attributes = l.AttributesType, l.Attributes
}

// sound is a name, or Apple's dictionary for one that sounds through silence.
func (o *options) sound() any {
	switch c := o.CriticalSound; {
	case c != nil:
		d := map[string]any{"critical": 1, "name": c.Name, "volume": 1.0}
		if c.Name == "" {
			d["name"] = "default"
		}
		if c.Volume != nil {
			d["volume"] = *c.Volume
		}
		return d
	case o.Sound != nil && *o.Sound == "":
		return nil
	case o.Sound != nil:
		return *o.Sound
	default:
		return "default"
	}
}

// payloads builds payloads:
//
//	{"aps":{…},"order":"8812",…,"herald_notification":"n1","herald_id":"n1.0.17"}
//
// The caller's data are keys of their own, as apps expect. All but the delivery
// is the same for every device of a notification, so it is kept for the
// notifications that are being sent just now.
type payloads struct {
	slots [32]atomic.Pointer[shared]
}

// shared is what all deliveries of one notification have in common: its options
// and the payload up to the delivery's id. It holds the notification, so that
// the pointer cannot come to mean another.
type shared struct {
	of      *push.Notification
	options options
	limit   int
	prefix  []byte
	err     error
}

var seed = maphash.MakeSeed()

// build returns the payload, and what it shares with the notification's other
// ones; the error is that of [Provider.Weigh].
func (p *payloads) build(d *push.Delivery) ([]byte, *shared, error) {
	slot := &p.slots[maphash.Comparable(seed, d.Notification)%uint64(len(p.slots))]
	s := slot.Load()
	if s == nil || s.of != d.Notification {
		s = share(d.Notification)
		slot.Store(s)
	}
	if s.err != nil {
		return nil, s, s.err
	}
	if hasControls(d.Replace()) {
		return nil, s, rejected("", "the collapse key has control characters")
	}
	b := make([]byte, 0, len(s.prefix)+len(d.ID)+4)
	b = append(b, s.prefix...)
	b = appendString(b, d.ID)
	b = append(b, '}')
	if len(b) > s.limit {
		return b, s, rejected("413", fmt.Sprintf("the payload has %d bytes; Apple takes %d", len(b), s.limit))
	}
	return b, s, nil
}

func share(n *push.Notification) *shared {
	s := &shared{of: n, limit: maxPayload}
	if s.options, s.err = overrides.Of(n); s.err != nil {
		return s
	}
	s.limit = pushTypes[s.options.kind()].limit
	if _, taken := n.Data["aps"]; taken {
		s.err = rejected("", `data must not have the key "aps", which is Apple's own`)
		return s
	}
	aps, err := json.Marshal(system(n, &s.options))
	if err != nil {
		s.err = rejected("", "the text cannot be encoded")
		return s
	}
	b := append([]byte(`{"aps":`), aps...)
	for _, key := range slices.Sorted(maps.Keys(n.Data)) {
		if key == "herald_notification" || key == "herald_id" {
			continue
		}
		b = appendString(append(b, ','), key)
		b = appendString(append(b, ':'), n.Data[key])
	}
	b = appendString(append(b, `,"herald_notification":`...), n.ID)
	s.prefix = append(b, `,"herald_id":`...)
	return s
}

// appendString appends s as JSON. It escapes <, > and & as encoding/json does,
// because apns2 would do so afterwards and the payload must not grow then.
func appendString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // a string can always be encoded
	}
	return append(b, q...)
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

// messageID is the delivery's apns-id: a name-based UUID (RFC 9562, version 5),
// so that a second attempt carries the same.
func messageID(app, delivery string) string {
	h := sha1.Sum([]byte("herald\x00" + app + "\x00" + delivery))
	h[6] = h[6]&0x0f | 0x50
	h[8] = h[8]&0x3f | 0x80
	var u [36]byte
	hex.Encode(u[0:], h[0:4])
	hex.Encode(u[9:], h[4:6])
	hex.Encode(u[14:], h[6:8])
	hex.Encode(u[19:], h[8:10])
	hex.Encode(u[24:], h[10:16])
	u[8], u[13], u[18], u[23] = '-', '-', '-', '-'
	return string(u[:])
}
