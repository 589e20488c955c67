package places

import (
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald/push"
)

// weekdays are the words for days, by [time.Weekday].
var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// hours are when a fence is in force, ready to be asked.
type hours struct {
	days     [7]bool
	from, to int // minutes of the day
	zone     *time.Location
}

// newHours reads opening times that were checked; nil is always.
func newHours(o *push.OpeningTime) *hours {
	if o == nil {
		return nil
	}
	h, _ := readHours(func(string, string) {}, o)
	return h
}

// CheckHours checks opening times.
func CheckHours(add Add, o *push.OpeningTime) {
	if o != nil {
		_, _ = readHours(add, o)
	}
}

func readHours(add Add, o *push.OpeningTime) (h *hours, err error) {
	h = &hours{}
	for i, d := range o.Days {
		at := slices.Index(weekdays[:], d)
		if at < 0 {
			add(fmt.Sprintf("schedule.days[%d]", i), "is none of mon, tue, wed, thu, fri, sat, sun")
			continue
		}
		h.days[at] = true
	}
	if len(o.Days) == 0 {
		h.days = [7]bool{true, true, true, true, true, true, true}
	}
	h.from, h.to = minute(add, "schedule.from", o.From), minute(add, "schedule.to", o.To)
	if h.from == 24*60 {
		add("schedule.from", "must be before 24:00")
	}
	if o.From != "" && o.From == o.To {
		add("schedule.to", "is when it opens: leave the schedule out for a fence that is always in force")
	}
	if o.Timezone == "" {
		add("schedule.timezone", "is missing: an IANA name, such as Asia/Shanghai")
	} else if h.zone, err = time.LoadLocation(o.Timezone); err != nil || o.Timezone == "Local" {
		add("schedule.timezone", "is no IANA name, such as Asia/Shanghai")
	}
	return h, err
}

// minute reads a time of day; 24:00 is its end.
func minute(add Add, field, text string) int {
	if text == "24:00" {
		return 24 * 60
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		add(field, "must be a time of day, such as 09:30")
		return 0
	}
	return t.Hour()*60 + t.Minute()
}

// open tells whether the fence is in force at a time.
func (h *hours) open(t time.Time) bool {
	if h == nil {
		return true
	}
	t = t.In(h.zone)
	m, day := t.Hour()*60+t.Minute(), t.Weekday()
	if h.from < h.to {
		return h.days[day] && h.from <= m && m < h.to
	}
	// Over midnight: the morning belongs to the day before.
	return h.days[day] && m >= h.from || h.days[(day+6)%7] && m < h.to
}
