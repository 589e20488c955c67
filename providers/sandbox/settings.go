package sandbox

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Outage is a way for a whole vendor to be broken.
type Outage string

// The outages; the package comment says what each does.
const (
	NoOutage Outage = "none"
	Refuse   Outage = "refuse"
	Hang     Outage = "hang"
	Reset    Outage = "reset"
	HTML     Outage = "html"
	Silent   Outage = "silent"
)

// Settings are one vendor's manners; the package comment explains each. The
// zero value, with Outage "none" or empty, is a vendor that always works.
type Settings struct {
	LatencyMs       float64 `json:"latency_ms"`
	JitterMs        float64 `json:"jitter_ms"`
	LatencySpread   Spread  `json:"latency_spread"`
	ErrorRate       float64 `json:"error_rate"`
	Error           string  `json:"error"`
	Outage          Outage  `json:"outage"`
	RetryAfterS     int     `json:"retry_after_s"`
	RatePerS        int     `json:"rate_per_s"`
	QuotaPerDay     int     `json:"quota_per_day"`
	Loss            float64 `json:"loss"`
	ReceiptDelayMs  float64 `json:"receipt_delay_ms"`
	ReceiptJitterMs float64 `json:"receipt_jitter_ms"`
	ReceiptSpread   Spread  `json:"receipt_spread"`
	ReceiptLoss     float64 `json:"receipt_loss"`
}

// validate names the first fault in words for people.
func (s *Settings) validate(knows func(word string) bool) error {
	switch s.Outage {
	case "":
		s.Outage = NoOutage
	case NoOutage, Refuse, Hang, Reset, HTML, Silent:
	default:
		return fmt.Errorf("outage must be none, refuse, hang, reset, html or silent, not %q", s.Outage)
	}
	for name, share := range map[string]float64{"error_rate": s.ErrorRate, "loss": s.Loss, "receipt_loss": s.ReceiptLoss} {
		if share < 0 || share > 1 {
			return fmt.Errorf("%s must be from 0 to 1", name)
		}
	}
	const minute = 60_000
	for name, ms := range map[string]float64{
		"latency_ms": s.LatencyMs, "jitter_ms": s.JitterMs,
		"receipt_delay_ms": s.ReceiptDelayMs / 60, "receipt_jitter_ms": s.ReceiptJitterMs / 60,
	} {
		if ms < 0 || ms > minute {
			return fmt.Errorf("%s must be at least 0 and not over a minute (an hour for receipts)", name)
		}
	}
	if s.RetryAfterS < 0 || s.RatePerS < 0 || s.QuotaPerDay < 0 {
		return fmt.Errorf("retry_after_s, rate_per_s and quota_per_day must not be negative")
	}
	for name, spread := range map[string]*Spread{"latency_spread": &s.LatencySpread, "receipt_spread": &s.ReceiptSpread} {
		if err := spread.validate(name); err != nil {
			return err
		}
		if *spread == "" {
			*spread = Uniform
		}
	}
	if s.Error != "" && !knows(s.Error) {
		return fmt.Errorf("error: this vendor has no error named %q", s.Error)
	}
	return nil
}

func (s *Settings) latency() time.Duration { return s.LatencySpread.draw(s.LatencyMs, s.JitterMs) }
func (s *Settings) receiptDelay() time.Duration {
	return s.ReceiptSpread.draw(s.ReceiptDelayMs, s.ReceiptJitterMs)
}

// happens draws a lot that comes up with probability p.
func happens(p float64) bool { return p > 0 && rand.Float64() < p }
