package providers

import (
	"context"
	"fmt"

	"github.com/herald-push/herald/push"
)

// Canary has the service say whether it takes credentials, before they replace
// those in force; nothing is kept. It returns what the answer proves in words,
// "" for a service that cannot be asked. The error is a *push.Error, of kind
// [push.ErrCredentials] if they are refused.
func (s *Set) Canary(ctx context.Context, provider string, credentials []byte) (said string, err error) {
	open, ok := s.openers[provider]
	if !ok {
		return "", fmt.Errorf("providers: %s: %w", provider, push.ErrNotFound)
	}
	p, err := open(credentials)
	if err != nil {
		return "", err
	}
	defer retire(p)
	c, ok := p.(Checker)
	if !ok {
		return "", nil
	}
	return c.Check(ctx)
}
