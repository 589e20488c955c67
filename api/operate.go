package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// Desk is what operators look at and act upon, beyond single notifications and
// devices. What is not there is [push.ErrNotFound].
type Desk interface {
	// Notifications lists an app's, the newest first; next is the cursor of the
	// page behind, "" on the last.
	Notifications(ctx context.Context, app string, q push.NotificationQuery) (found []push.Progress, next string, err error)
	SetRate(ctx context.Context, app, id string, perMinute int) (push.Progress, error)

	// DeviceList lists devices by id, those that begin with prefix or are a
	// user's, from behind after.
	DeviceList(ctx context.Context, app, prefix, user, after string, limit int) ([]*push.Device, error)
	DeviceState(ctx context.Context, d *push.Device) (push.DeviceState, error)

	QueueStates() ([]push.QueueState, error)
	Tasks(ctx context.Context, app, queue, state string, limit int) ([]push.QueueTask, error)
	Task(ctx context.Context, app, queue, id string) (push.QueueTask, error)
	RunTask(ctx context.Context, app, queue, id string) error
	DropTask(ctx context.Context, app, queue, id string) error

	Nodes(ctx context.Context) ([]push.Node, error)
	// Drain asks a node to send its connections elsewhere, or no longer to.
	Drain(ctx context.Context, node string, on bool) error
}

type notificationsResponse struct {
	Notifications []push.Progress `json:"notifications"`
	Next          string          `json:"next,omitempty"`
}

// listNotifications serves GET /v1/notifications.
func (s *Server) listNotifications(c echo.Context, who caller) error {
	var fs faults
	q := push.NotificationQuery{
		ID: c.QueryParam("id"), Class: push.Class(c.QueryParam("class")), State: push.State(c.QueryParam("state")),
		Device: c.QueryParam("device"), User: c.QueryParam("user"), Before: c.QueryParam("before"),
		Since: momentParam(&fs, "since", c.QueryParam("since")), Until: momentParam(&fs, "until", c.QueryParam("until")),
		Limit: limitParam(&fs, c.QueryParam("limit")),
	}
	if q.Class != "" && !q.Class.Known() {
		fs.addf("class", "%q is none of otp, transactional, chat, call, marketing", shorten(string(q.Class)))
	}
	states := []push.State{"", push.Scheduled, push.Queued, push.Sending, push.Paused, push.Done, push.TakenBack}
	if !slices.Contains(states, q.State) {
		fs.addf("state", "%q is none of scheduled, queued, sending, paused, done, cancelled", shorten(string(q.State)))
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		fs.add("until", "must be after since")
	}
	if err := fs.err(); err != nil {
		return err
	}
	found, next, err := s.parts.Desk.Notifications(c.Request().Context(), who.app, q)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, notificationsResponse{some(found), next})
}

// rateRequest is the body of POST /v1/notifications/{notification}:rate.
type rateRequest struct {
	RatePerMinute *int `json:"rate_per_minute"`
}

var rateForm = newForm[rateRequest]()

// rateNotification serves POST /v1/notifications/{notification}:rate: what is
// still to be begun goes at another rate, 0 for as fast as it may.
func (s *Server) rateNotification(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, rateForm)
	if err != nil {
		return err
	}
	if r := req.RatePerMinute; r == nil || *r < 0 || *r > maxRate {
		fs.addf("rate_per_minute", "must be 0 to %d; 0 is no bound", maxRate)
	}
	if err := fs.err(); err != nil {
		return err
	}
	return s.progress(c, who, func(ctx context.Context, app, id string) (push.Progress, error) {
		return s.parts.Desk.SetRate(ctx, app, id, *req.RatePerMinute)
	})
}

type devicesResponse struct {
	Devices []*push.Device `json:"devices"`
	Next    string         `json:"next,omitempty"` // after= of the next page; "" on the last
}

// listDevices serves GET /v1/devices.
func (s *Server) listDevices(c echo.Context, who caller) error {
	var fs faults
	limit := limitParam(&fs, c.QueryParam("limit"))
	if c.QueryParam("user") != "" && c.QueryParam("prefix") != "" {
		fs.add("prefix", "goes without user")
	}
	if err := fs.err(); err != nil {
		return err
	}
	all, err := s.parts.Desk.DeviceList(c.Request().Context(), who.app, c.QueryParam("prefix"), c.QueryParam("user"), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	res := devicesResponse{Devices: some(all)}
	if len(all) == limit {
		res.Next = all[limit-1].ID
	}
	return c.JSON(http.StatusOK, res)
}

// getDeviceState serves GET /v1/devices/{device}/state.
func (s *Server) getDeviceState(c echo.Context, who caller) error {
	d, err := s.device(c, who)
	if err != nil {
		return err
	}
	state, err := s.parts.Desk.DeviceState(c.Request().Context(), d)
	if err != nil {
		return err
	}
	state.Roads, state.Ranked, state.Inbox, state.Recent = some(state.Roads), some(state.Ranked), some(state.Inbox), some(state.Recent)
	return c.JSON(http.StatusOK, state)
}

type queuesResponse struct {
	Queues []push.QueueState `json:"queues"`
}

// listQueues serves GET /v1/queues.
func (s *Server) listQueues(c echo.Context, _ caller) error {
	all, err := s.parts.Desk.QueueStates()
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, queuesResponse{some(all)})
}

// queueNames are the queues, most urgent first.
var queueNames = [...]string{"critical", "default", "bulk"}

type tasksResponse struct {
	Tasks []push.QueueTask `json:"tasks"`
}

// listTasks serves GET /v1/queues/{queue}/tasks.
func (s *Server) listTasks(c echo.Context, who caller) error {
	queue, state, err := queueOf(c)
	if err != nil {
		return err
	}
	var fs faults
	limit := limitParam(&fs, c.QueryParam("limit"))
	if err := fs.err(); err != nil {
		return err
	}
	all, err := s.parts.Desk.Tasks(c.Request().Context(), who.app, queue, state, limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tasksResponse{some(all)})
}

// queueOf reads the queue of a path and the state of a query, by default the
// archive.
func queueOf(c echo.Context) (queue, state string, err error) {
	queue, state = c.Param("queue"), c.QueryParam("state")
	if !slices.Contains(queueNames[:], queue) {
		return "", "", notFound("queue")
	}
	if state == "" {
		state = "archived"
	}
	if !slices.Contains(push.TaskStates[:], state) {
		return "", "", &push.Invalid{Faults: []push.Fault{{Field: "state", Detail: "must be one of " + strings.Join(push.TaskStates[:], ", ")}}}
	}
	return queue, state, nil
}

// getTask serves GET /v1/queues/{queue}/tasks/{task}.
func (s *Server) getTask(c echo.Context, who caller) error {
	if _, _, err := queueOf(c); err != nil {
		return err
	}
	t, err := s.parts.Desk.Task(c.Request().Context(), who.app, c.Param("queue"), c.Param("task"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("task")
	}
	if err != nil {
		return err
	}
	t.Payload = shown(t.Payload)
	return c.JSON(http.StatusOK, t)
}

// shown is JSON without secrets, whole however long.
func shown(raw json.RawMessage) json.RawMessage {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	hide(v)
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}

// retryTask serves POST /v1/queues/{queue}/tasks/{task}:retry.
func (s *Server) retryTask(c echo.Context, who caller) error {
	return s.onTask(c, who, s.parts.Desk.RunTask)
}

// dropTask serves DELETE /v1/queues/{queue}/tasks/{task}.
func (s *Server) dropTask(c echo.Context, who caller) error {
	return s.onTask(c, who, s.parts.Desk.DropTask)
}

func (s *Server) onTask(c echo.Context, who caller, do func(ctx context.Context, app, queue, id string) error) error {
	if _, _, err := queueOf(c); err != nil {
		return err
	}
	err := do(c.Request().Context(), who.app, c.Param("queue"), c.Param("task"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("task that waits")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// bulkResponse is how many tasks an action was done to.
type bulkResponse struct {
	Tasks int `json:"tasks"`
}

// retryTasks serves POST /v1/queues/{queue}/tasks:retry: all that were given up.
func (s *Server) retryTasks(c echo.Context, who caller) error {
	return s.onTasks(c, who, s.parts.Desk.RunTask)
}

// dropTasks serves DELETE /v1/queues/{queue}/tasks: all that were given up.
func (s *Server) dropTasks(c echo.Context, who caller) error {
	return s.onTasks(c, who, s.parts.Desk.DropTask)
}

func (s *Server) onTasks(c echo.Context, who caller, do func(ctx context.Context, app, queue, id string) error) error {
	queue, _, err := queueOf(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	all, err := s.parts.Desk.Tasks(ctx, who.app, queue, "archived", maxLimit)
	if err != nil {
		return err
	}
	var res bulkResponse
	for _, t := range all {
		switch err := do(ctx, who.app, queue, t.ID); {
		case errors.Is(err, push.ErrNotFound): // somebody else was faster
		case err != nil:
			return fmt.Errorf("api: after %d of %d tasks: %w", res.Tasks, len(all), err)
		default:
			res.Tasks++
		}
	}
	return c.JSON(http.StatusOK, res)
}

type nodesResponse struct {
	Nodes []push.Node `json:"nodes"`
}

// listNodes serves GET /v1/nodes.
func (s *Server) listNodes(c echo.Context, _ caller) error {
	all, err := s.parts.Desk.Nodes(c.Request().Context())
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Closed == nil {
			all[i].Closed = map[string]uint64{}
		}
	}
	return c.JSON(http.StatusOK, nodesResponse{some(all)})
}

// drainNode serves POST /v1/nodes/{node}:drain, and keepNode :keep.
func (s *Server) drainNode(c echo.Context, who caller) error { return s.drain(c, who, true) }
func (s *Server) keepNode(c echo.Context, who caller) error  { return s.drain(c, who, false) }

// drain is for those who may touch what all apps share.
func (s *Server) drain(c echo.Context, who caller, on bool) error {
	if !who.house {
		return &refusal{status: http.StatusForbidden, code: "forbidden", detail: "a node serves all apps: this is for operators of all of them, on the pages, and for admin keys of api.house_app"}
	}
	ctx := c.Request().Context()
	all, err := s.parts.Desk.Nodes(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(n push.Node) bool { return n.ID == c.Param("node") })
	if i < 0 {
		return notFound("node")
	}
	if err := s.parts.Desk.Drain(ctx, all[i].ID, on); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// providerState is a provider that takes credentials, with what an app has given.
type providerState struct {
	Provider  string    `json:"provider"`
	Given     bool      `json:"given"`
	Version   int       `json:"version,omitempty"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

type providersResponse struct {
	Providers []providerState `json:"providers"`
}

// listProviders serves GET /v1/apps/{app}/providers.
func (s *Server) listProviders(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	res := providersResponse{Providers: []providerState{}}
	for name, check := range s.parts.Providers {
		if check == nil {
			continue
		}
		state := providerState{Provider: name}
		info, err := s.parts.Credentials.CredentialsInfo(c.Request().Context(), who.app, name)
		switch {
		case err == nil:
			state.Given, state.Version, state.UpdatedAt = true, info.Version, info.UpdatedAt
		case !errors.Is(err, push.ErrNotFound):
			return err
		}
		res.Providers = append(res.Providers, state)
	}
	slices.SortFunc(res.Providers, func(a, b providerState) int { return strings.Compare(a.Provider, b.Provider) })
	return c.JSON(http.StatusOK, res)
}
