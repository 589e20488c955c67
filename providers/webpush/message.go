package webpush

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/herald-push/herald/push"
)

const (
	// limit is what every service must take, in bytes, encrypted: RFC 8030,
	// section 7.2.
	limit = 4096
	// overhead is what encryption adds in one record: header 86, delimiter 1,
	// tag 16 (RFC 8291, section 4).
	overhead = 103
	// step is what sizes are padded to, so that they tell less of the content.
	step = 128
	// maxTTL is the longest of the shortest: Google keeps a message four weeks
	// and refuses to be asked for more.
	maxTTL = 28 * 24 * time.Hour
)

// message is what the service worker reads: the same as on the live connection.
type message struct {
	ID           string            `json:"id"` // the delivery: reported back in receipts, and what repeats are dropped by
	Notification string            `json:"notification"`
	Title        string            `json:"title,omitempty"`
	Body         string            `json:"body,omitempty"`
	Data         map[string]string `json:"data,omitempty"`
	CollapseKey  string            `json:"collapse_key,omitempty"`
}

// encode returns the message in the clear and its size once encrypted.
func encode(d *push.Delivery) (text []byte, size int, err error) {
	text, err = json.Marshal(message{
		ID: d.ID, Notification: d.Notification.ID, Title: d.Title, Body: d.Body, Data: d.Data, CollapseKey: d.CollapseKey,
	})
	if err != nil {
		return nil, 0, rejected("", "the message cannot be written as JSON")
	}
	size = len(text) + overhead
	if size > limit {
		return nil, size, rejected("413", fmt.Sprintf("the encrypted message has %d bytes; push services take %d", size, limit))
	}
	return text, min((size+step-1)/step*step, limit), nil
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

// topic lets a later message replace one that still waits at the service: 32
// characters, which is the limit of RFC 8030, section 5.4.
func topic(d *push.Delivery) string {
	sum := sha256.Sum256([]byte(d.Replace()))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// urgency follows the examples of RFC 8030, section 5.3: a call is high, a chat
// normal, news low.
func urgency(c push.Class) library.Urgency {
	switch c.Urgency() {
	case "critical":
		return library.UrgencyHigh
	case "bulk":
		return library.UrgencyLow
	default:
		return library.UrgencyNormal
	}
}

// ttl is how many seconds the service may keep a message; 0 is now or never.
func ttl(expires time.Time) int {
	left := maxTTL
	if !expires.IsZero() {
		left = min(max(time.Until(expires), 0), maxTTL)
	}
	return int(left / time.Second)
}
