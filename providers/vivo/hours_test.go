package vivo

import (
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// at is a time of day in China.
func at(hour, minute int) time.Time {
	return time.Date(2026, 11, 23, hour, minute, 0, 0, time.FixedZone("CST", 8*60*60)).UTC()
}

func TestNextOpening(t *testing.T) {
	for name, tt := range map[string]struct {
		now  time.Time
		wait time.Duration
	}{
		"just before":      {at(6, 59), time.Minute},
		"at seven":         {at(7, 0), 24 * time.Hour},
		"at eleven":        {at(23, 0), 8 * time.Hour},
		"at night":         {at(0, 30), 6*time.Hour + 30*time.Minute},
		"in the afternoon": {at(15, 0), 16 * time.Hour},
	} {
		if got := untilNextOpening(tt.now); got != tt.wait {
			t.Errorf("%s: untilNextOpening() = %v, want %v", name, got, tt.wait)
		}
	}
	if got := providers.UntilMidnightInChina(at(22, 30)); got != 90*time.Minute {
		t.Errorf("UntilMidnightInChina() = %v, want 1h30m", got)
	}
}

// The lane keeps the hours of limits.json, and closes the class of a message
// that is refused for a quota: so both are that.
func TestHoursAndQuotasAreTheLanesToKeep(t *testing.T) {
	limits, err := open1(t).Limits()
	if err != nil || len(limits.Hours) != 1 || limits.Hours[0].From != opens || limits.Hours[0].To != 23 || limits.OffsetHours != 8 {
		t.Errorf("limits = %+v, %v, want operations messages from 7 to 23 o'clock in China", limits, err)
	}
	for code, wait := range map[string]time.Duration{"10070": 9 * time.Hour, "10071": 16 * time.Hour} {
		s := service()
		s.Accept = providertest.JSON(200, `{"result":`+code+`,"desc":"no"}`)
		f := providertest.HTTP(s).Start(t, providertest.Accepts)
		p := f.Provider.(*Provider)
		p.now = func() time.Time { return at(15, 0) }
		ad := delivery("n1.0.0")
		ad.Class = push.Marketing
		_, err := p.Send(t.Context(), ad)
		var e *push.Error
		if !errors.As(err, &e) || !errors.Is(err, push.ErrQuota) || e.RetryAfter != wait || e.Scope != push.ScopeProvider {
			t.Errorf("%s: Send() = %v, want a quota for %v", code, err, wait)
		}
	}
}
