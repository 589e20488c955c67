package web

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// get is ask for what is only looked at.
func (s *site) get(r *http.Request, sess *session, app, path string, out any) error {
	return s.ask(r, sess, app, http.MethodGet, path, nil, out)
}

// path joins escaped segments and a query.
func apiPath(query url.Values, segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	if q := query.Encode(); q != "" {
		b.WriteString("?" + q)
	}
	return b.String()
}

// listing is what the pages of lists have in common: filters that are in the
// address, a next page, a file.
type listing struct {
	App    string
	Role   Role
	base   string
	query  url.Values
	After  string // the parameter that leads on
	Next   string // its value for the next page; "" on the last
	Faults []fault
}

// list reads the filters that a page knows from the address.
func list(r *http.Request, app string, role Role, base, after string, keys ...string) listing {
	l := listing{App: app, Role: role, base: base, After: after, query: url.Values{}}
	for _, k := range append(keys, after) {
		if v := strings.TrimSpace(r.URL.Query().Get(k)); v != "" {
			l.query.Set(k, v)
		}
	}
	return l
}

// asked is the query for the API.
func (l *listing) asked(limit string) url.Values {
	q := url.Values{}
	for k, v := range l.query {
		q[k] = v
	}
	q.Set("limit", limit)
	return q
}

// On is the value of a filter.
func (l listing) On(key string) string { return l.query.Get(key) }

// Narrowed tells whether a filter is set.
func (l listing) Narrowed() bool {
	for k := range l.query {
		if k != l.After {
			return true
		}
	}
	return false
}

// With is the page's address with a filter changed, from the first page on.
func (l listing) With(key, value string) string { return l.link(key, value, l.After, "") }

// More is the address of the next page.
func (l listing) More() string { return l.link(l.After, l.Next) }

// File is the address of the list as CSV.
func (l listing) File() string { return l.link("format", "csv") }

// Clear is the page's address without filters.
func (l listing) Clear() string { return within(l.base, l.App) }

func (l listing) link(pairs ...string) string {
	q := url.Values{"app": {l.App}}
	for k, v := range l.query {
		q[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return l.base + "?" + q.Encode()
}

// Operator and Admin tell what the viewer may do.
func (l listing) Operator() bool { return l.Role >= Operator }

// Admin is described at Operator.
func (l listing) Admin() bool { return l.Role >= Admin }

// refuse keeps the faults of filters for the page to show; other errors stay.
func (l *listing) refuse(err error) error {
	var no *refusal
	if errors.As(err, &no) && no.status == http.StatusUnprocessableEntity {
		l.Faults = no.faults
		return nil
	}
	return err
}

// wantsFile tells whether a list is asked for as CSV: then limit is large.
func wantsFile(r *http.Request) (file bool, limit string) {
	if r.URL.Query().Get("format") == "csv" {
		return true, "1000"
	}
	return false, "50"
}

// writeFile answers a list as CSV.
func writeFile(w http.ResponseWriter, name string, t table) error {
	var buf bytes.Buffer
	if err := t.write(&buf); err != nil {
		return fmt.Errorf("web: write CSV: %w", err)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="herald-`+name+`.csv"`)
	_, _ = w.Write(buf.Bytes()) // the viewer left
	return nil
}
