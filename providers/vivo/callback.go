package vivo

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// What the service takes, in characters.
const (
	maxCallback = 128
	maxParam    = 64
)

// mark is for the parameter that the service repeats: it does not sign what it
// reports.
func (p *Provider) mark() providers.Mark {
	return providers.Mark{
		Provider: name, Secret: p.config.Secret, Callback: p.callback,
		MaxAddress: maxCallback, MaxParam: maxParam,
	}
}

// report is what the service says of one message. Its documents of different age
// disagree on more than the parameter; what is missing means that it arrived.
type report struct {
	Param   string          `json:"param"`
	Targets string          `json:"targets"` // registration ids, with commas between
	AckTime json.RawMessage `json:"ackTime"` // in ms, a string or a number
	AckType json.RawMessage `json:"ackType"` // 0 for "arrived", a string or a number
}

// Callback implements [providers.Callbacker]. The body is a JSON object of
// reports by task id.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var said map[string]report
	if json.Unmarshal(body, &said) != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Detail: "is not a JSON object of reports"}}}
	}
	reports := make([]providers.Report, 0, len(said))
	for _, id := range slices.Sorted(maps.Keys(said)) {
		s := said[id]
		report := providers.Report{
			Param: s.Param, MessageID: id, Tokens: strings.Split(s.Targets, ","), At: bareText(s.AckTime),
		}
		if kind := bareText(s.AckType); kind == "" || kind == "0" {
			report.Stage = push.Delivered
		}
		reports = append(reports, report)
	}
	return p.mark().Receipts(r.URL.Query().Get("app"), reports)
}

var _ providers.Callbacker = (*Provider)(nil)

func bareText(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) }
