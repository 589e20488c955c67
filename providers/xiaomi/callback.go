package xiaomi

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

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

// report is what the service says of one message.
type report struct {
	Param     string `json:"param"`
	Type      int    `json:"type"`
	Timestamp int64  `json:"timestamp"` // in ms; older versions have none
}

// Callback implements [providers.Callbacker]. The body is a form whose field
// "data" is a JSON object of reports by message id. Those without our mark are
// passed over, for a request may hold reports from before a change of the
// secret; if none has it, the request is refused.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var reports map[string]report
	form, err := url.ParseQuery(string(body))
	if err != nil || json.Unmarshal([]byte(form.Get("data")), &reports) != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "data", Detail: "is not a JSON object of reports"}}}
	}
	app, now := r.URL.Query().Get("app"), time.Now().UTC()
	var rs []push.Receipt
	ours := len(reports) == 0
	for _, id := range slices.Sorted(maps.Keys(reports)) {
		said := reports[id]
		delivery, marked := p.mark().Check(app, said.Param)
		if !marked {
			continue
		}
		ours = true
		rec := push.Receipt{
			App: app, Delivery: delivery, Provider: name, ProviderID: id,
			Source: push.VendorCallback, At: saidAt(said.Timestamp, now), ReceivedAt: now,
		}
		if p.read(&rec, said.Type) {
			rs = append(rs, rec)
		}
	}
	if !ours {
		return nil, &push.Error{Provider: name, Kind: push.ErrCredentials, Err: errors.New("no report has our mark")}
	}
	return rs, nil
}

var _ providers.Callbacker = (*Provider)(nil)

// read fills in what a report means; it returns false for one that means
// nothing to us.
func (p *Provider) read(rec *push.Receipt, kind int) bool {
	var ok bool
	if rec.Notification, _, _, ok = push.ParseDeliveryID(rec.Delivery); !ok {
		return false
	}
	switch kind {
	case typeDelivered:
		rec.Stage = push.Delivered
	case typeClicked:
		rec.Stage = push.Clicked
	case typeNoDevice:
		p.failed(rec, "callback_16")
	case typeQuota:
		p.failed(rec, "callback_128")
	default:
		return false
	}
	return true
}

func (p *Provider) failed(rec *push.Receipt, code string) {
	e := p.codes.Error(name, 0, code)
	rec.Stage, rec.Kind, rec.Code, rec.Detail = push.Failed, push.KindName(e.Kind), code, e.Detail
}

// saidAt believes the service's clock unless it says nothing or is ahead of ours.
func saidAt(millis int64, now time.Time) time.Time {
	at := time.UnixMilli(millis).UTC()
	if millis <= 0 || at.After(now) {
		return now
	}
	return at
}
