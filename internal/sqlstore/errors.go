package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// fail gives err its place, what was being done, and its kind.
func fail(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case database.Missing(err):
		return fmt.Errorf("sqlstore: %s: %w", what, push.ErrNotFound)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("sqlstore: %s: %w", what, err)
	case database.Away(err):
		return fmt.Errorf("sqlstore: %s: %w: %w", what, push.ErrAway, err)
	default:
		return fmt.Errorf("sqlstore: %s: %w", what, err)
	}
}

// faults gathers what is wrong with an input.
type faults []push.Fault

func (f *faults) add(field, detail string) { *f = append(*f, push.Fault{Field: field, Detail: detail}) }

// named checks a text that must be there.
func (f *faults) named(field, s string) {
	if s == "" {
		f.add(field, "is empty")
	}
	f.text(field, s)
}

// text checks a text that may be empty. Names and tokens are lines: nobody needs
// control characters in them, and deviceColumns needs two of them itself.
func (f *faults) text(field, s string) {
	if !utf8.ValidString(s) {
		f.add(field, "is not valid UTF-8")
	} else if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		f.add(field, "has control characters")
	}
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &push.Invalid{Faults: f}
}
