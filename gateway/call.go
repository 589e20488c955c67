package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Call answers a request. Its error is an [Error].
func (g *Gateway) Call(ctx context.Context, who Caller, r Request) (*Answer, error) {
	began := time.Now()
	c := &call{gateway: g, who: who}
	answer, err := c.serve(ctx, r)
	g.note(c, r, answer, err, time.Since(began))
	if err != nil {
		return nil, asError(err)
	}
	return answer, nil
}

// call is one request on its way.
type call struct {
	gateway   *Gateway
	who       Caller
	service   *service
	version   *version
	operation *operation
	road      road      // to the back ends
	notes     *exchange // what passes, if it is kept; nil if not
}

// road carries one request of a step to its back end.
type road func(ctx context.Context, s *step, out *outgoing, etag string) (*incoming, error)

// result is an answer before it is written down.
type result struct {
	value   any
	raw     []byte // of value; nil until it is needed
	tag     string // of raw, likewise
	next    string
	partial []Missing
	cached  string

	etag      string        // the back end's
	fresh     time.Duration // by the back end's Cache-Control; below 0: not to be stored
	unchanged bool          // the back end says that what is stored still holds
}

func (c *call) serve(ctx context.Context, r Request) (*Answer, error) {
	g := c.gateway
	if c.service = g.catalog.Load().service(c.who.App, r.Service); c.service == nil {
		return nil, fail(CodeUnknownService, "this app has no such service", nil)
	}
	c.road = c.service.live
	var err error
	if c.version, c.operation, err = c.service.find(r, g.parts.Now()); err != nil {
		return nil, err
	}
	o := c.operation
	if !allowed(o.declared.Roles, c.who.Roles) {
		return nil, fail(CodeForbidden, "this operation is for: "+strings.Join(o.declared.Roles, ", "), nil)
	}
	if err := g.limits.take(c); err != nil {
		return nil, err
	}
	input, err := o.read(r.Input)
	if err != nil {
		return nil, err
	}
	c.sample(input)
	res, err := c.answer(ctx, o, input, r.Page)
	if err != nil {
		return nil, err
	}
	return c.write(r, res)
}

// read is the input, once it is what was declared.
func (o *operation) read(raw []byte) (any, error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	if len(raw) > o.maxInput {
		return nil, fail(CodeInputTooLarge, fmt.Sprintf("the input may have at most %d bytes", o.maxInput), nil)
	}
	input, err := decode(raw)
	if err != nil {
		return nil, fail(CodeInvalidInput, "the input is not JSON", err)
	}
	return input, o.checkInput(input)
}

func (o *operation) checkInput(input any) error {
	if faults := o.input.check(input); faults != nil {
		e := fail(CodeInvalidInput, "the input is not what this operation takes", nil)
		for _, f := range faults {
			f.Field = strings.TrimSuffix("input."+f.Field, ".")
			e.Faults = append(e.Faults, f)
		}
		return e
	}
	return nil
}

func (o *operation) checkOutput(output any) error {
	if faults := o.output.check(output); faults != nil {
		detail := "the business answered what was not agreed on"
		if len(faults) > 0 {
			detail += ": " + strings.TrimSpace(faults[0].Field+" "+faults[0].Detail)
		}
		return fail(CodeInvalidOutput, detail, nil)
	}
	return nil
}

// answer finds the way that an operation is answered by.
func (c *call) answer(ctx context.Context, o *operation, input any, page PageRequest) (*result, error) {
	switch {
	case o.declared.Mock:
		return o.mock(input), nil
	case o.adapts != nil:
		return c.adapt(ctx, o, input, page)
	}
	st := o.steps
	if o.canary != nil && lot(c.who) < o.canary.percent {
		st = []*step{o.canary.step}
	}
	if o.declared.Cache != nil {
		return c.cached(ctx, o, st, input, page)
	}
	if !shareable(st) || c.notes != nil {
		return c.run(ctx, o, st, input, page, "")
	}
	return c.together(ctx, c.key(o, st, input, page), func(ctx context.Context) (*result, error) {
		return c.run(ctx, o, st, input, page, "")
	})
}

// shareable tells whether equal requests may have one answer.
func shareable(st []*step) bool {
	return !slices.ContainsFunc(st, func(s *step) bool { return !safeMethod(s.method) })
}

// mock answers with the example of this input, or the first.
func (o *operation) mock(input any) *result {
	want, _ := encode(input)
	for _, e := range o.examples {
		if has, _ := encode(e.input); bytes.Equal(has, want) {
			return &result{value: e.output}
		}
	}
	return &result{value: o.examples[0].output}
}

// adapt answers by an operation of another version.
func (c *call) adapt(ctx context.Context, o *operation, input any, page PageRequest) (*result, error) {
	sc := scope{input: input, caller: c.who.view("")}
	theirs, err := o.adaptInput.run(ctx, input, sc)
	if err != nil {
		return nil, err
	}
	if err := o.adapts.checkInput(theirs); err != nil {
		return nil, fail(CodeMapping, "the adapter's input is not what version "+o.adapts.version+" takes", err)
	}
	res, err := c.answer(ctx, o.adapts, theirs, page)
	if err != nil {
		return nil, err
	}
	ours := *res
	ours.raw, ours.tag = nil, ""
	if ours.value, err = o.adaptOutput.run(ctx, hide(res.value, o.adapts.fields, c.who.Roles), sc); err != nil {
		return nil, err
	}
	return &ours, o.checkOutput(ours.value)
}

// run asks the back ends.
func (c *call) run(ctx context.Context, o *operation, st []*step, input any, page PageRequest, etag string) (*result, error) {
	at, err := o.pages.at(page)
	if err != nil {
		return nil, err
	}
	per := ""
	if o.declared.Cache != nil {
		per = o.declared.Cache.Per
	}
	r := &running{call: c, op: o, scope: scope{input: input, caller: c.who.view(per), page: at.variable()}, at: at, etag: etag}
	res, err := r.all(ctx, st)
	if err != nil || res.unchanged {
		return res, err
	}
	if err := o.checkOutput(res.value); err != nil {
		return nil, err
	}
	if o.shadow != nil && len(o.declared.Calls) == 0 && lot(Caller{}) < o.shadow.percent {
		c.gateway.compare(c, o, input, page, res)
	}
	return res, nil
}

// write makes the answer of a result.
func (c *call) write(r Request, res *result) (*Answer, error) {
	a := &Answer{Version: c.version.number, Partial: res.partial, Cached: res.cached, Deprecated: c.deprecation()}
	value := hide(res.value, c.operation.fields, c.who.Roles)
	raw := res.raw
	a.ETag = res.tag
	if raw == nil || len(c.operation.fields) > 0 {
		var err error
		if raw, err = encode(value); err != nil {
			return nil, err
		}
		a.ETag = ""
	}
	if a.ETag == "" {
		a.ETag = tagOf(raw)
	}
	if res.next != "" {
		a.Page = &NextPage{Next: res.next}
	}
	if r.ETag == a.ETag {
		a.NotModified = true
		return a, nil
	}
	a.Output = raw
	return a, nil
}

// tagOf names a text.
func tagOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func (c *call) deprecation() *Deprecation {
	v := c.version
	if v.deprecated.IsZero() || c.gateway.parts.Now().Before(v.deprecated) {
		return nil
	}
	d := &Deprecation{Since: v.deprecated.Format(time.DateOnly), Use: c.service.newest().number}
	if !v.sunset.IsZero() {
		d.Sunset = v.sunset.Format(time.DateOnly)
	}
	return d
}

// live is the road to the real back ends, with retries.
func (s *service) live(ctx context.Context, st *step, out *outgoing, etag string) (*incoming, error) {
	b := s.backends[st.backend]
	for try := 0; ; try++ {
		in, err := func() (*incoming, error) {
			ctx, cancel := context.WithTimeout(ctx, st.timeout)
			defer cancel()
			return b.send(ctx, out, etag)
		}()
		if err == nil || try >= st.retries || !asError(err).transient() || ctx.Err() != nil {
			return in, err
		}
		select {
		case <-time.After(backoff(try)):
		case <-ctx.Done():
			return in, err
		}
	}
}

// allowed tells whether one of the roles is among those that may.
func allowed(may, has []string) bool {
	return len(may) == 0 || slices.ContainsFunc(may, func(r string) bool { return slices.Contains(has, r) })
}

// view is what mappings see of a caller: where answers are shared, nothing that
// those who share them may not have in common.
func (w Caller) view(per string) any {
	v := map[string]any{"app": w.App}
	if per == "app" {
		return v
	}
	v["user"] = w.User
	if per == "user" {
		return v
	}
	roles := make([]any, len(w.Roles))
	for i, r := range w.Roles {
		roles[i] = r
	}
	v["device"], v["roles"] = w.Device, roles
	return v
}
