package xmpp

import (
	"context"
	"errors"

	"github.com/herald-push/herald/push"
)

// Check implements [providers.Checker]: it introduces the component over a
// connection of its own. A server that takes one of a component at a time says
// that another is there only to one that knows the secret.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	s, failure := p.connect(ctx)
	switch {
	case failure == nil:
		s.end(errChecked)
		return "it takes the component", nil
	case failure.Code == "stream-conflict":
		return "it knows the component, which is connected already", nil
	default:
		return "", failure
	}
}

// errChecked ends the stream of a check.
var errChecked = &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the check is over", Err: errors.New("xmpp: checked")}
