// Package apns hands deliveries to the Apple Push Notification service, as an
// app with the token of its .p8 key or with a certificate of its own.
package apns

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "apns"

//go:embed codes.json
var codesJSON []byte

// Provider sends over HTTP/2 connections of its own.
type Provider struct {
	production, sandbox *environment
	token               *token.Token // nil with a certificate; it carries what tokens has
	tokens              *providers.Tokens
	topic               string
	ends                time.Time // of the certificate; zero with a key
	codes               *providers.Codes
	payloads            payloads
	transport           *transport
}

// environment is one of Apple's two, with what is known about the app's tokens
// in it.
type environment struct {
	client *apns2.Client
	tokens tokenHealth
}

// New opens a provider from an app's credentials. It is a [providers.Opener].
func New(credentials []byte) (providers.Provider, error) {
	return open(credentials, providers.OwnEngine)
}

// Opener is New with another engine.
func Opener(e providers.Engine) providers.Opener {
	return func(credentials []byte) (providers.Provider, error) { return open(credentials, e) }
}

func open(credentials []byte, e providers.Engine) (providers.Provider, error) {
	c, err := parse(credentials)
	if err != nil {
		return nil, err
	}
	codes, err := providers.ParseCodes(codesJSON)
	if err != nil {
		return nil, err
	}
	p := &Provider{topic: c.Topic, ends: c.ends, codes: codes, transport: newTransport(e.Transport(c.tls, maxConns))}
	if c.key != nil {
		p.token = &token.Token{}
		p.tokens = &providers.Tokens{
			Provider: name, Fetch: signer(c), RefreshEarly: refreshEarly, LastMoment: lastMoment, Young: resignAfter,
		}
	}
	p.production = p.environment(c.host(apns2.HostProduction))
	p.sandbox = p.environment(c.host(apns2.HostDevelopment))
	return p, nil
}

func (p *Provider) environment(host string) *environment {
	return &environment{client: &apns2.Client{
		Host:       host,
		Token:      p.token,
		HTTPClient: &http.Client{Transport: p.transport},
	}}
}

// Deduplicates implements [providers.Deduplicator]:
// the collapse id replaces the first on the device.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	payload, shared, err := p.payloads.build(d)
	if err == nil {
		err = p.allows(&shared.options)
	}
	if err != nil {
		return push.Answer{}, err
	}
	n := p.notification(d, &shared.options, payload)
	if n.DeviceToken == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no token"}
	}
	env := p.production
	if d.Address.Environment == "sandbox" {
		env = p.sandbox
	}
	bearer, err := p.authorize(ctx)
	if err != nil {
		return push.Answer{}, err
	}
	var x providers.Exchange
	_, sendErr := env.client.PushWithContext(providers.WithExchange(ctx, &x), n)
	switch {
	case !x.Answered():
		return push.Answer{}, x.Failure(name, sendErr)
	case isAccepted(&x):
		env.tokens.good()
		return push.Answer{ID: x.Header.Get("apns-id"), Stage: push.Accepted, Bytes: len(payload)}, nil
	default:
		return push.Answer{}, p.refusal(&x, env, bearer, d, &shared.options)
	}
}

// Weigh implements [providers.Provider].
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	payload, shared, err := p.payloads.build(d)
	if err == nil {
		err = p.allows(&shared.options)
	}
	return push.Payload{Bytes: len(payload), Limit: shared.limit}, err
}

// AddressOf implements [providers.Addresser]: a Live Activity has a token of its
// own, and so has PushKit.
func (p *Provider) AddressOf(d *push.Delivery) string {
	if o, err := overrides.Of(d.Notification); err == nil && o.Token != "" {
		return o.Token
	}
	return d.Address.Token
}

// allows refuses what Apple takes with a token only, where we have a certificate.
func (p *Provider) allows(o *options) error {
	if p.token == nil && pushTypes[o.kind()].tokenOnly {
		return rejected("", "push_type "+o.PushType+" needs a token: Apple takes no certificate for it")
	}
	return nil
}

// CloseIdleConnections lets go of connections once nothing is under way on them.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// notification is the request: what the notification says to Apple alone comes
// before what all providers are told.
func (p *Provider) notification(d *push.Delivery, o *options, payload []byte) *apns2.Notification {
	t := pushTypes[o.kind()]
	n := &apns2.Notification{
		ApnsID:      messageID(d.App, d.ID),
		CollapseID:  d.Replace(),
		DeviceToken: url.PathEscape(d.Address.Token),
		Topic:       p.topic + t.suffix,
		Expiration:  d.ExpiresAt,
		Priority:    t.priorities[0],
		PushType:    apns2.EPushType(o.kind()),
		Payload:     payload,
	}
	if d.Address.Topic != "" {
		n.Topic = strings.TrimSuffix(d.Address.Topic, t.suffix) + t.suffix
	}
	if d.Class == push.Marketing && slices.Contains(t.priorities, gentle) {
		n.Priority = gentle
	}
	if o.Topic != "" {
		n.Topic = o.Topic
	}
	if o.Token != "" {
		n.DeviceToken = o.Token
	}
	if o.Priority != nil {
		n.Priority = *o.Priority
	}
	if o.CollapseID != nil {
		n.CollapseID = *o.CollapseID
	}
	switch {
	case o.PushType == "pushtotalk", o.TTL != nil && *o.TTL == 0:
		n.Expiration = nowOrNever
	case o.TTL != nil:
		n.Expiration = sooner(d.AcceptedAt.Add(time.Duration(*o.TTL)*time.Second), d.ExpiresAt)
	}
	return n
}

// nowOrNever is a time in the past, which Apple takes for 0; apns2 leaves a 0
// out.
var nowOrNever = time.Unix(1, 0)

// sooner is the earlier of two times, of which the second may be zero for never.
func sooner(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// isAccepted knows Apple's word from that of something in between: Apple names
// the message and says nothing more.
func isAccepted(x *providers.Exchange) bool {
	return x.Status == http.StatusOK &&
		(len(x.Body) == 0 || x.Header.Get("apns-id") != "" || json.Valid(x.Body))
}

// refusal sorts Apple's answer.
func (p *Provider) refusal(x *providers.Exchange, env *environment, bearer string, d *push.Delivery, o *options) error {
	var answer struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp"` // of a 410: milliseconds since 1970
	}
	if json.Unmarshal(x.Body, &answer) != nil || answer.Reason == "" {
		return x.NotTheirs(name)
	}
	e := p.codes.Refusal(name, x, answer.Reason, "")
	if errors.Is(e.Kind, push.ErrCredentials) && aboutTopic(answer.Reason) && (o.Topic != "" || d.Address.Topic != "" || o.PushType != "") {
		e.Scope = push.ScopeToken // the topic is not the one that the credentials are for
	}
	switch {
	case o.Token != "" && (x.Status == http.StatusGone || answer.Reason == apns2.ReasonBadDeviceToken):
		e.Kind = push.ErrRejected // the device's own token is another
	case answer.Reason == apns2.ReasonBadDeviceToken && errors.Is(e.Kind, push.ErrRejected): // unless the app says otherwise
		e.Kind = env.tokens.bad()
	case answer.Reason == apns2.ReasonExpiredProviderToken && p.token != nil && p.tokens.Refused(bearer):
		e.Kind, e.Detail = push.ErrCredentials, answer.Reason+": a new token is refused as old; is the clock right?"
	case x.Status == http.StatusGone && answer.Timestamp > 0:
		e.Since = time.UnixMilli(answer.Timestamp).UTC()
	}
	return e
}

// aboutTopic knows the reasons that blame the topic.
func aboutTopic(reason string) bool {
	switch reason {
	case apns2.ReasonBadTopic, apns2.ReasonMissingTopic, apns2.ReasonTopicDisallowed, apns2.ReasonDeviceTokenNotForTopic:
		return true
	}
	return false
}

// Apple takes a provider token for an hour, and a new one every 20 minutes at
// most: developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
const (
	tokenLife    = time.Hour
	refreshEarly = 10 * time.Minute
	lastMoment   = time.Minute
	resignAfter  = 20 * time.Minute
)

// signer signs provider tokens, as providers.Tokens wants them.
func signer(c *config) func(context.Context) (string, time.Duration, error) {
	return func(context.Context) (string, time.Duration, error) {
		t := token.Token{AuthKey: c.key, KeyID: c.KeyID, TeamID: c.TeamID}
		if _, err := t.Generate(); err != nil {
			return "", 0, &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: "the key signs no token"}
		}
		return t.Bearer, tokenLife, nil
	}
}

// authorize has the next attempts carry the token that is good now, and returns
// it; "" with a certificate.
func (p *Provider) authorize(ctx context.Context) (bearer string, err error) {
	if p.token == nil {
		return "", nil
	}
	if bearer, err = p.tokens.Get(ctx); err != nil {
		return "", err
	}
	p.token.Lock()
	defer p.token.Unlock()
	p.token.Bearer, p.token.IssuedAt = bearer, math.MaxInt64/2 // the SDK is not to sign
	return bearer, nil
}

// ShareTokens implements [providers.TokenSharer].
func (p *Provider) ShareTokens(s providers.TokenStore, key string) {
	if p.token != nil {
		p.tokens.Share(s, key)
	}
}

// maxConns bounds the connections to one host: at the thousand streams that
// Apple allows on each, more than one process can fill.
const maxConns = 32

// transport makes one exchange of each request; apns2 wants to be able to
// close it.
type transport struct {
	providers.ExchangeTransport
	engine providers.Transport
}

func newTransport(engine providers.Transport) *transport {
	return &transport{providers.ExchangeTransport{Base: engine}, engine}
}

func (t *transport) CloseIdleConnections() { t.engine.CloseIdleConnections() }

// host is the endpoint of the credentials, or else Apple's own.
func (c *config) host(own string) string {
	if c.Endpoint != "" {
		return strings.TrimSuffix(c.Endpoint, "/")
	}
	return own
}
