// Package huawei hands deliveries to Huawei Push Kit, v1 and v2 of its HTTP API
// with the OAuth client of an app, and reads the receipts that it sends back.
package huawei

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"slices"
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
		config: c,
		// Huawei grants at most 1,000 tokens in five minutes, so a young one is kept.
		tokens: &providers.Tokens{Provider: name, Fetch: oauth.Fetch, KeepYoung: true},
		codes:  codes,
		client: &http.Client{
			Transport: &providers.ExchangeTransport{Base: transport},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the token goes nowhere else
			},
		},
		transport: transport,
	}, nil
}

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	body, w, err := p.config.encode(d, p.urgency(d.Class))
	if err != nil {
		return push.Answer{}, err
	}
	if d.Address.Token == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no token"}
	}
	token, err := p.tokens.Get(ctx)
	if err != nil {
		return push.Answer{}, err
	}
	var x providers.Exchange
	req, err := http.NewRequestWithContext(providers.WithExchange(ctx, &x), http.MethodPost, p.config.send, bytes.NewReader(body))
	if err != nil {
		return push.Answer{}, rejected("", "the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	req.Header.Set("Authorization", "Bearer "+token)
	res, sendErr := p.client.Do(req)
	if sendErr == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	if !x.Answered() {
		return push.Answer{}, x.Failure(name, sendErr)
	}
	id, err := p.sort(&x, d.Address.Token, token)
	if err != nil {
		return push.Answer{}, err
	}
	return push.Answer{ID: id, Stage: push.Accepted, Bytes: w.Bytes}, nil
}

// Weigh implements [providers.Provider].
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	_, w, err := p.config.encode(d, p.urgency(d.Class))
	return w, err
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// urgency is the class's, or what the app has a right to.
func (p *Provider) urgency(class push.Class) string {
	if time.Now().UnixNano() < p.lowered.Load() {
		return urgencyNormal
	}
	return urgencyOf(class)
}

// answer is what Huawei says to a message. A refusal may come with status 200.
type answer struct {
	Code      string `json:"code"`
	Message   string `json:"msg"` // of some codes a JSON object, as text
	RequestID string `json:"requestId"`
}

// sort reads the answer: the id of an accepted message, or why it was refused.
func (p *Provider) sort(x *providers.Exchange, deviceToken, accessToken string) (id string, err error) {
	var a answer
	if json.Unmarshal(x.Body, &a) != nil || a.Code == "" {
		if x.Status == http.StatusServiceUnavailable { // Huawei's flow control needs no body
			return "", p.refusal(x, "", "")
		}
		return "", x.NotTheirs(name)
	}
	if a.Code == codeAccepted && x.Status/100 == 2 {
		return a.RequestID, nil
	}
	word := a.Code
	if a.Code == codePartial || a.Code == codeAllBad {
		bad, reason, ok := outcomeOf(a, deviceToken)
		switch {
		case !ok:
			return "", &push.Error{Provider: name, Kind: push.ErrUnknown, Code: a.Code, Detail: "some tokens were refused, and it is not said which"}
		case !bad:
			return a.RequestID, nil
		case p.knows(reason):
			word = reason
		default:
			word = codeAllBad
		}
	}
	switch a.Code {
	case codeNoHigh:
		p.lowered.Store(time.Now().Add(lowerFor).UnixNano())
	case codeAuth, codeExpired:
		if p.tokens.Refused(accessToken) {
			return "", &push.Error{Provider: name, Kind: push.ErrCredentials, Code: a.Code, Detail: "a new access token is refused", RetryAfter: x.RetryAfter()}
		}
	}
	return "", p.refusal(x, a.Code, word)
}

// knows reports whether the table has a row for a word.
func (p *Provider) knows(word string) bool {
	return slices.ContainsFunc(p.codes.Rows, func(c providers.Code) bool { return c.Code != "" && c.Code == word })
}

// refusal is the table's row for a word, told under Huawei's code.
func (p *Provider) refusal(x *providers.Exchange, code, word string) *push.Error {
	e := p.codes.Error(name, x.Status, word)
	if code != "" {
		e.Code = code
	}
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	return e
}

// outcomeOf reads from a partial success what became of one token: whether it
// is bad, and Huawei's reason if there is one. ok is false if that is not said.
//
// v1 and v2 list the bad tokens, v3 lists them by reason.
func outcomeOf(a answer, token string) (bad bool, reason string, ok bool) {
	var said struct {
		Success  int                 `json:"success"`
		Failure  int                 `json:"failure"`
		Illegal  []string            `json:"illegal_tokens"`
		ByReason map[string][]string `json:"illegalTokens"`
	}
	if json.Unmarshal([]byte(a.Message), &said) != nil {
		return a.Code == codeAllBad, "", a.Code == codeAllBad
	}
	for reason, tokens := range said.ByReason {
		if slices.Contains(tokens, token) {
			return true, reason, true
		}
	}
	switch {
	case a.Code == codeAllBad || slices.Contains(said.Illegal, token):
		return true, "", true
	case len(said.Illegal) > 0 || len(said.ByReason) > 0 || said.Failure == 0:
		return false, "", true // others were refused
	default: // only the token that was sent can be meant
		return said.Success == 0, "", true
	}
}
