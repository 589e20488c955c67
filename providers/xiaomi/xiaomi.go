// Package xiaomi hands deliveries to Xiaomi's MiPush, and reads the receipts
// that it sends back.
package xiaomi

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
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
	base      string
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
		base:      strings.TrimSuffix(c.Endpoint, "/"),
		callback:  callback,
		codes:     codes,
		transport: transport,
		client:    providers.Client(transport),
	}, nil
}

// maxBatch is how many registration ids Xiaomi takes in one request.
const maxBatch = 1000

// Batch implements [providers.Batcher].
func (p *Provider) Batch(*push.Notification) int { return maxBatch }

// Deduplicates implements [providers.Deduplicator]:
// notify_id replaces the first on the device.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return providers.Alone(ctx, p, d)
}

// SendBatch implements [providers.Batcher].
func (p *Provider) SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply {
	return providers.Addressed(ds, providers.NeedsListedToken(name, "registration id"), func(ds []*push.Delivery, tokens []string) []push.Reply {
		payload, w, err := weigh(ds)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		x, e := p.ask(ctx, http.MethodPost, p.base+"/v3/message/regid", p.form(ds, tokens, payload).Encode())
		if e != nil {
			return providers.Each(len(ds), push.Answer{}, e)
		}
		return p.sort(x, tokens, w)
	})
}

// ask makes one request with the app's secret.
func (p *Provider) ask(ctx context.Context, method, address, form string) (*providers.Exchange, *push.Error) {
	return providers.Ask(ctx, p.client, name, method, address, []byte(form), http.Header{
		"Content-Type":  {"application/x-www-form-urlencoded;charset=UTF-8"},
		"Authorization": {"key=" + p.config.Secret},
	})
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// codeNoDevice is the word for a registration id that nobody has.
const codeNoDevice = "10029"

// sort reads the service's answer, for each registration id: a refusal too has
// status 200, what a channel has no quota for is "ok" with a word beside it, and
// so is a message for devices of which some are gone.
func (p *Provider) sort(x *providers.Exchange, tokens []string, w push.Payload) []push.Reply {
	var answer struct {
		Code json.Number `json:"code"`
		Data struct {
			ID       string `json:"id"`
			Exceeded string `json:"channel_exceed_quota"`
			Bad      string `json:"bad_regids"` // with commas between; also told as bad_regIds
		} `json:"data"`
	}
	// A refusal's data may be of another shape, and is not looked at.
	err := json.Unmarshal(x.Body, &answer)
	if _, reshaped := errors.AsType[*json.UnmarshalTypeError](err); (err != nil && !reshaped) || answer.Code == "" {
		return providers.Each(len(tokens), push.Answer{}, x.NotTheirs(name))
	}
	word := answer.Code.String()
	if word == "0" && answer.Data.Exceeded != "" {
		word = "channel_exceed_quota"
	}
	if x.Status/100 != 2 || word != "0" {
		return providers.Each(len(tokens), push.Answer{}, p.refusal(x, word))
	}
	bad := strings.Split(answer.Data.Bad, ",")
	replies := make([]push.Reply, len(tokens))
	for i, token := range tokens {
		if slices.Contains(bad, token) {
			replies[i].Err = p.refusal(x, codeNoDevice)
		} else {
			replies[i].Answer = push.Answer{ID: answer.Data.ID, Stage: push.Accepted, Bytes: w.Bytes}
		}
	}
	return replies
}

// refusal is the table's row for a word of the service.
func (p *Provider) refusal(x *providers.Exchange, word string) *push.Error {
	e := p.codes.Refusal(name, x, word, word)
	if errors.Is(e.Kind, push.ErrQuota) && e.RetryAfter == 0 {
		e.RetryAfter = providers.UntilMidnightInChina(time.Now())
	}
	return e
}
