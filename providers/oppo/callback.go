package oppo

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// What the service takes, in characters:
// open.oppomobile.com/new/developmentDoc/info?id=11239
const (
	maxCallback = 200
	maxParam    = 100
)

// mark is for the parameter that the service repeats: it does not sign what it
// reports.
func (p *Provider) mark() providers.Mark {
	return providers.Mark{
		Provider: name, Secret: p.config.Secret, Callback: p.callback,
		MaxAddress: maxCallback, MaxParam: maxParam,
	}
}

// report is what the service says of one message.
type report struct {
	MessageID string          `json:"messageId"`
	EventTime json.RawMessage `json:"eventTime"` // in ms, a string or a number
	Param     string          `json:"param"`
	EventType string          `json:"eventType"`
}

// Callback implements [providers.Callbacker]. The body is a JSON list of reports.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var said []report
	if json.Unmarshal(body, &said) != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Detail: "is not a JSON list of reports"}}}
	}
	reports := make([]providers.Report, len(said))
	for i, s := range said {
		reports[i] = providers.Report{Param: s.Param, MessageID: s.MessageID, At: strings.Trim(string(s.EventTime), `"`)}
		switch s.EventType {
		case "push_arrive": // the phone has it; whether it shows it is not said
			reports[i].Stage = push.Delivered
		case "regid_invalid", "user_daily_limit":
			reports[i].Stage, reports[i].Fault = push.Failed, p.codes.Reported(name, s.EventType)
		}
	}
	return p.mark().Receipts(r.URL.Query().Get("app"), reports)
}

var _ providers.Callbacker = (*Provider)(nil)
