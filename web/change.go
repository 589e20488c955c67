package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// change serves POST /act: one change, asked of the API in the viewer's name.
// A module that sent the form hears what came of it as JSON; without it the
// viewer is led on, or to a page that names what was refused.
func (s *site) change(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	do, ok := changes[r.PostFormValue("do")]
	if !ok {
		return errors.Join(ErrNotFound, errNoAct)
	}
	if err := sess.need(v.app, do.need); err != nil {
		return err
	}
	ids := r.PostForm["id"]
	if len(ids) == 0 {
		ids = []string{""}
	}
	answer := map[string]any{}
	for _, id := range ids { // lists are acted upon one by one
		method, path, body := do.ask(v.app, id, r.PostForm)
		if err = s.ask(r, sess, v.app, method, path, body, &answer); err != nil {
			break
		}
	}
	var no *refusal
	if errors.As(err, &no) {
		return s.refuseChange(w, r, sess, no)
	}
	if err != nil {
		return err
	}
	return s.led(w, r, sess, do, answer)
}

// refuseChange says what was refused, with the fields.
func (s *site) refuseChange(w http.ResponseWriter, r *http.Request, sess *session, no *refusal) error {
	if r.Header.Get("Accept") == "application/json" {
		return writeJSON(w, map[string]any{"words": no.words, "faults": no.faults})
	}
	s.render(w, r, sess, http.StatusUnprocessableEntity, "error", pageError{Title: "Not changed", Words: no.words + " Go back: what you typed is still there."})
	return nil
}

// shownOnce is what secret.html shows.
type shownOnce struct{ What, Secret, Back string }

// led answers a change that was made: with a secret that is shown now or never,
// or by leading on.
func (s *site) led(w http.ResponseWriter, r *http.Request, sess *session, do act, answer map[string]any) error {
	to := localPath(r.PostFormValue("back"))
	if do.secret != "" {
		secret, _ := answer[do.secret].(string)
		w.Header().Set("Cache-Control", "no-store")
		s.render(w, r, sess, http.StatusOK, "secret", shownOnce{do.what, secret, to})
		return nil
	}
	if r.Header.Get("Accept") == "application/json" {
		said := ""
		for _, key := range []string{"canary", "words", "title", "body"} {
			if text, ok := answer[key].(string); ok && text != "" {
				said = strings.TrimSpace(said + "\n" + text)
			}
		}
		if do.shows {
			text, err := json.MarshalIndent(answer, "", "  ")
			if err == nil {
				said = string(text)
			}
		}
		return writeJSON(w, map[string]any{"done": do.what, "said": said, "to": to, "stay": do.shows})
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// act is one kind of change.
type act struct {
	need   Role
	what   string // in the past tense, as the viewer hears it
	secret string // the field of the answer that is shown once
	shows  bool   // the answer is what was asked for: it is shown, and nobody led on
	ask    func(app, id string, form url.Values) (method, path string, body any)
}

// verb is the path of what is to be done with a thing: its id may need escaping,
// the colon before the verb does not.
func verb(path, what string) string { return path + ":" + what }

func post(what string, segments ...string) func(app, id string, form url.Values) (string, string, any) {
	return func(_, id string, _ url.Values) (string, string, any) {
		return http.MethodPost, verb(apiPath(nil, append(segments, id)...), what), nil
	}
}

func remove(segments ...string) func(app, id string, form url.Values) (string, string, any) {
	return func(_, id string, _ url.Values) (string, string, any) {
		return http.MethodDelete, apiPath(nil, append(segments, id)...), nil
	}
}

// changes are all that the pages may ask for.
var changes = map[string]act{
	"notification.pause":  {need: Operator, what: "Paused", ask: post("pause", "notifications")},
	"notification.resume": {need: Operator, what: "Resumed", ask: post("resume", "notifications")},
	"notification.cancel": {need: Operator, what: "Cancelled", ask: remove("notifications")},
	"notification.rate": {need: Operator, what: "The rate is changed", ask: func(_, id string, f url.Values) (string, string, any) {
		return http.MethodPost, verb(apiPath(nil, "notifications", id), "rate"), map[string]any{"rate_per_minute": number(f.Get("rate_per_minute"))}
	}},
	"device.erase": {need: Admin, what: "Erased", ask: remove("devices")},
	"user.erase":   {need: Admin, what: "It is erased from every store, which takes a moment", ask: post("erase", "users")},
	"task.retry":   {need: Operator, what: "It is tried again", ask: onTask(http.MethodPost, ":retry")},
	"task.drop":    {need: Operator, what: "Dropped", ask: onTask(http.MethodDelete, "")},
	"tasks.retry": {need: Operator, what: "All are tried again", ask: func(_, _ string, f url.Values) (string, string, any) {
		return http.MethodPost, verb(apiPath(nil, "queues", f.Get("queue"), "tasks"), "retry"), nil
	}},
	"tasks.drop": {need: Operator, what: "All are dropped", ask: func(_, _ string, f url.Values) (string, string, any) {
		return http.MethodDelete, apiPath(nil, "queues", f.Get("queue"), "tasks"), nil
	}},
	"node.drain": {need: Operator, what: "It is asked to drain", ask: post("drain", "nodes")},
	"node.keep":  {need: Operator, what: "It takes connections again", ask: post("keep", "nodes")},

	"app.put": {need: Admin, what: "Saved", ask: func(app, _ string, f url.Values) (string, string, any) {
		return http.MethodPut, apiPath(nil, "apps", app), appBody(f)
	}},
	"key.create": {need: Admin, what: "The new key", secret: "key", ask: func(app, _ string, f url.Values) (string, string, any) {
		return http.MethodPost, apiPath(nil, "apps", app, "keys"), map[string]any{"name": f.Get("name"), "scopes": listOf(f["scopes"])}
	}},
	"key.revoke": {need: Admin, what: "Revoked", ask: func(app, id string, _ url.Values) (string, string, any) {
		return http.MethodDelete, apiPath(nil, "apps", app, "keys", id), nil
	}},
	"credentials.put": {need: Admin, what: "In force", ask: func(app, _ string, f url.Values) (string, string, any) {
		q := url.Values{}
		if c := f.Get("canary"); c != "" {
			q.Set("canary", c)
		}
		return http.MethodPut, apiPath(q, "apps", app, "providers", f.Get("provider")), jsonOf(f.Get("credentials"))
	}},
	"credentials.rollback": {need: Admin, what: "Those before are in force again", ask: func(app, id string, _ url.Values) (string, string, any) {
		return http.MethodPost, verb(apiPath(nil, "apps", app, "providers", id), "rollback"), nil
	}},
	"credentials.delete": {need: Admin, what: "Deleted", ask: func(app, id string, _ url.Values) (string, string, any) {
		return http.MethodDelete, apiPath(nil, "apps", app, "providers", id), nil
	}},
	"template.put": {need: Admin, what: "Saved", ask: func(_, id string, f url.Values) (string, string, any) {
		return http.MethodPut, apiPath(nil, "templates", id), jsonOf(f.Get("template"))
	}},
	"template.preview": {need: Viewer, what: "This is what a device reads", shows: true, ask: func(_, id string, f url.Values) (string, string, any) {
		return http.MethodPost, verb(apiPath(nil, "templates", id), "preview"),
			map[string]any{"locale": f.Get("locale"), "variables": jsonOf(orEmpty(f.Get("variables")))}
	}},
	"template.delete": {need: Admin, what: "Deleted", ask: remove("templates")},
	"webhook.create": {need: Admin, what: "The secret that signs its calls", secret: "secret", ask: func(_, _ string, f url.Values) (string, string, any) {
		return http.MethodPost, "/v1/webhooks", map[string]any{"url": f.Get("url"), "description": f.Get("description"), "events": listOf(strings.Fields(strings.ReplaceAll(f.Get("events"), ",", " ")))}
	}},
	"webhook.rotate": {need: Admin, what: "The new secret; the old one signs beside it for a day", secret: "secret", ask: post("rotate", "webhooks")},
	"webhook.test":   {need: Admin, what: "It was called", shows: true, ask: post("test", "webhooks")},
	"webhook.replay": {need: Operator, what: "It is sent again", ask: func(_, id string, f url.Values) (string, string, any) {
		return http.MethodPost, verb(apiPath(nil, "webhooks", id), "replay"), map[string]any{"state": f.Get("state"), "event": f.Get("event")}
	}},
	"webhook.delete": {need: Admin, what: "Deleted", ask: remove("webhooks")},
	"service.try": {need: Viewer, what: "This is what the mapping makes of it", shows: true, ask: func(_, id string, f url.Values) (string, string, any) {
		return http.MethodPost, apiPath(nil, "gateway", "services", id, "try"), tryBody(f)
	}},
	"event.replay": {need: Admin, what: "Mapped again", ask: func(_, id string, f url.Values) (string, string, any) {
		return http.MethodPost, apiPath(nil, "gateway", "services", id, "replay"), map[string]any{"event": f.Get("event"), "id": f.Get("event_id")}
	}},
	"fence.put": {need: Admin, what: "In force", ask: func(_, id string, f url.Values) (string, string, any) {
		return http.MethodPut, apiPath(nil, "fences", strings.TrimSpace(id)), fenceBody(f)
	}},
	"fence.delete": {need: Admin, what: "Taken down", ask: remove("fences")},
	"member.put": {need: Admin, what: "Saved", ask: func(app, id string, f url.Values) (string, string, any) {
		return http.MethodPut, apiPath(nil, "apps", app, "members", strings.TrimSpace(id)), map[string]any{"role": f.Get("role")}
	}},
	"member.delete": {need: Admin, what: "No member any more", ask: func(app, id string, _ url.Values) (string, string, any) {
		return http.MethodDelete, apiPath(nil, "apps", app, "members", id), nil
	}},
}

func onTask(method, verb string) func(app, id string, form url.Values) (string, string, any) {
	return func(_, id string, f url.Values) (string, string, any) {
		return method, apiPath(nil, "queues", f.Get("queue"), "tasks", id) + verb, nil
	}
}

// number is a number as it was typed; what is none goes to the API as a text,
// which says so and names the field.
func number(text string) any {
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return n
	}
	return text
}

func orEmpty(text string) string {
	if strings.TrimSpace(text) == "" {
		return "{}"
	}
	return text
}

// jsonOf is typed JSON; what is none goes on as a text, which no form takes.
func jsonOf(text string) any {
	if raw := json.RawMessage(strings.TrimSpace(text)); json.Valid(raw) {
		return raw
	}
	return text
}

// listOf is never null.
func listOf(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// appBody is an app's name and policy from the form of the settings.
func appBody(f url.Values) any {
	policy := map[string]any{
		"sms_classes": listOf(f["sms_classes"]), "timezone": f.Get("timezone"), "locale": f.Get("locale"),
		"sms_budget_micros_per_day": budget(f.Get("sms_budget")),
	}
	if f.Get("quiet_from") != "" || f.Get("quiet_to") != "" {
		quiet := map[string]any{"from": f.Get("quiet_from"), "to": f.Get("quiet_to"), "action": f.Get("quiet_action")}
		if classes := f["quiet_classes"]; len(classes) > 0 {
			quiet["classes"] = classes
		}
		policy["quiet_hours"] = quiet
	}
	if text := strings.TrimSpace(f.Get("caps")); text != "" {
		policy["caps"] = jsonOf(text)
	}
	return map[string]any{"name": f.Get("name"), "policy": policy}
}

// budget is an amount of money in millionths.
func budget(text string) any {
	if strings.TrimSpace(text) == "" {
		return 0
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return text
	}
	return int64(v * 1e6)
}
