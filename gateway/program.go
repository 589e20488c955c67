package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/itchyny/gojq"
)

// mappingSteps bounds one run of a jq program: some 50 ms of a processor's time,
// and enough for lists of ten thousand.
const mappingSteps = 1_000_000

// budget is the context of one run. The interpreter asks it at each step whether
// to go on, so an endless program is found out by what it does, and one that
// waits for its turn on a busy machine is not.
type budget struct {
	context.Context // the caller's

	left int
	err  error
}

// Done implements [context.Context] for the interpreter alone, which asks from
// one goroutine.
func (b *budget) Done() <-chan struct{} {
	b.left--
	switch {
	case b.left < 0:
		b.err = context.DeadlineExceeded
	case b.left%1024 == 0:
		b.err = b.Context.Err()
	}
	if b.err == nil {
		return nil
	}
	over := make(chan struct{})
	close(over)
	return over
}

// Err implements [context.Context].
func (b *budget) Err() error { return b.err }

// variables that every program knows beside its input.
func variables() []string { return []string{"$input", "$caller", "$page", "$parts", "$status"} }

// scope is what the variables stand for.
type scope struct{ input, caller, page, parts, status any }

// program is a jq program, compiled once. It reaches neither files nor the
// environment. The nil program passes on what it is given.
type program struct{ code *gojq.Code }

func compileProgram(text string) (*program, error) {
	if text == "" {
		return nil, nil
	}
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("is not jq: %w", err)
	}
	code, err := gojq.Compile(query, gojq.WithVariables(variables()))
	if err != nil {
		return nil, fmt.Errorf("is not jq: %w", err)
	}
	return &program{code}, nil
}

// run is the program's first result. Its error is an [Error].
func (p *program) run(ctx context.Context, v any, s scope) (result any, err error) {
	if p == nil {
		return v, nil
	}
	defer func() { // a fault in the interpreter is one call's trouble
		if r := recover(); r != nil {
			err = fail(CodeMapping, "the mapping failed", fmt.Errorf("panic: %v", r))
		}
	}()
	var ok bool
	result, ok = p.code.RunWithContext(&budget{Context: ctx, left: mappingSteps}, v, s.input, s.caller, s.page, s.parts, s.status).Next()
	if !ok {
		return nil, fail(CodeMapping, "the mapping has no result", nil)
	}
	failed, bad := result.(error)
	switch {
	case !bad:
		return result, nil
	case errors.Is(failed, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, fail(CodeMappingTime, fmt.Sprintf("the mapping did not end within %d steps", mappingSteps), failed)
	case ctx.Err() != nil:
		return nil, fail(CodeCancelled, "the caller has left", failed)
	default:
		return nil, fail(CodeMapping, "the mapping failed", failed)
	}
}

// decode reads one JSON value; its numbers keep all their digits.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// encode is the canonical text of a value: names in order.
func encode(v any) ([]byte, error) {
	raw, err := gojq.Marshal(v)
	if err != nil {
		return nil, fail(CodeMapping, "the result is not JSON", err)
	}
	return raw, nil
}
