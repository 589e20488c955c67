package providers

import (
	"context"
	"time"

	"github.com/herald-push/herald/push"
)

// Checker is a provider whose service can be asked whether it takes the app's
// credentials, with nothing sent to anybody.
type Checker interface {
	// Check asks once, and returns in words what the answer proves. Its error is
	// a *push.Error, of kind [push.ErrCredentials] if they are refused. "" without
	// an error means that there is nothing to ask.
	Check(ctx context.Context) (said string, err error)
}

// Ender is a provider whose credentials end.
type Ender interface {
	// Ends is when; zero for never.
	Ends() time.Time
}

// Health is what an examination found of an app's credentials.
type Health struct {
	Ends  time.Time // zero for never
	Asked bool      // the service was asked, and took them
	Said  string    // what that proves; empty if the service cannot be asked
}

// Examine opens the app's provider of that name and, if ask is set, has its
// service say whether it takes the credentials. The error is a *push.Error.
func (s *Set) Examine(ctx context.Context, app, provider string, ask bool) (h Health, err error) {
	p, err := s.provider(ctx, app, provider)
	if err != nil {
		return h, err
	}
	if e, ok := p.(Ender); ok {
		h.Ends = e.Ends()
	}
	c, ok := p.(Checker)
	if !ok || !ask {
		return h, nil
	}
	h.Said, err = c.Check(ctx)
	h.Asked = err != nil || h.Said != ""
	return h, err
}

// CheckToken is the [Checker.Check] of a service that gives access tokens only
// to those whom it knows.
func CheckToken(ctx context.Context, t *Tokens) (said string, err error) {
	if _, err := t.Get(ctx); err != nil {
		return "", err
	}
	return "it gives an access token", nil
}

// Unexpected is the error of a check that was answered in a way that proves
// nothing.
func Unexpected(provider string, x *Exchange) *push.Error {
	if x.Status/100 == 2 {
		return &push.Error{Provider: provider, Kind: push.ErrUnavailable, Detail: "the answer is not the service's own"}
	}
	return x.NotTheirs(provider)
}
