package vivo

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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
	AckTime json.RawMessage `json:"ackTime"` // in ms, a string or a number
	AckType json.RawMessage `json:"ackType"` // 0 for "arrived", a string or a number
}

// Callback implements [providers.Callbacker]. The body is a JSON object of
// reports by task id. Those without our mark are passed over, for a request may
// hold reports from before a change of the secret; if none has it, the request
// is refused.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	var reports map[string]report
	if json.Unmarshal(body, &reports) != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Detail: "is not a JSON object of reports"}}}
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
		notification, _, _, ok := push.ParseDeliveryID(delivery)
		if kind := bareText(said.AckType); !ok || (kind != "" && kind != "0") {
			continue
		}
		rs = append(rs, push.Receipt{
			App: app, Notification: notification, Delivery: delivery, Provider: name, ProviderID: id,
			Stage: push.Delivered, Source: push.VendorCallback, At: saidAt(bareText(said.AckTime), now), ReceivedAt: now,
		})
	}
	if !ours {
		return nil, &push.Error{Provider: name, Kind: push.ErrCredentials, Err: errors.New("no report has our mark")}
	}
	return rs, nil
}

var _ providers.Callbacker = (*Provider)(nil)

func bareText(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) }

// saidAt believes the service's clock unless it says nothing or is ahead of ours.
func saidAt(text string, now time.Time) time.Time {
	millis, err := strconv.ParseInt(text, 10, 64)
	at := time.UnixMilli(millis).UTC()
	if err != nil || millis <= 0 || at.After(now) {
		return now
	}
	return at
}
