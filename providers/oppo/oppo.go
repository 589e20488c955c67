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
	"slices"
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
	manyPath = "/server/v1/message/notification/unicast_batch"
)

// Codes that are not only rows of the table.
const (
	badToken  = "11"
	noAuth    = "29"
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
		client:    providers.Client(transport),
	}
	p.tokens = &providers.Tokens{Provider: name, Fetch: p.grant, RefreshEarly: refreshEarly, LastMoment: lastMoment}
	return p, nil
}

// maxBatch is how many messages OPPO takes in one request. Each is a whole one,
// so all that goes out carries the delivery's own id.
const maxBatch = 1000

// Batch implements [providers.Batcher].
func (p *Provider) Batch(*push.Notification) int { return maxBatch }

// Deduplicates implements [providers.Deduplicator]:
// it sends no device a second message with the same app_message_id.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return providers.Alone(ctx, p, d)
}

// SendBatch implements [providers.Batcher].
func (p *Provider) SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply {
	return providers.Addressed(ds, providers.NeedsToken(name, "registration id"), func(ds []*push.Delivery, tokens []string) []push.Reply {
		messages := make([]message, len(ds))
		weights := make([]push.Payload, len(ds))
		for i, d := range ds {
			data, w, err := weigh(d)
			if err != nil { // their texts are the same
				return providers.Each(len(ds), push.Answer{}, err)
			}
			messages[i], weights[i] = p.message(d, data), w
		}
		access, err := p.tokens.Get(ctx)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		said, e := p.ask(ctx, messages, access)
		if e != nil {
			if (e.Code == badToken || e.Code == noAuth) && p.tokens.Refused(access) {
				e.Kind, e.Detail = push.ErrCredentials, "a new auth token is refused"
			}
			if e.Code != duplicate || len(ds) > 1 {
				return providers.Each(len(ds), push.Answer{}, e)
			}
		}
		replies := make([]push.Reply, len(ds))
		for i := range ds {
			replies[i] = p.reply(said, i, tokens[i], weights[i])
		}
		return replies
	})
}

// outcome is what OPPO says of one message.
type outcome struct {
	ID    string      `json:"messageId"`
	Token string      `json:"registrationId"`
	Code  json.Number `json:"errorCode"` // "" or 0 for good
}

// ask sends messages and returns what became of each.
func (p *Provider) ask(ctx context.Context, messages []message, access string) ([]outcome, *push.Error) {
	if len(messages) == 1 {
		var one outcome
		e := p.post(ctx, sendPath, form("message", messages[0], access), &one)
		return []outcome{one}, e
	}
	var all []outcome
	e := p.post(ctx, manyPath, form("messages", messages, access), &all)
	return all, e
}

// reply reads what became of the i-th message: OPPO tells them in their order,
// with their registration ids.
func (p *Provider) reply(said []outcome, i int, token string, w push.Payload) push.Reply {
	accepted := push.Answer{Stage: push.Accepted, Bytes: w.Bytes}
	if i >= len(said) || said[i].Token != "" && said[i].Token != token {
		i = slices.IndexFunc(said, func(o outcome) bool { return o.Token == token })
	}
	if i < 0 {
		return push.Reply{Err: &push.Error{Provider: name, Kind: push.ErrUnknown, Detail: "the answer does not say what became of it"}}
	}
	accepted.ID = said[i].ID
	switch code := said[i].Code.String(); code {
	case "", "0", duplicate: // the first of the two was taken
		return push.Reply{Answer: accepted}
	default:
		return push.Reply{Err: p.refusal(http.StatusOK, code, 0)}
	}
}

// ShareTokens implements [providers.TokenSharer].
func (p *Provider) ShareTokens(s providers.TokenStore, key string) { p.tokens.Share(s, key) }

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
	x, e := providers.Ask(ctx, p.client, name, http.MethodPost, p.host+path, []byte(form.Encode()), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"},
	})
	if e != nil {
		return e
	}
	return p.sort(x, v)
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
	return p.refusal(x.Status, code, x.RetryAfter())
}

// refusal is the table's row for a code.
func (p *Provider) refusal(status int, code string, after time.Duration) *push.Error {
	e := p.codes.Error(name, status, strings.Replace(code, "-", "_", 1)) // a word has no minus
	e.Code = code
	if after > 0 {
		e.RetryAfter = after
	}
	if errors.Is(e.Kind, push.ErrQuota) && e.RetryAfter == 0 {
		e.RetryAfter = providers.UntilMidnightInChina(time.Now())
	}
	return e
}
