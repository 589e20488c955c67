package gateway

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// guardedField is a path in an output that only some roles see. Lists on the
// way are gone through.
type guardedField struct {
	path  []string
	roles []string
}

// hide is a value without the fields that these roles do not see. What it takes
// fields from is copied: the value may be stored for others.
func hide(v any, fields []guardedField, roles []string) any {
	for _, f := range fields {
		if !allowed(f.roles, roles) {
			v = without(v, f.path)
		}
	}
	return v
}

func without(v any, path []string) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = without(e, path)
		}
		return list
	case map[string]any:
		inner, there := v[path[0]]
		if !there {
			return v
		}
		v = maps.Clone(v)
		if len(path) == 1 {
			delete(v, path[0])
		} else {
			v[path[0]] = without(inner, path[1:])
		}
		return v
	default:
		return v
	}
}

// mask leaves out fields by their names, at any depth, and what they said
// wherever else it passes: a mapping may call it something else.
type mask struct {
	names []string
	said  []string // values of fields that are masked, and of the caller
}

// hidden stands for what is not shown; leastHidden is how long a value is that is
// looked for elsewhere: shorter ones are everywhere.
const (
	hidden      = "***"
	leastHidden = 4
)

func (m *mask) hide(text string) {
	if len(text) >= leastHidden && !slices.Contains(m.said, text) && len(m.said) < 1000 {
		m.said = append(m.said, text)
	}
}

// learn notes what the fields say.
func (m *mask) learn(v any) { m.walk(v, false) }

func (m *mask) walk(v any, within bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			m.walk(e, within)
		}
	case map[string]any:
		for k, e := range v {
			m.walk(e, within || slices.Contains(m.names, k))
		}
	default:
		if text, ok := scalar(v); ok && within {
			m.hide(text)
		}
	}
}

// apply is a copy of a value without them.
func (m *mask) apply(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = m.apply(e)
		}
		return list
	case map[string]any:
		all := make(map[string]any, len(v))
		for k, e := range v {
			if slices.Contains(m.names, k) {
				all[k] = hidden
			} else {
				all[k] = m.apply(e)
			}
		}
		return all
	case string:
		return m.text(v)
	default:
		if text, ok := scalar(v); ok && slices.Contains(m.said, text) {
			return hidden
		}
		return v
	}
}

// field is the value of a header or of a parameter.
func (m *mask) field(name, value string) string {
	if slices.ContainsFunc(m.names, func(n string) bool { return strings.EqualFold(n, name) }) {
		return hidden
	}
	return m.text(value)
}

func (m *mask) text(s string) string {
	for _, said := range m.said {
		s = strings.ReplaceAll(s, said, hidden)
	}
	return s
}

// path is one whose values are escaped.
func (m *mask) path(s string) string {
	for _, said := range m.said {
		s = strings.ReplaceAll(s, url.PathEscape(said), url.PathEscape(hidden))
	}
	return s
}
