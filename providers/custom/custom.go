package custom

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "http"

// Provider sends to one service as its configuration says.
type Provider struct {
	config    *config
	client    *http.Client
	transport *http.Transport
	tokens    *providers.Tokens // nil if there is nothing to fetch
}

// New opens a provider from an app's credentials, which are its whole
// configuration. It is a [providers.Opener]. It does not touch the network.
func New(credentials []byte) (providers.Provider, error) {
	c, err := load(credentials)
	if err != nil {
		return nil, err
	}
	p := &Provider{config: c, transport: c.transport()}
	p.client = providers.Client(p.transport)
	if c.auth != nil {
		asked := &tokens{auth: c.auth, answers: &c.answers, vars: c.vars, client: p.client}
		p.tokens = &providers.Tokens{Provider: name, Fetch: asked.ask}
	}
	return p, nil
}

// String keeps a provider's secrets out of whatever prints one.
func (p *Provider) String() string { return "custom.Provider" }

// GoString keeps them out of %#v.
func (p *Provider) GoString() string { return p.String() }

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// ShareTokens implements [providers.TokenSharer].
func (p *Provider) ShareTokens(s providers.TokenStore, key string) {
	if p.tokens != nil {
		p.tokens.Share(s, key)
	}
}

// ask makes one request, which is that of a message or of a check.
func (p *Provider) ask(ctx context.Context, how *request, s *scope) (*providers.Exchange, error) {
	var err error
	if p.tokens != nil {
		if s.Access, err = p.tokens.Get(ctx); err != nil {
			return nil, err
		}
	}
	body, err := how.content(s)
	if err != nil {
		return nil, err
	}
	var x providers.Exchange
	req, err := how.request(providers.WithExchange(ctx, &x), s, body)
	if err != nil {
		return nil, err
	}
	res, err := p.client.Do(req)
	if err == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	if !x.Answered() {
		return nil, x.Failure(name, err)
	}
	return &x, nil
}

// Weigh implements [providers.Provider]. The size is the body's for one device,
// before it is signed and without an access token.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	w := push.Payload{Limit: p.config.LimitBytes}
	body, err := p.config.send.content(p.scope([]*push.Delivery{d}))
	if err != nil {
		return w, err
	}
	w.Bytes = len(p.config.send.encode(body))
	if w.Limit > 0 && w.Bytes > w.Limit {
		return w, rejected(fmt.Sprintf("the message has %d bytes; the service takes %d", w.Bytes, w.Limit))
	}
	return w, nil
}

// refusal is the error of an answer that is not a success.
func (p *Provider) refusal(x *providers.Exchange, s *scope, v verdict) *push.Error {
	e := v.refusal(append(p.config.secrets(), append(s.Tokens, s.Access)...))
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	if v.row.Renew && p.tokens != nil && p.tokens.Refused(s.Access) {
		e.Kind, e.Detail = push.ErrCredentials, "a new access token is refused"
	}
	return e
}

// scope says deliveries of one chunk in the templates' words.
func (p *Provider) scope(ds []*push.Delivery) *scope {
	d, id := ds[0], push.CommonID(ds)
	s := &scope{
		App: d.App, Notification: d.Notification.ID, Delivery: id, Device: d.Device, Class: string(d.Class),
		Title: d.Title, Body: d.Body, Data: providers.AppData(d, id),
		Token: d.Address.Token, Topic: d.Address.Topic, Tokens: make([]string, len(ds)), devices: ds,
		Collapse: d.CollapseKey, Replace: d.Replace(),
		Expires: d.ExpiresAt, Now: time.Now().UTC(), Vars: p.config.vars,
	}
	for i, d := range ds {
		s.Tokens[i] = d.Address.Token
	}
	s.TokenList = strings.Join(s.Tokens, ",")
	if !d.ExpiresAt.IsZero() {
		s.TTL = max(int64(d.ExpiresAt.Sub(s.Now).Round(time.Second)/time.Second), 1)
	}
	return s
}

// of is the scope of one of the devices that a request is for.
func (s *scope) of(d *push.Delivery) *scope {
	one := *s
	one.Delivery, one.Device, one.Token, one.Topic = d.ID, d.Device, d.Address.Token, d.Address.Topic
	return &one
}

func rejected(detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Detail: detail}
}

// clean takes from a word of the service what may repeat a secret.
func clean(word string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= 4 && strings.Contains(word, s) {
			return ""
		}
	}
	return word
}

// isJSON reports whether an answer can be one of a service that speaks JSON.
func isJSON(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && (b[0] == '{' || b[0] == '[')
}
