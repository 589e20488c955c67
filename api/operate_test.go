package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

func (w *world) Notifications(_ context.Context, app string, q push.NotificationQuery) (found []push.Progress, next string, _ error) {
	if app != "demo" {
		return nil, "", nil
	}
	for _, id := range []string{"campaign:1", "order-1"} {
		p := w.queued["demo/"+id]
		if strings.Contains(id, q.ID) && (q.State == "" || p.State == q.State) && len(found) < q.Limit {
			found = append(found, p)
		}
	}
	return found, "", nil
}

func (w *world) SetRate(ctx context.Context, app, id string, perMinute int) (push.Progress, error) {
	w.rate = perMinute
	return w.Progress(ctx, app, id)
}

func (w *world) DeviceList(_ context.Context, app, prefix, user, after string, _ int) (found []*push.Device, _ error) {
	if d, ok := w.devices[app+"/d1"]; ok && strings.HasPrefix("d1", prefix) && (user == "" || user == d.User) && after < "d1" {
		found = append(found, &d)
	}
	return found, nil
}

func (w *world) DeviceState(context.Context, *push.Device) (push.DeviceState, error) {
	return push.DeviceState{
		Online: true, LastSeen: noon,
		Roads:  []push.DeviceRoad{{Provider: "apns", Attempts: 12, Delivered: 11, Failed: 1, P50Ms: 210, LastTried: noon, LastProof: noon, LastError: "throttled 429"}},
		Ranked: []push.PlannedStep{{Provider: "live", Why: "connected"}, {Provider: "apns", Why: "the only vendor of the device"}},
		Inbox:  []push.InboxLetter{{Delivery: "order-1.0.0", Bytes: 212, SentAt: noon, ExpiresAt: noon}},
		Recent: []push.DeviceRecent{{Notification: "order-1", Class: "transactional", Stage: "delivered", Provider: "apns", AcceptedAt: noon}},
	}, nil
}

func (w *world) QueueStates() ([]push.QueueState, error) {
	return []push.QueueState{
		{Queue: "critical", Active: 2, PerSecond: 41.5, Processed: 91_000},
		{Queue: "default", Pending: 3, Archived: 1, OldestSeconds: 0.4},
		{Queue: "bulk", Scheduled: 9, Retry: 1, Failed: 4},
	}, w.storeErr
}

func (w *world) Tasks(_ context.Context, app, queue, state string, _ int) (found []push.QueueTask, _ error) {
	for _, t := range w.tasks {
		if t.App == app && t.Queue == queue && t.State == state {
			t.Payload = nil
			found = append(found, t)
		}
	}
	return found, nil
}

func (w *world) Task(_ context.Context, app, queue, id string) (push.QueueTask, error) {
	i := slices.IndexFunc(w.tasks, func(t push.QueueTask) bool { return t.App == app && t.Queue == queue && t.ID == id })
	if i < 0 {
		return push.QueueTask{}, push.ErrNotFound
	}
	return w.tasks[i], nil
}

func (w *world) RunTask(ctx context.Context, app, queue, id string) error {
	return w.DropTask(ctx, app, queue, id)
}

func (w *world) DropTask(_ context.Context, app, queue, id string) error {
	n := len(w.tasks)
	w.tasks = slices.DeleteFunc(w.tasks, func(t push.QueueTask) bool { return t.App == app && t.Queue == queue && t.ID == id })
	if len(w.tasks) == n {
		return push.ErrNotFound
	}
	return nil
}

func (w *world) Nodes(context.Context) ([]push.Node, error) {
	return []push.Node{{ID: "conn-1", Since: noon, At: noon, Sessions: 48_210, Open: 48_230, ConnectsRate: 12, SentRate: 900, AckedRate: 880, Delivered: 1000, Acked: 990, Unacked: 10, OldestUnack: 1.5, Full: 3}}, nil
}

func (w *world) Drain(_ context.Context, node string, on bool) error {
	w.drained = node
	if !on {
		w.drained = ""
	}
	return nil
}

func someTasks() []push.QueueTask {
	return []push.QueueTask{
		{ID: "t1", Queue: "default", State: "archived", Kind: "deliver", App: "demo", Size: 2, Retried: 40, Most: 40, Error: "redis is away", FailsAt: noon, Payload: json.RawMessage(`{"jobs":[{"app":"demo","id":"order-1","token":"s3cr3t"}]}`)},
		{ID: "t2", Queue: "default", State: "archived", Kind: "check", App: "demo", Size: 1, Retried: 40, Most: 40},
		{ID: "t3", Queue: "default", State: "archived", Kind: "check", App: "other", Size: 1},
	}
}

func TestOperatorsAskAndAct(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method, path, body string
		key                string
		status             int
		want               string // a part of the answer
	}{
		"a list of one state":          {"GET", "/v1/notifications?state=sending", "", adminKey, 200, `"campaign:1"`},
		"a state that is none":         {"GET", "/v1/notifications?state=lost&class=x", "", adminKey, 422, `"field":"state"`},
		"a window upside down":         {"GET", "/v1/notifications?since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "", adminKey, 422, `"field":"until"`},
		"not a time":                   {"GET", "/v1/notifications?since=yesterday", "", adminKey, 422, `"field":"since"`},
		"another rate":                 {"POST", "/v1/notifications/campaign:1:rate", `{"rate_per_minute":600}`, adminKey, 200, `"campaign:1"`},
		"no rate":                      {"POST", "/v1/notifications/campaign:1:rate", `{}`, adminKey, 422, `"field":"rate_per_minute"`},
		"a negative rate":              {"POST", "/v1/notifications/campaign:1:rate", `{"rate_per_minute":-1}`, adminKey, 422, `"field":"rate_per_minute"`},
		"a user's devices":             {"GET", "/v1/devices?user=u-17", "", adminKey, 200, `"d1"`},
		"both":                         {"GET", "/v1/devices?user=u-17&prefix=d", "", adminKey, 422, `"field":"prefix"`},
		"a device's state":             {"GET", "/v1/devices/d1/state", "", adminKey, 200, `"online":true`},
		"a device that is not":         {"GET", "/v1/devices/d2/state", "", adminKey, 404, `"not_found"`},
		"a task without its secrets":   {"GET", "/v1/queues/default/tasks/t1", "", adminKey, 200, `"token":"***"`},
		"another app's task":           {"GET", "/v1/queues/default/tasks/t3", "", adminKey, 404, `"not_found"`},
		"a queue that is none":         {"GET", "/v1/queues/slow/tasks", "", adminKey, 404, `"not_found"`},
		"a place that is none":         {"GET", "/v1/queues/default/tasks?state=lost", "", adminKey, 422, `"field":"state"`},
		"a key that may only send":     {"GET", "/v1/queues/default/tasks", "", sendKey, 403, `"forbidden"`},
		"a task is run":                {"POST", "/v1/queues/default/tasks/t1:retry", "", adminKey, 204, ""},
		"another app's is not":         {"POST", "/v1/queues/default/tasks/t3:retry", "", adminKey, 404, `"not_found"`},
		"all of the app are run":       {"POST", "/v1/queues/default/tasks:retry", "", adminKey, 200, `"tasks":2`},
		"all of the app are dropped":   {"DELETE", "/v1/queues/default/tasks", "", adminKey, 200, `"tasks":2`},
		"a key drains no node":         {"POST", "/v1/nodes/conn-1:drain", "", adminKey, 403, `"forbidden"`},
		"providers with their version": {"GET", "/v1/apps/demo/providers", "", adminKey, 200, `"given":false`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if got := h.ask(tt.method, tt.path, tt.key, tt.body); got.status != tt.status || !strings.Contains(got.raw, tt.want) {
				t.Errorf("%d %s, want %d and %s", got.status, got.raw, tt.status, tt.want)
			}
			if !slices.ContainsFunc(h.tasks, func(task push.QueueTask) bool { return task.App == "other" }) {
				t.Error("another app's task was touched")
			}
		})
	}
}

func TestANodeIsDrainedByThoseOfAllApps(t *testing.T) {
	t.Parallel()
	h := open(t)
	do := func(house bool, path string) int {
		rec := httptest.NewRecorder()
		h.As(Actor{App: "demo", Scopes: []Scope{ScopeOperate}, Who: "ann", Via: "person", House: house}).
			ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, http.NoBody))
		return rec.Code
	}
	if got := do(false, "/v1/nodes/conn-1:drain"); got != http.StatusForbidden || h.drained != "" {
		t.Errorf("an operator of one app: %d", got)
	}
	if got := do(true, "/v1/nodes/conn-1:drain"); got != http.StatusNoContent || h.drained != "conn-1" {
		t.Errorf("an operator of all: %d, drained %q", got, h.drained)
	}
	if got := do(true, "/v1/nodes/conn-1:keep"); got != http.StatusNoContent || h.drained != "" {
		t.Errorf("the end of it: %d, drained %q", got, h.drained)
	}
	if got := do(true, "/v1/nodes/nowhere:drain"); got != http.StatusNotFound {
		t.Errorf("a node that is not: %d", got)
	}
}

func TestANodeIsDrainedByAKeyOfTheHouse(t *testing.T) {
	t.Parallel()
	for house, want := range map[string]int{"demo": http.StatusNoContent, "other": http.StatusForbidden, "": http.StatusForbidden} {
		h := open(t, func(c *Config, _ *Parts) { c.HouseApp = house })
		if got := h.ask("POST", "/v1/nodes/conn-1:drain", adminKey, ""); got.status != want || (h.drained == "conn-1") != (want == http.StatusNoContent) {
			t.Errorf("the house is %q: %d, drained %q", house, got.status, h.drained)
		}
		if got := h.ask("POST", "/v1/nodes/conn-1:drain", sendKey, ""); got.status != http.StatusForbidden {
			t.Errorf("a key that only sends, the house is %q: %d", house, got.status)
		}
	}
}
