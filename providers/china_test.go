package providers

import (
	"testing"
	"time"
)

func TestQuotaOfADayInChinaComesBackAtItsMidnight(t *testing.T) {
	tests := map[string]struct {
		now  time.Time
		want time.Duration
	}{
		"in the evening there":              {time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC), 90 * time.Minute},
		"at midnight there":                 {time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC), 24 * time.Hour},
		"just before":                       {time.Date(2026, 11, 23, 15, 59, 59, 999_999_999, time.UTC), time.Nanosecond},
		"the day there is not the one here": {time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC), 20 * time.Hour},
		"the year ends":                     {time.Date(2026, 12, 31, 15, 0, 0, 0, time.UTC), time.Hour},
		"told in another zone":              {time.Date(2026, 11, 23, 9, 30, 0, 0, time.FixedZone("", -5*60*60)), 90 * time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := UntilMidnightInChina(tt.now); got != tt.want {
				t.Errorf("UntilMidnightInChina() = %v, want %v", got, tt.want)
			}
		})
	}
}
