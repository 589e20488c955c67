package custom

import (
	"context"
	"slices"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// mostTogether bounds a request: a chunk has no more deliveries.
const mostTogether = 1000

// batchConfig is how one request tells many devices, and how its answer is read
// device by device. Templates then speak of the chunk's id as .Delivery, and of
// one device only inside of {"$each": …}; .Tokens are all of them, .TokenList is
// them with commas between.
type batchConfig struct {
	Most    int             `json:"most"`    // devices of one request
	Classes []push.Class    `json:"classes"` // of messages that go out so; none is all
	Results *resultsConfig  `json:"results"` // where the answer says what became of each
	Refused []refusedConfig `json:"refused"` // where it lists those that were refused
}

// resultsConfig reads a list of outcomes.
type resultsConfig struct {
	Items     string `json:"items"`      // path to them
	Token     string `json:"token"`      // path in each to the device's token; "" if they are in the order of the request
	Code      words  `json:"code"`       // paths in each to its code word
	Success   words  `json:"success"`    // words that mean it was taken; no word at all does too
	MessageID string `json:"message_id"` // path in each to the service's own id
}

// refusedConfig reads a list of tokens that were refused for one reason.
type refusedConfig struct {
	Tokens string `json:"tokens"` // path to the list
	Code   words  `json:"code"`   // the word that sorts them by the table of codes
}

// batch is a compiled batchConfig.
type batch struct {
	most    int
	classes []push.Class
	listed  bool // a template has .TokenList
	results *results
	refused []refused
}

type results struct {
	items   path
	token   path // nil if they are in order
	code    []path
	success []string
	id      path // nil if there is none
}

type refused struct {
	tokens path
	code   string
}

func (c *compiler) batch(bc *batchConfig, uses map[string]bool) *batch {
	b := &batch{most: bc.Most, classes: bc.Classes, listed: uses["TokenList"]}
	if bc.Most < 2 || bc.Most > mostTogether {
		c.faults.Add("batch.most", "must be from 2 to 1000")
	}
	for _, class := range bc.Classes {
		if !class.Known() {
			c.faults.Add("batch.classes", "has a word that is no message class")
		}
	}
	if !uses["Tokens"] && !uses["TokenList"] && !uses[asEach] {
		c.faults.Add("batch", "needs .Tokens, .TokenList or $each in the request, or it would tell nobody")
	}
	if rc := bc.Results; rc != nil {
		c.faults.Require("batch.results.items", rc.Items)
		b.results = &results{items: c.path("batch.results.items", rc.Items), success: rc.Success}
		if rc.Token != "" {
			b.results.token = c.path("batch.results.token", rc.Token)
		}
		if rc.MessageID != "" {
			b.results.id = c.path("batch.results.message_id", rc.MessageID)
		}
		if len(rc.Code) == 0 {
			c.faults.Add("batch.results.code", "is missing")
		}
		for _, source := range rc.Code {
			b.results.code = append(b.results.code, c.path("batch.results.code", source))
		}
	}
	for _, rc := range bc.Refused {
		c.faults.Require("batch.refused.tokens", rc.Tokens)
		if len(rc.Code) != 1 {
			c.faults.Add("batch.refused.code", "must be one word")
			continue
		}
		b.refused = append(b.refused, refused{c.path("batch.refused.tokens", rc.Tokens), rc.Code[0]})
	}
	return b
}

// Batch implements [providers.Batcher]: as many as the configuration says.
func (p *Provider) Batch(n *push.Notification) int {
	b := p.config.batch
	if b == nil || len(b.classes) > 0 && !slices.Contains(b.classes, n.Class) {
		return 1
	}
	return b.most
}

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return providers.Alone(ctx, p, d)
}

// SendBatch implements [providers.Batcher].
func (p *Provider) SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply {
	w, err := p.Weigh(ds[0]) // the limit is a message's, however many it goes to
	if err != nil {
		return providers.Each(len(ds), push.Answer{}, err)
	}
	return providers.Addressed(ds, p.noToken, func(ds []*push.Delivery, tokens []string) []push.Reply {
		s := p.scope(ds)
		x, err := p.ask(ctx, p.config.send, s)
		if err != nil {
			return providers.Each(len(ds), push.Answer{}, err)
		}
		replies := p.sort(x, s, tokens)
		for i := range replies {
			if replies[i].Err == nil {
				replies[i].Answer.Bytes = w.Bytes
			}
		}
		return replies
	})
}

// noToken keeps out what is no token. One with a comma would be several, in a
// request that has them so: other people's devices.
func (p *Provider) noToken(token string) *push.Error {
	switch {
	case token == "":
		return &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no token"}
	case p.config.batch != nil && p.config.batch.listed && strings.Contains(token, ","):
		return &push.Error{Provider: name, Kind: push.ErrUnregistered, Detail: "that is no token of the service"}
	}
	return nil
}

// sort reads the service's answer, for each token.
func (p *Provider) sort(x *providers.Exchange, s *scope, tokens []string) []push.Reply {
	v := p.config.answers.read(x.Status, x.Body)
	switch {
	case v.foreign:
		return providers.Each(len(tokens), push.Answer{}, x.NotTheirs(name))
	case !v.accepted:
		return providers.Each(len(tokens), push.Answer{}, p.refusal(x, s, v))
	}
	replies := providers.Each(len(tokens), push.Answer{ID: v.id, Stage: push.Accepted}, nil)
	dead := v.named(p.config.answers.dead)
	for i, token := range tokens {
		if dead[token] {
			replies[i] = push.Reply{Err: &push.Error{Provider: name, Kind: push.ErrUnregistered, Detail: "the service names the token as dead"}}
		}
	}
	if b := p.config.batch; b != nil {
		p.sortRefused(b, x, s, v, tokens, replies)
		p.sortResults(b, x, s, v, tokens, replies)
	}
	return replies
}

// sortRefused gives those that the answer lists as refused their reason.
func (p *Provider) sortRefused(b *batch, x *providers.Exchange, s *scope, v verdict, tokens []string, replies []push.Reply) {
	for _, r := range b.refused {
		listed := v.named([]path{r.tokens})
		for i, token := range tokens {
			if listed[token] {
				replies[i] = push.Reply{Err: p.oneRefusal(x, s, v, r.code)}
			}
		}
	}
}

// sortResults gives each device the outcome that the answer has for it. Of
// outcomes in the request's order none may be missing: such a device's is not
// known.
func (p *Provider) sortResults(b *batch, x *providers.Exchange, s *scope, v verdict, tokens []string, replies []push.Reply) {
	r := b.results
	if r == nil {
		return
	}
	var items []any
	r.items.each(v.body, func(found any) bool {
		if list, ok := found.([]any); ok {
			items = append(items, list...)
		} else {
			items = append(items, found)
		}
		return true
	})
	of := make(map[string]any, len(items))
	for i, item := range items {
		token, ok := "", true
		if r.token != nil {
			token, ok = r.token.word(item)
		} else if ok = i < len(tokens); ok {
			token = tokens[i]
		}
		if ok {
			of[token] = item
		}
	}
	for i, token := range tokens {
		item, told := of[token]
		switch {
		case replies[i].Err != nil:
		case told:
			replies[i] = p.one(r, x, s, v, item)
		case r.token == nil:
			replies[i] = push.Reply{Err: &push.Error{Provider: name, Kind: push.ErrUnknown, Detail: "the answer does not say what became of the device"}}
		}
	}
}

// one reads one outcome.
func (p *Provider) one(r *results, x *providers.Exchange, s *scope, v verdict, item any) push.Reply {
	code := ""
	for _, path := range r.code {
		if word, ok := path.word(item); ok && word != "" {
			code = word
			break
		}
	}
	if code != "" && !slices.Contains(r.success, code) {
		return push.Reply{Err: p.oneRefusal(x, s, v, code)}
	}
	id := v.id
	if r.id != nil {
		id, _ = r.id.word(item)
		id = id[:min(len(id), 128)]
	}
	return push.Reply{Answer: push.Answer{ID: id, Stage: push.Accepted}}
}

// oneRefusal is why one device of an accepted request was refused.
func (p *Provider) oneRefusal(x *providers.Exchange, s *scope, v verdict, code string) *push.Error {
	one := verdict{status: v.status, body: v.body, code: code}
	p.config.answers.sortReport(&one)
	return p.refusal(x, s, one)
}

// named are the tokens that an answer has at some paths.
func (v *verdict) named(paths []path) map[string]bool {
	var tokens map[string]bool
	for _, p := range paths {
		p.each(v.body, func(found any) bool {
			list, ok := found.([]any)
			if !ok {
				list = []any{found}
			}
			for _, t := range list {
				if word, ok := wordOf(t); ok {
					if tokens == nil {
						tokens = make(map[string]bool)
					}
					tokens[word] = true
				}
			}
			return true
		})
	}
	return tokens
}
