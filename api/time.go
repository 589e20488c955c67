package api

import (
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// Limits of time.
const (
	maxCaps        = 16
	maxCapLimit    = 1000
	maxWindow      = 30 * 24 * 3600 // seconds, of a cap
	maxDigest      = 24 * 3600      // seconds, of a digest's window
	maxDigestKey   = 50
	maxScheduleID  = 40 // and a time behind it makes a notification's id
	maxRate        = 10_000_000
	shownFirings   = 5
	needWallTime   = "must be a time without a zone, such as 2026-03-01T09:00"
	needClockTime  = "must be a time of day, such as 22:00"
	needTimezone   = "must be a name of the IANA database, such as Europe/Berlin"
	needScheduleID = `must be 1 to 40 letters, digits, "_" or "-"`
)

type digestRequest struct {
	Key           string `json:"key"`
	WindowSeconds int    `json:"window_seconds"`
	Template      string `json:"template,omitempty"`
}

type quietHoursRequest struct {
	From    string           `json:"from"`
	To      string           `json:"to"`
	Classes []push.Class     `json:"classes,omitempty"`
	Action  push.QuietAction `json:"action,omitempty"`
}

type capRequest struct {
	Class         push.Class `json:"class,omitempty"`
	Limit         int        `json:"limit"`
	WindowSeconds int        `json:"window_seconds"`
}

// checkLocal reads the local time of a notification: when the first and the
// last clock on earth show it. ok is false without one, or with faults.
func (r *notificationRequest) checkLocal(fs *faults, now time.Time) (first, last time.Time, ok bool) {
	const field = "deliver_at_local"
	if r.DeliverAtLocal == "" {
		return first, last, false
	}
	wall, err := push.ParseWallTime(r.DeliverAtLocal)
	first, last = push.FirstClock(wall), push.LastClock(wall)
	switch {
	case err != nil:
		fs.add(field, needWallTime)
	case r.DeliverAt != "":
		fs.add(field, "stands beside deliver_at: give one of them")
	case first.After(now.Add(maxDelay)):
		fs.add(field, "is more than 30 days ahead")
	case last.Before(now.Add(-maxLate)):
		fs.add(field, "is more than a day in the past everywhere")
	default:
		return first, last, true
	}
	return first, last, false
}

func (r *notificationRequest) checkQuiet(fs *faults) {
	switch {
	case r.QuietHours == "":
	case !r.QuietHours.Known():
		fs.addf("quiet_hours", "%q is none of hold, drop, silent", shorten(string(r.QuietHours)))
	case !r.Class.Bound():
		fs.addf("quiet_hours", "never bind the class %s", r.Class)
	}
}

func (d *digestRequest) check(fs *faults, class push.Class) *push.DigestRule {
	if d == nil {
		return nil
	}
	if !spelled(d.Key, maxDigestKey, "") {
		fs.addf("digest.key", `must be 1 to %d letters, digits, "_" or "-"`, maxDigestKey)
	}
	if d.WindowSeconds < 1 || d.WindowSeconds > maxDigest {
		fs.addf("digest.window_seconds", "must be 1 to %d, not %d", maxDigest, d.WindowSeconds)
	}
	if !class.Bound() {
		fs.addf("digest", "the class %s is never collected", class)
	}
	return &push.DigestRule{Key: d.Key, WindowSeconds: d.WindowSeconds, Template: d.Template}
}

// check reads quiet hours; those of a user have neither classes nor action.
func (q *quietHoursRequest) check(fs *faults, field string, ofUser bool) *push.QuietHours {
	if q == nil {
		return nil
	}
	for _, edge := range [...]struct{ name, value string }{{".from", q.From}, {".to", q.To}} {
		if _, ok := push.ClockTime(edge.value); !ok {
			fs.add(field+edge.name, needClockTime)
		}
	}
	if q.From == q.To {
		fs.add(field+".to", "is the same as from: leave quiet hours out instead")
	}
	for i, class := range q.Classes {
		boundClass(fs, fmt.Sprintf("%s.classes[%d]", field, i), class)
	}
	if q.Action != "" && !q.Action.Known() {
		fs.addf(field+".action", "%q is none of hold, drop, silent", shorten(string(q.Action)))
	}
	if ofUser && len(q.Classes) > 0 {
		fs.add(field+".classes", "is the app's to say")
	}
	if ofUser && q.Action != "" {
		fs.add(field+".action", "is the app's to say")
	}
	hours := push.QuietHours(*q)
	return &hours
}

// boundClass checks a class that a rule is to bind.
func boundClass(fs *faults, field string, class push.Class) {
	switch {
	case !class.Known():
		fs.addf(field, "%q is none of transactional, chat, marketing", shorten(string(class)))
	case !class.Bound():
		fs.addf(field, "the class %s is never bound", class)
	}
}

func checkCaps(fs *faults, caps []capRequest) []push.Cap {
	if len(caps) > maxCaps {
		fs.addf("policy.caps", "must have at most %d entries, not %d", maxCaps, len(caps))
		return nil
	}
	var all []push.Cap
	for i, c := range caps {
		field := fmt.Sprintf("policy.caps[%d]", i)
		if c.Class != "" {
			boundClass(fs, field+".class", c.Class)
		}
		if c.Limit < 1 || c.Limit > maxCapLimit {
			fs.addf(field+".limit", "must be 1 to %d, not %d", maxCapLimit, c.Limit)
		}
		if c.WindowSeconds < 1 || c.WindowSeconds > maxWindow {
			fs.addf(field+".window_seconds", "must be 1 to %d, not %d", maxWindow, c.WindowSeconds)
		}
		all = append(all, push.Cap(c))
	}
	return all
}

// checkTimezone takes a name of the IANA database, or none.
func checkTimezone(fs *faults, field, name string) {
	if name == "" {
		return
	}
	if _, err := time.LoadLocation(name); err != nil || strings.EqualFold(name, "local") {
		fs.add(field, needTimezone)
	}
}
