// Package meizu hands deliveries to Meizu's push service, for phones with Flyme,
// and reads the receipts that it sends back.
package meizu

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "meizu"

//go:embed codes.json
var codesJSON []byte

// Where messages go: to pushIds, to be shown or to be given to the app unseen.
const (
	shownPath  = "/garcia/api/server/push/varnished/pushByPushId"
	unseenPath = "/garcia/api/server/push/unvarnished/pushByPushId"
)

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
// as "https://herald.example.com/v1/callbacks/meizu". With "" they ask for none.
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

// maxBatch is how many pushIds the service takes in one request.
const maxBatch = 1000

// Batch implements [providers.Batcher].
func (p *Provider) Batch(*push.Notification) int { return maxBatch }

// Deduplicates implements [providers.Deduplicator]:
// notifyKey replaces the first on the device.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return providers.Alone(ctx, p, d)
}

// SendBatch implements [providers.Batcher].
func (p *Provider) SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply {
	return providers.Addressed(ds, providers.NeedsListedToken(name, "pushId"), func(ds []*push.Delivery, tokens []string) []push.Reply {
		m, w, err := p.message(ds)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		form := url.Values{"appId": {p.config.ID}, "pushIds": {strings.Join(tokens, ",")}, "messageJson": {m.text}}
		x, e := p.ask(ctx, http.MethodPost, m.path, form)
		if e != nil {
			return providers.Each(len(ds), push.Answer{}, e)
		}
		return p.sort(x, tokens, w)
	})
}

// ask signs a form and makes one request with it.
func (p *Provider) ask(ctx context.Context, method, path string, form url.Values) (*providers.Exchange, *push.Error) {
	form.Set("sign", sign(form, p.config.Secret))
	address, body := p.base+path, []byte(form.Encode())
	if method == http.MethodGet {
		address, body = address+"?"+string(body), nil
	}
	return providers.Ask(ctx, p.client, name, method, address, body, http.Header{
		"Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"},
	})
}

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// accepted is the service's code for a request that it took.
const accepted = "200"

// answer is what the service says. Of pushIds it names the bad ones alone, by
// code; a refusal of all has a value of another shape.
type answer struct {
	Code  json.RawMessage `json:"code"` // a string, or a number as some clients relay it
	Value json.RawMessage `json:"value"`
	MsgID string          `json:"msgId"`
}

// sort reads the service's answer, for each pushId: a refusal too has status
// 200, and so has a message for devices of which some are gone.
func (p *Provider) sort(x *providers.Exchange, tokens []string, w push.Payload) []push.Reply {
	var a answer
	if json.Unmarshal(x.Body, &a) != nil || len(a.Code) == 0 {
		return providers.Each(len(tokens), push.Answer{}, x.NotTheirs(name))
	}
	code := strings.Trim(string(a.Code), `"`)
	if x.Status/100 != 2 || code != accepted {
		return providers.Each(len(tokens), push.Answer{}, p.refusal(x, code))
	}
	var bad map[string][]string
	_ = json.Unmarshal(a.Value, &bad) // another shape names nobody
	reasons := make(map[string]string, len(bad))
	for reason, ids := range bad {
		for _, id := range ids {
			reasons[id] = reason
		}
	}
	replies := make([]push.Reply, len(tokens))
	for i, token := range tokens {
		if reason, refused := reasons[token]; refused {
			replies[i].Err = p.refusal(x, reason)
		} else {
			replies[i].Answer = push.Answer{ID: a.MsgID, Stage: push.Accepted, Bytes: w.Bytes}
		}
	}
	return replies
}

// refusal is the table's row for a code.
func (p *Provider) refusal(x *providers.Exchange, code string) *push.Error {
	return p.codes.Refusal(name, x, code, code)
}
