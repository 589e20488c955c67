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

func TestHoursOfOperationsMessages(t *testing.T) {
	tests := map[string]struct {
		now  time.Time
		wait time.Duration
	}{
		"at seven":         {at(7, 0), 0},
		"just before":      {at(6, 59), time.Minute},
		"late":             {at(22, 59), 0},
		"at eleven":        {at(23, 0), 8 * time.Hour},
		"at night":         {at(0, 30), 6*time.Hour + 30*time.Minute},
		"in the afternoon": {at(15, 0), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := untilOpen(tt.now); got != tt.wait {
				t.Errorf("untilOpen() = %v, want %v", got, tt.wait)
			}
		})
	}
	if got := providers.UntilMidnightInChina(at(22, 30)); got != 90*time.Minute {
		t.Errorf("UntilMidnightInChina() = %v, want 1h30m", got)
	}
}

func TestMarketingWaitsOutsideAndNothingElseDoes(t *testing.T) {
	f := providertest.HTTP(service()).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	p.now = func() time.Time { return at(23, 30) }
	ad := delivery("n1.0.0")
	ad.Class = push.Marketing
	_, err := p.Send(t.Context(), ad)
	var e *push.Error
	if !errors.As(err, &e) || !errors.Is(err, push.ErrPolicy) || e.RetryAfter != 7*time.Hour+30*time.Minute || f.Attempts() != 0 {
		t.Errorf("Send() of marketing = %v, after %d attempts", err, f.Attempts())
	}
	if _, err := p.Send(t.Context(), delivery("n1.0.1")); err != nil {
		t.Errorf("Send() of a transaction = %v", err)
	}
}

func TestUsedUpOperationsQuotaShutsOutMarketingAlone(t *testing.T) {
	tests := map[string]struct {
		code string
		wait time.Duration
	}{
		"the day's quota":  {"10070", 9 * time.Hour},
		"not now, it says": {"10071", 16 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service()
			s.Accept = providertest.JSON(200, `{"result":`+tt.code+`,"desc":"no"}`)
			f := providertest.HTTP(s).Start(t, providertest.Accepts)
			p := f.Provider.(*Provider)
			now := at(15, 0)
			p.now = func() time.Time { return now }
			ad := delivery("n1.0.0")
			ad.Class = push.Marketing
			for range 2 { // the second does not reach the service
				_, err := p.Send(t.Context(), ad)
				var e *push.Error
				if !errors.As(err, &e) || !errors.Is(err, push.ErrPolicy) || e.RetryAfter != tt.wait || f.Attempts() != 1 {
					t.Errorf("Send() = %v (after %v), %d attempts", err, e.RetryAfter, f.Attempts())
				}
			}
			_, _ = p.Send(t.Context(), delivery("n1.0.1"))
			if f.Attempts() != 2 {
				t.Error("a transaction was not tried")
			}
		})
	}
}
