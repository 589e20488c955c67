package gateway

import (
	"maps"
	"slices"
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

// masked is a copy of a value in which the fields of these names say nothing.
func masked(v any, names []string) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = masked(e, names)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			if slices.Contains(names, k) {
				m[k] = "***"
			} else {
				m[k] = masked(e, names)
			}
		}
		return m
	default:
		return v
	}
}
