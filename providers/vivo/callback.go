package vivo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
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

// callbackFor is what the service is to report a delivery to. The service does
// not sign what it reports, so the parameter that it repeats carries a mark that
// only we can make. The address is the same for a whole app: then the service
// puts many reports into one request. A delivery whose id leaves no room for the
// mark gets no receipt.
func (p *Provider) callbackFor(d *push.Delivery) (address, param string) {
	if p.callback == "" {
		return "", ""
	}
	address = p.callback + "?" + url.Values{"app": {d.App}}.Encode()
	param = d.ID + "/" + p.mark(d.App, d.ID)
	if len(address) > maxCallback || len(param) > maxParam {
		return "", ""
	}
	return address, param
}

// mark is 96 bits of an HMAC, in 16 characters.
func (p *Provider) mark(app, delivery string) string {
	mac := hmac.New(sha256.New, []byte(p.config.Secret))
	mac.Write([]byte(name + "\x00" + app + "\x00" + delivery))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
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
		delivery, mark, _ := strings.Cut(said.Param, "/")
		if !hmac.Equal([]byte(mark), []byte(p.mark(app, delivery))) {
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
