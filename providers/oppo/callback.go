package oppo

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

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
// Those without our mark are passed over, for a request may hold reports from
// before a change of the secret; if none has it, the request is refused.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var reports []report
	if json.Unmarshal(body, &reports) != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Detail: "is not a JSON list of reports"}}}
	}
	app, now := r.URL.Query().Get("app"), time.Now().UTC()
	var rs []push.Receipt
	ours := len(reports) == 0
	for _, said := range reports {
		delivery, marked := p.mark().Check(app, said.Param)
		if !marked {
			continue
		}
		ours = true
		rec := push.Receipt{
			App: app, Delivery: delivery, Provider: name, ProviderID: said.MessageID,
			Source: push.VendorCallback, At: saidAt(said.EventTime, now), ReceivedAt: now,
		}
		if p.read(&rec, said.EventType) {
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
func (p *Provider) read(rec *push.Receipt, event string) bool {
	var ok bool
	if rec.Notification, _, _, ok = push.ParseDeliveryID(rec.Delivery); !ok {
		return false
	}
	switch event {
	case "push_arrive": // the phone has it; whether it shows it is not said
		rec.Stage = push.Delivered
	case "regid_invalid", "user_daily_limit":
		e := p.codes.Error(name, 0, event)
		rec.Stage, rec.Kind, rec.Code, rec.Detail = push.Failed, push.KindName(e.Kind), event, e.Detail
	default:
		return false
	}
	return true
}

// saidAt believes the service's clock unless it says nothing or is ahead of ours.
func saidAt(raw json.RawMessage, now time.Time) time.Time {
	millis, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	at := time.UnixMilli(millis).UTC()
	if err != nil || millis <= 0 || at.After(now) {
		return now
	}
	return at
}
