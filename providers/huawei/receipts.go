package huawei

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

const (
	signatureHeader = "X-HUAWEI-CALLBACK-ID"
	// signatureAge is how far a receipt's time may be from ours. The signature
	// covers the time and not the receipts, so its age is all that bounds who
	// could use it again.
	signatureAge = 10 * time.Minute
	// stamped is where a Unix time can only be in milliseconds. Huawei's
	// documents show those and speak of the others.
	stamped = 1e11
)

// receipt is one result. Version 1 of Huawei's receipts has status and
// timestamp, version 2 has them one floor down.
type receipt struct {
	BITag     string `json:"biTag"`
	RequestID string `json:"requestId"`
	Token     string `json:"token"`
	Status    *int   `json:"status"`
	Timestamp int64  `json:"timestamp"` // milliseconds
	V2        *struct {
		Result    *int  `json:"result"`
		Timestamp int64 `json:"timestamp"`
	} `json:"deliveryStatus"`
}

// CallbackAnswer implements [providers.Answerer]: Huawei counts a receipt as taken
// when it hears this, of developer.huawei.com/consumer/en/doc/doccenter-references/api/push-api-msg-receipt.
func (p *Provider) CallbackAnswer() []byte { return []byte(`{"code":"0","message":"success"}`) }

// isProbe knows the request by which AppGallery Connect tries an address: it is
// not signed and reports nothing, so there is nothing to believe.
func isProbe(r *http.Request, body []byte) bool {
	var said map[string]json.RawMessage
	empty := len(body) == 0 || json.Unmarshal(body, &said) == nil && said["statuses"] == nil
	return empty && r.Header.Get(signatureHeader) == ""
}

// Callback implements [providers.Callbacker]. Huawei gathers up to 100 results,
// and may have some in it of messages that another sent for the app: those whose
// tag is neither a delivery nor a chunk are passed over.
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	if isProbe(r, body) {
		return nil, nil
	}
	if err := p.config.verify(r.Header.Get(signatureHeader), time.Now()); err != nil {
		return nil, err
	}
	var said struct {
		Statuses []receipt `json:"statuses"`
	}
	if json.Unmarshal(body, &said) != nil || said.Statuses == nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "statuses", Detail: "are no list of results"}}}
	}
	now := time.Now().UTC()
	receipts := make([]push.Receipt, 0, len(said.Statuses))
	for _, s := range said.Statuses {
		result, at, ok := s.result(now)
		notification, isOurs := push.NotificationOf(s.BITag)
		if !ok || !isOurs {
			continue
		}
		rec := push.Receipt{
			App: r.URL.Query().Get("app"), Notification: notification, Delivery: s.BITag, Token: s.Token,
			Provider: name, ProviderID: s.RequestID, Stage: push.Delivered, Source: push.VendorCallback,
			At: at, ReceivedAt: now,
		}
		if result != 0 {
			e := p.codes.Error(name, 0, strconv.Itoa(result))
			rec.Stage, rec.Kind, rec.Code, rec.Detail = push.Failed, push.KindName(e.Kind), strconv.Itoa(result), e.Detail
		}
		receipts = append(receipts, rec)
	}
	return receipts, nil
}

var _ providers.Callbacker = (*Provider)(nil)

// result is what became of the message, 0 for good, and when. A time that is
// missing or ahead of ours is now.
func (r *receipt) result(now time.Time) (code int, at time.Time, ok bool) {
	status, stamp := r.Status, r.Timestamp
	if r.V2 != nil {
		status, stamp = r.V2.Result, r.V2.Timestamp
	}
	if status == nil {
		return 0, now, false
	}
	at = timeOf(stamp).UTC()
	if stamp <= 0 || at.After(now) {
		at = now
	}
	return *status, at, true
}

// verify checks the header by which Huawei proves itself:
//
//	timestamp=1563105451261; nonce=<uuid>; value=<base64 of the HMAC-SHA256 of timestamp, nonce and user>
//
// Secrets that the console has made are the base64 of the key, older ones are
// the key itself, and nothing tells them apart.
func (c *config) verify(header string, now time.Time) error {
	refuse := func(why string) error {
		return &push.Error{Provider: name, Kind: push.ErrCredentials, Err: errors.New(why)}
	}
	if c.CallbackUser == "" || c.CallbackSecret == "" {
		return refuse("the credentials have no callback_user and callback_secret to check a receipt with")
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(header, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[key] = value
	}
	signed := fields["timestamp"] + fields["nonce"] + c.CallbackUser
	good := signs(c.CallbackSecret, signed, fields["value"])
	if key, err := base64.StdEncoding.DecodeString(c.CallbackSecret); err == nil && len(key) > 0 {
		good = signs(string(key), signed, fields["value"]) || good
	}
	if !good {
		return refuse("the receipt's signature does not hold")
	}
	stamp, err := strconv.ParseInt(fields["timestamp"], 10, 64)
	if err != nil {
		return refuse("the receipt's signature has no time")
	}
	if now.Sub(timeOf(stamp)).Abs() > signatureAge {
		return refuse("the receipt's signature is of another time")
	}
	return nil
}

// timeOf reads a Unix time in seconds or milliseconds.
func timeOf(stamp int64) time.Time {
	if stamp > stamped {
		return time.UnixMilli(stamp)
	}
	return time.Unix(stamp, 0)
}

// signs reports whether value is the signature of a text.
func signs(key, text, value string) bool {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(value))
}
