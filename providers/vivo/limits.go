package vivo

import (
	_ "embed"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

//go:embed limits.json
var limitsJSON []byte

// Limits implements [providers.Limiter].
func (p *Provider) Limits() (push.Limits, error) { return providers.ParseLimits(limitsJSON) }
