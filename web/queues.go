package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// queueState and queueTask are as the API tells of them.
type (
	queueState struct {
		Queue     string  `json:"queue"`
		Pending   uint64  `json:"pending"`
		Active    uint64  `json:"active"`
		Scheduled uint64  `json:"scheduled"`
		Retry     uint64  `json:"retry"`
		Archived  uint64  `json:"archived"`
		Oldest    float64 `json:"oldest_seconds"`
		PerSecond float64 `json:"per_second"`
		Processed uint64  `json:"processed_today"`
		Failed    uint64  `json:"failed_today"`
	}
	queueTask struct {
		ID       string          `json:"id"`
		Queue    string          `json:"queue"`
		State    string          `json:"state"`
		Kind     string          `json:"kind"`
		Size     uint64          `json:"size"`
		Retried  uint64          `json:"retried"`
		Most     uint64          `json:"most_retries"`
		Error    string          `json:"error"`
		FailedAt time.Time       `json:"failed_at"`
		NextAt   time.Time       `json:"next_at"`
		Payload  json.RawMessage `json:"payload"`
	}
)

type queuesView struct {
	listing
	Queues        []queueState
	Queue, State  string
	Tasks         []queueTask
	States, Names []string
}

// Moves says that the page moves by itself.
func (queuesView) Moves() {}

// queues serves /queues: how they are, and the app's tasks in one of them.
func (s *site) queues(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := queuesView{
		listing: list(r, v.app, sess.roles.In(v.app), "/queues", "after", "queue", "state"),
		Queue:   "default", State: "archived",
		States: []string{"archived", "retry", "pending", "active", "scheduled"}, Names: []string{"critical", "default", "bulk"},
	}
	if q := page.On("queue"); slices.Contains(page.Names, q) {
		page.Queue = q
	}
	if st := page.On("state"); slices.Contains(page.States, st) {
		page.State = st
	}
	var states struct {
		Queues []queueState `json:"queues"`
	}
	if err := s.get(r, sess, v.app, "/v1/queues", &states); err != nil {
		return err
	}
	page.Queues = states.Queues
	file, limit := wantsFile(r)
	if page.Operator() {
		var tasks struct {
			Tasks []queueTask `json:"tasks"`
		}
		q := url.Values{"state": {page.State}, "limit": {limit}}
		if err := s.get(r, sess, v.app, apiPath(q, "queues", page.Queue, "tasks"), &tasks); err != nil {
			return err
		}
		page.Tasks = tasks.Tasks
	}
	if file {
		t := table{Heads: []string{"id", "queue", "state", "kind", "size", "retried", "error", "failed_at"}}
		for _, task := range page.Tasks {
			t.Rows = append(t.Rows, []any{task.ID, task.Queue, task.State, task.Kind, task.Size, task.Retried, task.Error, task.FailedAt})
		}
		return writeFile(w, "tasks", t)
	}
	s.render(w, r, sess, http.StatusOK, "queues", page)
	return nil
}

type taskView struct {
	listing
	Task queueTask
}

// Pretty is the payload, laid out to be read.
func (v taskView) Pretty() string { return pretty(v.Task.Payload) }

func pretty(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return ""
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}

func (s *site) task(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Operator); err != nil {
		return err
	}
	page := taskView{listing: list(r, v.app, sess.roles.In(v.app), "/queues", "after")}
	if err := s.get(r, sess, v.app, apiPath(nil, "queues", r.PathValue("queue"), "tasks", r.PathValue("task")), &page.Task); err != nil {
		return err
	}
	s.render(w, r, sess, http.StatusOK, "task", page)
	return nil
}

// liveNode is as the API tells of it.
type liveNode struct {
	ID       string            `json:"id"`
	Since    time.Time         `json:"since"`
	Sessions uint64            `json:"sessions"`
	Connects float64           `json:"connects_per_second"`
	Sent     float64           `json:"sent_per_second"`
	Acked    float64           `json:"acknowledged_per_second"`
	Unacked  uint64            `json:"unacknowledged"`
	Oldest   float64           `json:"oldest_unacknowledged_secs"`
	Full     uint64            `json:"refused_slow"`
	Slow     float64           `json:"refused_slow_per_second"`
	Closed   map[string]uint64 `json:"closed"`
	Draining bool              `json:"draining"`
}

type liveView struct {
	listing
	Nodes []liveNode
	House bool // whether the viewer may drain
}

// Moves says that the page moves by itself.
func (liveView) Moves() {}

// All adds the nodes up.
func (v liveView) All() (all liveNode) {
	for _, n := range v.Nodes {
		all.Sessions += n.Sessions
		all.Connects += n.Connects
		all.Sent += n.Sent
		all.Acked += n.Acked
		all.Unacked += n.Unacked
		all.Slow += n.Slow
		all.Oldest = max(all.Oldest, n.Oldest)
	}
	return all
}

// live serves /live: who holds the live connections, and how they fare.
func (s *site) live(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := liveView{listing: list(r, v.app, sess.roles.In(v.app), "/live", "after"), House: sess.roles[AllApps] >= Operator}
	var answer struct {
		Nodes []liveNode `json:"nodes"`
	}
	if err := s.get(r, sess, v.app, "/v1/nodes", &answer); err != nil {
		return err
	}
	page.Nodes = answer.Nodes
	if file, _ := wantsFile(r); file {
		t := table{Heads: []string{"node", "sessions", "connects_per_second", "sent_per_second", "acknowledged_per_second", "unacknowledged", "oldest_unacknowledged_secs", "refused_slow"}}
		for _, n := range page.Nodes {
			t.Rows = append(t.Rows, []any{n.ID, n.Sessions, n.Connects, n.Sent, n.Acked, n.Unacked, n.Oldest, n.Full})
		}
		return writeFile(w, "nodes", t)
	}
	s.render(w, r, sess, http.StatusOK, "live", page)
	return nil
}
