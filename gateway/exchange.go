package gateway

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// Exchange is a call with all that passed, as it is kept and replayed.
type Exchange struct {
	Service   string              `json:"service"`
	Version   int                 `json:"version,omitempty"`
	Operation string              `json:"operation"`
	Caller    Caller              `json:"caller"`
	Input     json.RawMessage     `json:"input"`
	Page      PageRequest         `json:"page"`
	Requests  map[string]Sent     `json:"requests,omitempty"` // by step, "" where there is one
	Answers   map[string]Received `json:"answers"`
	Output    json.RawMessage     `json:"output,omitempty"`
	Next      string              `json:"next,omitempty"`
	Error     string              `json:"error,omitempty"` // a code
	Faults    []push.Fault        `json:"faults,omitempty"`
	Detail    string              `json:"detail,omitempty"`
}

// Sent is a request to a back end. What proves who sends it is not in it.
type Sent struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   map[string][]string `json:"query,omitempty"`
	Headers map[string]string   `json:"headers,omitempty"`
	Body    json.RawMessage     `json:"body,omitempty"`
}

// Received is a back end's answer.
type Received struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// exchange gathers what passes on one call.
type exchange struct {
	mu       sync.Mutex
	mask     mask
	requests map[string]Sent
	answers  map[string]Received
}

// sample decides whether this call's exchange is kept.
func (c *call) sample(input any) {
	if s := c.operation.declared.Sample; s != nil && rand.Float64()*100 < s.Percent {
		c.notes = &exchange{mask: mask{names: s.Mask}}
		c.notes.mask.learn(input)
		c.notes.mask.hide(c.who.User)
		c.notes.mask.hide(c.who.Device)
	}
}

// add notes what a step sent and got; the nil exchange notes nothing.
func (x *exchange) add(s *step, out *outgoing, in *incoming) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.requests == nil {
		x.requests, x.answers = map[string]Sent{}, map[string]Received{}
	}
	sent := Sent{Method: out.method, Path: x.mask.path(out.path), Body: x.text(out.body)}
	for name, values := range out.query {
		if sent.Query == nil {
			sent.Query = map[string][]string{}
		}
		for _, v := range values {
			sent.Query[name] = append(sent.Query[name], x.mask.field(name, v))
		}
	}
	for name, v := range out.headers {
		if sent.Headers == nil {
			sent.Headers = map[string]string{}
		}
		sent.Headers[name] = x.mask.field(name, v)
	}
	x.requests[s.name] = sent
	if in != nil {
		x.mask.learn(in.body)
		raw, _ := encode(x.mask.apply(in.body)) // it was decoded from JSON
		x.answers[s.name] = Received{Status: in.status, Headers: keptHeaders(in.header), Body: raw}
	}
}

// text is a body with its fields masked.
func (x *exchange) text(raw []byte) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	v, err := decode(raw)
	if err != nil {
		return nil
	}
	out, _ := encode(x.mask.apply(v)) // as it was
	return out
}

// keptHeaders are those that mappings and caches read.
func keptHeaders(h http.Header) map[string]string {
	kept := map[string]string{}
	for _, name := range []string{"Cache-Control", "Etag", "Content-Type"} {
		if v := h.Get(name); v != "" {
			kept[name] = v
		}
	}
	return kept
}

// finish is the exchange as it is kept.
func (c *call) finish(r Request, a *Answer, err error) *Exchange {
	x := c.notes
	x.mu.Lock()
	defer x.mu.Unlock()
	e := &Exchange{
		Service: r.Service, Version: c.version.number, Operation: r.Operation, Page: r.Page,
		Caller: Caller{App: c.who.App, Roles: c.who.Roles}, // whose call it was is nobody's affair
		Input:  x.text(r.Input), Requests: x.requests, Answers: x.answers,
	}
	if err != nil {
		e.Error = asError(err).Code
	} else {
		e.Output = x.text(a.Output)
		if a.Page != nil {
			e.Next = a.Page.Next
		}
	}
	return e
}

// Replay runs an exchange against a declaration with the answers that were
// recorded, and tells what comes of it now. Nothing is sent.
func Replay(ctx context.Context, d Declaration, rules Rules, x Exchange) (*Exchange, error) {
	s, err := compile(d, rules)
	if err != nil {
		return nil, err
	}
	g := New(DefaultConfig(), Parts{})
	c := &call{gateway: g, who: x.Caller, service: s, notes: &exchange{}}
	r := Request{Service: x.Service, Operation: x.Operation, Version: x.Version, Input: x.Input, Page: x.Page}
	if c.version, c.operation, err = s.find(r, time.Time{}); err != nil {
		return nil, err
	}
	c.road = func(_ context.Context, st *step, _ *outgoing, _ string) (*incoming, error) { return x.answer(st) }
	answer, err := func() (*Answer, error) {
		input, err := c.operation.read(r.Input)
		if err != nil {
			return nil, err
		}
		res, err := c.plainAnswer(ctx, c.operation, input, r.Page)
		if err != nil {
			return nil, err
		}
		return c.write(r, res)
	}()
	got := c.finish(r, answer, err)
	if err != nil {
		e := asError(err)
		got.Faults, got.Detail = e.Faults, e.Error()
	}
	return got, nil
}

// answer is what was recorded for a step.
func (x *Exchange) answer(st *step) (*incoming, error) {
	got, ok := x.Answers[st.name]
	if !ok {
		return nil, fail(CodeUnreachable, "the exchange has no answer for the step "+st.name, nil)
	}
	in := &incoming{status: got.Status, header: http.Header{}}
	if in.status == 0 {
		in.status = http.StatusOK
	}
	for name, v := range got.Headers {
		in.header.Set(name, v)
	}
	if len(got.Body) > 0 {
		var err error
		if in.body, err = decode(got.Body); err != nil {
			return nil, fail(CodeNotJSON, "the recorded answer is not JSON", err)
		}
	}
	if in.status >= 500 {
		return in, fail(CodeFailed, "the back end answered so", nil)
	}
	return in, nil
}

// plainAnswer is answer without cache, canary and company.
func (c *call) plainAnswer(ctx context.Context, o *operation, input any, page PageRequest) (*result, error) {
	switch {
	case o.adapts != nil:
		return c.adapt(ctx, o, input, page)
	case len(o.steps) == 0:
		return o.mock(input), nil
	}
	plain := *o
	plain.shadow, plain.canary = nil, nil
	return c.run(ctx, &plain, o.steps, input, page, "")
}
