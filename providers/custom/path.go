package custom

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald/providers"
)

// path leads to values inside a JSON value: names of members and positions in
// lists with dots between, such as "data.results.0.code". "*" is every member,
// "*key" their names. The empty path is the value itself.
type path []string

func (c *compiler) path(field, source string) path {
	return compilePath(c.faults, field, source)
}

func compilePath(faults *providers.Faults, field, source string) path {
	if source == "" {
		return path{}
	}
	p := strings.Split(source, ".")
	for i, step := range p {
		if step == "" || step == "*key" && i != len(p)-1 {
			faults.Add(field, `must be names with dots between; "*key" can only be the last`)
			return path{}
		}
	}
	return p
}

// each calls yield with every value the path leads to until it returns false.
func (p path) each(v any, yield func(any) bool) bool {
	if len(p) == 0 {
		return yield(v)
	}
	step, rest := p[0], p[1:]
	switch v := v.(type) {
	case map[string]any:
		switch step {
		case "*":
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if !rest.each(v[key], yield) {
					return false
				}
			}
		case "*key":
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if !yield(key) {
					return false
				}
			}
		default:
			if inner, ok := v[step]; ok {
				return rest.each(inner, yield)
			}
		}
	case []any:
		if step == "*" {
			for _, inner := range v {
				if !rest.each(inner, yield) {
					return false
				}
			}
		} else if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
			return rest.each(v[i], yield)
		}
	}
	return true
}

// word is the first plain value the path leads to, as text.
func (p path) word(v any) (word string, ok bool) {
	p.each(v, func(found any) bool {
		word, ok = wordOf(found)
		return !ok
	})
	return word, ok
}

func wordOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}
