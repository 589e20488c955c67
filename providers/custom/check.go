package custom

import (
	"context"

	"github.com/herald-push/herald/providers"
)

// Check implements [providers.Checker]: a service that gives access tokens is
// asked for one. Of others nothing is known that sends nothing.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	if p.tokens == nil {
		return "", nil
	}
	return providers.CheckToken(ctx, p.tokens)
}

var _ providers.Checker = (*Provider)(nil)
