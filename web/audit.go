package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// auditEntry is a change as the API tells of it.
type auditEntry struct {
	ID     string          `json:"id"`
	At     time.Time       `json:"at"`
	Who    string          `json:"who"`
	Via    string          `json:"via"`
	From   string          `json:"from"`
	Action string          `json:"action"`
	Target string          `json:"target"`
	Status int             `json:"status"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// Outcome says how a change ended.
func (e auditEntry) Outcome() string {
	switch {
	case e.Status == 0:
		return "not known"
	case e.Status < http.StatusMultipleChoices:
		return "done"
	default:
		return fmt.Sprintf("refused (%d)", e.Status)
	}
}

// difference is one field that a change changed.
type difference struct{ Field, Before, After string }

// Differences are the fields that differ between before and after.
func (e auditEntry) Differences() []difference {
	before, after := flat(e.Before), flat(e.After)
	if e.Status >= http.StatusMultipleChoices {
		return nil
	}
	var all []difference
	for field := range before {
		if before[field] != after[field] && field != "updated_at" {
			all = append(all, difference{field, before[field], after[field]})
		}
	}
	for field := range after {
		if _, known := before[field]; !known && field != "updated_at" && field != "created_at" {
			all = append(all, difference{field, "", after[field]})
		}
	}
	slices.SortFunc(all, func(a, b difference) int { return strings.Compare(a.Field, b.Field) })
	return all
}

// flat writes a JSON value as paths and texts.
func flat(raw json.RawMessage) map[string]string {
	out := map[string]string{}
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return out
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(strings.TrimPrefix(path+"."+k, "."), e)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return out
}

type auditView struct {
	listing
	List []auditEntry
}

// audit serves /audit: what was changed, by whom.
func (s *site) audit(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Operator); err != nil {
		return err
	}
	page := auditView{listing: list(r, v.app, sess.roles.In(v.app), "/audit", "before", "who", "action", "target", "since", "until")}
	var answer struct {
		Changes []auditEntry `json:"changes"`
		Next    string       `json:"next"`
	}
	file, limit := wantsFile(r)
	asked := page.asked(limit)
	for _, k := range []string{"since", "until"} {
		if asked.Has(k) {
			asked.Set(k, typedTime(asked.Get(k)))
		}
	}
	if err := page.refuse(s.get(r, sess, v.app, apiPath(asked, "audit"), &answer)); err != nil {
		return err
	}
	page.List, page.Next = answer.Changes, answer.Next
	if file {
		t := table{Heads: []string{"at", "who", "via", "from", "action", "target", "status", "before", "after"}}
		for _, c := range page.List {
			t.Rows = append(t.Rows, []any{c.At, c.Who, c.Via, c.From, c.Action, c.Target, c.Status, string(c.Before), string(c.After)})
		}
		return writeFile(w, "audit", t)
	}
	s.render(w, r, sess, http.StatusOK, "audit", page)
	return nil
}

// typedTime is a time as browsers give it, which is read as UTC, in the API's
// form. What is none goes on as it is: the API says so and names the field.
func typedTime(text string) string {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Format(time.RFC3339)
		}
	}
	return text
}
