package providertest

import (
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

// Overrides checks that a provider names every fault of what a notification
// says to it alone: the tests are JSON by the paths of its faulty fields, in
// order, "." for the whole and "" for none.
func Overrides(t *testing.T, check func(raw []byte) error, tests map[string]string) {
	t.Helper()
	for overrides, want := range tests {
		var fields []string
		err := check([]byte(overrides))
		invalid, ok := errors.AsType[*push.Invalid](err)
		if err != nil && !ok {
			t.Errorf("%.200s: error = %v (%T), want a *push.Invalid", overrides, err, err)
			continue
		}
		if ok {
			for _, f := range invalid.Faults {
				if f.Field == "" {
					f.Field = "."
				}
				fields = append(fields, f.Field)
			}
		}
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%.200s: faults at %q, want %q: %v", overrides, got, want, err)
		}
	}
}

// Holds checks that a request's body has each of some parts, and none of others.
func Holds(t *testing.T, body string, parts, not []string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("%s is not in %s", part, body)
		}
	}
	for _, part := range not {
		if strings.Contains(body, part) {
			t.Errorf("%s is in %s", part, body)
		}
	}
}
