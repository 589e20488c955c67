package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// API serves the API in the name of somebody who was let in here, so that what
// the pages change is checked and written down as what callers change.
type API func(Actor) http.Handler

// Actor is in whose name the API is asked.
type Actor struct {
	Who  Identity
	App  string
	Role Role   // in the app
	From string // the address they came from
	// House is whether they may touch what all apps share: operators of all.
	House bool
}

// refusal is what the API says to a change that it does not make, in words for
// whoever asked for it.
type refusal struct {
	status int
	words  string
	faults []fault
}

// fault is what is wrong with one field of what was asked.
type fault struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Is lets [site.fail] find its words.
func (r *refusal) Is(target error) bool {
	return target == ErrNotFound && r.status == http.StatusNotFound || target == errForbidden && r.status == http.StatusForbidden
}

func (r *refusal) Error() string {
	return fmt.Sprintf("web: the API answered %d: %s", r.status, r.words)
}

// act asks the API for a change in the viewer's name; body is written as JSON. A
// change that is refused is a [refusal].
func (s *site) act(r *http.Request, sess *session, app, method, path string, body any) error {
	return s.ask(r, sess, app, method, path, body, nil)
}

// ask is act with the answer read into into.
func (s *site) ask(r *http.Request, sess *session, app, method, path string, body, into any) error {
	if s.API == nil {
		return ErrNotFound
	}
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("web: write a change: %w", err)
	}
	req, err := http.NewRequestWithContext(r.Context(), method, path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("web: ask the API: %w", err)
	}
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.RemoteAddr, req.Host = r.RemoteAddr, r.Host
	answer := &answered{head: http.Header{}, code: http.StatusOK}
	s.API(Actor{sess.Identity, app, sess.roles.In(app), peer(r), sess.roles[AllApps] >= Operator}).ServeHTTP(answer, req)
	if answer.code >= http.StatusInternalServerError {
		return fmt.Errorf("web: %s %s answers %d: %w", method, path, answer.code, ErrAway)
	}
	if answer.code >= http.StatusBadRequest {
		return newRefusal(answer.code, answer.body.Bytes())
	}
	if into == nil || answer.body.Len() == 0 {
		return nil
	}
	if err := json.Unmarshal(answer.body.Bytes(), into); err != nil {
		return fmt.Errorf("web: read the API's answer: %w", err)
	}
	return nil
}

// peer is the address that a request came from.
func peer(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// answered is an answer of the API.
type answered struct {
	head http.Header
	code int
	body bytes.Buffer
}

func (a *answered) Header() http.Header         { return a.head }
func (a *answered) WriteHeader(code int)        { a.code = code }
func (a *answered) Write(b []byte) (int, error) { return a.body.Write(b) }

// newRefusal reads a problem document: its words are its faults, or else its
// detail.
func newRefusal(status int, body []byte) *refusal {
	var p struct {
		Detail string  `json:"detail"`
		Faults []fault `json:"faults"`
	}
	if json.Unmarshal(body, &p) != nil {
		return &refusal{status: status, words: "It was refused."}
	}
	var faults []string
	for _, f := range p.Faults {
		faults = append(faults, f.Field+" "+f.Detail)
	}
	if len(faults) > 0 {
		p.Detail = strings.Join(faults, "; ")
	}
	return &refusal{status, p.Detail, p.Faults}
}
