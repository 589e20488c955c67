package webpush

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// maxToken bounds the JSON of a subscription; browsers' have about 500 bytes.
const maxToken = 4096

// subscription reads a device's token: the JSON of the browser's
// PushSubscription. Its endpoint is a capability, so an error repeats nothing
// of it. The error is a *push.Invalid that names every fault.
func (c *config) subscription(token string) (*library.Subscription, error) {
	var s library.Subscription
	var faults providers.Faults
	if len(token) > maxToken || json.Unmarshal([]byte(token), &s) != nil {
		faults.Add("token", "is not the JSON of a PushSubscription")
		return nil, faults.Err()
	}
	faults.Require("token.endpoint", s.Endpoint)
	if s.Endpoint != "" {
		s.Endpoint = c.target(s.Endpoint, &faults)
	}
	public, auth := decode(s.Keys.P256dh), decode(s.Keys.Auth)
	if _, err := ecdh.P256().NewPublicKey(public); err != nil {
		faults.Add("token.keys.p256dh", "is not a point of P-256 in base64url")
	}
	if len(auth) != 16 { // RFC 8291, section 3.2
		faults.Add("token.keys.auth", "is not 16 bytes in base64url")
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	s.Keys.P256dh = base64.RawURLEncoding.EncodeToString(public)
	s.Keys.Auth = base64.RawURLEncoding.EncodeToString(auth)
	return &s, nil
}

// target is where a subscription's messages go.
func (c *config) target(endpoint string, faults *providers.Faults) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		faults.Add("token.endpoint", "is not an address")
		return ""
	}
	if c.Endpoint == "" {
		if !slices.Contains(c.schemes(), u.Scheme) {
			faults.Add("token.endpoint", "must be https")
		}
		return u.String()
	}
	return strings.TrimSuffix(c.Endpoint, "/") + u.RequestURI()
}

// unreadable is the error for a token that no message can be sent to; its
// detail, which receipts show, names the faults. The device may yet register a
// better one.
func unreadable(err error) *push.Error {
	detail := "the device's subscription cannot be used"
	if invalid, ok := errors.AsType[*push.Invalid](err); ok {
		detail += ": " + strings.TrimPrefix(invalid.Error(), "invalid: ")
	}
	return &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: detail}
}
