package push

import (
	"slices"
	"time"
)

// Limits are what a service documents that it takes from one app.
type Limits struct {
	Source string `json:"source"` // where the service says so
	Date   string `json:"date"`   // when that was read, YYYY-MM-DD
	// PerSecond is how much a second it takes from one app; 0 is no figure.
	PerSecond float64 `json:"per_second,omitempty"`
	// PerRequest says that PerSecond counts requests, however many devices each
	// is for; else it counts deliveries.
	PerRequest bool    `json:"per_request,omitempty"`
	Quotas     []Quota `json:"quotas,omitempty"`
	Hours      []Hours `json:"hours,omitempty"`
	// OffsetHours is the service's clock, east of UTC: its days end by it.
	OffsetHours int `json:"offset_hours,omitempty"`
}

// Quota is how much of something a service takes in a day of its own.
type Quota struct {
	Name      string  `json:"name"`                 // such as "marketing_per_device"
	Classes   []Class `json:"classes,omitempty"`    // that it binds; empty is all
	PerDevice bool    `json:"per_device,omitempty"` // counted for each device by itself; else for the app
	// Limit is the number a day. 0 is unknown, because the service sets it by
	// the app's size: it is counted, and the service's refusal is the limit.
	Limit int64  `json:"limit,omitempty"`
	Means string `json:"means,omitempty"` // in our words, shown to people
}

// Hours are the only ones of a day in which a service takes some classes.
type Hours struct {
	Classes []Class `json:"classes"`
	From    int     `json:"from"` // the hour it opens at, from 0
	To      int     `json:"to"`   // the hour it closes at, up to 24
}

// Binds tells whether a quota is for a class.
func (q *Quota) Binds(c Class) bool { return len(q.Classes) == 0 || slices.Contains(q.Classes, c) }

// Day is the service's day at a time: its name and when it ends.
func (l *Limits) Day(now time.Time) (name string, ends time.Time) {
	now = now.In(time.FixedZone("", l.OffsetHours*3600))
	year, month, day := now.Date()
	return now.Format("20060102"), time.Date(year, month, day+1, 0, 0, 0, 0, now.Location())
}

// OpensAt is when the service takes a class again; zero if it does so now.
func (l *Limits) OpensAt(c Class, now time.Time) time.Time {
	now = now.In(time.FixedZone("", l.OffsetHours*3600))
	for _, h := range l.Hours {
		if !slices.Contains(h.Classes, c) || now.Hour() >= h.From && now.Hour() < h.To {
			continue
		}
		year, month, day := now.Date()
		if now.Hour() >= h.To {
			day++
		}
		return time.Date(year, month, day, h.From, 0, 0, 0, now.Location())
	}
	return time.Time{}
}
