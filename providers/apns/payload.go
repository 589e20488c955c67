package apns

import (
	"bytes"
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

// maxPayload is Apple's limit in bytes for everything but VoIP:
// developer.apple.com/documentation/usernotifications/generating-a-remote-notification
const maxPayload = 4096

// aps is the part of the payload that the system reads. MutableContent lets the
// app's notification service extension run, which is the only witness of
// delivery that iOS has; without such an extension it does nothing.
type aps struct {
	Alert          alert  `json:"alert"`
	Sound          string `json:"sound"`
	MutableContent int    `json:"mutable-content"`
}

type alert struct {
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
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

// shared is the payload of one notification up to the delivery's id. It holds
// the notification, so that the pointer cannot come to mean another.
type shared struct {
	of     *push.Notification
	prefix []byte
	err    error
}

var seed = maphash.MakeSeed()

// build returns the payload; the error is that of [Provider.Weigh].
func (p *payloads) build(d *push.Delivery) ([]byte, error) {
	slot := &p.slots[maphash.Comparable(seed, d.Notification)%uint64(len(p.slots))]
	s := slot.Load()
	if s == nil || s.of != d.Notification {
		s = share(d.Notification)
		slot.Store(s)
	}
	if s.err != nil {
		return nil, s.err
	}
	if err := fitHeaders(d); err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(s.prefix)+len(d.ID)+4)
	b = append(b, s.prefix...)
	b = appendString(b, d.ID)
	b = append(b, '}')
	if len(b) > maxPayload {
		return b, rejected("413", fmt.Sprintf("the payload has %d bytes; Apple takes %d", len(b), maxPayload))
	}
	return b, nil
}

func share(n *push.Notification) *shared {
	s := &shared{of: n}
	if _, taken := n.Data["aps"]; taken {
		s.err = rejected("", `data must not have the key "aps", which is Apple's own`)
		return s
	}
	system, err := json.Marshal(aps{Alert: alert{n.Title, n.Body}, Sound: "default", MutableContent: 1})
	if err != nil {
		s.err = rejected("", "the text cannot be encoded")
		return s
	}
	b := append([]byte(`{"aps":`), system...)
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

// fitHeaders refuses what cannot be written into a header.
func fitHeaders(d *push.Delivery) error {
	if bytes.ContainsFunc([]byte(d.Replace()), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return rejected("", "the collapse key has control characters")
	}
	return nil
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
