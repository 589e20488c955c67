// Package webpush hands deliveries to the push services of browsers: RFC 8030,
// encrypted as in RFC 8291, signed as in RFC 8292. A device's token is the JSON
// of its PushSubscription.
//
// A subscription leads wherever the device says. So connections go to public
// addresses alone, over https alone, never through a proxy, which would hide
// the address, and follow no redirect. Credentials with "allow_private" lift
// the first two.
package webpush

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/herald-push/herald/internal/publicnet"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "webpush"

//go:embed codes.json
var codesJSON []byte

// Provider sends over connections of its own.
type Provider struct {
	config    *config
	codes     *providers.Codes
	client    *http.Client
	transport *http.Transport
	origins   *origins
}

// New opens a provider from an app's credentials. It is a [providers.Opener].
// It does not touch the network.
func New(credentials []byte) (providers.Provider, error) {
	c, err := parse(credentials)
	if err != nil {
		return nil, err
	}
	codes, err := providers.ParseCodes(codesJSON)
	if err != nil {
		return nil, err
	}
	tls, err := providers.TLS(c.CA)
	if err != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "ca", Detail: "holds no certificate in PEM"}}}
	}
	dialer := providers.Dialer()
	if !c.AllowPrivate {
		dialer.Control = publicnet.Control
	}
	transport := providers.HTTPTransport(tls)
	transport.Proxy, transport.DialContext = nil, dialer.DialContext
	return &Provider{
		config:    c,
		codes:     codes,
		origins:   newOrigins(),
		transport: transport,
		client: &http.Client{
			Transport: &providers.ExchangeTransport{Base: transport},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}, nil
}

// Deduplicates implements [providers.Deduplicator]:
// Topic replaces the first while it waits, and the tag in the browser.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	m, err := encode(d)
	if err != nil {
		return push.Answer{}, err
	}
	if d.Address.Token == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no subscription"}
	}
	to, err := p.config.subscription(d.Address.Token)
	if err != nil {
		return push.Answer{}, unreadable(err)
	}
	origin := originOf(to.Endpoint)
	if shut := p.origins.closed(origin); shut != nil {
		return push.Answer{}, shut
	}
	answer, failure := p.attempt(ctx, d, &m, to)
	if !errors.Is(ctx.Err(), context.Canceled) { // what we broke off says nothing about the service
		p.origins.learn(origin, failure)
	}
	if failure != nil {
		return push.Answer{}, failure
	}
	return answer, nil
}

// attempt makes the request.
func (p *Provider) attempt(ctx context.Context, d *push.Delivery, m *sealed, to *library.Subscription) (push.Answer, *push.Error) {
	var x providers.Exchange
	res, sendErr := library.SendNotificationWithContext(providers.WithExchange(ctx, &x), m.text, to, &library.Options{
		HTTPClient:      p.client,
		RecordSize:      uint32(m.size), // the library pads the whole body to it
		Subscriber:      p.config.subscriber,
		Topic:           m.topic(d),
		TTL:             m.ttl(d.ExpiresAt),
		Urgency:         m.urgency(d.Class),
		VAPIDPublicKey:  p.config.PublicKey,
		VAPIDPrivateKey: p.config.PrivateKey,
	})
	if sendErr == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	switch {
	case errors.Is(x.Err, publicnet.ErrPrivate):
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the subscription leads into a private network"}
	case !x.Answered():
		return push.Answer{}, x.Failure(name, sendErr)
	case x.Status == http.StatusCreated, x.Status == http.StatusAccepted:
		return push.Answer{ID: messageID(x.Header.Get("Location")), Stage: push.Accepted, Bytes: m.size}, nil
	case x.Status/100 == 2:
		return push.Answer{}, x.NotTheirs(name)
	default:
		return push.Answer{}, p.refusal(&x)
	}
}

// originOf is scheme, host and port of an endpoint.
func originOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "" // the subscription was read already
	}
	return u.Scheme + "://" + u.Host
}

// Weigh implements [providers.Provider]. The size is that of the encrypted
// message, padding included.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	m, err := encode(d)
	return push.Payload{Bytes: m.size, Limit: limit}, err
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// refusal sorts a service's answer. Only Apple's say more than the status does.
func (p *Provider) refusal(x *providers.Exchange) *push.Error {
	var answer struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(x.Body, &answer) // others answer what they like
	return p.codes.Refusal(name, x, answer.Reason, "")
}

// messageID is the last part of the message's own address, which the service
// gave it.
func messageID(location string) string {
	u, err := url.Parse(location)
	if location == "" || err != nil || len(location) > 1024 {
		return ""
	}
	return path.Base(u.Path)
}
