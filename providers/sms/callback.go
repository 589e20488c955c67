package sms

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// callbackFor adds to our address what a report must be filed under. The
// service's signature covers it, so it can be believed when it comes back.
func callbackFor(base string, d *push.Delivery) string {
	q := url.Values{"app": {d.App}, "delivery": {d.ID}, "device": {d.Device}}
	return base + "?" + q.Encode()
}

// Callback implements [providers.Callbacker].
func (p *Provider) Callback(r *http.Request, body []byte) ([]push.Receipt, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &push.Invalid{Faults: []push.Fault{{Detail: "is not a form"}}}
	}
	// The address is the one we gave, not the one a proxy made of it.
	status, err := ParseCallback(form, r.Header.Get("X-Twilio-Signature"), p.callback+"?"+r.URL.RawQuery, p.config.Secret)
	if err != nil {
		return nil, err
	}
	if status.Stage == "" {
		return nil, nil // still on its way
	}
	q := r.URL.Query()
	notification, _, _, ok := push.ParseDeliveryID(q.Get("delivery"))
	if !ok {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "delivery", Detail: "is not a delivery's id"}}}
	}
	now := time.Now().UTC()
	rec := push.Receipt{
		App: q.Get("app"), Notification: notification, Delivery: q.Get("delivery"), Device: q.Get("device"),
		Provider: name, ProviderID: status.ID, Stage: status.Stage, Source: push.VendorCallback,
		At: now, ReceivedAt: now, // a report does not say when
	}
	if status.Stage == push.Failed {
		e := p.codes.Error(name, 0, status.Code)
		rec.Kind, rec.Code, rec.Detail = push.KindName(e.Kind), status.Code, e.Detail
	}
	return []push.Receipt{rec}, nil
}

var _ providers.Callbacker = (*Provider)(nil)

// Status is one report of the service.
type Status struct {
	ID    string     // of the message, at the service
	Stage push.Stage // "" while it is on its way to the network
	Code  string     // why it failed
}

// ParseCallback verifies the signature of a status callback and reads it.
// address is the whole address that was given to the service, with its query.
// The error is a *push.Error of kind [push.ErrCredentials] if the signature does
// not hold, and a *push.Invalid for a report that makes no sense.
func ParseCallback(form url.Values, signature, address, secret string) (Status, error) {
	if !hmac.Equal([]byte(signature), []byte(sign(form, address, secret))) {
		return Status{}, &push.Error{
			Provider: name, Kind: push.ErrCredentials, Err: errors.New("the callback's signature does not hold"),
		}
	}
	s := Status{ID: form.Get("MessageSid")}
	switch status := form.Get("MessageStatus"); status {
	case "accepted", "scheduled", "queued", "sending":
	case "sent":
		s.Stage = push.HandedOver // the network has it
	case "delivered":
		s.Stage = push.Delivered
	case "read":
		s.Stage = push.Displayed
	case "undelivered", "failed", "canceled":
		s.Stage, s.Code = push.Failed, form.Get("ErrorCode")
	default:
		return Status{}, &push.Invalid{Faults: []push.Fault{{Field: "MessageStatus", Detail: fmt.Sprintf("%.20q is no status", status)}}}
	}
	return s, nil
}

// sign makes the service's signature, of
// www.twilio.com/docs/usage/security#validating-requests: the address, then each
// field of the form in order of its name, name and values without anything
// between; HMAC-SHA1, base64.
func sign(form url.Values, address, secret string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(address))
	for _, key := range slices.Sorted(maps.Keys(form)) {
		values := slices.Clone(form[key])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			mac.Write([]byte(key + v))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
