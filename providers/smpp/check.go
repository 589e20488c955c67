package smpp

import (
	"context"
	"time"

	"github.com/herald-push/herald/providers/smpp/pdu"
)

// Check implements [providers.Checker]: it binds over a connection of its own,
// and says goodbye. A service that takes one bind of an account at a time
// refuses it while Herald is bound.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	s, failure := p.connect(ctx)
	if failure != nil {
		return "", failure
	}
	defer s.conn.Close()
	goodbye := pdu.PDU{Command: pdu.Unbind, Sequence: bindSequence + 1}
	_ = s.conn.SetDeadline(time.Now().Add(p.pace.goodbye))
	if _, err := s.conn.Write(goodbye.Append(nil)); err == nil {
		_, _ = pdu.Read(s.in) // its goodbye; it has taken us all the same
	}
	return "it takes the bind", nil
}
