// Package sms hands deliveries to a short message service with Twilio's HTTP
// API, and reads the reports that it sends back.
package sms

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/smstext"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = push.SMS

const (
	// maxUnits is the service's limit in UTF-16 units:
	// www.twilio.com/docs/messaging/api/message-resource
	maxUnits = 1600
	// maxValidity is how long the service may keep trying, in seconds.
	maxValidity = 36000
)

//go:embed codes.json
var codesJSON []byte

// Provider sends over connections of its own.
type Provider struct {
	config    *config
	messages  string // address of the account's messages
	callback  string // address of our callbacks; "" for none
	codes     *providers.Codes
	client    *http.Client
	transport *http.Transport
}

// Opener returns an opener whose providers ask for status callbacks at an
// address, such as "https://herald.example.com/v1/callbacks/sms": the one under
// which the service sees us, for its signature covers it. With "" they ask for
// none.
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
	tls, err := providers.TLS(c.CA)
	if err != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "ca", Detail: "holds no certificate in PEM"}}}
	}
	transport := providers.HTTPTransport(tls)
	return &Provider{
		config:    c,
		messages:  strings.TrimSuffix(c.Endpoint, "/") + "/2010-04-01/Accounts/" + c.Account + "/Messages.json",
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
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return push.Answer{}, err
	}
	text := o.Whole(d)
	s := smstext.Measure(text)
	if err := fits(s); err != nil {
		return push.Answer{}, err
	}
	if d.Address.Token == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no phone number"}
	}
	var x providers.Exchange
	req, err := http.NewRequestWithContext(providers.WithExchange(ctx, &x), http.MethodPost, p.messages,
		strings.NewReader(p.form(d, &o, text).Encode()))
	if err != nil {
		return push.Answer{}, rejected("", "the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(p.config.Account, p.config.Secret)
	res, sendErr := p.client.Do(req)
	if sendErr == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	if !x.Answered() {
		return push.Answer{}, x.Failure(name, sendErr)
	}
	return p.sort(&x, s)
}

// Weigh implements [providers.Provider]. The size is in UTF-16 units, for so the
// service counts.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return push.Payload{Limit: maxUnits}, err
	}
	s := smstext.Measure(o.Whole(d))
	return push.Payload{Bytes: s.Units, Limit: maxUnits, Segments: s.Segments, CostMicros: p.cost(s)}, fits(s)
}

// cost is the price of a text, in millionths of the app's currency.
func (p *Provider) cost(s smstext.Size) int64 { return int64(s.Segments) * p.config.micros }

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// fits returns an untyped nil for what can be sent.
func fits(s smstext.Size) error {
	switch {
	case s.Units == 0:
		return rejected("21602", "there is neither title nor body")
	case s.Units > maxUnits:
		return rejected("21617", fmt.Sprintf("the text has %d characters; the service takes %d", s.Units, maxUnits))
	}
	return nil
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

func (p *Provider) form(d *push.Delivery, o *options, text string) url.Values {
	f := url.Values{"To": {d.Address.Token}, "Body": {text}}
	if from := cmp.Or(o.From, p.config.From); strings.HasPrefix(from, "MG") {
		f.Set("MessagingServiceSid", from)
	} else {
		f.Set("From", from)
	}
	left := maxValidity
	if !d.ExpiresAt.IsZero() {
		left = min(max(int(time.Until(d.ExpiresAt).Seconds()), 1), left)
	}
	if o.TTL != nil {
		left = min(*o.TTL, left)
	}
	if !d.ExpiresAt.IsZero() || o.TTL != nil {
		f.Set("ValidityPeriod", strconv.Itoa(left))
	}
	if p.callback != "" {
		f.Set("StatusCallback", callbackFor(p.callback, d))
	}
	return f
}

// sort reads the service's answer.
func (p *Provider) sort(x *providers.Exchange, s smstext.Size) (push.Answer, error) {
	var answer struct {
		SID  string      `json:"sid"`
		Code json.Number `json:"code"`
	}
	ok := x.Status/100 == 2
	if json.Unmarshal(x.Body, &answer) != nil || !ok && answer.Code == "" {
		return push.Answer{}, x.NotTheirs(name)
	}
	if ok {
		return push.Answer{
			ID: answer.SID, Stage: push.Accepted, Bytes: s.Units, CostMicros: p.cost(s),
		}, nil
	}
	e := p.codes.Error(name, x.Status, answer.Code.String())
	e.Code = answer.Code.String()
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	return push.Answer{}, e
}
