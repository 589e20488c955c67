package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// shownRequests is how many of a vendor's requests the page shows.
const shownRequests = 8

// rule is one step of a vendor's script of faults.
type rule struct {
	Text   string // as JSON
	Played int
}

// vendorRequest is a request as the sandbox kept it, without its secrets.
type vendorRequest struct {
	ID      int64             `json:"id"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Status  int               `json:"status"`
	Answer  string            `json:"answer"`
	TookMs  float64           `json:"took_ms"`
	Fault   string            `json:"fault"`
}

// Verdict is the class of the dot beside a request.
func (r vendorRequest) Verdict() string {
	switch {
	case r.Status >= 200 && r.Status < 300:
		return "good"
	case r.Status == 0 || r.Status >= 500:
		return "bad"
	default:
		return "warn"
	}
}

// Whole is the headers, a line each, and behind an empty line the body.
func (r vendorRequest) Whole() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), r.Headers[name])
	}
	if r.Body != "" {
		b.WriteString("\n" + r.Body)
	}
	return b.String()
}

// Script is the rules as the page's field has them, one a line.
func (v vendor) Script() string {
	if len(v.Rules) == 0 {
		return ""
	}
	lines := make([]string, len(v.Rules))
	for i, r := range v.Rules {
		lines[i] = r.Text
	}
	return "[\n" + strings.Join(lines, ",\n") + "\n]"
}

// look fills in what the list of vendors does not tell.
func (c *sandbox) look(ctx context.Context, v *vendor) error {
	var dead struct{ Dead []deadToken }
	if err := c.call(ctx, http.MethodGet, "/control/vendors/"+url.PathEscape(v.Name)+"/dead", nil, &dead); err != nil {
		return err
	}
	v.Dead = dead.Dead

	var script struct{ Rules []map[string]any }
	if err := c.call(ctx, http.MethodGet, "/sandbox/"+url.PathEscape(v.Name)+"/faults", nil, &script); err != nil {
		return err
	}
	for _, fields := range script.Rules {
		played, _ := fields["played"].(float64)
		delete(fields, "played")
		if match, ok := fields["match"].(map[string]any); ok && len(match) == 0 {
			delete(fields, "match")
		}
		text, err := json.Marshal(fields)
		if err != nil {
			return fmt.Errorf("web: a rule of the sandbox: %w", err)
		}
		v.Rules = append(v.Rules, rule{string(text), int(played)})
	}

	var list struct{ Requests []vendorRequest }
	path := fmt.Sprintf("/sandbox/%s/requests?limit=%d", url.PathEscape(v.Name), shownRequests)
	if err := c.call(ctx, http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	v.Requests = list.Requests
	return nil
}

// postScript gives a vendor the rules that a person wrote: a list, or the whole
// body of the API.
func (c *sandbox) postScript(ctx context.Context, vendor, text string) error {
	body := map[string]json.RawMessage{}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			return errors.New("the script is not JSON")
		}
	} else {
		body["rules"] = json.RawMessage(text)
	}
	if !json.Valid(bytes.TrimSpace([]byte(text))) {
		return errors.New("the script is not JSON: it is a list of rules, [{…},{…}]")
	}
	return c.call(ctx, http.MethodPost, "/sandbox/"+url.PathEscape(vendor)+"/faults", body, nil)
}
