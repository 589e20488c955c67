package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// sandbox calls the control API of the sandbox vendors, which
// providers/sandbox/doc.go describes.
type sandbox struct {
	base   string
	client *http.Client
}

// vendor is one of them, as GET /control/vendors tells.
type vendor struct {
	Name     string         `json:"name"`
	URL      string         `json:"url"`
	Settings map[string]any `json:"settings"`
	Counts   vendorCounts   `json:"counts"`
	Dead     []deadToken    `json:"-"`

	Rules    []rule          `json:"-"`
	Requests []vendorRequest `json:"-"`
}

// vendorCounts are since the sandbox started.
type vendorCounts struct {
	Requests uint64            `json:"requests"`
	Accepted uint64            `json:"accepted"`
	Refused  map[string]uint64 `json:"refused"` // by the vendor's word
	Shown    uint64            `json:"shown"`
	Lost     uint64            `json:"lost"`
}

// AllRefused adds up the refusals of every kind.
func (c vendorCounts) AllRefused() (n uint64) {
	for _, refused := range c.Refused {
		n += refused
	}
	return n
}

type deadToken struct {
	Token string `json:"token"`
	Since string `json:"since"`
}

// knob is one switch of a vendor as the page shows it. Shares are percentages on
// the page and fractions in the API.
type knob struct {
	Key, Label, Unit string
	Max              float64
	Step             string
	Share            bool
	Receipts         bool // only vendors that report later have it
}

var knobs = [...]knob{
	{Key: "latency_ms", Label: "Latency", Unit: "ms", Max: 60000, Step: "1"},
	{Key: "jitter_ms", Label: "Jitter, up to", Unit: "ms", Max: 60000, Step: "1"},
	{Key: "error_rate", Label: "Errors", Unit: "%", Max: 100, Step: "any", Share: true},
	{Key: "loss", Label: "Accepted, never shown", Unit: "%", Max: 100, Step: "any", Share: true},
	{Key: "rate_per_s", Label: "Rate limit, 0 is none", Unit: "/s", Max: 1e6, Step: "1"},
	{Key: "quota_per_day", Label: "Quota, 0 is none", Unit: "/day", Max: 1e9, Step: "1"},
	{Key: "retry_after_s", Label: "Retry-After", Unit: "s", Max: 86400, Step: "1"},
	{Key: "receipt_delay_ms", Label: "Receipt delay", Unit: "ms", Max: 3.6e6, Step: "1", Receipts: true},
	{Key: "receipt_jitter_ms", Label: "Receipt jitter, up to", Unit: "ms", Max: 3.6e6, Step: "1", Receipts: true},
	{Key: "receipt_loss", Label: "Receipts lost", Unit: "%", Max: 100, Step: "any", Share: true, Receipts: true},
}

// reporters are the vendors that report later what came of a message.
var reporters = [...]string{"sms", "huawei", "honor", "xiaomi", "oppo", "vivo", "meizu"}

// spreads are how a time varies, as the page offers them.
var spreads = [...]outage{
	{"uniform", "evenly, up to the jitter more"},
	{"lognormal", "long tail: one in six over the jitter"},
	{"fixed", "always the same"},
}

// outage is a way for a vendor to be down.
type outage struct{ Name, Words string }

var outages = [...]outage{
	{"none", "none: answers"},
	{"refuse", "refuse: closes connections at once"},
	{"hang", "hang: reads and never answers"},
	{"reset", "reset: reads, then cuts the connection"},
	{"html", "html: answers 502 with a web page"},
	{"silent", "silent: accepts, and no device hears"},
}

// dial is a knob with its value.
type dial struct {
	knob
	Value string
}

// Dials are the knobs that v has, as they stand.
func (v vendor) Dials() []dial {
	var dials []dial
	for _, k := range knobs {
		value, ok := v.Settings[k.Key].(float64)
		if k.Receipts && !slices.Contains(reporters[:], v.Name) {
			continue
		}
		if !ok {
			value = 0
		}
		if k.Share {
			value *= 100
		}
		dials = append(dials, dial{k, strconv.FormatFloat(value, 'f', -1, 64)})
	}
	return dials
}

// Outage is v's way of being down, "none" if it is up.
func (v vendor) Outage() string {
	if mode, ok := v.Settings["outage"].(string); ok && mode != "" {
		return mode
	}
	return "none"
}

// Spread is how v's latency varies.
func (v vendor) Spread() string {
	if word, ok := v.Settings["latency_spread"].(string); ok && word != "" {
		return word
	}
	return "uniform"
}

// Error is the vendor's word for a made-up error; "" is its internal error.
func (v vendor) Error() string {
	word, _ := v.Settings["error"].(string)
	return word
}

// Calm reports whether v does nothing out of the ordinary.
func (v vendor) Calm() bool {
	for _, d := range v.Dials() {
		if d.Key != "retry_after_s" && d.Value != "0" {
			return false
		}
	}
	return v.Outage() == "none" && len(v.Rules) == 0
}

// sandboxView is what sandbox.html shows.
type sandboxView struct {
	Vendors []vendor
	Outages []outage
	Spreads []outage
	Fault   string
	Saved   string
}

func (s *site) sandboxPage(w http.ResponseWriter, r *http.Request, sess *session) error {
	if s.Sandbox == "" {
		return ErrNotFound
	}
	page := sandboxView{Outages: outages[:], Spreads: spreads[:], Saved: r.URL.Query().Get("saved")}
	var err error
	if page.Vendors, err = s.sandbox.vendors(r.Context()); err != nil {
		s.Log.WarnContext(r.Context(), "sandbox does not answer", "err", err)
		page.Fault = "The sandbox does not answer. It runs inside herald dev; start it again if it is gone."
	}
	s.render(w, r, sess, http.StatusOK, "sandbox", page)
	return nil
}

// turnSandbox serves the page's forms: the field "do" says what is asked.
func (s *site) turnSandbox(w http.ResponseWriter, r *http.Request, sess *session) error {
	if s.Sandbox == "" {
		return ErrNotFound
	}
	if sess.roles.Most() < Admin {
		return &forbidden{Admin}
	}
	name := r.PathValue("vendor")
	err := s.sandbox.turn(r.Context(), name, r.PostForm)
	if err != nil {
		s.Log.WarnContext(r.Context(), "sandbox refused", "vendor", name, "err", err)
		page := sandboxView{Outages: outages[:], Spreads: spreads[:], Fault: "Not changed: " + err.Error()}
		if page.Vendors, err = s.sandbox.vendors(r.Context()); err != nil {
			page.Fault = "The sandbox does not answer."
		}
		s.render(w, r, sess, http.StatusUnprocessableEntity, "sandbox", page)
		return nil
	}
	s.Log.InfoContext(r.Context(), "sandbox turned", "vendor", name, "what", r.PostForm.Get("do"), "who", sess.Name)
	http.Redirect(w, r, "/sandbox?"+url.Values{"saved": {name}}.Encode()+"#"+url.PathEscape(name), http.StatusSeeOther)
	return nil
}

func (c *sandbox) turn(ctx context.Context, vendor string, form url.Values) error {
	path := "/control/vendors/" + url.PathEscape(vendor)
	token := strings.TrimSpace(form.Get("token"))
	switch form.Get("do") {
	case "settings":
		settings, err := parseSettings(form)
		if err != nil {
			return err
		}
		return c.call(ctx, http.MethodPatch, path+"/settings", settings, nil)
	case "calm":
		return c.call(ctx, http.MethodPut, path+"/settings", map[string]any{}, nil)
	case "script":
		return c.postScript(ctx, vendor, form.Get("script"))
	case "unscript":
		return c.call(ctx, http.MethodDelete, "/sandbox/"+url.PathEscape(vendor)+"/faults", nil, nil)
	case "kill":
		if token == "" {
			return errors.New("a token is missing")
		}
		return c.call(ctx, http.MethodPut, path+"/dead/"+url.PathEscape(token), map[string]any{}, nil)
	case "revive":
		return c.call(ctx, http.MethodDelete, path+"/dead/"+url.PathEscape(token), nil, nil)
	default:
		return fmt.Errorf("%q is not something to do", form.Get("do"))
	}
}

// parseSettings turns the form's fields into the API's settings. Fields that
// the form leaves out stay as they are.
func parseSettings(form url.Values) (map[string]any, error) {
	settings := map[string]any{}
	for _, k := range knobs {
		if !form.Has(k.Key) {
			continue
		}
		v, err := strconv.ParseFloat(form.Get(k.Key), 64)
		if within := v >= 0 && v <= k.Max; err != nil || !within { // NaN is not within
			return nil, fmt.Errorf("%s must be between 0 and %v %s", strings.ToLower(k.Label), k.Max, k.Unit)
		}
		if k.Share {
			settings[k.Key] = v / 100
		} else {
			settings[k.Key] = int64(v)
		}
	}
	for _, key := range []string{"outage", "error", "latency_spread"} {
		if form.Has(key) {
			settings[key] = form.Get(key)
		}
	}
	return settings, nil
}

// vendors lists the vendors with all that the page shows of them.
func (c *sandbox) vendors(ctx context.Context) ([]vendor, error) {
	var list struct{ Vendors []vendor }
	if err := c.call(ctx, http.MethodGet, "/control/vendors", nil, &list); err != nil {
		return nil, err
	}
	for i := range list.Vendors {
		if err := c.look(ctx, &list.Vendors[i]); err != nil {
			return nil, err
		}
	}
	return list.Vendors, nil
}

// call makes one request with a JSON body, if there is one, and decodes the
// answer into out, if it is asked for. A fault comes back in the API's words.
func (c *sandbox) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("web: encode sandbox request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("web: sandbox request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("web: call sandbox: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return fmt.Errorf("web: read sandbox answer: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		var fault struct{ Error string }
		if json.Unmarshal(text, &fault) == nil && fault.Error != "" {
			return errors.New(fault.Error)
		}
		return fmt.Errorf("the sandbox answered %d", res.StatusCode)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("web: decode sandbox answer: %w", err)
	}
	return nil
}
