// Package xmpp sends to XMPP clients as an external component of a server
// (XEP-0114), asks them for receipts (XEP-0184) and hears what they and the
// servers on the way say.
package xmpp

import (
	"context"
	_ "embed"
	"strings"
	"sync/atomic"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

const name = "xmpp"

//go:embed codes.json
var codesJSON []byte

// Provider sends over one connection, for a server knows a component once.
type Provider struct {
	config *config
	codes  *providers.Codes
	link   *link
	report atomic.Pointer[func(context.Context, []push.Receipt) error]
}

// New opens a provider from an app's credentials. It is a [providers.Opener].
// The connection is made when it is first needed and then kept.
func New(credentials []byte) (providers.Provider, error) {
	c, err := parse(credentials)
	if err != nil {
		return nil, err
	}
	codes, err := providers.ParseCodes(codesJSON)
	if err != nil {
		return nil, err
	}
	p := &Provider{config: c, codes: codes}
	p.link = newLink(p.connect)
	return p, nil
}

// Send implements [providers.Provider]. [push.Accepted] means that the message
// was written to the server, which says nothing more to a component unless it
// cannot deliver: refusals and receipts come later ([Provider.Reports]).
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	stanza, err := p.config.encode(d)
	if err != nil {
		return push.Answer{}, err
	}
	if d.Address.Token == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no address"}
	}
	if ctx.Err() != nil {
		return push.Answer{}, late(ctx)
	}
	s, err := p.link.get(ctx)
	if err != nil {
		return push.Answer{}, err
	}
	if err := s.send(ctx, stanza); err != nil {
		return push.Answer{}, err
	}
	return push.Answer{ID: d.ID, Stage: push.Accepted, Bytes: len(stanza)}, nil
}

// Weigh implements [providers.Provider]. The size is the whole stanza's.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	stanza, err := p.config.encode(d)
	return push.Payload{Bytes: len(stanza), Limit: maxStanza}, err
}

// Reports implements [providers.Reporter]. It does not connect, for a process
// that only weighs messages would take the component's place from one that
// sends. What report cannot keep is lost: nobody says a receipt twice. It holds
// up the stream as long as it takes.
func (p *Provider) Reports(report func(context.Context, []push.Receipt) error) {
	p.report.Store(&report)
}

// CloseIdleConnections ends the connection. A later Send makes a new one.
func (p *Provider) CloseIdleConnections() { p.link.stop() }

var _ providers.Reporter = (*Provider)(nil)

// late is the error of an attempt whose time ran out before anything was sent.
func late(ctx context.Context) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "not sent in time", Err: ctx.Err()}
}

// refusal sorts an error's condition, such as "item-not-found".
func (p *Provider) refusal(condition string) *push.Error {
	// Codes are words without hyphens.
	e := p.codes.Error(name, 0, strings.ReplaceAll(condition, "-", "_"))
	e.Code = ""
	if len(condition) <= 48 {
		e.Code = condition
	}
	return e
}
