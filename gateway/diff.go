package gateway

import (
	"fmt"
	"maps"
	"slices"
)

// Difference is where two answers are not the same.
type Difference struct {
	Path string `json:"path"`
	Was  string `json:"was"`
	Is   string `json:"is"`
}

const (
	maxDifferences = 50
	maxShown       = 120 // bytes of a value
)

// Compare tells where two JSON texts differ.
func Compare(was, is []byte) []Difference {
	a, errA := decode(was)
	b, errB := decode(is)
	if errA != nil || errB != nil {
		if len(was) == 0 && len(is) == 0 {
			return nil
		}
		return []Difference{{"", short(was), short(is)}}
	}
	var all []Difference
	differ("", a, b, &all)
	return all
}

func differ(at string, a, b any, all *[]Difference) {
	if len(*all) >= maxDifferences {
		return
	}
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			names := maps.Clone(x)
			maps.Copy(names, y)
			for _, name := range slices.Sorted(maps.Keys(names)) {
				inner := name
				if at != "" {
					inner = at + "." + name
				}
				va, hasA := x[name]
				vb, hasB := y[name]
				if hasA != hasB {
					*all = append(*all, Difference{inner, presence(va, hasA), presence(vb, hasB)})
					continue
				}
				differ(inner, va, vb, all)
			}
			return
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			for i := range x {
				differ(fmt.Sprintf("%s[%d]", at, i), x[i], y[i], all)
			}
			return
		}
	}
	ta, _ := encode(a) // both come from JSON
	tb, _ := encode(b)
	if string(ta) != string(tb) {
		*all = append(*all, Difference{at, short(ta), short(tb)})
	}
}

func presence(v any, there bool) string {
	if !there {
		return "nothing"
	}
	raw, _ := encode(v) // it comes from JSON
	return short(raw)
}

func short(raw []byte) string {
	if len(raw) > maxShown {
		return string(raw[:maxShown]) + "…"
	}
	return string(raw)
}
