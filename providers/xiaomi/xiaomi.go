// Package xiaomi hands deliveries to Xiaomi's MiPush, and reads the receipts
// that it sends back.
package xiaomi

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "xiaomi"

//go:embed codes.json
var codesJSON []byte

// Provider sends over connections of its own.
type Provider struct {
	config    *config
	send      string // address of the single send
	callback  string // address of our callbacks; "" for none
	codes     *providers.Codes
	client    *http.Client
	transport *http.Transport
}

// New opens a provider that asks for no receipts. It is a [providers.Opener].
func New(credentials []byte) (providers.Provider, error) { return open(credentials, "") }

// Opener returns an opener whose providers ask for receipts at an address, such
// as "https://herald.example.com/v1/callbacks/xiaomi". With "" they ask for none.
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
	return &Provider{
		config:    c,
		send:      strings.TrimSuffix(c.Endpoint, "/") + "/v3/message/regid",
		callback:  callback,
		codes:     codes,
		transport: transport,
		client: &http.Client{
			Transport: &providers.ExchangeTransport{Base: transport},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the secret goes nowhere else
			},
		},
	}, nil
}

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	payload, w, err := weigh(d)
	if err != nil {
		return push.Answer{}, err
	}
	switch {
	case d.Address.Token == "":
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no registration id"}
	case strings.Contains(d.Address.Token, ","): // a list, to the service: other people's devices
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnregistered, Detail: "that is no registration id"}
	}
	var x providers.Exchange
	req, err := http.NewRequestWithContext(providers.WithExchange(ctx, &x), http.MethodPost, p.send,
		strings.NewReader(p.form(d, payload).Encode()))
	if err != nil {
		return push.Answer{}, rejected("", "the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	req.Header.Set("Authorization", "key="+p.config.Secret)
	res, sendErr := p.client.Do(req)
	if sendErr == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	if !x.Answered() {
		return push.Answer{}, x.Failure(name, sendErr)
	}
	return p.sort(&x, w)
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// sort reads the service's answer: a refusal too has status 200, and what a
// channel has no quota for is "ok" with a word beside it.
func (p *Provider) sort(x *providers.Exchange, w push.Payload) (push.Answer, error) {
	var answer struct {
		Code json.Number `json:"code"`
		Data struct {
			ID       string `json:"id"`
			Exceeded string `json:"channel_exceed_quota"`
		} `json:"data"`
	}
	// A refusal's data may be of another shape, and is not looked at.
	err := json.Unmarshal(x.Body, &answer)
	if _, reshaped := errors.AsType[*json.UnmarshalTypeError](err); (err != nil && !reshaped) || answer.Code == "" {
		return push.Answer{}, x.NotTheirs(name)
	}
	word := answer.Code.String()
	switch {
	case x.Status/100 == 2 && word == "0" && answer.Data.Exceeded == "":
		return push.Answer{ID: answer.Data.ID, Stage: push.Accepted, Bytes: w.Bytes}, nil
	case word == "0" && answer.Data.Exceeded != "":
		word = "channel_exceed_quota"
	}
	e := p.codes.Error(name, x.Status, word)
	e.Code = word
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	if errors.Is(e.Kind, push.ErrQuota) && e.RetryAfter == 0 {
		e.RetryAfter = providers.UntilMidnightInChina(time.Now())
	}
	return push.Answer{}, e
}
