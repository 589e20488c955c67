package xiaomi

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// Types of receipts; one asks for their sum. The service has more, of which
// nothing certain is known.
const (
	typeDelivered = 1
	typeClicked   = 2
	typeNoDevice  = 16
	typeQuota     = 128
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

// report is what the service says of one message, to one device or several.
type report struct {
	Param     string      `json:"param"`
	Type      int         `json:"type"`
	Targets   string      `json:"targets"`   // registration ids, with commas between
	Timestamp json.Number `json:"timestamp"` // in ms; older versions have none
}

// Callback implements [providers.Callbacker]. The body is a form whose field
// "data" is a JSON object of reports by message id.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var said map[string]report
	form, err := url.ParseQuery(string(body))
	if err != nil || json.Unmarshal([]byte(form.Get("data")), &said) != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "data", Detail: "is not a JSON object of reports"}}}
	}
	reports := make([]providers.Report, 0, len(said))
	for _, id := range slices.Sorted(maps.Keys(said)) {
		s := said[id]
		stage, fault := p.meaning(s.Type)
		reports = append(reports, providers.Report{
			Param: s.Param, MessageID: id, Tokens: strings.Split(s.Targets, ","), At: s.Timestamp.String(), Stage: stage, Fault: fault,
		})
	}
	return p.mark().Receipts(r.URL.Query().Get("app"), reports)
}

var _ providers.Callbacker = (*Provider)(nil)

// meaning is what a type of report says; stage is "" if it says nothing to us.
func (p *Provider) meaning(kind int) (stage push.Stage, fault *push.Error) {
	switch kind {
	case typeDelivered:
		return push.Delivered, nil
	case typeClicked:
		return push.Clicked, nil
	case typeNoDevice, typeQuota:
		return push.Failed, p.codes.Reported(name, "callback_"+strconv.Itoa(kind))
	}
	return "", nil
}
