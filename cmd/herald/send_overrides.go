package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// parseOverrides reads what --override was given: "apns.push_type=background",
// "fcm.android={…}", or a whole JSON object. A value that is JSON is that, and
// anything else a text. Later ones are laid over earlier ones.
func parseOverrides(given []string) (map[string]any, error) {
	all := make(map[string]any)
	for _, text := range given {
		one := make(map[string]any)
		if strings.HasPrefix(text, "{") {
			if err := json.Unmarshal([]byte(text), &one); err != nil {
				return nil, fmt.Errorf("--override %s: is not JSON: %w", text, err)
			}
		} else {
			path, value, ok := strings.Cut(text, "=")
			if !ok || path == "" || strings.Contains("."+path+".", "..") {
				return nil, fmt.Errorf("--override %s: must be like apns.push_type=background", text)
			}
			place(one, strings.Split(path, "."), valueOf(value))
		}
		overlay(all, one)
	}
	return all, nil
}

// valueOf takes a value for JSON if it is that.
func valueOf(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

// place puts a value at a path of names.
func place(into map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		inner := make(map[string]any)
		into[name] = inner
		into = inner
	}
	into[path[len(path)-1]] = value
}

// overlay lays objects over objects; of everything else the later one counts.
func overlay(under, over map[string]any) {
	for name, value := range over {
		a, both := under[name].(map[string]any)
		b, ok := value.(map[string]any)
		if both && ok {
			a = maps.Clone(a)
			overlay(a, b)
			value = a
		}
		under[name] = value
	}
}
