package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// scheduleRequest is the body of PUT and POST /v1/schedules.
type scheduleRequest struct {
	ID           string          `json:"id"`
	Cron         string          `json:"cron"`
	Timezone     string          `json:"timezone"`
	Notification json.RawMessage `json:"notification"`
}

var scheduleForm = newForm[scheduleRequest]()

// scheduleResponse is a schedule with the times it fires at next.
type scheduleResponse struct {
	*push.Schedule
	Next []time.Time `json:"next"`
}

type schedulesResponse struct {
	Schedules []scheduleResponse `json:"schedules"`
	Next      string             `json:"next,omitempty"` // after= of the next page; "" on the last
}

// createSchedule serves POST /v1/schedules: it makes a schedule, or replaces
// the one that has its id.
func (s *Server) createSchedule(c echo.Context, who caller) error {
	req, fs, err := read(c, maxNotification, scheduleForm)
	if err != nil {
		return err
	}
	if !spelled(req.ID, maxScheduleID, "") {
		fs.add("id", needScheduleID)
	}
	if req.Timezone == "" {
		app, err := s.app(c.Request().Context(), who.app)
		if err != nil {
			return err
		}
		if req.Timezone = app.Policy.Timezone; req.Timezone == "" {
			req.Timezone = "UTC"
		}
	}
	checkTimezone(&fs, "timezone", req.Timezone)
	now := s.parts.Now().UTC()
	var next []time.Time
	zone := req.Timezone
	if fs.has("timezone") {
		zone = "UTC" // so that a fault of the line is told too
	}
	if req.Cron == "" {
		fs.add("cron", `is missing: five fields, such as "0 9 * * 1-5"`)
	} else if next, err = s.parts.Firings(req.Cron, zone, now, shownFirings); err != nil {
		fs.add("cron", strings.TrimPrefix(err.Error(), "scheduler: "))
	}
	sc := &push.Schedule{App: who.app, ID: req.ID, Cron: req.Cron, Timezone: req.Timezone}
	if err := s.scheduled(c.Request().Context(), sc, req.Notification, &fs); err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	sc.NextAt = next[0]
	if err := s.parts.Schedules.PutSchedule(c.Request().Context(), sc); err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/schedules/"+sc.ID)
	return c.JSON(http.StatusOK, scheduleResponse{sc, next})
}

// scheduled checks the notification of a schedule as if it were sent now.
func (s *Server) scheduled(ctx context.Context, sc *push.Schedule, raw []byte, fs *faults) error {
	n, req, err := s.later(ctx, sc.App, raw, fs, "schedule", false)
	if n == nil || err != nil {
		return err
	}
	sc.Notification, sc.TTLSeconds = n, *req.TTLSeconds
	if sc.Request, err = json.Marshal(req); err != nil {
		return fmt.Errorf("api: notification of a schedule: %w", err)
	}
	return nil
}

// later checks a notification that something else starts one day, as if it were
// sent now. Its faults stand under "notification"; with any n is nil. What
// starts it says its id and its times and, if it has an audience of its own, to
// whom it goes.
func (s *Server) later(ctx context.Context, app string, raw []byte, fs *faults, starter string, audience bool) (n *push.Notification, req *notificationRequest, err error) {
	if len(raw) == 0 {
		fs.add("notification", "is missing")
		return nil, nil, nil
	}
	asked, own := notificationForm.decodeValid(raw)
	for _, its := range []struct {
		field string
		given bool
	}{
		{"id", asked.ID != ""}, {"deliver_at", asked.DeliverAt != ""}, {"deliver_at_local", asked.DeliverAtLocal != ""},
		{"to", audience && asked.To != nil},
	} {
		if its.given {
			own.add(its.field, "is the "+starter+"'s to say")
		}
	}
	if audience {
		anyone := "device"
		asked.To = &audienceRequest{Device: &anyone}
	}
	n, _, err = asked.notification(app, own, s.rules(ctx, app))
	if err == nil && n.Template != "" { // worded anew each time, by the template of that day
		n.Title, n.Body, n.Localized = "", "", nil
		n.Data, n.Overrides, n.Variables = asked.Data, asked.Overrides, plainValues(&own, asked.Variables)
	}
	if invalid := (*push.Invalid)(nil); errors.As(err, &invalid) {
		for _, f := range invalid.Faults {
			fs.add(strings.TrimSuffix("notification."+f.Field, "."), f.Detail)
		}
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	n.AcceptedAt, n.ExpiresAt = time.Time{}, time.Time{}
	return n, &asked, nil
}

// getSchedule serves GET /v1/schedules/{schedule}.
func (s *Server) getSchedule(c echo.Context, who caller) error {
	sc, err := s.parts.Schedules.Schedule(c.Request().Context(), who.app, c.Param("schedule"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("schedule")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.showSchedule(sc))
}

// showSchedule adds the next firings: the stored one, which may be due at this
// moment, and those after it.
func (s *Server) showSchedule(sc *push.Schedule) scheduleResponse {
	next := []time.Time{sc.NextAt}
	if more, err := s.parts.Firings(sc.Cron, sc.Timezone, sc.NextAt, shownFirings-1); err == nil {
		next = append(next, more...)
	}
	return scheduleResponse{sc, next}
}

// listSchedules serves GET /v1/schedules, by pages.
func (s *Server) listSchedules(c echo.Context, who caller) error {
	var fs faults
	limit := limitParam(&fs, c.QueryParam("limit"))
	if err := fs.err(); err != nil {
		return err
	}
	all, err := s.parts.Schedules.Schedules(c.Request().Context(), who.app, c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	res := schedulesResponse{Schedules: make([]scheduleResponse, len(all))}
	for i, sc := range all {
		res.Schedules[i] = s.showSchedule(sc)
	}
	if len(all) == limit {
		res.Next = all[limit-1].ID
	}
	return c.JSON(http.StatusOK, res)
}

// deleteSchedule serves DELETE /v1/schedules/{schedule}.
func (s *Server) deleteSchedule(c echo.Context, who caller) error {
	err := s.parts.Schedules.DeleteSchedule(c.Request().Context(), who.app, c.Param("schedule"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("schedule")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
