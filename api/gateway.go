package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/gateway"
	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/push"
)

// Businesses keeps what apps declare of their businesses. What is not there is
// [push.ErrNotFound]. Secrets are never read back through the API.
type Businesses interface {
	PutService(ctx context.Context, app, service string, declaration []byte, by string) (revision int64, err error)
	DeleteService(ctx context.Context, app, service string) error
	PutSecret(ctx context.Context, app, name string, secret []byte) error
	SecretNames(ctx context.Context, app string) ([]string, error)
	DeleteSecret(ctx context.Context, app, name string) error
}

// Bounds of bodies.
const (
	maxCall        = 2 << 20
	maxDeclaration = 1 << 20
	maxEvent       = 1 << 20
)

// gatewayRoutes are the doors to businesses, and from them.
func (s *Server) gatewayRoutes() {
	e := s.echo
	e.GET("/v1/services", s.listServices)
	e.POST("/v1/services/:service/:operation", s.callService)
	e.POST("/v1/inbound/:service/:event", s.receiveEvent)

	e.GET("/v1/gateway/services", s.keyed(ScopeRead, s.listDeclared))
	e.GET("/v1/gateway/services/:service", s.keyed(ScopeRead, s.getService))
	e.PUT("/v1/gateway/services/:service", s.keyed(ScopeAdmin, s.audited("service.put", s.getService, s.putService)))
	e.DELETE("/v1/gateway/services/:service", s.keyed(ScopeAdmin, s.audited("service.delete", s.getService, s.deleteService)))
	e.GET("/v1/gateway/services/:service/state", s.keyed(ScopeRead, s.getServiceState))
	e.POST("/v1/gateway/services/:service/try", s.keyed(ScopeRead, s.tryService))
	e.POST("/v1/gateway/services/:service/replay", s.keyed(ScopeAdmin, s.audited("event.replay", nil, s.replayEvent)))
	e.GET("/v1/gateway/secrets", s.keyed(ScopeAdmin, s.listSecrets))
	e.PUT("/v1/gateway/secrets/:secret", s.keyed(ScopeAdmin, s.audited("secret.put", nil, s.putSecret)))
	e.DELETE("/v1/gateway/secrets/:secret", s.keyed(ScopeAdmin, s.audited("secret.delete", nil, s.deleteSecret)))
}

// callRequest is the body of a call, the same at both doors.
type callRequest struct {
	Version *int            `json:"version"`
	Input   json.RawMessage `json:"input"`
	Page    struct {
		Cursor string `json:"cursor"`
		Limit  *int   `json:"limit"`
	} `json:"page"`
	ETag string `json:"etag"`
}

var callForm = newForm[callRequest]()

// callService serves POST /v1/services/{service}/{operation}. It has no time
// limit of its own: the declaration of the service says how long its back ends
// may take.
func (s *Server) callService(c echo.Context) error {
	who, err := s.client(c)
	if err != nil {
		return err
	}
	raw, err := body(c, maxCall)
	if err != nil {
		return err
	}
	answer, err := callOf(c.Request().Context(), s.parts.Gateway, who, c.Param("service"), c.Param("operation"), raw)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Etag", `"`+answer.ETag+`"`)
	h.Set(echo.HeaderCacheControl, "private, no-cache")
	if answer.Deprecated != nil {
		deprecation, sunset := answer.Deprecated.Head()
		h.Set("Deprecation", deprecation)
		if sunset != "" {
			h.Set("Sunset", sunset)
		}
	}
	return c.JSONBlob(http.StatusOK, answer.AppendJSON(nil))
}

// callOf makes the call of a body, which is the same at both doors.
func callOf(ctx context.Context, g *gateway.Gateway, who gateway.Caller, service, operation string, raw []byte) (*gateway.Answer, error) {
	req, fs, err := callForm.decode(raw)
	if err != nil {
		return nil, err
	}
	if err := fs.err(); err != nil {
		return nil, err
	}
	r := gateway.Request{Service: service, Operation: operation, Input: req.Input, ETag: req.ETag}
	r.Page.Cursor = req.Page.Cursor
	if req.Page.Limit != nil {
		r.Page.Limit = *req.Page.Limit
	}
	if req.Version != nil {
		r.Version = *req.Version
	}
	return g.Call(ctx, who, r)
}

// AnswerCall answers a call that came by another door as POST
// /v1/services/{service}/{operation} would: with an answer, or a [Problem].
func AnswerCall(ctx context.Context, g *gateway.Gateway, who gateway.Caller, service, operation string, raw []byte) (status int, answer []byte) {
	a, err := callOf(ctx, g, who, service, operation, raw)
	if err != nil {
		return written(problemOf(err, rand.Text()))
	}
	return http.StatusOK, a.AppendJSON(nil)
}

// RefuseCall is a [Problem] of such a door's own.
func RefuseCall(status int, code, detail string) []byte {
	_, answer := written(problemOf(&refusal{status: status, code: code, detail: detail}, rand.Text()))
	return answer
}

func written(p Problem) (status int, text []byte) {
	text, _ = json.Marshal(p) // texts and numbers
	return p.Status, text
}

// client is who calls a business: a device, or a key with the scope send.
func (s *Server) client(c echo.Context) (gateway.Caller, error) {
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout)
	defer cancel()
	who, err := s.holder(ctx, c.Request())
	if err != nil {
		return gateway.Caller{}, err
	}
	if who.device == "" && !allows(who.scopes, ScopeSend) {
		return gateway.Caller{}, &refusal{status: http.StatusForbidden, code: "forbidden", detail: "the key lacks the scope send"}
	}
	if err := s.charge(who.app, 1); err != nil {
		return gateway.Caller{}, err
	}
	if who.device == "" {
		caller := gateway.Caller{App: who.app}
		for _, scope := range who.scopes {
			caller.Roles = append(caller.Roles, string(scope))
		}
		return caller, nil
	}
	user, err := s.owner(ctx, who.app, who.device)
	return gateway.DeviceCaller(who.app, who.device, user), err
}

// owner is the user of a device, "" for nobody's.
func (s *Server) owner(ctx context.Context, app, device string) (string, error) {
	return s.owners.get([2]string{app, device}, func() (string, error) {
		d, err := s.parts.Devices.Device(ctx, app, device)
		if errors.Is(err, push.ErrNotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return d.User, nil
	})
}

// listServices serves GET /v1/services: what there is to call.
func (s *Server) listServices(c echo.Context) error {
	who, err := s.client(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"services": s.parts.Gateway.List(who.App)})
}

// receiveEvent serves POST /v1/inbound/{service}/{event}: something happened at
// a business, which proves with a signature that it is the one who says so.
func (s *Server) receiveEvent(c echo.Context) error {
	return s.within(c, func(ctx context.Context) error {
		raw, err := body(c, maxEvent)
		if err != nil {
			return err
		}
		duplicate, err := s.parts.Gateway.Receive(ctx, c.QueryParam("app"), c.Param("service"), c.Param("event"), c.Request().Header, raw, s.deliverEvent)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusAccepted, map[string]bool{"duplicate": duplicate})
	})
}

// deliverEvent sends what an event was mapped to. The same id twice sends once.
func (s *Server) deliverEvent(ctx context.Context, app, id string, o gateway.Outcome) error {
	if o.Notification != nil {
		if err := s.notifyOf(ctx, app, id, o.Notification); err != nil {
			return err
		}
	}
	if o.Message == nil {
		return nil
	}
	m, err := gateway.ParseMessage(o.Message)
	if err != nil {
		return err
	}
	_, err = s.parts.Chat.Talk.Send(ctx, im.Actor{App: app, Service: true},
		im.ChatMessage{Conversation: m.Conversation, ClientID: id, Kind: m.Kind, Body: m.Body}, m.To)
	if refused := (*im.Refusal)(nil); errors.As(err, &refused) {
		return &push.Invalid{Faults: []push.Fault{{Field: strings.TrimSuffix("message."+refused.Field, "."), Detail: refused.Detail}}}
	}
	return err
}

func (s *Server) notifyOf(ctx context.Context, app, id string, raw json.RawMessage) error {
	if err := wellFormed(raw); err != nil {
		return &push.Invalid{Faults: []push.Fault{{Field: "notification", Detail: err.Error()}}}
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("api: event: %w", err)
	}
	fields["id"], _ = json.Marshal(id) // a string
	named, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("api: event: %w", err)
	}
	_, err = s.enqueue(ctx, app, named)
	if errors.Is(err, push.ErrConflict) {
		return nil // it went out before the mapping was changed
	}
	return err
}

// listDeclared serves GET /v1/gateway/services: what there is to call, for those
// who look after it.
func (s *Server) listDeclared(c echo.Context, who caller) error {
	return c.JSON(http.StatusOK, map[string]any{"services": s.parts.Gateway.List(who.app)})
}

// serviceResponse is a declaration and where it comes from.
type serviceResponse struct {
	Service     string              `json:"service"`
	Declaration gateway.Declaration `json:"declaration"`
	Revision    int64               `json:"revision,omitempty"`
}

// getService serves GET /v1/gateway/services/{service}.
func (s *Server) getService(c echo.Context, who caller) error {
	d, err := s.parts.Gateway.Declared(who.app, c.Param("service"))
	if err != nil {
		return notFound("service")
	}
	return c.JSON(http.StatusOK, serviceResponse{Service: d.Service, Declaration: d})
}

// putService serves PUT /v1/gateway/services/{service}: the declaration counts
// once this is answered, here; other processes learn of it within seconds. With
// ?dry_run=true it is checked and nothing more.
func (s *Server) putService(c echo.Context, who caller) error {
	raw, err := body(c, maxDeclaration)
	if err != nil {
		return err
	}
	if err := wellFormed(raw); err != nil {
		return err
	}
	d, err := gateway.ParseJSON(raw)
	if err != nil {
		return err
	}
	if d.App != "" || d.Service != "" && d.Service != c.Param("service") {
		return &push.Invalid{Faults: []push.Fault{{Field: "service", Detail: "is said by the path, as the app is by the key"}}}
	}
	d.App, d.Service = who.app, c.Param("service")
	if err := gateway.Check(d, s.parts.Gateway.Rules()); err != nil {
		return err
	}
	d.App = ""
	res := serviceResponse{Service: d.Service, Declaration: d}
	if c.QueryParam("dry_run") == "true" {
		return c.JSON(http.StatusOK, res)
	}
	kept, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("api: declaration: %w", err)
	}
	ctx := c.Request().Context()
	if res.Revision, err = s.parts.Businesses.PutService(ctx, who.app, d.Service, kept, who.who); err != nil {
		return err
	}
	if err := s.parts.Gateway.Load(ctx); err != nil {
		s.log.WarnContext(ctx, "not every declaration is in force", "err", err)
	}
	return c.JSON(http.StatusOK, res)
}

// deleteService serves DELETE /v1/gateway/services/{service}.
func (s *Server) deleteService(c echo.Context, who caller) error {
	ctx := c.Request().Context()
	err := s.parts.Businesses.DeleteService(ctx, who.app, c.Param("service"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("service that was declared through the API")
	}
	if err != nil {
		return err
	}
	if err := s.parts.Gateway.Load(ctx); err != nil {
		s.log.WarnContext(ctx, "not every declaration is in force", "err", err)
	}
	return c.NoContent(http.StatusNoContent)
}

// CallsHour is how the calls of a service went in an hour, in all processes.
type CallsHour struct {
	Hour   time.Time `json:"hour"`
	Calls  uint64    `json:"calls"`
	Failed uint64    `json:"failed"`
	Cached uint64    `json:"cached"`
	P50MS  float64   `json:"p50_ms"`
	P99MS  float64   `json:"p99_ms"`
}

// CallsByHour tells of each hour of [from, to) that had calls, in order.
type CallsByHour func(ctx context.Context, app, service string, from, to time.Time) ([]CallsHour, error)

const day = 24 * time.Hour

// shadowReport is how a shadow fares.
type shadowReport struct {
	Version   string             `json:"version"`
	Operation string             `json:"operation"`
	Report    gateway.Comparison `json:"report"`
}

// getServiceState serves GET /v1/gateway/services/{service}/state: how its
// operations and back ends fare in this process, and what was kept of them.
func (s *Server) getServiceState(c echo.Context, who caller) error {
	g, name := s.parts.Gateway, c.Param("service")
	d, err := g.Declared(who.app, name)
	if err != nil {
		return notFound("service")
	}
	events, err := g.Events(c.Request().Context(), who.app, name)
	if err != nil {
		return err
	}
	shadows := []shadowReport{}
	for version, v := range d.Versions {
		for operation := range v.Operations {
			if r, on := g.Shadow(who.app, name, version, operation); on {
				shadows = append(shadows, shadowReport{version, operation, r})
			}
		}
	}
	ctx := c.Request().Context()
	hours := []CallsHour{}
	if s.parts.CallsByHour != nil {
		now := s.parts.Now()
		if hours, err = s.parts.CallsByHour(ctx, who.app, name, now.Add(-day), now); err != nil {
			s.log.WarnContext(ctx, "no record of the last day's calls", "service", name, "err", err)
		}
	}
	slices.SortFunc(shadows, func(a, b shadowReport) int { return strings.Compare(a.Version+a.Operation, b.Version+b.Operation) })
	return c.JSON(http.StatusOK, map[string]any{
		"service": name, "operations": g.Stats(who.app, name), "backends": g.Backends(who.app, name),
		"shadows": shadows, "exchanges": g.Exchanges(who.app, name), "events": some(events), "hours": some(hours),
	})
}

// tryService serves POST /v1/gateway/services/{service}/try: what a declaration,
// or the one in force, makes of an input and of answers that are given with it.
// Nothing is sent.
func (s *Server) tryService(c echo.Context, who caller) error {
	raw, err := body(c, maxDeclaration)
	if err != nil {
		return err
	}
	if err := wellFormed(raw); err != nil {
		return err
	}
	var req struct {
		Declaration json.RawMessage `json:"declaration"`
		gateway.Exchange
	}
	if err := json.Unmarshal(raw, &req); err != nil {
		return &refusal{status: http.StatusBadRequest, code: "malformed_json", detail: "the body is no exchange: " + err.Error()}
	}
	d, err := s.parts.Gateway.Declared(who.app, c.Param("service"))
	if len(req.Declaration) > 0 {
		d, err = gateway.ParseJSON(req.Declaration)
	}
	if errors.Is(err, push.ErrNotFound) {
		return notFound("service")
	}
	if err != nil {
		return err
	}
	d.App, d.Service = who.app, c.Param("service")
	req.Service, req.Caller.App = d.Service, who.app
	got, err := gateway.Replay(c.Request().Context(), d, gateway.Rules{AllowPrivate: true, Trusted: true}, req.Exchange)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, got)
}

// replayEvent serves POST /v1/gateway/services/{service}/replay with {event, id}.
func (s *Server) replayEvent(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, againForm)
	if err != nil {
		return err
	}
	if req.Event == "" {
		fs.add("event", "is missing")
	}
	if req.ID == "" {
		fs.add("id", "is missing")
	}
	if err := fs.err(); err != nil {
		return err
	}
	err = s.parts.Gateway.Replay(c.Request().Context(), who.app, c.Param("service"), req.Event, req.ID, s.deliverEvent)
	if errors.Is(err, push.ErrNotFound) {
		return notFound("event in the last seven days")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type againRequest struct {
	Event string `json:"event"`
	ID    string `json:"id"`
}

type secretRequest struct {
	Value string `json:"value"`
}

var (
	againForm  = newForm[againRequest]()
	secretForm = newForm[secretRequest]()
)

// listSecrets serves GET /v1/gateway/secrets: their names.
func (s *Server) listSecrets(c echo.Context, who caller) error {
	names, err := s.parts.Businesses.SecretNames(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"secrets": some(names)})
}

// putSecret serves PUT /v1/gateway/secrets/{secret}. It is never shown again.
func (s *Server) putSecret(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, secretForm)
	if err != nil {
		return err
	}
	if req.Value == "" {
		fs.add("value", "is missing")
	}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Businesses.PutSecret(c.Request().Context(), who.app, c.Param("secret"), []byte(req.Value)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// deleteSecret serves DELETE /v1/gateway/secrets/{secret}.
func (s *Server) deleteSecret(c echo.Context, who caller) error {
	err := s.parts.Businesses.DeleteSecret(c.Request().Context(), who.app, c.Param("secret"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("secret")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
