package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// createNotification serves POST /v1/notifications.
//
// It answers 202 once the notification is safely queued; nothing has been sent
// by then. Posting the same id and body again answers 202 and queues nothing,
// so a caller that lost the answer simply asks again.
func (s *Server) createNotification(c echo.Context, who caller) error {
	raw, err := body(c, maxNotification)
	if err != nil {
		return err
	}
	if err := wellFormed(raw); err != nil {
		return err
	}
	progress, err := s.enqueue(c.Request().Context(), who.app, raw)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/notifications/"+progress.ID)
	return c.JSON(http.StatusAccepted, progress)
}

// enqueue reads one notification from well-formed JSON and hands it over.
func (s *Server) enqueue(ctx context.Context, app string, raw []byte) (push.Progress, error) {
	n, hash, err := s.parse(ctx, app, raw)
	if err != nil {
		return push.Progress{ID: n.ID}, err
	}
	if n.ID == "" {
		n.ID = newID()
	}
	n.Trace, _ = ctx.Value(traceKey{}).(string)
	return s.parts.Queue.Enqueue(ctx, n, hash)
}

// parse is never without a notification: a faulty one has its id at least.
func (s *Server) parse(ctx context.Context, app string, raw []byte) (*push.Notification, [32]byte, error) {
	req, fs := notificationForm.decodeValid(raw)
	n, hash, err := req.notification(app, fs, s.rules(ctx, app))
	if err != nil {
		n = &push.Notification{App: app}
		if validNotificationID(req.ID) {
			n.ID = req.ID
		}
	}
	return n, hash, err
}

func (s *Server) rules(ctx context.Context, app string) rules {
	return rules{
		now:       s.parts.Now().UTC(),
		providers: s.parts.Providers,
		overrides: s.parts.Overrides,
		unseen:    s.parts.Unseen,
		word:      func(n *push.Notification) error { return s.parts.Word(ctx, n) },
		policy: func() (push.Policy, error) {
			a, err := s.app(ctx, app)
			return a.Policy, err
		},
		place: func(to push.Audience, fs *faults) error { return s.checkPlace(ctx, app, to, fs) },
	}
}

// newID makes an id that sorts by time, as databases like it.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// validateNotification serves POST /v1/notifications:validate: what would
// happen, with reasons, and nothing happens.
func (s *Server) validateNotification(c echo.Context, who caller) error {
	raw, err := body(c, maxNotification)
	if err != nil {
		return err
	}
	if err := wellFormed(raw); err != nil {
		return err
	}
	ctx := c.Request().Context()
	n, _, err := s.parse(ctx, who.app, raw)
	if err != nil {
		return err
	}
	if n.ID == "" {
		n.ID = newID() // payloads carry it, so it counts
	}
	plan, err := s.parts.Queue.Plan(ctx, n)
	if err != nil {
		return err
	}
	plan.Roads, plan.Payloads, plan.Sample = some(plan.Roads), some(plan.Payloads), some(plan.Sample)
	for i := range plan.Sample {
		plan.Sample[i].Roads = some(plan.Sample[i].Roads)
	}
	return c.JSON(http.StatusOK, plan)
}

// getNotification serves GET /v1/notifications/{notification}.
func (s *Server) getNotification(c echo.Context, who caller) error {
	return s.progress(c, who, s.parts.Queue.Progress)
}

// cancelNotification serves DELETE /v1/notifications/{notification}: it takes
// back what has not been sent. What had left stays left, as the counts say.
func (s *Server) cancelNotification(c echo.Context, who caller) error {
	return s.progress(c, who, s.parts.Queue.Cancel)
}

// pauseNotification serves POST /v1/notifications/{notification}:pause.
func (s *Server) pauseNotification(c echo.Context, who caller) error {
	return s.progress(c, who, s.parts.Queue.Pause)
}

// resumeNotification serves POST /v1/notifications/{notification}:resume.
func (s *Server) resumeNotification(c echo.Context, who caller) error {
	return s.progress(c, who, s.parts.Queue.Resume)
}

func (s *Server) progress(c echo.Context, who caller, ask func(ctx context.Context, app, id string) (push.Progress, error)) error {
	id := c.Param("notification")
	if !validNotificationID(id) {
		return notFound("notification")
	}
	p, err := ask(c.Request().Context(), who.app, id)
	if errors.Is(err, push.ErrNotFound) {
		return notFound("notification")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, p)
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

type deliveriesResponse struct {
	Deliveries []push.Trace `json:"deliveries"`
	Next       string       `json:"next,omitempty"` // after= of the next page; "" on the last
}

// listDeliveries serves GET /v1/notifications/{notification}/deliveries.
func (s *Server) listDeliveries(c echo.Context, who caller) error {
	id, device, after := c.Param("notification"), c.QueryParam("device"), c.QueryParam("after")
	if !validNotificationID(id) {
		return notFound("notification")
	}
	var fs faults
	if device != "" && !validDeviceID(device) {
		fs.add("device", needDeviceID)
	}
	limit := limitParam(&fs, c.QueryParam("limit"))
	if err := fs.err(); err != nil {
		return err
	}

	ctx := c.Request().Context()
	traces, next, err := s.parts.Deliveries.Trace(ctx, who.app, id, device, after, limit)
	if err != nil {
		return err
	}
	if len(traces) == 0 && after == "" {
		// Nothing yet, or no such thing? The queue knows.
		if _, err := s.parts.Queue.Progress(ctx, who.app, id); errors.Is(err, push.ErrNotFound) {
			return notFound("notification")
		}
	}
	for i := range traces {
		traces[i].Attempts, traces[i].Receipts = some(traces[i].Attempts), some(traces[i].Receipts)
	}
	return c.JSON(http.StatusOK, deliveriesResponse{some(traces), next})
}

func limitParam(fs *faults, s string) int {
	if s == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		fs.add("limit", fmt.Sprintf("must be 1 to %d", maxLimit))
	}
	return n
}

// some makes an empty list of none, for JSON knows the difference.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
