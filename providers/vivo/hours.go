package vivo

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// The hours, in China, in which the service takes operations messages.
const (
	opens  = 7
	closes = 23
)

// gate is the service's door for operations messages. It is kept here, and not
// in the app's lane, because a lane that closes until the morning would hold
// back codes and calls with the advertising.
type gate struct {
	until atomic.Int64 // ms since 1970; shut before
}

// pass returns why an operations message need not be tried, or nil.
func (g *gate) pass(now time.Time) *push.Error {
	wait := time.UnixMilli(g.until.Load()).Sub(now)
	detail := "the day's operations messages are used up"
	if wait <= 0 {
		wait, detail = untilOpen(now), "operations messages go out from 7 to 23 o'clock in China"
	}
	if wait <= 0 {
		return nil
	}
	return &push.Error{Provider: name, Kind: push.ErrPolicy, Detail: detail, RetryAfter: wait}
}

// learn shuts the door if the service has no place for operations messages
// today or at this hour; the error then is about those alone.
func (g *gate) learn(e *push.Error, now time.Time) {
	if errors.Is(e.Kind, push.ErrQuota) || e.Code == outsideHours {
		e.Kind = push.ErrPolicy
		g.until.Store(now.Add(e.RetryAfter).UnixMilli())
	}
}

// untilOpen is the time to the next opening; 0 in the hours.
func untilOpen(now time.Time) time.Duration {
	now = providers.InChina(now)
	if h := now.Hour(); h >= opens && h < closes {
		return 0
	}
	return untilNextOpening(now)
}

// untilNextOpening is the time to seven o'clock in China.
func untilNextOpening(now time.Time) time.Duration {
	now = providers.InChina(now)
	year, month, day := now.Date()
	if now.Hour() >= opens {
		day++
	}
	return time.Date(year, month, day, opens, 0, 0, 0, now.Location()).Sub(now)
}
