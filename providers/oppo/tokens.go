package oppo

import (
	"errors"
	"time"

	"github.com/herald-push/herald/push"
)

// An auth token lasts a day.
const (
	tokenLife    = 24 * time.Hour
	refreshEarly = time.Hour   // before the end of a token, while it still serves
	lastMoment   = time.Minute // before the end of a token it serves no more
)

// notGranted is the error of a fetch that got no answer: nothing was sent.
func notGranted(e *push.Error) *push.Error {
	if errors.Is(e.Kind, push.ErrUnknown) {
		e.Kind = push.ErrUnavailable
	}
	e.Detail = "no auth token: " + e.Detail
	return e
}
