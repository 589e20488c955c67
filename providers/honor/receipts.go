package honor

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// maxTag is what biTag takes, in bytes. It is Huawei's limit.
const maxTag = 64

// Results that are no failure. The form of the receipts, and what each result
// means, are as clients have them that take these receipts; how Honor signs them
// is not known.
const (
	resultGiven   = 40000001 // the app got it unseen
	resultShown   = 40000002 // it has arrived and is about to be shown
	resultClicked = 40000007
	resultAstray  = 40000011 // it was clicked, and the page was not there
	resultHeld    = 40000013 // the screen is dark: the phone will show it later
	resultCached  = 50000003 // the app does not run: it gets it later
)

// mark is for biTag, which the service repeats: nobody knows how it signs what
// it reports.
func (c *config) mark() providers.Mark {
	return providers.Mark{Provider: name, Secret: c.ClientSecret, MaxParam: maxTag}
}

// tag is the biTag of what goes out under an id.
func (c *config) tag(app, id string) string {
	if marked := c.mark().Param(app, id); marked != "" {
		return marked
	}
	return id // too long to be reported on
}

// receipt is one result.
type receipt struct {
	Token     string      `json:"token"`
	BiTag     string      `json:"biTag"`
	Status    int         `json:"status"`
	Timestamp json.Number `json:"timestamp"` // milliseconds
	RequestID string      `json:"requestId"`
}

// Callback implements [providers.Callbacker]. The body is a list of results.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var said struct {
		Statuses []receipt `json:"statuses"`
	}
	if json.Unmarshal(body, &said) != nil || said.Statuses == nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "statuses", Detail: "are no list of results"}}}
	}
	reports := make([]providers.Report, 0, len(said.Statuses))
	for _, s := range said.Statuses {
		report := providers.Report{Param: s.BiTag, MessageID: s.RequestID, Tokens: []string{s.Token}, At: s.Timestamp.String()}
		switch s.Status {
		case resultGiven, resultShown:
			report.Stage = push.Delivered
		case resultClicked, resultAstray:
			report.Stage = push.Clicked
		case resultHeld, resultCached: // it is yet to come
		default:
			report.Stage, report.Fault = push.Failed, p.codes.Reported(name, strconv.Itoa(s.Status))
		}
		reports = append(reports, report)
	}
	return p.config.mark().Receipts(r.URL.Query().Get("app"), reports)
}

var _ providers.Callbacker = (*Provider)(nil)

// CallbackAnswer implements [providers.Answerer].
func (p *Provider) CallbackAnswer() []byte { return []byte(`{"code":"0","message":"success"}`) }
