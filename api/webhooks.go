package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// Webhooks keeps the endpoints that apps are told at, and calls them. What is
// not there is [push.ErrNotFound], an input with faults a [push.Invalid].
type Webhooks interface {
	// CreateWebhook fills in id and times; the secret is shown this once.
	CreateWebhook(ctx context.Context, w *push.Webhook) (secret string, err error)
	// ChangeWebhook writes what an app may choose, and fills in the rest.
	ChangeWebhook(ctx context.Context, w *push.Webhook) error
	Webhook(ctx context.Context, app, id string) (push.Webhook, error)
	Webhooks(ctx context.Context, app string) ([]push.Webhook, error) // oldest first
	DeleteWebhook(ctx context.Context, app, id string) error
	WebhookCalls
}

// WebhookCalls are what is done with an endpoint.
type WebhookCalls interface {
	// RotateWebhook makes a new secret; the old one signs too for the overlap.
	RotateWebhook(ctx context.Context, app, id string, overlap time.Duration) (secret string, w push.Webhook, err error)
	TestWebhook(ctx context.Context, app, id string) (push.WebhookTry, error)
	// WebhookDeliveries are newest first; next is "" on the last page.
	WebhookDeliveries(ctx context.Context, app, id string, q push.WebhookQuery) (ds []push.WebhookDelivery, next string, err error)
	// ReplayWebhook sends again what a query selects, and returns how much.
	ReplayWebhook(ctx context.Context, app, id string, q push.WebhookQuery) (int, error)
}

// defaultOverlap is how long an old secret signs where nobody says.
const defaultOverlap = 24 * 60 * 60

// webhookRequest is the body of POST /v1/webhooks and PUT /v1/webhooks/{webhook}.
type webhookRequest struct {
	URL         string   `json:"url"`
	Description string   `json:"description"`
	Events      []string `json:"events"`
	Batch       *int     `json:"batch"`
	Enabled     *bool    `json:"enabled"`
	DisabledWhy string   `json:"disabled_why"`
}

func (r *webhookRequest) webhook(app string) *push.Webhook {
	w := &push.Webhook{App: app, URL: r.URL, Description: r.Description, Events: r.Events, Batch: 1, Enabled: true, DisabledWhy: r.DisabledWhy}
	if r.Batch != nil {
		w.Batch = *r.Batch
	}
	if r.Enabled != nil {
		w.Enabled = *r.Enabled
	}
	return w
}

type rotateRequest struct {
	OverlapSeconds *int `json:"overlap_seconds"`
}

// replayRequest is the body of POST /v1/webhooks/{webhook}:replay.
type replayRequest struct {
	State string `json:"state"`
	Type  string `json:"type"`
	Event string `json:"event"`
	From  string `json:"from"`
	Until string `json:"until"`
}

var (
	webhookForm = newForm[webhookRequest]()
	rotateForm  = newForm[rotateRequest]()
	replayForm  = newForm[replayRequest]()
)

// webhookResponse is an endpoint, with its secret if that was made just now.
type webhookResponse struct {
	push.Webhook
	Secret string `json:"secret,omitempty"`
}

type webhooksResponse struct {
	Webhooks []push.Webhook `json:"webhooks"`
}

type webhookDeliveriesResponse struct {
	Deliveries []push.WebhookDelivery `json:"deliveries"`
	Next       string                 `json:"next,omitempty"`
}

type replayResponse struct {
	Replayed int `json:"replayed"`
}

// webhookRoutes are the paths of webhooks.
func (s *Server) webhookRoutes() {
	e := s.echo
	e.GET("/v1/webhooks", s.keyed(ScopeRead, s.listWebhooks))
	e.POST("/v1/webhooks", s.keyed(ScopeAdmin, s.audited("webhook.create", nil, s.createWebhook)))
	e.GET("/v1/webhooks/:webhook", s.keyed(ScopeRead, s.getWebhook))
	e.PUT("/v1/webhooks/:webhook", s.keyed(ScopeAdmin, s.audited("webhook.put", s.getWebhook, s.putWebhook)))
	e.DELETE("/v1/webhooks/:webhook", s.keyed(ScopeAdmin, s.audited("webhook.delete", s.getWebhook, s.deleteWebhook)))
	e.POST("/v1/webhooks/:webhook/~rotate", s.keyed(ScopeAdmin, s.audited("webhook.rotate", s.getWebhook, s.rotateWebhook)))
	e.POST("/v1/webhooks/:webhook/~test", s.keyed(ScopeAdmin, s.testWebhook))
	e.POST("/v1/webhooks/:webhook/~replay", s.keyed(ScopeOperate, s.audited("webhook.replay", nil, s.replayWebhook)))
	e.GET("/v1/webhooks/:webhook/deliveries", s.keyed(ScopeRead, s.listWebhookDeliveries))
}

// createWebhook serves POST /v1/webhooks. Its answer is the only one that shows
// the secret.
func (s *Server) createWebhook(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, webhookForm)
	if err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	w := req.webhook(who.app)
	secret, err := s.parts.Webhooks.CreateWebhook(c.Request().Context(), w)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/webhooks/"+w.ID)
	return c.JSON(http.StatusCreated, webhookResponse{*w, secret})
}

// putWebhook serves PUT /v1/webhooks/{webhook}.
func (s *Server) putWebhook(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, webhookForm)
	if err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	w := req.webhook(who.app)
	w.ID = c.Param("webhook")
	if err := s.parts.Webhooks.ChangeWebhook(c.Request().Context(), w); err != nil {
		return noWebhook(err)
	}
	return c.JSON(http.StatusOK, w)
}

// getWebhook serves GET /v1/webhooks/{webhook}.
func (s *Server) getWebhook(c echo.Context, who caller) error {
	w, err := s.parts.Webhooks.Webhook(c.Request().Context(), who.app, c.Param("webhook"))
	if err != nil {
		return noWebhook(err)
	}
	return c.JSON(http.StatusOK, w)
}

// listWebhooks serves GET /v1/webhooks.
func (s *Server) listWebhooks(c echo.Context, who caller) error {
	all, err := s.parts.Webhooks.Webhooks(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, webhooksResponse{some(all)})
}

// deleteWebhook serves DELETE /v1/webhooks/{webhook}.
func (s *Server) deleteWebhook(c echo.Context, who caller) error {
	if err := s.parts.Webhooks.DeleteWebhook(c.Request().Context(), who.app, c.Param("webhook")); err != nil {
		return noWebhook(err)
	}
	return c.NoContent(http.StatusNoContent)
}

// rotateWebhook serves POST /v1/webhooks/{webhook}:rotate.
func (s *Server) rotateWebhook(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, rotateForm)
	if err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	overlap := defaultOverlap
	if req.OverlapSeconds != nil {
		overlap = *req.OverlapSeconds
	}
	secret, w, err := s.parts.Webhooks.RotateWebhook(c.Request().Context(), who.app, c.Param("webhook"), time.Duration(overlap)*time.Second)
	if err != nil {
		return noWebhook(err)
	}
	return c.JSON(http.StatusOK, webhookResponse{w, secret})
}

// testWebhook serves POST /v1/webhooks/{webhook}:test: one call, at once. What
// the endpoint makes of it is the answer, not an error.
func (s *Server) testWebhook(c echo.Context, who caller) error {
	try, err := s.parts.Webhooks.TestWebhook(c.Request().Context(), who.app, c.Param("webhook"))
	if err != nil {
		return noWebhook(err)
	}
	return c.JSON(http.StatusOK, try)
}

// replayWebhook serves POST /v1/webhooks/{webhook}:replay. Dead letters are
// what is sent again where the body does not say.
func (s *Server) replayWebhook(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, replayForm)
	if err != nil {
		return err
	}
	q := webhookQuery(&fs, req)
	if q.State == "" && q.Event == "" {
		q.State = push.WebhookDead
	}
	if err := fs.err(); err != nil {
		return err
	}
	n, err := s.parts.Webhooks.ReplayWebhook(c.Request().Context(), who.app, c.Param("webhook"), q)
	if err != nil {
		return noWebhook(err)
	}
	return c.JSON(http.StatusOK, replayResponse{n})
}

// listWebhookDeliveries serves GET /v1/webhooks/{webhook}/deliveries.
func (s *Server) listWebhookDeliveries(c echo.Context, who caller) error {
	var fs faults
	q := webhookQuery(&fs, replayRequest{
		State: c.QueryParam("state"), Type: c.QueryParam("type"), Event: c.QueryParam("event"),
		From: c.QueryParam("from"), Until: c.QueryParam("until"),
	})
	q.After, q.Limit = c.QueryParam("after"), limitParam(&fs, c.QueryParam("limit"))
	if err := fs.err(); err != nil {
		return err
	}
	all, next, err := s.parts.Webhooks.WebhookDeliveries(c.Request().Context(), who.app, c.Param("webhook"), q)
	if err != nil {
		return noWebhook(err)
	}
	return c.JSON(http.StatusOK, webhookDeliveriesResponse{some(all), next})
}

// webhookQuery reads what selects deliveries.
func webhookQuery(fs *faults, r replayRequest) push.WebhookQuery {
	q := push.WebhookQuery{State: push.WebhookState(r.State), Type: r.Type, Event: r.Event, From: instant(fs, "from", r.From), Until: instant(fs, "until", r.Until)}
	switch q.State {
	case "", push.WebhookPending, push.WebhookDelivered, push.WebhookDead:
	default:
		fs.addf("state", "must be pending, delivered or dead, not %q", shorten(r.State))
	}
	return q
}

func noWebhook(err error) error {
	if errors.Is(err, push.ErrNotFound) {
		return notFound("webhook")
	}
	return err
}
