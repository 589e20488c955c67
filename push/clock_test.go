package push_test

import (
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func TestWallTimeInAZone(t *testing.T) {
	tests := map[string]struct{ wall, zone, want string }{
		"an ordinary day":                             {"2026-03-01T09:00", "Europe/Berlin", "2026-03-01T08:00:00Z"},
		"summer":                                      {"2026-07-01T09:00:30", "Europe/Berlin", "2026-07-01T07:00:30Z"},
		"ahead of everybody":                          {"2026-03-01T09:00", "Pacific/Kiritimati", "2026-02-28T19:00:00Z"},
		"half an hour off":                            {"2026-03-01T09:00", "Asia/Kolkata", "2026-03-01T03:30:00Z"},
		"the hour that spring skips":                  {"2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30:00Z"},
		"the first minute that spring skips":          {"2026-03-29T02:00", "Europe/Berlin", "2026-03-29T01:00:00Z"},
		"the minute before":                           {"2026-03-29T01:59", "Europe/Berlin", "2026-03-29T00:59:00Z"},
		"the hour that autumn has twice: the first":   {"2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00Z"},
		"the hour after it":                           {"2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00:00Z"},
		"New York skips at two":                       {"2026-03-08T02:15", "America/New_York", "2026-03-08T07:15:00Z"},
		"New York's hour twice":                       {"2026-11-01T01:15", "America/New_York", "2026-11-01T05:15:00Z"},
		"half an hour is skipped at Lord Howe":        {"2026-10-04T02:10", "Australia/Lord_Howe", "2026-10-03T15:40:00Z"},
		"midnight is skipped at Santiago":             {"2026-09-06T00:30", "America/Santiago", "2026-09-06T04:30:00Z"},
		"a whole day was skipped at Apia (far shift)": {"2011-12-31T09:00", "Pacific/Apia", "2011-12-30T19:00:00Z"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wall, err := push.ParseWallTime(tt.wall)
			if err != nil {
				t.Fatal(err)
			}
			if got := push.InZone(wall, zone(t, tt.zone)).Format(time.RFC3339); got != tt.want {
				t.Errorf("InZone(%s, %s) = %s, want %s", tt.wall, tt.zone, got, tt.want)
			}
		})
	}
}

func TestClockOfANotification(t *testing.T) {
	wall, err := push.ParseWallTime("2026-03-01T09:00")
	if err != nil {
		t.Fatal(err)
	}
	n := &push.Notification{
		DeliverAtLocal: "2026-03-01T09:00", DeliverAt: push.FirstClock(wall), ExpiresAt: push.LastClock(wall).Add(time.Hour),
	}
	for name, want := range map[string]string{"Asia/Shanghai": "2026-03-01T01:00:00Z", "Pacific/Midway": "2026-03-01T20:00:00Z"} {
		due, over, ok := n.Clock(zone(t, name))
		if got := due.Format(time.RFC3339); !ok || got != want || over.Sub(due) != time.Hour {
			t.Errorf("Clock(%s) = %s, %s, %v; want %s and an hour", name, got, over, ok, want)
		}
		if due.Before(n.DeliverAt) || over.After(n.ExpiresAt) {
			t.Errorf("%s is due from %s to %s, outside of the notification's time", name, due, over)
		}
	}
	if _, _, ok := new(push.Notification).Clock(time.UTC); ok {
		t.Error("a notification without a local time has a clock")
	}
}

func TestQuietHoursEnd(t *testing.T) {
	night := &push.QuietHours{From: "22:00", To: "08:00"}
	noon := &push.QuietHours{From: "12:00", To: "13:30"}
	tests := map[string]struct {
		hours          *push.QuietHours
		at, zone, want string
	}{
		"before midnight":                      {night, "2026-03-01T22:30:00Z", "UTC", "2026-03-02T08:00:00Z"},
		"after midnight":                       {night, "2026-03-02T03:00:00Z", "UTC", "2026-03-02T08:00:00Z"},
		"the first minute":                     {night, "2026-03-01T22:00:00Z", "UTC", "2026-03-02T08:00:00Z"},
		"the last moment":                      {night, "2026-03-02T07:59:59Z", "UTC", "2026-03-02T08:00:00Z"},
		"the end is not quiet":                 {night, "2026-03-02T08:00:00Z", "UTC", ""},
		"by day":                               {night, "2026-03-01T12:00:00Z", "UTC", ""},
		"night in Shanghai":                    {night, "2026-03-01T15:00:00Z", "Asia/Shanghai", "2026-03-02T00:00:00Z"},
		"noon":                                 {noon, "2026-03-01T12:10:00Z", "UTC", "2026-03-01T13:30:00Z"},
		"the night that is an hour shorter":    {night, "2026-03-28T22:00:00Z", "Europe/Berlin", "2026-03-29T06:00:00Z"},
		"the night that is an hour longer":     {night, "2026-10-24T21:00:00Z", "Europe/Berlin", "2026-10-25T07:00:00Z"},
		"a window of nothing":                  {&push.QuietHours{From: "08:00", To: "08:00"}, "2026-03-01T08:00:00Z", "UTC", ""},
		"a window that cannot be read":         {&push.QuietHours{From: "8", To: "25:00"}, "2026-03-01T08:00:00Z", "UTC", ""},
		"the end came before clocks went back": {&push.QuietHours{From: "01:00", To: "02:30"}, "2026-10-25T01:10:00Z", "Europe/Berlin", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			end, ok := tt.hours.End(at, zone(t, tt.zone))
			if got := end.Format(time.RFC3339); ok != (tt.want != "") || ok && got != tt.want {
				t.Errorf("End() = %s, %v; want %q", got, ok, tt.want)
			}
		})
	}
}

func TestWhatRulesNeverBind(t *testing.T) {
	all := &push.QuietHours{Classes: push.Classes[:]}
	for _, c := range []push.Class{push.OTP, push.Call} {
		if all.Bind(c) || (push.Cap{Class: c}).Binds(c) {
			t.Errorf("class %s is bound", c)
		}
	}
	plain := &push.QuietHours{}
	if !plain.Bind(push.Marketing) || plain.Bind(push.Transactional) || !all.Bind(push.Chat) {
		t.Error("quiet hours bind marketing alone unless they say otherwise")
	}
	if c := (push.Cap{}); !c.Binds(push.Marketing) || c.Binds(push.Chat) {
		t.Error("a cap binds marketing alone unless it says otherwise")
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}
