package providers

import (
	"context"

	"github.com/herald-push/herald/push"
)

// Corrections keeps what apps correct in the tables of codes.
type Corrections interface {
	// Corrections are the app's for one provider.
	Corrections(ctx context.Context, app, provider string) ([]push.Correction, error)
}

// correct tells an open provider its app's corrections. It goes on by those it
// has while they cannot be read.
func (s *Set) correct(ctx context.Context, p Provider, app, name string) {
	coded, ok := p.(Coded)
	if !ok || s.corrections == nil {
		return
	}
	if all, err := s.corrections.Corrections(ctx, app, name); err == nil {
		coded.Codes().Correct(all)
	}
}
