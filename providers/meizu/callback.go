package meizu

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// Types of receipts; one asks for their sum.
const (
	typeDelivered = 1
	typeClicked   = 2
)

// What the service takes, in bytes.
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

// report is what the service says of one message, to one device or several. It
// tells no time: reports come every second.
type report struct {
	Param   string   `json:"param"`
	Type    int      `json:"type"`
	Targets []string `json:"targets"` // pushIds
}

// Callback implements [providers.Callbacker]. The body is a form whose field
// "cb" is a JSON object of reports by message id and type.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var said map[string]report
	form, err := url.ParseQuery(string(body))
	if err != nil || json.Unmarshal([]byte(form.Get("cb")), &said) != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "cb", Detail: "is not a JSON object of reports"}}}
	}
	reports := make([]providers.Report, 0, len(said))
	for _, key := range slices.Sorted(maps.Keys(said)) {
		s := said[key]
		report := providers.Report{Param: s.Param, MessageID: messageID(key), Tokens: s.Targets}
		switch s.Type {
		case typeDelivered:
			report.Stage = push.Delivered
		case typeClicked:
			report.Stage = push.Clicked
		}
		reports = append(reports, report)
	}
	return p.mark().Receipts(r.URL.Query().Get("app"), reports)
}

var _ providers.Callbacker = (*Provider)(nil)

// messageID is what is before the last dash of a report's key.
func messageID(key string) string {
	for i := len(key) - 1; i > 0; i-- {
		if key[i] == '-' {
			return key[:i]
		}
	}
	return key
}
