package push

import (
	"encoding/json"
	"time"
)

// Schedule sends a notification again and again.
type Schedule struct {
	App string `json:"-"`
	ID  string `json:"id"` // 1 to 40 bytes of [A-Za-z0-9_-]
	// Cron is five fields: minute, hour, day of month, month, day of week; or a
	// word such as "@daily". It is read by the clock in Timezone.
	Cron     string `json:"cron"`
	Timezone string `json:"timezone"` // IANA
	// Request is the notification as its owner wrote it, for showing.
	Request json.RawMessage `json:"notification"`
	// NextAt is the next time it fires, LastAt the time for which it last did.
	NextAt    time.Time `json:"next_at"`
	LastAt    time.Time `json:"last_at,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	// Notification is the request after its checks, without id and times.
	Notification *Notification `json:"-"`
	TTLSeconds   int           `json:"-"`
}

// FiringID names the notification that a schedule sends for a time: the same
// for every worker, so that one of them is enough and two are no harm.
func (s *Schedule) FiringID(at time.Time) string {
	return s.ID + ":" + at.UTC().Format("20060102T150405Z")
}
