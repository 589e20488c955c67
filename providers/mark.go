package providers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// Mark lets a [Callbacker] tell what its service reports from what anybody
// makes up. It is for services that do not sign their reports but repeat in each
// a parameter of ours: the parameter then is the delivery's id, or its chunk's,
// and, behind a slash, 16 characters that only we can make.
//
// A mark is good for one delivery of one app with one provider, under the secret
// it was made with. Whoever learns of one, as the service does, can report on
// that delivery and on no other; it does not age, so a report can come twice.
// The mark of a chunk that went out in one request is good for its deliveries,
// to those who know their addresses.
type Mark struct {
	Provider string // name of the provider, so that a secret used twice makes two marks
	Secret   string // of the app with the service
	Callback string // address of our callbacks of the provider; "" if none are wanted

	// What the service takes at most, in bytes.
	MaxAddress, MaxParam int
}

// For is the address where the service is to report on what goes out under an id,
// a delivery's or the one that a chunk shares, and the parameter that it is to
// repeat. Both are "" if no callbacks are wanted or one of the two is longer
// than the service takes: such deliveries get no receipt. The address is the
// same for a whole app: then a service can put many reports into one request.
func (m Mark) For(app, id string) (address, param string) {
	if m.Callback == "" {
		return "", ""
	}
	address = m.Callback + "?" + url.Values{"app": {app}}.Encode()
	param = m.Param(app, id)
	if len(address) > m.MaxAddress || param == "" {
		return "", ""
	}
	return address, param
}

// Param is the parameter alone, for a service that was told once where to
// report; "" if it is longer than the service takes.
func (m Mark) Param(app, id string) string {
	param := id + "/" + m.of(app, id)
	if len(param) > m.MaxParam {
		return ""
	}
	return param
}

// Check is the id that a repeated parameter names; ok is false if the mark is
// missing or was made for another id, app or provider or under another secret.
// It takes as long for a mark that is nearly right as for any other.
func (m Mark) Check(app, param string) (id string, ok bool) {
	id, mark, _ := strings.Cut(param, "/")
	if !hmac.Equal([]byte(mark), []byte(m.of(app, id))) {
		return "", false
	}
	return id, true
}

// Report is what a service that repeats a parameter says of one message.
type Report struct {
	Param     string
	MessageID string
	Tokens    []string // addresses that it names
	At        string   // milliseconds since 1970
	Stage     push.Stage
	Fault     *push.Error // of a message that failed
}

// Receipts are the receipts in a request's reports. Those without our mark are
// passed over, for a request may hold reports from before a change of the
// secret; if none has it, the request is refused. Reports without a stage mean
// nothing to us.
func (m Mark) Receipts(app string, reports []Report) ([]push.Receipt, error) {
	now := time.Now().UTC()
	ours := len(reports) == 0
	var rs []push.Receipt
	for _, said := range reports {
		id, marked := m.Check(app, said.Param)
		ours = ours || marked
		notification, known := push.NotificationOf(id)
		if !marked || !known || said.Stage == "" {
			continue
		}
		rec := push.Receipt{
			App: app, Notification: notification, Delivery: id, Provider: m.Provider, ProviderID: said.MessageID,
			Stage: said.Stage, Source: push.VendorCallback, At: SaidAt(said.At, now), ReceivedAt: now,
		}
		if e := said.Fault; e != nil {
			rec.Kind, rec.Code, rec.Detail = push.KindName(e.Kind), e.Code, e.Detail
		}
		if _, _, shared := push.ParseChunkID(id); !shared {
			rs = append(rs, rec)
			continue
		}
		for _, token := range said.Tokens {
			rec.Token = token
			rs = append(rs, rec)
		}
	}
	if !ours {
		return nil, &push.Error{Provider: m.Provider, Kind: push.ErrCredentials, Err: errors.New("no report has our mark")}
	}
	return rs, nil
}

// SaidAt believes a service's clock, in milliseconds, unless it says nothing or
// is ahead of ours.
func SaidAt(millis string, now time.Time) time.Time {
	n, err := strconv.ParseInt(millis, 10, 64)
	at := time.UnixMilli(n).UTC()
	if err != nil || n <= 0 || at.After(now) {
		return now
	}
	return at
}

// of is 96 bits of an HMAC, in 16 characters. Marks are out with the services
// for as long as they keep a message, so it has to stay the same.
func (m Mark) of(app, id string) string {
	mac := hmac.New(sha256.New, []byte(m.Secret))
	mac.Write([]byte(m.Provider + "\x00" + app + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}
