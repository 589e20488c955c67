// Package huawei hands deliveries to Huawei Push Kit, v1 and v2 of its HTTP API
// with the OAuth client of an app, and reads the receipts that it sends back.
package huawei

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "huawei"

// Codes that decide more than a kind.
const (
	codeAccepted = "80000000"
	codePartial  = "80100000"
	codeAllBad   = "80300007"
	codeAuth     = "80200001"
	codeExpired  = "80200003"
	codeNoHigh   = "80300011"
)

// lowerFor is how long an app without the right to high urgency is not asked
// for it again.
const lowerFor = time.Hour

//go:embed codes.json
var codesJSON []byte

// Provider sends over connections of its own.
type Provider struct {
	config    *config
	tokens    *providers.Tokens
	codes     *providers.Codes
	client    *http.Client
	transport *http.Transport
	lowered   atomic.Int64 // until then, in Unix nanoseconds, nothing goes with high urgency
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
	transport := providers.HTTPTransport(c.tls)
	oauth := &providers.OAuthForm{
		Provider: name, Address: c.token, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Transport: transport,
	}
	return &Provider{
		config:    c,
		tokens:    &providers.Tokens{Provider: name, Fetch: oauth.Fetch},
		codes:     codes,
		client:    providers.Client(transport),
		transport: transport,
	}, nil
}

// maxBatch is how many tokens Huawei takes in one request.
const maxBatch = 1000

// Batch implements [providers.Batcher].
func (p *Provider) Batch(*push.Notification) int { return maxBatch }

// Deduplicates implements [providers.Deduplicator]:
// tag and notify_id replace the first on the device.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return providers.Alone(ctx, p, d)
}

// SendBatch implements [providers.Batcher].
func (p *Provider) SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply {
	return providers.Addressed(ds, providers.NeedsToken(name, "token"), func(ds []*push.Delivery, tokens []string) []push.Reply {
		body, w, err := p.config.encode(ds, tokens, p.urgency(ds[0].Notification))
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		access, err := p.tokens.Get(ctx)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		x, e := providers.Ask(ctx, p.client, name, http.MethodPost, p.config.send, body, http.Header{
			"Content-Type":  {"application/json; charset=UTF-8"},
			"Authorization": {"Bearer " + access},
		})
		if e != nil {
			return providers.Each(len(ds), push.Answer{}, e)
		}
		return p.sort(x, tokens, access, w.Bytes)
	})
}

// Weigh implements [providers.Provider].
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	_, w, err := p.config.encode([]*push.Delivery{d}, []string{d.Address.Token}, p.urgency(d.Notification))
	return w, err
}

// ShareTokens implements [providers.TokenSharer].
func (p *Provider) ShareTokens(s providers.TokenStore, key string) { p.tokens.Share(s, key) }

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// urgency is the caller's or the class's, or what the app has a right to.
func (p *Provider) urgency(n *push.Notification) string {
	if time.Now().UnixNano() < p.lowered.Load() {
		return urgencyNormal
	}
	if o, err := overrides.Of(n); err == nil && o.Urgency != "" {
		return o.Urgency
	}
	return urgencyOf(n.Class)
}

// answer is what Huawei says to a message. A refusal may come with status 200.
type answer struct {
	Code      string `json:"code"`
	Message   string `json:"msg"` // of some codes a JSON object, as text
	RequestID string `json:"requestId"`
}

// sort reads the answer: the id of what was accepted, or why it was refused, for
// each token.
func (p *Provider) sort(x *providers.Exchange, tokens []string, access string, bytes int) []push.Reply {
	n := len(tokens)
	var a answer
	if json.Unmarshal(x.Body, &a) != nil || a.Code == "" {
		if x.Status == http.StatusServiceUnavailable { // Huawei's flow control needs no body
			return providers.Each(n, push.Answer{}, p.refusal(x, "", ""))
		}
		return providers.Each(n, push.Answer{}, x.NotTheirs(name))
	}
	accepted := push.Answer{ID: a.RequestID, Stage: push.Accepted, Bytes: bytes}
	switch a.Code {
	case codeAccepted:
		if x.Status/100 == 2 {
			return providers.Each(n, accepted, nil)
		}
	case codePartial, codeAllBad:
		replies := make([]push.Reply, n)
		outcome := outcomes(a, n)
		for i, token := range tokens {
			if err := p.refused(x, a.Code, outcome, token); err != nil {
				replies[i].Err = err
			} else {
				replies[i].Answer = accepted
			}
		}
		return replies
	case codeNoHigh:
		p.lowered.Store(time.Now().Add(lowerFor).UnixNano())
	case codeAuth, codeExpired:
		if p.tokens.Refused(access) {
			return providers.Each(n, push.Answer{}, &push.Error{
				Provider: name, Kind: push.ErrCredentials, Code: a.Code, Detail: "a new access token is refused", RetryAfter: x.RetryAfter(),
			})
		}
	}
	return providers.Each(n, push.Answer{}, p.refusal(x, a.Code, a.Code))
}

// refused is why a token of a partial success was refused, nil if it was not.
func (p *Provider) refused(x *providers.Exchange, code string, outcome outcomeOf, token string) error {
	bad, reason, said := outcome(token)
	switch {
	case !said:
		return &push.Error{Provider: name, Kind: push.ErrUnknown, Code: code, Detail: "some tokens were refused, and it is not said which"}
	case !bad:
		return nil
	case p.codes.Knows(reason):
		return p.refusal(x, code, reason)
	default:
		return p.refusal(x, code, codeAllBad)
	}
}

// refusal is the table's row for a word, told under Huawei's code.
func (p *Provider) refusal(x *providers.Exchange, code, word string) *push.Error {
	return p.codes.Refusal(name, x, word, code)
}

// outcomeOf tells what became of a token: whether it is bad, and Huawei's reason
// if there is one. said is false if that is not known.
type outcomeOf func(token string) (bad bool, reason string, said bool)

// outcomes reads a partial success of so many tokens.
//
// v1 and v2 list the bad tokens, v3 lists them by reason.
func outcomes(a answer, tokens int) outcomeOf {
	var said struct {
		Success  int                 `json:"success"`
		Failure  int                 `json:"failure"`
		Illegal  []string            `json:"illegal_tokens"`
		ByReason map[string][]string `json:"illegalTokens"`
	}
	unread := json.Unmarshal([]byte(a.Message), &said) != nil
	reasons := make(map[string]string)
	for _, token := range said.Illegal {
		reasons[token] = ""
	}
	for reason, of := range said.ByReason {
		for _, token := range of {
			reasons[token] = reason
		}
	}
	return func(token string) (bad bool, reason string, ok bool) {
		reason, listed := reasons[token]
		switch {
		case listed || a.Code == codeAllBad:
			return true, reason, true
		case unread:
			return false, "", false
		case len(reasons) > 0 || said.Failure == 0:
			return false, "", true // others were refused
		case tokens == 1 || said.Success == 0:
			return said.Success == 0, "", true // only those that were sent can be meant
		default:
			return false, "", false
		}
	}
}
