package custom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// answerConfig is how the service's answers are read.
type answerConfig struct {
	Success   successConfig `json:"success"`
	MessageID string        `json:"message_id"`  // path to the service's own id
	Dead      words         `json:"dead_tokens"` // paths to tokens that an accepted request names as dead
	Code      words         `json:"code"`        // paths to the code word; the first that leads somewhere counts
	Reason    string        `json:"reason"`      // path to the service's text, for rows with contains
	Codes     []codeRow     `json:"codes"`
}

// successConfig says which answers mean that the message was taken: those with
// one of the statuses and, if a path is given, one of the words there.
type successConfig struct {
	Status []int  `json:"status"` // default 200 to 299
	Path   string `json:"path"`
	Equals words  `json:"equals"`
}

// codeRow is a row of the error table. Of the rows that fit, the first counts.
type codeRow struct {
	Status            int    `json:"status"`              // 0 is any
	Code              words  `json:"code"`                // none is any
	Contains          string `json:"contains"`            // some of the text at reason; "" is any
	Kind              string `json:"kind"`                // a name that push.KindName gives
	RetryAfter        string `json:"retry_after"`         // path to seconds
	RetryAfterSeconds int    `json:"retry_after_seconds"` // where the answer does not say
	Renew             bool   `json:"renew"`               // the access token is to be fetched again
	Means             string `json:"means"`               // in our words, shown to people

	retryAfter path
}

// words is text, a number, true or false, or a list of those.
type words []string

// UnmarshalJSON implements [json.Unmarshaler].
func (w *words) UnmarshalJSON(b []byte) error {
	v, err := decode(b)
	if err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		word, ok := wordOf(v)
		if !ok {
			return &json.UnmarshalTypeError{Value: "object", Type: nil}
		}
		*w = append(*w, word)
	}
	return nil
}

// answers is a compiled answerConfig.
type answers struct {
	status  []int
	success path // nil if the status says it all
	equals  []string
	id      path // nil if there is none
	dead    []path
	code    []path
	reason  path // nil if there is none
	rows    []codeRow
}

func (c *compiler) answers(ac *answerConfig, hasAuth bool) answers {
	a := answers{status: ac.Success.Status, equals: ac.Success.Equals, rows: ac.Codes}
	for _, status := range a.status {
		if status < 200 || status > 299 {
			c.faults.Add("success.status", "must be from 200 to 299")
		}
	}
	switch {
	case ac.Success.Path != "" && len(ac.Success.Equals) == 0:
		c.faults.Add("success.equals", "is missing")
	case ac.Success.Path == "" && len(ac.Success.Equals) > 0:
		c.faults.Add("success.path", "is missing")
	case ac.Success.Path != "":
		a.success = c.path("success.path", ac.Success.Path)
	}
	if ac.MessageID != "" {
		a.id = c.path("message_id", ac.MessageID)
	}
	if ac.Reason != "" {
		a.reason = c.path("reason", ac.Reason)
	}
	for _, source := range ac.Dead {
		a.dead = append(a.dead, c.path("dead_tokens", source))
	}
	for _, source := range ac.Code {
		a.code = append(a.code, c.path("code", source))
	}
	for i := range a.rows {
		c.row(fmt.Sprintf("codes[%d].", i), &a.rows[i], ac, hasAuth)
	}
	return a
}

func (c *compiler) row(prefix string, row *codeRow, ac *answerConfig, hasAuth bool) {
	if push.KindNamed(row.Kind) == nil {
		c.faults.Add(prefix+"kind", "is no kind of failure")
	}
	if row.Status == 0 && len(row.Code) == 0 && row.Contains == "" {
		c.faults.Add(prefix+"code", "is missing, and so is status")
	}
	if len(row.Code) > 0 && len(ac.Code) == 0 {
		c.faults.Add(prefix+"code", "needs a path at code")
	}
	if row.Contains != "" && ac.Reason == "" {
		c.faults.Add(prefix+"contains", "needs a path at reason")
	}
	if row.RetryAfterSeconds < 0 {
		c.faults.Add(prefix+"retry_after_seconds", "must not be negative")
	}
	if row.Renew && !hasAuth {
		c.faults.Add(prefix+"renew", "has no meaning without auth")
	}
	if row.RetryAfter != "" {
		row.retryAfter = c.path(prefix+"retry_after", row.RetryAfter)
	}
}

// verdict is what one answer means.
type verdict struct {
	foreign  bool // it is not the service's
	accepted bool
	id       string
	status   int
	code     string
	row      codeRow
	found    bool // a row fits
	body     any
}

// read sorts an answer. One that says nothing is sorted by its status.
func (a *answers) read(status int, body []byte) verdict {
	v := verdict{status: status}
	if len(body) > 0 {
		var err error
		if v.body, err = decode(body); err != nil || !isJSON(body) {
			v.foreign = true
			return v
		}
	}
	if status/100 == 3 { // we go nowhere else
		v.foreign = true
		return v
	}
	v.accepted = status/100 == 2 && (len(a.status) == 0 || slices.Contains(a.status, status))
	if a.success != nil {
		word, ok := a.success.word(v.body)
		v.accepted = v.accepted && ok && slices.Contains(a.equals, word)
	}
	if a.id != nil {
		v.id, _ = a.id.word(v.body)
		v.id = v.id[:min(len(v.id), 128)]
	}
	if v.accepted {
		return v
	}
	a.explain(&v)
	// A success that says nothing we know may hide a message that went through.
	v.foreign = status/100 == 2 && !v.found && v.code == ""
	return v
}

// explain finds the code word and the row that fits.
func (a *answers) explain(v *verdict) {
	for _, p := range a.code {
		if word, ok := p.word(v.body); ok {
			v.code = word
			break
		}
	}
	reason := ""
	if a.reason != nil {
		reason, _ = a.reason.word(v.body)
	}
	for _, row := range a.rows {
		if (row.Status == 0 || row.Status == v.status) && (len(row.Code) == 0 || slices.Contains(row.Code, v.code)) &&
			strings.Contains(strings.ToLower(reason), strings.ToLower(row.Contains)) {
			v.row, v.found = row, true
			return
		}
	}
}

// usual is what a status means where the configuration does not say.
var usual = []providers.Code{
	{Status: http.StatusUnauthorized, Kind: "credentials"},
	{Status: http.StatusForbidden, Kind: "credentials"},
	{Status: http.StatusTooManyRequests, Kind: "throttled"},
	{Status: http.StatusRequestTimeout, Kind: "unavailable"},
}

// refusal is the error of an answer that is not a success.
func (v *verdict) refusal(secrets []string) *push.Error {
	word := clean(v.code, secrets)
	// The one row that was found is a whole table: which word may be shown is
	// settled where it is for every provider.
	table := providers.Codes{Rows: usual}
	if v.found {
		table.Rows = []providers.Code{{Kind: v.row.Kind, Means: v.row.Means, RetryAfterSeconds: v.row.RetryAfterSeconds}}
	}
	e := table.Error(name, v.status, word)
	e.Code = strconv.Itoa(v.status)
	if word != "" && (slices.Contains(v.row.Code, word) || strings.HasPrefix(e.Detail, word)) {
		e.Code = word
	}
	if v.row.retryAfter != nil {
		if word, ok := v.row.retryAfter.word(v.body); ok {
			if s, err := strconv.ParseFloat(word, 64); err == nil && s > 0 {
				e.RetryAfter = time.Duration(min(s, 86400) * float64(time.Second))
			}
		}
	}
	return e
}
