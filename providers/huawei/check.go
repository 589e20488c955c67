package huawei

import (
	"context"

	"github.com/herald-push/herald/providers"
)

// Check implements [providers.Checker].
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	return providers.CheckToken(ctx, p.tokens)
}
