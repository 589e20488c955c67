package vivo

import (
	"errors"
	"time"

	"github.com/herald-push/herald/push"
)

// An auth token lasts a day. The service takes ten requests for one a second.
const (
	tokenLife    = 24 * time.Hour
	refreshEarly = time.Hour   // before the end of a token, while it still serves
	lastMoment   = time.Minute // before the end of a token it serves no more
)

// notGranted is the error of a fetch that failed: nothing was sent, and what is
// refused are the credentials.
func notGranted(e *push.Error) *push.Error {
	switch {
	case errors.Is(e.Kind, push.ErrUnknown):
		e.Kind = push.ErrUnavailable
	case errors.Is(e.Kind, push.ErrRejected):
		e.Kind = push.ErrCredentials
	}
	e.Detail = "no auth token: " + e.Detail
	return e
}
