package sandbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// smsErrors are codes of a Twilio-style service with their HTTP status, of
// www.twilio.com/docs/api/errors as of 2026-11-20.
var smsErrors = map[string]struct {
	status  int
	message string
}{
	"20001": {400, "Bad request"},
	"20003": {401, "Authenticate"},
	"20404": {404, "The requested resource was not found"},
	"20429": {429, "Too Many Requests"},
	"20500": {500, "Internal Server Error"},
	"20503": {503, "Service unavailable"},
	"21211": {400, "Invalid 'To' Phone Number"},
	"21602": {400, "Message body is required"},
	"21603": {400, "A 'From' phone number is required"},
	"21604": {400, "A 'To' phone number is required"},
	"21606": {400, "The 'From' phone number is not a valid, SMS-capable number of your account"},
	"21610": {400, "Attempt to send to unsubscribed recipient"},
	"21611": {429, "This 'From' number has exceeded the maximum number of queued messages"},
	"21617": {400, "The concatenated message body exceeds the 1600 character limit"},
}

const (
	smsAccount = "ACherald0sandbox0000000000000000"
	smsFrom    = "+15550100"
	smsLimit   = 1600 // characters, which Twilio counts in UTF-16 units
	smsMaxBody = 64 << 10
)

// carrier plays the SMS service.
type carrier struct {
	*vendor
	secret string
	mail   *mail
}

func newCarrier(v *vendor, id *identity, m *mail) *carrier {
	c := &carrier{vendor: v, secret: id.SMSSecret, mail: m}
	v.words = words{
		internal: "20500", limited: "20429", tell: c.tell,
		knows: func(word string) bool { return smsErrors[word].status != 0 },
	}
	return c
}

func (c *carrier) tell(w http.ResponseWriter, code string) {
	e := smsErrors[code]
	c.retryAfter(w, e.status)
	n, _ := strconv.Atoi(code) // the table's codes are numbers
	writeJSON(w, e.status, map[string]any{
		"code": n, "message": e.message, "more_info": "https://www.twilio.com/docs/errors/" + code, "status": e.status,
	})
}

// ServeHTTP takes one message.
func (c *carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.meddle(w, r) {
		return
	}
	account, ok := strings.CutPrefix(r.URL.Path, "/2010-04-01/Accounts/")
	account, sends := strings.CutSuffix(account, "/Messages.json")
	account, asks := strings.CutSuffix(account, ".json")
	if !ok || !(sends && r.Method == http.MethodPost || asks && r.Method == http.MethodGet) {
		c.refuse(w, "20404")
		return
	}
	user, secret, _ := r.BasicAuth()
	if user != smsAccount || account != smsAccount || subtle.ConstantTimeCompare([]byte(secret), []byte(c.secret)) != 1 {
		c.refuse(w, "20003")
		return
	}
	if asks {
		writeJSON(w, http.StatusOK, map[string]any{"sid": smsAccount, "friendly_name": "Herald sandbox", "status": "active", "type": "Full"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, smsMaxBody)
	if r.ParseForm() != nil {
		c.refuse(w, "20001")
		return
	}
	if code := smsFault(r.PostForm); code != "" {
		c.refuse(w, code)
		return
	}
	c.send(w, r.PostForm)
}

// smsFault finds what the service refuses at once.
func smsFault(f url.Values) string {
	validity, err := strconv.Atoi(f.Get("ValidityPeriod"))
	switch {
	case f.Get("To") == "":
		return "21604"
	case !isPhone(f.Get("To")):
		return "21211"
	case f.Get("From") == "" && f.Get("MessagingServiceSid") == "":
		return "21603"
	case f.Get("Body") == "":
		return "21602"
	case units(f.Get("Body")) > smsLimit:
		return "21617"
	case f.Has("ValidityPeriod") && (err != nil || validity < 1 || validity > 36000):
		return "20001"
	}
	return ""
}

func (c *carrier) send(w http.ResponseWriter, f url.Values) {
	id := "SM" + newHex()
	to := f.Get("To")
	_, dead := c.since(to)
	heard := false
	if dead {
		c.counts.accepted.Add(1)
		c.counts.lost.Add(1)
	} else {
		heard = c.accept(record{token: to, id: id, payload: []byte(f.Get("Body")), read: readSMS})
	}
	if at := f.Get("StatusCallback"); at != "" {
		s := c.settings.Load()
		c.mail.post(s.receiptDelay(), s, c.letters(at, id, f, heard, dead))
	}
	writeJSON(w, http.StatusCreated, map[string]any{
		"sid": id, "account_sid": smsAccount, "to": to, "from": f.Get("From"), "body": f.Get("Body"), "status": "queued",
		"num_segments": strconv.Itoa(segments(f.Get("Body"))), "direction": "outbound-api", "price": nil, "price_unit": "USD",
		"error_code": nil, "error_message": nil, "date_created": time.Now().UTC().Format(time.RFC1123Z),
	})
}

// letters are the status callbacks of a message, in order: it was sent, and what
// came of it. A silent service never says more than that it was sent.
func (c *carrier) letters(at, id string, f url.Values, heard, dead bool) []letter {
	write := func(status, code string) letter {
		form := url.Values{
			"MessageSid": {id}, "SmsSid": {id}, "AccountSid": {smsAccount}, "MessageStatus": {status}, "SmsStatus": {status},
			"To": {f.Get("To")}, "From": {f.Get("From")}, "ApiVersion": {"2010-04-01"},
		}
		if code != "" {
			form.Set("ErrorCode", code)
		}
		return letter{to: at, form: form, signature: sign(c.secret, at, form), counts: &c.counts}
	}
	switch {
	case dead:
		return []letter{write("undelivered", "30005")}
	case heard:
		return []letter{write("sent", ""), write("delivered", "")}
	default:
		return []letter{write("sent", "")}
	}
}

// sign is Twilio's signature: HMAC-SHA1 over the address and the sorted form.
func sign(secret, address string, form url.Values) string {
	keys := make([]string, 0, len(form))
	for key := range form {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(address))
	for _, key := range keys {
		mac.Write([]byte(key + form.Get(key)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func readSMS(payload []byte, m *Message) { m.Body = string(payload) }

func isPhone(n string) bool {
	digits, ok := strings.CutPrefix(n, "+")
	return ok && len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

// units counts UTF-16 code units.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// segments is roughly what a phone network makes of a text; the sender counts
// exactly.
func segments(s string) int {
	one, more := 160, 153
	for _, r := range s {
		if r > 0x7f {
			one, more = 70, 67
			break
		}
	}
	if n := units(s); n > one {
		return (n + more - 1) / more
	}
	return 1
}

func newHex() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func newUUID() string {
	h := newHex()
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
