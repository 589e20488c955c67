// Package vivo hands deliveries to vivo's push service, and reads the receipts
// that it sends back.
package vivo

import (
	"bytes"
	"context"
	"crypto/md5"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "vivo"

// The service's addresses below its host.
const (
	authPath = "/message/auth"
	sendPath = "/message/send"
)

// Codes that are not only rows of the table.
const (
	badToken     = "10000"
	outsideHours = "10071"
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
	gate      gate
	now       func() time.Time
	client    *http.Client
	transport *http.Transport
}

// New opens a provider that asks for no receipts. It is a [providers.Opener].
func New(credentials []byte) (providers.Provider, error) { return open(credentials, "") }

// Opener returns an opener whose providers ask for receipts at an address, such
// as "https://herald.example.com/v1/callbacks/vivo". With "" they ask for none.
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
		now:       time.Now,
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
	if classOf(d) == operations {
		if e := p.gate.pass(p.now()); e != nil {
			return push.Answer{}, e
		}
	}
	token, err := p.tokens.Get(ctx)
	if err != nil {
		return push.Answer{}, err
	}
	answer, e := p.post(ctx, sendPath, token, p.message(d, data))
	if e == nil {
		return push.Answer{ID: answer.TaskID, Stage: push.Accepted, Bytes: w.Bytes}, nil
	}
	if e.Code == badToken && p.tokens.Refused(token) {
		e.Kind, e.Detail = push.ErrCredentials, "a new auth token is refused"
	}
	if classOf(d) == operations {
		p.gate.learn(e, p.now())
	}
	return push.Answer{}, e
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// grant asks for an auth token, with a signature instead of the secret. That it
// is MD5 is the service's choice.
func (p *Provider) grant(ctx context.Context) (token string, life time.Duration, err error) {
	now := time.Now().UnixMilli()
	sign := md5.Sum([]byte(p.config.ID + p.config.Key + strconv.FormatInt(now, 10) + p.config.Secret))
	answer, e := p.post(ctx, authPath, "", map[string]any{
		"appId": p.config.ID, "appKey": p.config.Key, "timestamp": now, "sign": hex.EncodeToString(sign[:]),
	})
	switch {
	case e != nil:
		return "", 0, notGranted(e)
	case answer.AuthToken == "":
		return "", 0, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no auth token: the answer has none"}
	}
	return answer.AuthToken, tokenLife, nil
}

// answer is what the service says to any request.
type answer struct {
	Result    json.Number `json:"result"`
	AuthToken string      `json:"authToken"`
	TaskID    string      `json:"taskId"`
	Invalid   *struct {
		Status int `json:"status"`
	} `json:"invalidUser"`
}

// post makes one request and reads the answer.
func (p *Provider) post(ctx context.Context, path, token string, body any) (*answer, *push.Error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, rejected("the request cannot be encoded")
	}
	var x providers.Exchange
	req, err := http.NewRequestWithContext(providers.WithExchange(ctx, &x), http.MethodPost, p.host+path, bytes.NewReader(text))
	if err != nil {
		return nil, rejected("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("authToken", token)
	}
	res, sendErr := p.client.Do(req)
	if sendErr == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	if !x.Answered() {
		return nil, x.Failure(name, sendErr)
	}
	return p.sort(&x)
}

// sort reads the service's answer: a refusal too has status 200, and one that is
// about the device says more of it than the code does.
func (p *Provider) sort(x *providers.Exchange) (*answer, *push.Error) {
	var a answer
	if json.Unmarshal(x.Body, &a) != nil || a.Result == "" {
		return nil, x.NotTheirs(name)
	}
	code := a.Result.String()
	word := code
	switch {
	case a.Invalid != nil && a.Invalid.Status >= 1 && a.Invalid.Status <= 4:
		word = "invalid_user_" + strconv.Itoa(a.Invalid.Status)
	case x.Status/100 == 2 && code == "0":
		return &a, nil
	}
	e := p.codes.Error(name, x.Status, word)
	e.Code = code
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	switch {
	case e.RetryAfter > 0:
	case code == outsideHours:
		e.RetryAfter = untilNextOpening(p.now())
	case errors.Is(e.Kind, push.ErrQuota):
		e.RetryAfter = providers.UntilMidnightInChina(p.now())
	}
	return nil, e
}
