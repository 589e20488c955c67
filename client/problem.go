package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Codes of a [Problem] that a program may want to tell apart.
const (
	CodeInvalid      = "invalid"      // Problem.Faults says what
	CodeUnauthorized = "unauthorized" // the key is wrong or revoked
	CodeForbidden    = "forbidden"    // the key lacks the scope
	CodeNotFound     = "not_found"
	CodeConflict     = "id_conflict" // another notification was sent with this id
	CodeTooLarge     = "body_too_large"
	CodeRateLimited  = "rate_limited"
	CodeUnavailable  = "unavailable" // nothing was taken; try again later with the same id
)

// Problem is an answer by which Herald refused. Read it with errors.As.
type Problem struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Code      string  `json:"code"` // empty if it was not Herald that answered
	Detail    string  `json:"detail,omitempty"`
	Faults    []Fault `json:"faults,omitempty"`
	Part      string  `json:"part,omitempty"` // of a call to several back ends: the one that failed
	RequestID string  `json:"request_id"`     // finds the request in Herald's log

	// RetryAfter is how long Herald asks to be left alone; 0 if it does not.
	RetryAfter time.Duration `json:"-"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (p *Problem) UnmarshalJSON(raw []byte) error {
	type plain Problem
	in := struct {
		*plain

		Seconds int `json:"retry_after_seconds"`
	}{plain: (*plain)(p)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	p.RetryAfter = time.Duration(in.Seconds) * time.Second
	return nil
}

// Fault is one thing wrong with a request, under the path of the field that
// has it, such as "to.devices[3]".
type Fault struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "herald: %d %s", p.Status, p.Title)
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	for _, f := range p.Faults {
		fmt.Fprintf(&b, "; %s %s", f.Field, f.Detail)
	}
	if p.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", p.RequestID)
	}
	return b.String()
}

// problem reads a refusal. What is not a problem detail came from something
// between us and Herald, and its body is of no use to a program.
func problem(res *http.Response, raw []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(raw, p) != nil || p.Code == "" {
		p = &Problem{Detail: "the answer is not Herald's"}
	}
	p.Status = res.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(res.StatusCode)
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
		p.RetryAfter = time.Duration(s) * time.Second
	}
	return p
}
