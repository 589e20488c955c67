package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// Audit keeps what was changed, by whom.
type Audit interface {
	// BeginChange keeps a change before it is made: what cannot be written down
	// is not done.
	BeginChange(ctx context.Context, c *push.Change) error
	// EndChange notes how it ended.
	EndChange(ctx context.Context, id string, status int, after json.RawMessage) error
	// Changes lists an app's changes that q narrows, the newest first.
	Changes(ctx context.Context, app string, q push.ChangeQuery) ([]push.Change, error)
}

// Actor is somebody who was let in elsewhere, such as on the pages.
type Actor struct {
	App    string
	Scopes []Scope
	Who    string // as the audit shows it
	Via    string // person, link or key
	From   string // the address they came from
	House  bool   // whether they may touch what all apps share, such as a node
}

type actorKey struct{}

// As serves requests in somebody's name: no key is asked for, and all else is
// as for everybody, the audit too.
func (s *Server) As(a Actor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, a)))
	})
}

// actor finds who a request is made for by [Server.As].
func actor(ctx context.Context) (caller, bool) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	return caller{app: a.App, key: a.Who, scopes: a.Scopes, who: a.Who, via: a.Via, from: a.From, house: a.House}, ok
}

// From is the address that a request came from: what a proxy in a private
// network says, or else the peer's own.
func From(r *http.Request) string { return echo.ExtractIPFromXFFHeader()(r) }

// handler serves a caller who was let in.
type handler = func(echo.Context, caller) error

const (
	// closingTime is how long the audit's last word about a change may take.
	closingTime = 5 * time.Second
	// mostKept is how much of a thing the audit keeps, in bytes of JSON.
	mostKept = 64 << 10
)

// audited writes a change down, with what get answers before and after it. Where
// there is nothing to get, the change's own answer is what was made.
func (s *Server) audited(action string, get, change handler) handler {
	return func(c echo.Context, who caller) error {
		ctx := c.Request().Context()
		entry := push.Change{
			ID: newID(), App: who.app, At: s.parts.Now().UTC(), Who: who.who, Via: who.via, From: who.from,
			Action: action, Target: strings.Replace(c.Request().URL.Path, "/~", ":", 1), Before: s.look(c, who, get),
		}
		if entry.From == "" {
			entry.From = From(c.Request())
		}
		if err := s.parts.Audit.BeginChange(ctx, &entry); err != nil {
			return err
		}
		said := &echoed{ResponseWriter: c.Response().Writer}
		c.Response().Writer = said
		err := change(c, who)
		status, after := c.Response().Status, json.RawMessage(nil)
		switch {
		case err != nil:
			if status = refuse(err).status; ctx.Err() != nil {
				status = 0 // whoever asked has left, and what was begun may be done
			}
		case get != nil:
			after = s.look(c, who, get)
		default:
			after = kept(said.body.Bytes())
		}
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingTime)
		defer cancel()
		if lost := s.parts.Audit.EndChange(closing, entry.ID, status, after); lost != nil {
			s.log.ErrorContext(ctx, "the audit does not know how a change ended", "change", entry.ID, "action", action, "status", status, "err", lost)
		}
		return err
	}
}

// byHand is audited for what apps do all day by their keys, such as registering
// a device: it is written down if a person does it.
func (s *Server) byHand(action string, get, change handler) handler {
	watched := s.audited(action, get, change)
	return func(c echo.Context, who caller) error {
		if who.via == viaKey {
			return change(c, who)
		}
		return watched(c, who)
	}
}

// look is what get answers about the thing of a request, without secrets;
// nothing if it is not there.
func (s *Server) look(c echo.Context, who caller, get handler) json.RawMessage {
	if get == nil {
		return nil
	}
	r := c.Request().Clone(c.Request().Context())
	r.Method, r.Body, r.URL.RawQuery = http.MethodGet, http.NoBody, ""
	answer := &answered{header: http.Header{}}
	quiet := s.echo.NewContext(r, answer)
	quiet.SetPath(c.Path())
	quiet.SetParamNames(c.ParamNames()...)
	quiet.SetParamValues(c.ParamValues()...)
	if err := get(quiet, who); err != nil || answer.status >= http.StatusMultipleChoices {
		return nil
	}
	return kept(answer.body.Bytes())
}

// kept is JSON as the audit keeps it.
func kept(raw []byte) json.RawMessage {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	hide(v)
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	if len(text) > mostKept {
		text, _ = json.Marshal(map[string]int{"too_long_to_keep_bytes": len(text)}) // a number always can
	}
	return text
}

// hidden stands where a secret was.
const hidden = "***"

// hide masks every value whose name says that it is a secret.
func hide(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			hide(e)
		}
	case map[string]any:
		for name, e := range v {
			if text, ok := e.(string); ok && text != "" && secretName(name) {
				v[name] = hidden
				continue
			}
			hide(e)
		}
	}
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"secret", "password", "token", "private", "signing"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "key" || name == "auth" || name == "p256dh"
}

// echoed keeps a copy of an answer.
type echoed struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (e *echoed) Write(p []byte) (int, error) {
	if e.body.Len() < 2*mostKept {
		e.body.Write(p)
	}
	return e.ResponseWriter.Write(p)
}

// Unwrap lets deadlines be set.
func (e *echoed) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// answered is an answer that goes nowhere.
type answered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answered) Header() http.Header         { return a.header }
func (a *answered) WriteHeader(status int)      { a.status = status }
func (a *answered) Write(p []byte) (int, error) { return a.body.Write(p) }

type auditResponse struct {
	Changes []push.Change `json:"changes"`
	Next    string        `json:"next,omitempty"` // before= of the next page; "" on the last
}

// listAudit serves GET /v1/audit.
func (s *Server) listAudit(c echo.Context, who caller) error {
	var fs faults
	q := push.ChangeQuery{
		Who: c.QueryParam("who"), Action: c.QueryParam("action"), Target: c.QueryParam("target"),
		Before: c.QueryParam("before"), Limit: limitParam(&fs, c.QueryParam("limit")),
		Since: momentParam(&fs, "since", c.QueryParam("since")), Until: momentParam(&fs, "until", c.QueryParam("until")),
	}
	if err := fs.err(); err != nil {
		return err
	}
	all, err := s.parts.Audit.Changes(c.Request().Context(), who.app, q)
	if err != nil {
		return err
	}
	res := auditResponse{Changes: some(all)}
	if len(all) == q.Limit {
		res.Next = all[len(all)-1].ID
	}
	return c.JSON(http.StatusOK, res)
}

// momentParam reads a time of a query, zero if it is not given.
func momentParam(fs *faults, field, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		fs.add(field, "must be a time such as 2026-03-01T12:00:00Z")
	}
	return t.UTC()
}
