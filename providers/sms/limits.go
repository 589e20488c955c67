package sms

import (
	_ "embed"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

//go:embed limits.json
var limitsJSON []byte

// longCode is how long a number of the North American plan is, with its +1.
const longCode = 12

// Limits implements [providers.Limiter]. They are those of one long number of
// the North American plan: no other kind of sender has a figure that holds for
// everybody.
func (p *Provider) Limits() (push.Limits, error) {
	l, err := providers.ParseLimits(limitsJSON)
	if !strings.HasPrefix(p.config.From, "+1") || len(p.config.From) != longCode || p.config.Endpoint != ownEndpoint {
		l.PerSecond = 0
	}
	return l, err
}
