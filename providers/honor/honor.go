// Package honor hands deliveries to Honor's push service with the OAuth client
// of an app.
//
// It does as much as is known of that service; what is not is marked in
// codes.json. Receipts are believed by a mark of ours, for how Honor signs them
// is not known.
package honor

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
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
		config:    c,
		tokens:    &providers.Tokens{Provider: name, Fetch: oauth.Fetch},
		codes:     codes,
		client:    providers.Client(transport),
		transport: transport,
	}, nil
}

// maxBatch is how many tokens go out in one request. It is Huawei's limit, whose
// API this one is made after: Honor's own is not known.
const maxBatch = 1000

// Batch implements [providers.Batcher].
func (p *Provider) Batch(*push.Notification) int { return maxBatch }

// Deduplicates implements [providers.Deduplicator]:
// tag and notifyId replace the first on the device.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return providers.Alone(ctx, p, d)
}

// SendBatch implements [providers.Batcher].
func (p *Provider) SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply {
	return providers.Addressed(ds, providers.NeedsToken(name, "token"), func(ds []*push.Delivery, tokens []string) []push.Reply {
		body, w, err := p.config.encode(ds, tokens)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		access, err := p.tokens.Get(ctx)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		x, e := providers.Ask(ctx, p.client, name, http.MethodPost, p.config.send, body, http.Header{
			"Content-Type":  {"application/json; charset=UTF-8"},
			"Authorization": {"Bearer " + access},
			"timestamp":     {strconv.FormatInt(time.Now().UnixMilli(), 10)},
		})
		if e != nil {
			return providers.Each(len(ds), push.Answer{}, e)
		}
		return p.sort(x, tokens, access, w.Bytes)
	})
}

// Weigh implements [providers.Provider].
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	_, w, err := p.config.encode([]*push.Delivery{d}, []string{d.Address.Token})
	return w, err
}

// ShareTokens implements [providers.TokenSharer].
func (p *Provider) ShareTokens(s providers.TokenStore, key string) { p.tokens.Share(s, key) }

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

// sort reads the answer: the id of what was accepted, or why it was refused, for
// each token.
func (p *Provider) sort(x *providers.Exchange, tokens []string, access string, bytes int) []push.Reply {
	n := len(tokens)
	var a answer
	if json.Unmarshal(x.Body, &a) != nil || a.Code == "" {
		if len(x.Body) == 0 && x.Status/100 != 2 { // the status says it all
			return providers.Each(n, push.Answer{}, p.refusal(x, "", access))
		}
		return providers.Each(n, push.Answer{}, x.NotTheirs(name))
	}
	code := a.Code.String()
	if x.Status/100 != 2 || code != "200" && code != "80000000" {
		return providers.Each(n, push.Answer{}, p.refusal(x, code, access))
	}
	said := make(map[string]string, len(a.Data.Failed)+len(a.Data.Expired))
	for _, token := range a.Data.Failed {
		said[token] = wordFailed
	}
	for _, token := range a.Data.Expired {
		said[token] = wordExpired
	}
	nobody := a.Data.SendResult != nil && !*a.Data.SendResult
	replies := make([]push.Reply, n)
	for i, token := range tokens {
		switch word, listed := said[token]; {
		case listed:
			replies[i].Err = p.refusal(x, word, access)
		case nobody:
			replies[i].Err = p.refusal(x, wordFailed, access)
		default:
			replies[i].Answer = push.Answer{ID: a.Data.RequestID, Stage: push.Accepted, Bytes: bytes}
		}
	}
	return replies
}

// refusal is the table's row for Honor's code. It sees to an access token that
// was refused.
func (p *Provider) refusal(x *providers.Exchange, code, accessToken string) error {
	e := p.codes.Refusal(name, x, code, code)
	switch {
	case x.Status != http.StatusUnauthorized && code != "401" && code != "80200001" && code != "80200003":
	case p.tokens.Refused(accessToken):
		e.Kind, e.Detail = push.ErrCredentials, "a new access token is refused"
	}
	return e
}
