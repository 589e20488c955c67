// Package honor hands deliveries to Honor's push service with the OAuth client
// of an app.
//
// It does as much as is known of that service. What is not is marked in
// codes.json; and the service's receipts are not read, for neither their form
// nor their signature is known.
package honor

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "honor"

// Words of the answer, which the table of codes knows too.
const (
	wordExpired = "expireTokens"
	wordFailed  = "failTokens"
)

//go:embed codes.json
var codesJSON []byte

// Provider sends over connections of its own.
type Provider struct {
	config    *config
	tokens    *providers.Tokens
	codes     *providers.Codes
	client    *http.Client
	transport *http.Transport
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
	body, w, err := p.config.encode(d)
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
		return push.Answer{}, rejected("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("timestamp", strconv.FormatInt(time.Now().UnixMilli(), 10))
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
	_, w, err := p.config.encode(d)
	return w, err
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// answer is what Honor says to a message. A refusal may come with status 200.
type answer struct {
	Code json.Number `json:"code"` // a number, or one in quotes
	Data struct {
		SendResult *bool    `json:"sendResult"`
		RequestID  string   `json:"requestId"`
		Failed     []string `json:"failTokens"`
		Expired    []string `json:"expireTokens"`
	} `json:"data"`
}

// sort reads the answer: the id of an accepted message, or why it was refused.
func (p *Provider) sort(x *providers.Exchange, deviceToken, accessToken string) (id string, err error) {
	var a answer
	if json.Unmarshal(x.Body, &a) != nil || a.Code == "" {
		if len(x.Body) == 0 && x.Status/100 != 2 { // the status says it all
			return "", p.refusal(x, "", accessToken)
		}
		return "", x.NotTheirs(name)
	}
	code := a.Code.String()
	if x.Status/100 != 2 || code != "200" && code != "80000000" {
		return "", p.refusal(x, code, accessToken)
	}
	switch d := &a.Data; {
	case slices.Contains(d.Expired, deviceToken):
		return "", p.refusal(x, wordExpired, accessToken)
	case slices.Contains(d.Failed, deviceToken):
		return "", p.refusal(x, wordFailed, accessToken)
	case d.SendResult != nil && !*d.SendResult:
		return "", p.refusal(x, wordFailed, accessToken)
	default:
		return d.RequestID, nil
	}
}

// refusal is the table's row for Honor's code. It sees to an access token that
// was refused.
func (p *Provider) refusal(x *providers.Exchange, code, accessToken string) error {
	e := p.codes.Error(name, x.Status, code)
	if code != "" {
		e.Code = code
	}
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	switch {
	case x.Status != http.StatusUnauthorized && code != "401" && code != "80200001" && code != "80200003":
	case p.tokens.Refused(accessToken):
		e.Kind, e.Detail = push.ErrCredentials, "a new access token is refused"
	}
	return e
}
