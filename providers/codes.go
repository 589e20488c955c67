package providers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/push"
)

// Codes is a service's error table: which of its answers means what to us.
// Vendors change their rules, so the table is data, with its source and date,
// in the codes.json of each provider's folder.
type Codes struct {
	Source string `json:"source"` // where the service documents its codes
	Date   string `json:"date"`   // when that was read, YYYY-MM-DD
	Rows   []Code `json:"codes"`

	corrections atomic.Pointer[[]push.Correction]
}

// Coded is a provider with a table that an app may correct.
type Coded interface {
	Codes() *Codes
}

// Correct puts an app's own words in place of the table's. Answers that are
// sorted from now on go by them.
func (c *Codes) Correct(corrections []push.Correction) { c.corrections.Store(&corrections) }

// Code is one row: answers with this status and this word are of this kind. Of
// the rows that fit, the first counts.
type Code struct {
	Status            int    `json:"status,omitempty"` // HTTP status; 0 is any
	Code              string `json:"code,omitempty"`   // the service's own word; "" is any
	Kind              string `json:"kind"`             // a name that push.KindName gives
	RetryAfterSeconds int    `json:"retry_after_seconds,omitempty"`
	Scope             string `json:"scope,omitempty"` // what it binds, if less than the provider: "origin" or "token"
	Means             string `json:"means"`           // in our words, shown to people
}

// ParseCodes reads a table and checks that every row can be used.
func ParseCodes(table []byte) (*Codes, error) {
	var c Codes
	if err := json.Unmarshal(table, &c); err != nil {
		return nil, fmt.Errorf("providers: codes: %w", err)
	}
	var errs []error
	for i, row := range c.Rows {
		if push.KindNamed(row.Kind) == nil {
			errs = append(errs, fmt.Errorf("providers: codes[%d]: no kind is named %q", i, row.Kind))
		}
		if s := push.Scope(row.Scope); s != push.ScopeProvider && s != push.ScopeOrigin && s != push.ScopeToken {
			errs = append(errs, fmt.Errorf("providers: codes[%d]: no scope is named %q", i, row.Scope))
		}
		if row.Status == 0 && row.Code == "" {
			errs = append(errs, fmt.Errorf("providers: codes[%d]: neither status nor code", i))
		}
	}
	return &c, errors.Join(errs...)
}

// Error sorts an answer. An answer that no row fits is [push.ErrUnavailable]
// with status 5xx and [push.ErrRejected] otherwise.
//
// The vendor's word becomes part of the error only if it looks like one: what
// a vendor echoes may hold a token or a phone number.
func (c *Codes) Error(provider string, status int, word string) *push.Error {
	word = safeWord(word)
	e := &push.Error{Provider: provider, Kind: push.ErrRejected, Code: fmt.Sprint(status), Detail: word}
	if status >= 500 {
		e.Kind = push.ErrUnavailable
	}
	row := c.fits(status, word)
	if row == nil {
		return e
	}
	e.Kind = push.KindNamed(row.Kind)
	e.Scope = push.Scope(row.Scope)
	e.RetryAfter = time.Duration(row.RetryAfterSeconds) * time.Second
	if e.Detail == "" {
		e.Detail = row.Means
	} else if row.Means != "" {
		e.Detail += ": " + row.Means
	}
	return e
}

// Refusal sorts an answer to a request. The error bears the service's own code,
// or else the status, and waits for as long as the answer says.
func (c *Codes) Refusal(provider string, x *Exchange, word, code string) *push.Error {
	e := c.Error(provider, x.Status, word)
	if code != "" {
		e.Code = code
	}
	if after := x.RetryAfter(); after > 0 {
		e.RetryAfter = after
	}
	return e
}

// fits is the row for an answer, as the app's corrections change it; nil if
// there is none. What a word says goes before what the status says.
func (c *Codes) fits(status int, word string) *Code {
	var found *Code
	for i, row := range c.Rows {
		if (row.Status == 0 || row.Status == status) && (row.Code == "" || row.Code == word) {
			found = &c.Rows[i]
			break
		}
	}
	own := c.corrections.Load()
	if own == nil {
		return found
	}
	for _, n := range *own {
		byWord := n.Code != "" && n.Code == word
		byStatus := n.Status != 0 && n.Status == status && (found == nil || found.Code == "")
		if byWord {
			return corrected(n, found)
		}
		if byStatus {
			found = corrected(n, found)
		}
	}
	return found
}

// corrected is a row in place of another, whose words stay if there are no
// others.
func corrected(n push.Correction, was *Code) *Code {
	row := Code{Kind: n.Kind, RetryAfterSeconds: n.RetryAfterSeconds, Scope: string(n.Scope), Means: n.Means}
	if row.Means == "" && was != nil {
		row.Means = was.Means
	}
	return &row
}

// Knows tells whether the table, or the app, has a word for it.
func (c *Codes) Knows(word string) bool {
	if slices.ContainsFunc(c.Rows, func(row Code) bool { return row.Code != "" && row.Code == word }) {
		return true
	}
	own := c.corrections.Load()
	return own != nil && slices.ContainsFunc(*own, func(n push.Correction) bool { return n.Code != "" && n.Code == word })
}

// Reported is what a word in a service's report means, told under that word.
func (c *Codes) Reported(provider, word string) *push.Error {
	e := c.Error(provider, 0, word)
	e.Code = word
	return e
}

// safeWord passes on a vendor's code word, such as "BadDeviceToken" or
// "QUOTA_EXCEEDED", and nothing that could be anything else.
func safeWord(w string) string {
	if len(w) > 48 {
		return ""
	}
	for _, c := range []byte(w) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return ""
		}
	}
	return w
}
