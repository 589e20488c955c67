package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// maxRules bounds a script.
const maxRules = 100

// Rule is one step of a script of faults: which requests, how many of them, and
// what happens to them. The zero value of a condition leaves it open.
type Rule struct {
	Match Match   `json:"match"`
	Skip  int     `json:"skip,omitempty"`   // matching requests that pass first
	Times int     `json:"times,omitempty"`  // requests it plays on; 0 is no end
	FromS float64 `json:"from_s,omitempty"` // seconds from when the script came
	ForS  float64 `json:"for_s,omitempty"`  // seconds that it lasts; 0 is no end
	Share float64 `json:"share,omitempty"`  // of the matching requests, 0 to 1; 0 is all
	Do    Action  `json:"do"`

	// Played is how often it was; it is told, and ignored in what comes in.
	Played int `json:"played"`
}

// Match says which requests; all that is given must hold.
type Match struct {
	Token    string `json:"token,omitempty"`    // of a device, anywhere in the request
	App      string `json:"app,omitempty"`      // topic, project or app id: in the path, a header or the body
	Number   string `json:"number,omitempty"`   // how a phone number begins: +49 is a country
	Path     string `json:"path,omitempty"`     // how the path begins
	Contains string `json:"contains,omitempty"` // in the body
}

// Action is what happens. LatencyMs goes with any other, RetryAfterS with
// those that answer; of the rest one is given.
type Action struct {
	LatencyMs   float64 `json:"latency_ms,omitempty"`
	JitterMs    float64 `json:"jitter_ms,omitempty"`
	Spread      Spread  `json:"spread,omitempty"`
	RetryAfterS int     `json:"retry_after_s,omitempty"`

	Code   string `json:"code,omitempty"`   // the vendor's word: answered as the vendor would
	Status int    `json:"status,omitempty"` // an answer of this status with Body
	Body   string `json:"body,omitempty"`
	HTML   bool   `json:"html,omitempty"`   // a 502 page of something in between
	Hang   bool   `json:"hang,omitempty"`   // read and never answered
	Reset  string `json:"reset,omitempty"`  // RST_STREAM with this code, such as REFUSED_STREAM
	GoAway string `json:"goaway,omitempty"` // "graceful": answered, and the connection says goodbye; "cut": goodbye and no answer
	Silent bool   `json:"silent,omitempty"` // accepted, and the device never hears
}

// resetCodes are the codes of RST_STREAM by name.
var resetCodes = map[string]http2.ErrCode{
	"NO_ERROR": http2.ErrCodeNo, "PROTOCOL_ERROR": http2.ErrCodeProtocol, "INTERNAL_ERROR": http2.ErrCodeInternal,
	"REFUSED_STREAM": http2.ErrCodeRefusedStream, "CANCEL": http2.ErrCodeCancel, "ENHANCE_YOUR_CALM": http2.ErrCodeEnhanceYourCalm,
}

// script is the rules of a vendor, in order: the first that applies is played.
type script struct {
	mu    sync.Mutex
	rules []Rule
	seen  []int // matching requests, by rule
	since time.Time
}

// parseScript reads {"rules":[…]} and names the first fault.
func parseScript(d *json.Decoder, knows func(word string) bool) ([]Rule, error) {
	var in struct {
		Rules []Rule `json:"rules"`
	}
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, err
	}
	if len(in.Rules) > maxRules {
		return nil, fmt.Errorf("rules: %d are over %d", len(in.Rules), maxRules)
	}
	for i := range in.Rules {
		in.Rules[i].Played = 0
		if err := in.Rules[i].validate(knows); err != nil {
			return nil, fmt.Errorf("rules[%d].%w", i, err)
		}
	}
	return in.Rules, nil
}

func (r *Rule) validate(knows func(word string) bool) error {
	if r.Skip < 0 || r.Times < 0 {
		return fmt.Errorf("skip and times must not be negative")
	}
	if !(r.FromS >= 0 && r.ForS >= 0) || math.IsInf(r.FromS+r.ForS, 0) {
		return fmt.Errorf("from_s and for_s must not be negative")
	}
	if !(r.Share >= 0 && r.Share <= 1) {
		return fmt.Errorf("share must be from 0 to 1")
	}
	if r.Match.Number != "" && !strings.HasPrefix(r.Match.Number, "+") {
		return fmt.Errorf("match.number must begin with +")
	}
	return r.Do.validate(knows)
}

func (a *Action) validate(knows func(word string) bool) error {
	given := []bool{a.Code != "", a.Status != 0, a.HTML, a.Hang, a.Reset != "", a.GoAway != "", a.Silent}
	n := len(slices.DeleteFunc(slices.Clone(given), func(g bool) bool { return !g }))
	const minute = 60_000
	switch {
	case n > 1:
		return fmt.Errorf("do: give one of code, status, html, hang, reset, goaway and silent")
	case n == 0 && a.LatencyMs == 0:
		return fmt.Errorf("do: nothing is to be done")
	case !(a.LatencyMs >= 0 && a.JitterMs >= 0 && a.LatencyMs+a.JitterMs <= 10*minute):
		return fmt.Errorf("do.latency_ms and jitter_ms must be from 0 to ten minutes")
	case a.Code != "" && !knows(a.Code):
		return fmt.Errorf("do.code: this vendor has no error named %q", a.Code)
	case a.Status != 0 && (a.Status < 200 || a.Status > 599):
		return fmt.Errorf("do.status must be from 200 to 599")
	case a.Body != "" && a.Status == 0:
		return fmt.Errorf("do.body needs a status")
	case a.GoAway != "" && a.GoAway != "graceful" && a.GoAway != "cut":
		return fmt.Errorf(`do.goaway must be "graceful" or "cut"`)
	case a.RetryAfterS < 0:
		return fmt.Errorf("do.retry_after_s must not be negative")
	}
	if _, known := resetCodes[a.Reset]; a.Reset != "" && !known {
		return fmt.Errorf("do.reset: no code is named %q", a.Reset)
	}
	return a.Spread.validate("do.spread")
}

// set replaces the rules; time and counts begin anew.
func (s *script) set(rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.seen, s.since = rules, make([]int, len(rules)), time.Now()
}

// view is the rules as they stand.
func (s *script) view() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Rule{}, s.rules...)
}

// next finds what is to happen to a request, if anything: the first rule that
// applies. Silent ones are asked for when a message is accepted.
func (s *script) next(silent bool, matches func(*Match) bool) *Action {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rules) == 0 {
		return nil
	}
	at := time.Since(s.since).Seconds()
	for i := range s.rules {
		r := &s.rules[i]
		if r.Do.Silent != silent || at < r.FromS || r.ForS > 0 && at >= r.FromS+r.ForS ||
			r.Times > 0 && r.Played >= r.Times || !matches(&r.Match) {
			continue
		}
		if s.seen[i]++; s.seen[i] <= r.Skip || r.Share > 0 && !happens(r.Share) {
			continue
		}
		r.Played++
		do := r.Do
		return &do
	}
	return nil
}

// ofRequest reports whether a request matches. One for an access token or a
// subscription is meant only by a rule that names its path.
func (m *Match) ofRequest(r *http.Request, body []byte) bool {
	if m.Path == "" && asideOf(r.URL.Path) {
		return false
	}
	in := func(text string) bool {
		return strings.Contains(r.URL.Path, text) || bytes.Contains(body, []byte(text)) || bytes.Contains(body, []byte(formOf(text)))
	}
	return (m.Token == "" || in(m.Token)) &&
		(m.App == "" || in(m.App) || inHeader(r.Header, m.App)) &&
		(m.Number == "" || bytes.Contains(body, []byte("To="+formOf(m.Number))) || bytes.Contains(body, []byte(`"`+m.Number))) &&
		strings.HasPrefix(r.URL.Path, m.Path) &&
		(m.Contains == "" || bytes.Contains(body, []byte(m.Contains)) || bytes.Contains(body, []byte(formOf(m.Contains))))
}

// ofMessage reports whether an accepted message matches.
func (m *Match) ofMessage(r *record) bool {
	in := func(text string) bool { return text == "" || bytes.Contains(r.payload, []byte(text)) }
	return (m.Token == "" || m.Token == r.token) && in(m.App) && in(m.Contains) && strings.HasPrefix(r.token, m.Number) && m.Path == ""
}

// asideOf reports whether a path is not where messages are sent to.
func asideOf(path string) bool {
	return strings.HasSuffix(path, "/token") || strings.HasSuffix(path, "/auth") || path == "/subscriptions" || path == "/bind"
}

// formOf is text as a form or an address writes it.
func formOf(text string) string { return url.QueryEscape(text) }

func inHeader(h http.Header, text string) bool {
	for name, values := range h {
		if name != "Authorization" && slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return false
}
