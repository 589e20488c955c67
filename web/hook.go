package web

import (
	"net/http"
	"net/url"
	"time"
)

// hookDelivery is an event on its way to a webhook, as the API tells of it.
type hookDelivery struct {
	Event     string    `json:"event"`
	Type      string    `json:"type"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	Tries     int       `json:"tries"`
	LastAt    time.Time `json:"last_at"`
	NextAt    time.Time `json:"next_at"`
	Status    int       `json:"status"`
	Error     string    `json:"error"`
	TookMs    int64     `json:"took_ms"`
}

// Dot is the mark of a delivery's state.
func (d hookDelivery) Dot() string {
	switch d.State {
	case "delivered":
		return "good"
	case "dead":
		return "bad"
	default:
		return "warn"
	}
}

type hookView struct {
	listing
	Webhook webhook
	List    []hookDelivery
	States  []string
}

// Title is the webhook's address.
func (v hookView) Title() string { return v.Webhook.URL }

// Moves says that the page moves by itself.
func (hookView) Moves() {}

// All replays every dead letter, and Event one event.
func (v hookView) All(csrf string) button {
	return button{
		App: v.App, CSRF: csrf, What: "webhook.replay", With: map[string]string{"id": v.Webhook.ID, "state": "dead"}, Back: v.With("", ""),
		Words: "Replay all dead letters",
	}
}

// Event is described at All.
func (v hookView) Event(csrf, event string) button {
	return button{
		App: v.App, CSRF: csrf, What: "webhook.replay", With: map[string]string{"id": v.Webhook.ID, "event": event}, Back: v.With("", ""),
		Words: "Replay", Label: "Replay " + event,
	}
}

// hookPath is the page of a webhook.
func hookPath(app, id string) string { return within("/settings/webhooks/"+url.PathEscape(id), app) }

// hook serves /settings/webhooks/{webhook}: what went there and what did not.
func (s *site) hook(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Operator); err != nil {
		return err
	}
	id := r.PathValue("webhook")
	base := "/settings/webhooks/" + url.PathEscape(id)
	page := hookView{
		listing: list(r, v.app, sess.roles.In(v.app), base, "after", "state", "type", "event"), States: []string{"pending", "delivered", "dead"},
	}
	if err := s.get(r, sess, v.app, apiPath(nil, "webhooks", id), &page.Webhook); err != nil {
		return err
	}
	var answer struct {
		Deliveries []hookDelivery `json:"deliveries"`
		Next       string         `json:"next"`
	}
	file, limit := wantsFile(r)
	if err := page.refuse(s.get(r, sess, v.app, apiPath(page.asked(limit), "webhooks", id, "deliveries"), &answer)); err != nil {
		return err
	}
	page.List, page.Next = answer.Deliveries, answer.Next
	if file {
		t := table{Heads: []string{"event", "type", "state", "created_at", "tries", "last_at", "next_at", "status", "error", "took_ms"}}
		for _, d := range page.List {
			t.Rows = append(t.Rows, []any{d.Event, d.Type, d.State, d.CreatedAt, d.Tries, d.LastAt, d.NextAt, d.Status, d.Error, d.TookMs})
		}
		return writeFile(w, "webhook", t)
	}
	s.render(w, r, sess, http.StatusOK, "hook", page)
	return nil
}
