package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// running is one operation whose back ends are being asked.
type running struct {
	call  *call
	op    *operation
	scope scope
	at    pageAt
	etag  string
}

// part is what one step came to.
type part struct {
	step   *step
	value  any
	body   any // the back end's, for the next page
	err    error
	status int
	header http.Header
}

// all runs the steps: one as it is, several side by side and composed.
func (r *running) all(ctx context.Context, st []*step) (*result, error) {
	if len(r.op.declared.Calls) == 0 {
		p := r.one(ctx, st[0], r.scope)
		if p.err != nil {
			return nil, p.err
		}
		return r.single(ctx, p)
	}
	parts, err := r.sideBySide(ctx, st)
	if err != nil {
		return nil, err
	}
	res := &result{fresh: -1}
	made := make(map[string]any, len(parts))
	var body any
	for _, p := range parts {
		made[p.step.name] = p.value
		if p.err != nil {
			res.partial = append(res.partial, Missing{p.step.name, asError(p.err).Code})
		}
		if r.op.pages != nil && r.op.pages.of == p.step.name {
			body = p.body
		}
	}
	if res.next, err = r.op.pages.following(ctx, body, r.at, r.scope); err != nil {
		return nil, err
	}
	res.value, err = r.op.compose.run(ctx, made, r.scope)
	return res, err
}

// single is the result of an operation with one call.
func (r *running) single(ctx context.Context, p part) (*result, error) {
	res := &result{value: p.value, etag: p.header.Get("ETag"), fresh: freshness(p.header)}
	if p.status == http.StatusNotModified {
		res.unchanged = true
		return res, nil
	}
	var err error
	res.next, err = r.op.pages.following(ctx, p.body, r.at, r.scope)
	return res, err
}

// sideBySide runs each step as soon as those it needs are done. A step that is
// optional may fail; another ends them all.
func (r *running) sideBySide(ctx context.Context, st []*step) ([]part, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := make([]part, len(st))
	done := make(map[string]chan struct{}, len(st))
	at := make(map[string]*part, len(st))
	for i, s := range st {
		done[s.name], at[s.name] = make(chan struct{}), &parts[i]
	}
	finished := make(chan int, len(st))
	for i, s := range st {
		go func() {
			defer func() { close(done[s.name]); finished <- i }()
			sc := r.scope
			before := map[string]any{}
			for _, need := range s.needs {
				<-done[need]
				before[need] = at[need].value
			}
			sc.parts = before
			parts[i] = r.one(ctx, s, sc)
			if parts[i].err != nil && s.optional {
				parts[i].value = s.fallback
			}
		}()
	}
	var first error
	for range st { // all, so that none outlives the call
		i := <-finished
		if err := parts[i].err; err != nil && !st[i].optional && first == nil {
			e := *asError(err)
			e.Part = st[i].name
			first = &e
			cancel()
		}
	}
	return parts, first
}

// one runs a step: request, answer, errors, result.
func (r *running) one(ctx context.Context, s *step, sc scope) part {
	p := part{step: s, header: http.Header{}}
	out, err := s.outgoing(ctx, sc.input, sc)
	if err != nil {
		p.err = err
		return p
	}
	in, err := r.call.road(ctx, s, out, r.etag)
	r.call.notes.add(s, out, in)
	if in == nil {
		p.err = err
		return p
	}
	p.status, p.header, p.body = in.status, in.header, in.body
	if p.header == nil {
		p.header = http.Header{}
	}
	sc.status = in.status
	if matched := s.match(ctx, in, sc); matched != nil {
		p.err = matched
		return p
	}
	switch {
	case err != nil:
		p.err = err
	case in.status >= 400:
		p.err = fail(CodeRefused, "the back end answered "+strconv.Itoa(in.status), nil)
	case in.status != http.StatusNotModified:
		p.value, p.err = s.response.run(ctx, in.body, sc)
	}
	return p
}

// match is the error of the first rule that an answer fits.
func (s *step) match(ctx context.Context, in *incoming, sc scope) error {
	if len(s.errors) == 0 {
		return nil
	}
	about := map[string]any{"status": in.status, "body": in.body}
	for _, rule := range s.errors {
		hit, err := rule.when.run(ctx, about, sc)
		if err != nil {
			continue // a rule about a body of another shape does not fit
		}
		if hit == true {
			return &Error{Code: rule.code, Status: rule.status, Detail: rule.detail}
		}
	}
	return nil
}

// freshness is how long an answer may serve by its Cache-Control: 0 if it says
// nothing, below 0 if it is not to be stored.
func freshness(h http.Header) time.Duration {
	for word := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(word)), "=")
		switch name {
		case "no-store", "private", "no-cache":
			return -1
		case "max-age":
			if n, err := strconv.Atoi(value); err == nil && n >= 0 {
				return time.Duration(min(n, 86_400)) * time.Second
			}
		}
	}
	return 0
}

// backoff is how long to wait before a try is repeated.
func backoff(try int) time.Duration {
	return time.Duration(float64(50*time.Millisecond) * float64(int(1)<<try) * (0.5 + rand.Float64()))
}
