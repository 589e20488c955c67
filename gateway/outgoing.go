package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// step is one call to a back end, ready to run.
type step struct {
	name, backend, method, path string
	holders                     []string // names in the path's braces
	headers                     map[string]string
	request, response           *program
	errors                      []rule
	timeout                     time.Duration
	retries                     int
	idempotent, optional        bool
	fallback                    any
	needs                       []string
}

type rule struct {
	when         *program
	code, detail string
	status       int
}

// outgoing is a request as the mapping made it.
type outgoing struct {
	method, path string
	query        url.Values
	headers      map[string]string
	body         []byte
}

// outgoing maps an input to the request of a step.
func (s *step) outgoing(ctx context.Context, input any, sc scope) (*outgoing, error) {
	var mapped map[string]any
	if s.request == nil {
		mapped = s.plain(input)
	} else {
		v, err := s.request.run(ctx, input, sc)
		if err != nil {
			return nil, err
		}
		var ok bool
		if mapped, ok = v.(map[string]any); !ok {
			return nil, fail(CodeMapping, "the request's mapping must make an object with path, query, headers, body", nil)
		}
	}
	out := &outgoing{method: s.method, query: url.Values{}, headers: maps.Clone(s.headers)}
	for name, v := range mapped {
		var err error
		switch name {
		case "path":
			out.path, err = s.fill(v)
		case "query":
			err = out.ask(v)
		case "headers":
			err = out.head(v)
		case "body":
			if v != nil {
				out.body, err = encode(v)
			}
		default:
			err = fail(CodeMapping, fmt.Sprintf("the request's mapping makes %q, which is none of path, query, headers, body", name), nil)
		}
		if err != nil {
			return nil, err
		}
	}
	if out.path == "" {
		path, err := s.fill(map[string]any{})
		if err != nil {
			return nil, err
		}
		out.path = path
	}
	return out, nil
}

// plain is the request of a step without a mapping.
func (s *step) plain(input any) map[string]any {
	fields, _ := input.(map[string]any)
	rest := maps.Clone(fields)
	path := map[string]any{}
	for _, name := range s.holders {
		path[name] = fields[name]
		delete(rest, name)
	}
	if s.method == http.MethodGet || s.method == http.MethodHead || s.method == http.MethodDelete {
		return map[string]any{"path": path, "query": rest}
	}
	if fields == nil {
		return map[string]any{"path": path, "body": input}
	}
	return map[string]any{"path": path, "body": rest}
}

// fill puts values into the path's braces. A value is one segment: what it has
// of slashes is escaped, and it is never a way up.
func (s *step) fill(v any) (string, error) {
	values, _ := v.(map[string]any)
	var fault error
	path := holder.ReplaceAllStringFunc(s.path, func(hold string) string {
		name := hold[1 : len(hold)-1]
		text, ok := scalar(values[name])
		if !ok || text == "" || text == "." || text == ".." {
			fault = fail(CodeMapping, "the path needs a value for "+name, nil)
		}
		return url.PathEscape(text)
	})
	return path, fault
}

func (o *outgoing) ask(v any) error {
	values, ok := v.(map[string]any)
	if !ok && v != nil {
		return fail(CodeMapping, "query must be an object", nil)
	}
	for name, v := range values {
		list, many := v.([]any)
		if !many {
			list = []any{v}
		}
		for _, one := range list {
			if one == nil {
				continue
			}
			text, ok := scalar(one)
			if !ok {
				return fail(CodeMapping, fmt.Sprintf("the query's %q must be a text, a number, a boolean or a list of these", name), nil)
			}
			o.query.Add(name, text)
		}
	}
	return nil
}

func (o *outgoing) head(v any) error {
	values, ok := v.(map[string]any)
	if !ok && v != nil {
		return fail(CodeMapping, "headers must be an object", nil)
	}
	for name, v := range values {
		text, ok := scalar(v)
		if v == nil {
			continue
		}
		fault := headerFault(name, text)
		if !ok {
			fault = "must be a text"
		}
		if fault != "" {
			return fail(CodeMapping, fmt.Sprintf("the header %q %s", name, fault), nil)
		}
		if o.headers == nil {
			o.headers = map[string]string{}
		}
		o.headers[name] = text
	}
	return nil
}

// scalar is a value as it stands in a URL or a header.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case *big.Int:
		return v.String(), true
	default:
		return "", false
	}
}
