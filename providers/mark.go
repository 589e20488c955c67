package providers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/herald-push/herald/push"
)

// Mark lets a [Callbacker] tell what its service reports from what anybody
// makes up. It is for services that do not sign their reports but repeat in each
// a parameter of ours: the parameter then is the delivery's id and, behind a
// slash, 16 characters that only we can make.
//
// A mark is good for one delivery of one app with one provider, under the secret
// it was made with. Whoever learns of one, as the service does, can report on
// that delivery and on no other; it does not age, so a report can come twice.
type Mark struct {
	Provider string // name of the provider, so that a secret used twice makes two marks
	Secret   string // of the app with the service
	Callback string // address of our callbacks of the provider; "" if none are wanted

	// What the service takes at most, in bytes.
	MaxAddress, MaxParam int
}

// For is the address where the service is to report on a delivery and the
// parameter that it is to repeat. Both are "" if no callbacks are wanted or one
// of the two is longer than the service takes: such a delivery gets no receipt.
// The address is the same for a whole app: then a service can put many reports
// into one request.
func (m Mark) For(d *push.Delivery) (address, param string) {
	if m.Callback == "" {
		return "", ""
	}
	address = m.Callback + "?" + url.Values{"app": {d.App}}.Encode()
	param = d.ID + "/" + m.of(d.App, d.ID)
	if len(address) > m.MaxAddress || len(param) > m.MaxParam {
		return "", ""
	}
	return address, param
}

// Check is the delivery that a repeated parameter names; ok is false if the mark
// is missing or was made for another delivery, app or provider or under another
// secret. It takes as long for a mark that is nearly right as for any other.
func (m Mark) Check(app, param string) (delivery string, ok bool) {
	delivery, mark, _ := strings.Cut(param, "/")
	if !hmac.Equal([]byte(mark), []byte(m.of(app, delivery))) {
		return "", false
	}
	return delivery, true
}

// of is 96 bits of an HMAC, in 16 characters. Marks are out with the services
// for as long as they keep a message, so it has to stay the same.
func (m Mark) of(app, delivery string) string {
	mac := hmac.New(sha256.New, []byte(m.Secret))
	mac.Write([]byte(m.Provider + "\x00" + app + "\x00" + delivery))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}
