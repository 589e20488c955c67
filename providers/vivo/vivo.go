// Package vivo hands deliveries to vivo's push service, and reads the receipts
// that it sends back.
package vivo

import (
	"context"
	"crypto/md5"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
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
	savePath = "/message/saveListPayload"
	listPath = "/message/pushToList"
)

// Codes that are not only rows of the table.
const (
	badToken     = "10000"
	outsideHours = "10071"
	listsUsedUp  = "10252"
	nobody       = "10302"
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
	noLists   atomic.Int64 // ms since 1970; before, the day's lists are used up
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
		client:    providers.Client(transport),
	}
	p.tokens = &providers.Tokens{Provider: name, Fetch: p.grant, RefreshEarly: refreshEarly, LastMoment: lastMoment}
	return p, nil
}

// Deduplicates implements [providers.Deduplicator]:
// notifyId replaces the first on the device.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return providers.Alone(ctx, p, d)
}

// SendBatch implements [providers.Batcher].
func (p *Provider) SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply {
	return providers.Addressed(ds, providers.NeedsToken(name, "registration id"), func(ds []*push.Delivery, tokens []string) []push.Reply {
		m, w, err := p.message(ds)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		access, err := p.tokens.Get(ctx)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		answer, e := p.deliver(ctx, access, m, tokens)
		if e != nil {
			p.learn(e, access)
			return providers.Each(len(ds), push.Answer{}, e)
		}
		return p.replies(answer, tokens, w)
	})
}

// deliver sends a message to one device, or to a list.
func (p *Provider) deliver(ctx context.Context, access string, m message, tokens []string) (*answer, *push.Error) {
	if len(tokens) > 1 {
		return p.deliverList(ctx, access, m, tokens)
	}
	m.RegID = tokens[0]
	return p.post(ctx, sendPath, access, m)
}

// learn draws conclusions from a refusal of the whole request.
func (p *Provider) learn(e *push.Error, access string) {
	switch {
	case e.Code == badToken && p.tokens.Refused(access):
		e.Kind, e.Detail = push.ErrCredentials, "a new auth token is refused"
	case e.Code == listsUsedUp:
		p.noLists.Store(p.now().Add(e.RetryAfter).UnixMilli())
		e.Kind, e.RetryAfter = push.ErrUnavailable, 0 // the next attempt goes to each device by itself
	}
}

// ShareTokens implements [providers.TokenSharer].
func (p *Provider) ShareTokens(s providers.TokenStore, key string) { p.tokens.Share(s, key) }

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
	Result    json.Number   `json:"result"`
	AuthToken string        `json:"authToken"`
	TaskID    string        `json:"taskId"`
	Invalid   *invalidUser  `json:"invalidUser"`  // of a message to one device
	Invalids  []invalidUser `json:"invalidUsers"` // of one to a list
}

// invalidUser is a device that a message does not go to.
type invalidUser struct {
	Status int    `json:"status"`
	Token  string `json:"userid"`
}

// word is the table's for such a device.
func (u *invalidUser) word() string {
	if u.Status >= 1 && u.Status <= 4 {
		return "invalid_user_" + strconv.Itoa(u.Status)
	}
	return nobody
}

// post makes one request and reads the answer.
func (p *Provider) post(ctx context.Context, path, token string, body any) (*answer, *push.Error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, rejected("the request cannot be encoded")
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if token != "" {
		header["authToken"] = []string{token}
	}
	x, e := providers.Ask(ctx, p.client, name, http.MethodPost, p.host+path, text, header)
	if e != nil {
		return nil, e
	}
	return p.sort(x)
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
		word = a.Invalid.word()
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
