package custom

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// receiptsConfig is how the service's reports are verified and read.
type receiptsConfig struct {
	Signature *signConfig       `json:"signature"`
	Lines     bool              `json:"lines"`      // the body is one JSON value a line
	Items     string            `json:"items"`      // path to the reports; "" is the whole body
	Delivery  string            `json:"delivery"`   // path, from here on in each report, to what the request named .Delivery
	MessageID string            `json:"message_id"` // path to the service's own id
	Stage     string            `json:"stage"`      // path to the service's word for what happened
	Stages    map[string]string `json:"stages"`     // that word → our stage; others are passed over
	Code      string            `json:"code"`       // path to why it failed, sorted by the table of codes
	Token     string            `json:"token"`      // path to the device's token, where a request told many
	Answer    json.RawMessage   `json:"answer"`     // what the service wants to hear, in JSON; none is a 204
	At        string            `json:"at"`         // path to when: since 1970 in seconds or milliseconds, or RFC 3339
}

// receipts is a compiled receiptsConfig.
type receipts struct {
	sign                       *signer
	lines                      bool
	items, delivery, id, stage path
	code, at, token            path // nil if there is none
	stages                     map[string]push.Stage
	answer                     []byte // nil if there is none
}

// report is what the template of a report's signature can speak of.
type report struct {
	RequestBody string
	Secret      string
	Vars        map[string]string

	r    *http.Request
	item any
}

// Header is a header of the report's request.
func (s *report) Header(key string) string {
	if s.r == nil {
		return ""
	}
	return s.r.Header.Get(key)
}

// Query is a parameter of the report's address.
func (s *report) Query(key string) string {
	if s.r == nil {
		return ""
	}
	return s.r.URL.Query().Get(key)
}

// Item is what a path leads to in the report, where each is signed by itself.
func (s *report) Item(source string) string {
	var faults providers.Faults
	word, _ := compilePath(&faults, "", source).word(s.item)
	return word
}

// reportable are the stages that a service can tell of.
var reportable = map[string]push.Stage{
	"accepted": push.Accepted, "handed_over": push.HandedOver, "delivered": push.Delivered,
	"displayed": push.Displayed, "clicked": push.Clicked, "failed": push.Failed,
}

func (c *compiler) receipts(rc *receiptsConfig) *receipts {
	r := &receipts{lines: rc.Lines, stages: map[string]push.Stage{}, answer: rc.Answer}
	c.faults.Require("receipts.delivery", rc.Delivery)
	c.faults.Require("receipts.stage", rc.Stage)
	r.items, r.delivery = c.path("receipts.items", rc.Items), c.path("receipts.delivery", rc.Delivery)
	r.id, r.stage = c.path("receipts.message_id", rc.MessageID), c.path("receipts.stage", rc.Stage)
	if rc.Code != "" {
		r.code = c.path("receipts.code", rc.Code)
	}
	if rc.Token != "" {
		r.token = c.path("receipts.token", rc.Token)
	}
	if rc.At != "" {
		r.at = c.path("receipts.at", rc.At)
	}
	if len(rc.Stages) == 0 {
		c.faults.Add("receipts.stages", "is missing")
	}
	for word, stage := range rc.Stages {
		r.stages[word] = reportable[stage]
		if reportable[stage] == "" {
			c.faults.Add("receipts.stages."+word, "must be accepted, handed_over, delivered, displayed, clicked or failed")
		}
	}
	if rc.Signature == nil {
		c.faults.Add("receipts.signature", "is missing: anybody could report")
		return r
	}
	const prefix = "receipts.signature."
	r.sign = c.recipe(prefix, rc.Signature, &report{Vars: c.vars})
	r.sign.place, r.sign.key = c.place(prefix+"from", rc.Signature.From, r.sign, inHeader, inQuery, inItem)
	if r.sign.place == inItem {
		r.sign.path = c.path(prefix+"from", r.sign.key)
	} else if over := r.sign.over; over != nil && over.tmpl != nil && !over.uses["RequestBody"] {
		c.faults.Add(prefix+"over", "must hold .RequestBody, or reports could be forged under an old signature")
	}
	return r
}

func (r *receipts) signer() *signer {
	if r == nil {
		return nil
	}
	return r.sign
}

// CallbackAnswer implements [providers.Answerer].
func (p *Provider) CallbackAnswer() []byte {
	if p.config.receipts == nil {
		return nil
	}
	return p.config.receipts.answer
}

// Callback implements [providers.Callbacker].
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	rc := p.config.receipts
	if rc == nil {
		return nil, &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: "the configuration has no receipts"}
	}
	seal := &report{RequestBody: string(body), Secret: rc.sign.secret, Vars: p.config.vars, r: r}
	if rc.sign.place != inItem && !rc.sign.holds(rc.sign.find(seal), seal) {
		return nil, forged()
	}
	items, err := rc.split(body)
	if err != nil {
		return nil, err
	}
	var out []push.Receipt
	for _, item := range items {
		seal.item = item
		if rc.sign.place == inItem && !rc.sign.holds(rc.sign.find(seal), seal) {
			return nil, forged()
		}
		if rec, ok := p.receipt(item, r.URL.Query().Get("app")); ok {
			out = append(out, rec)
		}
	}
	return out, nil
}

var _ providers.Callbacker = (*Provider)(nil)

func forged() error {
	return &push.Error{Provider: name, Kind: push.ErrCredentials, Err: errors.New("the report's signature does not hold")}
}

// find is the signature that came.
func (s *signer) find(seal *report) string {
	switch s.place {
	case inQuery:
		return seal.Query(s.key)
	case inItem:
		word, _ := s.path.word(seal.item)
		return word
	default:
		return seal.Header(s.key)
	}
}

// split takes a request's body apart into its reports.
func (r *receipts) split(body []byte) ([]any, error) {
	parts := [][]byte{body}
	if r.lines {
		parts = bytes.Split(body, []byte("\n"))
	}
	var items []any
	for _, part := range parts {
		if r.lines && len(bytes.TrimSpace(part)) == 0 {
			continue
		}
		v, err := decode(part)
		if err != nil {
			return nil, &push.Invalid{Faults: []push.Fault{{Detail: "is not JSON"}}}
		}
		r.items.each(v, func(found any) bool {
			if list, ok := found.([]any); ok {
				items = append(items, list...)
			} else {
				items = append(items, found)
			}
			return true
		})
	}
	return items, nil
}

// receipt reads one report; ok is false for what is no news of a delivery of
// ours.
func (p *Provider) receipt(item any, app string) (push.Receipt, bool) {
	rc := p.config.receipts
	word, _ := rc.stage.word(item)
	stage, ok := rc.stages[word]
	if !ok {
		return push.Receipt{}, false
	}
	delivery, _ := rc.delivery.word(item)
	notification, ok := push.NotificationOf(delivery)
	if !ok {
		return push.Receipt{}, false
	}
	token := ""
	if _, _, shared := push.ParseChunkID(delivery); shared {
		if token, ok = rc.token.word(item); !ok || rc.token == nil {
			return push.Receipt{}, false // of one of many, and it does not say which
		}
	}
	now := time.Now().UTC()
	rec := push.Receipt{
		App: app, Notification: notification, Delivery: delivery, Provider: name,
		Stage: stage, Source: push.VendorCallback, At: now, ReceivedAt: now, Token: token,
	}
	if len(rc.id) > 0 {
		rec.ProviderID, _ = rc.id.word(item)
	}
	if rc.at != nil {
		rec.At = timeOf(rc.at, item, now)
	}
	if stage == push.Failed {
		v := verdict{body: item}
		if rc.code != nil {
			v.code, _ = rc.code.word(item)
		}
		p.config.answers.sortReport(&v)
		e := v.refusal(p.config.secrets())
		rec.Kind, rec.Code, rec.Detail = push.KindName(e.Kind), clean(v.code, p.config.secrets()), e.Detail
	}
	return rec, true
}

// sortReport finds the row for the code of a report, which has no status.
func (a *answers) sortReport(v *verdict) {
	for _, row := range a.rows {
		if v.code != "" && row.Contains == "" && slices.Contains(row.Code, v.code) {
			v.row, v.found = row, true
			return
		}
	}
}

// timeOf reads when something happened; a time that makes no sense is now.
func timeOf(p path, item any, now time.Time) time.Time {
	word, _ := p.word(item)
	at, err := time.Parse(time.RFC3339, word)
	if err != nil {
		n, err := strconv.ParseInt(word, 10, 64)
		switch {
		case err != nil || n <= 0:
			return now
		case n > 1e11:
			at = time.UnixMilli(n)
		default:
			at = time.Unix(n, 0)
		}
	}
	if at.After(now) || now.Sub(at) > 365*24*time.Hour {
		return now
	}
	return at.UTC()
}
