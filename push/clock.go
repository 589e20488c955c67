package push

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// WallTime is the layout of a time without a zone, as a clock on a wall shows
// it. Seconds may be left out.
const WallTime = "2006-01-02T15:04:05"

// The clocks of the earth are at most this far from UTC.
const (
	earliestZone = 14 * time.Hour  // Kiritimati is ahead
	latestZone   = -12 * time.Hour // Baker Island is behind
)

// ParseWallTime reads [WallTime], with or without seconds, as if it were UTC.
func ParseWallTime(s string) (time.Time, error) {
	if strings.Count(s, ":") == 1 {
		return time.Parse("2006-01-02T15:04", s)
	}
	return time.Parse(WallTime, s)
}

// InZone is the instant at which a clock in a zone shows a wall time, which is
// given as if it were UTC. A wall time that is skipped when clocks go forward is
// as much later as they skip (02:30 becomes 03:30); of one that comes twice when
// they go back, the first counts.
func InZone(wall time.Time, zone *time.Location) time.Time {
	before, after := offsetAt(wall.Add(-day), zone), offsetAt(wall.Add(day), zone)
	first, second := wall.Add(-before), wall.Add(-after)
	if second.Before(first) {
		first, second = second, first
	}
	for _, t := range [...]time.Time{first, second} {
		if t.Add(offsetAt(t, zone)).Equal(wall) {
			return t.UTC()
		}
	}
	return wall.Add(-before).UTC()
}

const day = 24 * time.Hour

func offsetAt(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// FirstClock and LastClock are when the first and the last clock on earth show
// a wall time that is given as if it were UTC.
func FirstClock(wall time.Time) time.Time { return wall.Add(-earliestZone) }

// LastClock is described at [FirstClock].
func LastClock(wall time.Time) time.Time { return wall.Add(-latestZone) }

// Clock is when a notification with a local time is due, and when it is over,
// for a device in a zone; ok is false for one without. Its time to live counts
// from when it is due there.
func (n *Notification) Clock(zone *time.Location) (due, over time.Time, ok bool) {
	if n.DeliverAtLocal == "" {
		return time.Time{}, time.Time{}, false
	}
	wall, err := ParseWallTime(n.DeliverAtLocal)
	if err != nil {
		return time.Time{}, time.Time{}, false
	}
	due = InZone(wall, zone)
	return due, due.Add(n.ExpiresAt.Sub(LastClock(wall))), true
}

// QuietAction is what becomes of a notification in quiet hours.
type QuietAction string

// What may become of it.
const (
	QuietHold   QuietAction = "hold"   // it is sent when they end
	QuietDrop   QuietAction = "drop"   // it is not sent
	QuietSilent QuietAction = "silent" // it is sent without sound or vibration
)

// Known reports whether a is one of the three.
func (a QuietAction) Known() bool { return a == QuietHold || a == QuietDrop || a == QuietSilent }

// QuietHours are a part of each day by the clock where the device is. From and
// To are times such as "22:00"; a window may go over midnight.
type QuietHours struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Classes are bound by them; none means Marketing alone. OTP and Call never
	// are.
	Classes []Class `json:"classes,omitempty"`
	// Action is for notifications that say nothing; "" means QuietHold.
	Action QuietAction `json:"action,omitempty"`
}

// Bound reports whether rules that protect people's peace (quiet hours, caps)
// may ever bind a class.
func (c Class) Bound() bool { return c != OTP && c != Call }

// Bind reports whether these quiet hours bind a class.
func (q *QuietHours) Bind(c Class) bool {
	if len(q.Classes) == 0 {
		return c == Marketing
	}
	return c.Bound() && slices.Contains(q.Classes, c)
}

// End is when the quiet hours end that hold at t in a zone; ok is false if none
// do. A window that cannot be read never holds.
func (q *QuietHours) End(t time.Time, zone *time.Location) (end time.Time, ok bool) {
	from, ok1 := ClockTime(q.From)
	to, ok2 := ClockTime(q.To)
	if !ok1 || !ok2 || from == to {
		return time.Time{}, false
	}
	here := t.In(zone)
	now := time.Duration(here.Hour())*time.Hour + time.Duration(here.Minute())*time.Minute
	midnight := time.Date(here.Year(), here.Month(), here.Day(), 0, 0, 0, 0, time.UTC)
	switch {
	case from < to && now >= from && now < to, from > to && now < to:
		end = InZone(midnight.Add(to), zone)
	case from > to && now >= from:
		end = InZone(midnight.AddDate(0, 0, 1).Add(to), zone)
	default:
		return time.Time{}, false
	}
	if !end.After(t) { // the clock was put back over the end: it has passed once already
		return time.Time{}, false
	}
	return end, true
}

// ClockTime reads a time of day such as "22:00".
func ClockTime(s string) (time.Duration, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	h, err1 := strconv.ParseUint(s[:2], 10, 8)
	m, err2 := strconv.ParseUint(s[3:], 10, 8)
	if err1 != nil || err2 != nil || h > 23 || m > 59 {
		return 0, false
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, true
}

// Cap bounds how many notifications of a class one user gets in a window that
// ends now. All devices of a user count as one; a device without a user counts
// for itself.
type Cap struct {
	Class         Class `json:"class,omitempty"` // "" means Marketing; never OTP or Call
	Limit         int   `json:"limit"`
	WindowSeconds int   `json:"window_seconds"`
}

// Binds reports whether the cap counts a class.
func (c Cap) Binds(class Class) bool {
	if c.Class == "" {
		return class == Marketing
	}
	return c.Class == class && class.Bound()
}

// Window is the length of the cap's window.
func (c Cap) Window() time.Duration { return time.Duration(c.WindowSeconds) * time.Second }

// User is what a person has said about being reached.
type User struct {
	App      string `json:"-"`
	ID       string `json:"id"`
	Timezone string `json:"timezone,omitempty"` // IANA; for devices that have none
	// QuietHours replace the app's window. Classes and Action stay the app's.
	QuietHours *QuietHours `json:"quiet_hours,omitempty"`
	UpdatedAt  time.Time   `json:"updated_at,omitzero"`
}

// DigestRule collects notifications of one key for one user over a window that
// begins with the first. When it ends the user gets one notification for all.
type DigestRule struct {
	Key           string `json:"key"` // 1 to 64 bytes of [A-Za-z0-9_-]
	WindowSeconds int    `json:"window_seconds"`
	// Template words the digest, with the variables count, title, body (of the
	// latest) and titles (one a line). "" is a plain summary.
	Template string `json:"template,omitempty"`
}

// Window is the length of the digest's window.
func (d *DigestRule) Window() time.Duration { return time.Duration(d.WindowSeconds) * time.Second }
