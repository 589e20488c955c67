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

// sealed is a message before it is encrypted, with its size afterwards.
type sealed struct {
	options options
	text    []byte
	size    int
}

// encode writes the message; its error is that of [Provider.Weigh].
func encode(d *push.Delivery) (s sealed, err error) {
	if s.options, err = overrides.Of(d.Notification); err != nil {
		return s, err
	}
	s.text, err = json.Marshal(message{
		ID: d.ID, Notification: d.Notification.ID, Title: d.Title, Body: d.Body, Data: d.Data, CollapseKey: d.CollapseKey,
		Silent: d.Silent, Options: s.options.Options, URL: s.options.URL,
	})
	if err != nil {
		return s, rejected("", "the message cannot be written as JSON")
	}
	s.size = len(s.text) + overhead
	if s.size > limit {
		return s, rejected("413", fmt.Sprintf("the encrypted message has %d bytes; push services take %d", s.size, limit))
	}
	s.size = min((s.size+step-1)/step*step, limit)
	return s, nil
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

// topic lets a later message replace one that still waits at the service: 32
// characters, which is the limit of RFC 8030, section 5.4.
func (s *sealed) topic(d *push.Delivery) string {
	if s.options.Topic != nil {
		return *s.options.Topic
	}
	sum := sha256.Sum256([]byte(d.Replace()))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// urgency follows the examples of RFC 8030, section 5.3: a call is high, a chat
// normal, news low.
func (s *sealed) urgency(c push.Class) library.Urgency {
	if s.options.Urgency != "" {
		return library.Urgency(s.options.Urgency)
	}
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
func (s *sealed) ttl(expires time.Time) int {
	left := maxTTL
	if !expires.IsZero() {
		left = min(max(time.Until(expires), 0), maxTTL)
	}
	if t := s.options.TTL; t != nil {
		left = min(left, time.Duration(*t)*time.Second)
	}
	return int(left / time.Second)
}
