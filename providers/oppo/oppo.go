// Package oppo hands deliveries to OPPO PUSH, and reads the receipts that it
// sends back.
package oppo

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "oppo"

// The service's addresses below its host.
const (
	authPath = "/server/v1/auth"
	sendPath = "/server/v1/message/notification/unicast"
)

// Codes that are not only rows of the table.
const (
	badToken  = "11"
	noToken   = "29"
	duplicate = "32" // this device has had this app_message_id
)

//go:embed codes.json
var codesJSON []byte

// Provider sends over connections of its own.
type Provider struct {
	config    *config
	host      string
	callback  string // address of our callbacks; "" for none
	codes     *providers.Codes
	tokens    *providers.Tokens
	client    *http.Client
	transport *http.Transport
}

// New opens a provider that asks for no receipts. It is a [providers.Opener].
func New(credentials []byte) (providers.Provider, error) { return open(credentials, "") }

// Opener returns an opener whose providers ask for receipts at an address, such
// as "https://herald.example.com/v1/callbacks/oppo". With "" they ask for none.
func Opener(callback string) providers.Opener {
	return func(credentials []byte) (providers.Provider, error) { return open(credentials, callback) }
}

func open(credentials []byte, callback string) (providers.Provider, error) {
	c, err := parse(credentials)
	if err != nil {
		return nil, err
	}
	codes, err := providers.ParseCodes(codesJSON)
	if err != nil {
		return nil, err
	}
	transport := providers.HTTPTransport(c.tls)
	p := &Provider{
		config:    c,
		host:      strings.TrimSuffix(c.Endpoint, "/"),
		callback:  callback,
		codes:     codes,
		transport: transport,
		client: &http.Client{
			Transport: &providers.ExchangeTransport{Base: transport},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the token goes nowhere else
			},
		},
	}
	p.tokens = &providers.Tokens{Provider: name, Fetch: p.grant, RefreshEarly: refreshEarly, LastMoment: lastMoment}
	return p, nil
}

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	data, w, err := weigh(d)
	if err != nil {
		return push.Answer{}, err
	}
	if d.Address.Token == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no registration id"}
	}
	token, err := p.tokens.Get(ctx)
	if err != nil {
		return push.Answer{}, err
	}
	var answer struct {
		ID string `json:"messageId"`
	}
	e := p.post(ctx, sendPath, p.form(d, data, token), &answer)
	switch {
	case e == nil, e.Code == duplicate: // the first of the two was taken
		return push.Answer{ID: answer.ID, Stage: push.Accepted, Bytes: w.Bytes}, nil
	case (e.Code == badToken || e.Code == noToken) && p.tokens.Refused(token):
		e.Kind, e.Detail = push.ErrCredentials, "a new auth token is refused"
	}
	return push.Answer{}, e
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// grant asks for an auth token, with a signature instead of the secret.
func (p *Provider) grant(ctx context.Context) (token string, life time.Duration, err error) {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	sign := sha256.Sum256([]byte(p.config.Key + now + p.config.Secret))
	var answer struct {
		Token string `json:"auth_token"`
	}
	e := p.post(ctx, authPath, url.Values{
		"app_key": {p.config.Key}, "timestamp": {now}, "sign": {hex.EncodeToString(sign[:])},
	}, &answer)
	switch {
	case e != nil:
		return "", 0, notGranted(e)
	case answer.Token == "":
		return "", 0, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no auth token: the answer has none"}
	}
	return answer.Token, tokenLife, nil
}

// post makes one request and reads the data of the answer into v.
func (p *Provider) post(ctx context.Context, path string, form url.Values, v any) *push.Error {
	var x providers.Exchange
	req, err := http.NewRequestWithContext(providers.WithExchange(ctx, &x), http.MethodPost, p.host+path, strings.NewReader(form.Encode()))
	if err != nil {
		return rejected("", "the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	res, sendErr := p.client.Do(req)
	if sendErr == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	if !x.Answered() {
		return x.Failure(name, sendErr)
	}
	return p.sort(&x, v)
}

// sort reads the service's answer: a refusal too has status 200.
func (p *Provider) sort(x *providers.Exchange, v any) *push.Error {
	var answer struct {
		Code json.Number     `json:"code"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(x.Body, &answer) != nil || answer.Code == "" {
		return x.NotTheirs(name)
	}
	code := answer.Code.String()
	if x.Status/100 == 2 && code == "0" {
		_ = json.Unmarshal(answer.Data, v) // it was taken, whatever else the answer says
		return nil
	}
	e := p.codes.Error(name, x.Status, strings.Replace(code, "-", "_", 1)) // a word has no minus
	e.Code = code
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	if errors.Is(e.Kind, push.ErrQuota) && e.RetryAfter == 0 {
		e.RetryAfter = providers.UntilMidnightInChina(time.Now())
	}
	return e
}
