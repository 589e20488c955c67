package custom

import (
	"context"
	"time"

	"github.com/herald-push/herald/providers"
)

// Check implements [providers.Checker]: it makes the request that the
// configuration has for it, or asks a service that gives access tokens for one.
// Of others nothing is known that sends nothing.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	switch {
	case p.config.check != nil:
		return p.check(ctx)
	case p.tokens != nil:
		return providers.CheckToken(ctx, p.tokens)
	default:
		return "", nil
	}
}

func (p *Provider) check(ctx context.Context) (said string, err error) {
	s := &scope{Now: time.Now().UTC(), Vars: p.config.vars}
	x, err := p.ask(ctx, p.config.check, s)
	if err != nil {
		return "", err
	}
	v := p.config.answers.read(x.Status, x.Body)
	switch {
	case v.foreign:
		return "", providers.Unexpected(name, x)
	case !v.accepted:
		return "", p.refusal(x, s, v)
	default:
		return "it answers the check that sends nothing", nil
	}
}

var _ providers.Checker = (*Provider)(nil)
