package smpp

import (
	"testing"

	"github.com/herald-push/herald/providers/providertest"
)

func TestRecordedReplies(t *testing.T) {
	for _, r := range providertest.ReadReplies(t).Replies {
		t.Run(r.When, func(t *testing.T) {
			p := start(t, providertest.Behaviour(r.Word)).Provider
			_, err := p.Send(t.Context(), delivery("n1.0.0"))
			r.Check(t, err)
			providertest.Corrected(t, p, r, func() error {
				_, err := p.Send(t.Context(), delivery("n1.0.1"))
				return err
			})
		})
	}
}
