package custom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A body is a JSON value whose strings are templates, so what a message says
// can never break out of its place. An object with one of these keys alone is no
// object but what the key says.
const (
	asNumber   = "$number"   // the template's text as a number; null if it is empty
	asJSON     = "$json"     // the template's text as JSON, as {{json .Data}} makes it; null if it is empty
	asEach     = "$each"     // a list of the value, made for each device of the request
	asOptional = "$optional" // the value, left out of what it is in if it is null or empty
)

// value is a compiled body. Its result is what encoding/json can write.
type value func(scope any) (any, error)

// absent is an optional value that is not there.
type absent struct{}

// value compiles what was decoded from JSON. like is a scope to try it with.
func (c *compiler) value(field string, v any, like any) value {
	switch v := v.(type) {
	case string:
		t := c.text(field, v, like)
		return func(s any) (any, error) { return t.render(s) }
	case []any:
		return c.list(field, v, like)
	case map[string]any:
		if len(v) == 1 {
			for key, inner := range v {
				if special := c.special(field, key, inner, like); special != nil {
					return special
				}
			}
		}
		return c.object(field, v, like)
	default:
		return func(any) (any, error) { return v, nil }
	}
}

func (c *compiler) list(field string, v []any, like any) value {
	members := make([]value, len(v))
	for i := range v {
		members[i] = c.value(fmt.Sprintf("%s[%d]", field, i), v[i], like)
	}
	return func(s any) (any, error) {
		out := make([]any, 0, len(members))
		for _, m := range members {
			made, err := m(s)
			if err != nil {
				return nil, err
			}
			if _, gone := made.(absent); !gone {
				out = append(out, made)
			}
		}
		return out, nil
	}
}

func (c *compiler) object(field string, v map[string]any, like any) value {
	members := make(map[string]value, len(v))
	for key := range v {
		if strings.HasPrefix(key, "$") {
			c.faults.Add(field+"."+key, "is not $number, $json, $each or $optional, or is not alone")
		}
		members[key] = c.value(field+"."+key, v[key], like)
	}
	return func(s any) (any, error) {
		out := make(map[string]any, len(members))
		for key, m := range members {
			made, err := m(s)
			if err != nil {
				return nil, err
			}
			if _, gone := made.(absent); !gone {
				out[key] = made
			}
		}
		return out, nil
	}
}

// special compiles the objects that are none; nil if this is one.
func (c *compiler) special(field, key string, inner any, like any) value {
	switch key {
	case asOptional:
		v := c.value(field, inner, like)
		return func(s any) (any, error) {
			made, err := v(s)
			if err == nil && isEmpty(made) {
				return absent{}, nil
			}
			return made, err
		}
	case asEach:
		return c.eachDevice(field, inner, like)
	case asNumber, asJSON:
		source, ok := inner.(string)
		if !ok {
			c.faults.Add(field+"."+key, "must be a template")
			return func(any) (any, error) { return nil, nil }
		}
		t := c.text(field+"."+key, source, like)
		return func(s any) (any, error) { return parsed(t, s, key == asNumber) }
	default:
		return nil
	}
}

// eachDevice compiles a value that is made once for each device.
func (c *compiler) eachDevice(field string, inner any, like any) value {
	outside := c.each
	c.each = true
	v := c.value(field+"."+asEach, inner, like)
	c.each = outside
	if c.uses != nil {
		c.uses[asEach] = true
	}
	return func(s any) (any, error) {
		whole, ok := s.(*scope)
		if !ok {
			return nil, rejected("a configuration has $each where there are no devices")
		}
		all := make([]any, 0, len(whole.devices))
		for _, d := range whole.devices {
			made, err := v(whole.of(d))
			if err != nil {
				return nil, err
			}
			if _, gone := made.(absent); !gone {
				all = append(all, made)
			}
		}
		return all, nil
	}
}

// parsed renders a template to JSON.
func parsed(t *text, scope any, number bool) (any, error) {
	made, err := t.render(scope)
	if err != nil || strings.TrimSpace(made) == "" {
		return nil, err
	}
	v, err := decode([]byte(made))
	if _, ok := v.(json.Number); err != nil || number && !ok {
		return nil, rejected("a template of the configuration makes no number or no JSON of this message")
	}
	return v, nil
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

// decode reads one JSON value and keeps numbers as they are written: a
// vendor's ids do not fit into a float.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}
