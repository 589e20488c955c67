package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// xiaomiErrors are the service's codes with words like its own; the provider's
// codes.json has their source, and what of it is unverified. All are answered
// with status 200.
var xiaomiErrors = map[string]string{
	"10002":  "service unavailable",
	"10003":  "time out",
	"10027":  "too frequent",
	"10029":  "invalid device",
	"10031":  "in blacklist",
	"10034":  "exceed quota",
	"20301":  "send failed",
	"21301":  "auth failed",
	"22000":  "invalid app",
	"22006":  "invalid app id",
	"22007":  "invalid app key",
	"22022":  "invalid package name",
	"26004":  "broadcast too often",
	"27001":  "invalid channel info!",
	"65009":  "too long",
	"200001": "exceed daily quota",
	"200002": "exceed qps",
}

const (
	xiaomiPackage = "com.example.herald"
	xiaomiChannel = "herald-private"
	xiaomiMaxBody = 512 << 10
	xiaomiMaxIDs  = 1000 // of one message

	xiaomiNoDevice = 16 // the type of receipt for a token that nobody has
)

// mi plays Xiaomi's MiPush.
type mi struct {
	*vendor
	secret string
	mail   *mail
}

func newMi(v *vendor, id *identity, m *mail) *mi {
	x := &mi{vendor: v, secret: madeSecret(id, v.name), mail: m}
	v.words = words{
		internal: "10002", limited: "10027", quota: "200001", tell: x.tell,
		knows: func(word string) bool { return xiaomiErrors[word] != "" },
	}
	return x
}

// madeSecret makes a vendor's secret from one that is kept, so that it outlives
// a restart as that one does.
func madeSecret(id *identity, of string) string {
	mac := hmac.New(sha256.New, []byte(id.SMSSecret))
	mac.Write([]byte("secret of " + of))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// xiaomiCredentials are those of an app that has one channel for all it may say
// to a single person.
func (s *Sandbox) xiaomiCredentials() map[string]any {
	return map[string]any{
		"endpoint": s.URL("xiaomi"), "ca": s.id.CA, "app_secret": madeSecret(s.id, "xiaomi"), "package": xiaomiPackage,
		"channels": map[string]string{
			"otp": xiaomiChannel, "transactional": xiaomiChannel, "chat": xiaomiChannel, "call": xiaomiChannel,
		},
	}
}

func (x *mi) tell(w http.ResponseWriter, code string) {
	n, _ := strconv.Atoi(code) // the table's codes are numbers
	if code == x.words.limited {
		x.retryAfter(w, http.StatusTooManyRequests) // what it means; the status says that the service works
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"result": "error", "reason": xiaomiErrors[code], "trace_id": newHex(), "code": n, "description": xiaomiErrors[code],
	})
}

// ServeHTTP takes one message, or a question for the app's counts.
func (x *mi) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counts := r.Method == http.MethodGet && r.URL.Path == "/v1/stats/message/counters"
	if counts && x.trouble(w, r, x.settings.Load()) || !counts && x.meddle(w, r) {
		return
	}
	if !counts && (r.Method != http.MethodPost || r.URL.Path != "/v3/message/regid") {
		http.NotFound(w, r)
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("key="+x.secret)) != 1 {
		x.refuse(w, "21301")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, xiaomiMaxBody)
	if r.ParseForm() != nil {
		x.refuse(w, "65009")
		return
	}
	if counts {
		x.tellCounts(w, r.Form)
		return
	}
	if code := xiaomiFault(r.PostForm); code != "" {
		x.refuse(w, code)
		return
	}
	x.send(w, r.PostForm)
}

// tellCounts answers for days on which nothing was sent.
func (x *mi) tellCounts(w http.ResponseWriter, f url.Values) {
	if f.Get("restricted_package_name") != xiaomiPackage {
		x.refuse(w, "22022")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": "ok", "trace_id": newHex(), "code": 0, "data": map[string]any{"data": []any{}}})
}

// xiaomiFault finds what the service refuses at once.
func xiaomiFault(f url.Values) string {
	ids := strings.Split(f.Get("registration_id"), ",")
	ttl, err := strconv.ParseInt(f.Get("time_to_live"), 10, 64)
	switch {
	case f.Get("restricted_package_name") != xiaomiPackage:
		return "22022"
	case len(ids) > xiaomiMaxIDs:
		return "65009"
	case len(ids) == 1 && !isRegID(ids[0]):
		return "10029"
	case strings.TrimSpace(f.Get("title")) == "" || utf8.RuneCountInString(f.Get("title")) >= 50,
		strings.TrimSpace(f.Get("description")) == "" || utf8.RuneCountInString(f.Get("description")) >= 128,
		len(f.Get("payload")) > 4096,
		len(f.Get("extra.callback")) > 128 || len(f.Get("extra.callback.param")) > 64,
		f.Has("time_to_live") && (err != nil || ttl < 0 || ttl > (14*24*time.Hour).Milliseconds()):
		return "65009"
	case f.Has("extra.channel_id") && f.Get("extra.channel_id") != xiaomiChannel:
		return "27001"
	}
	return ""
}

// isRegID reports whether a registration id can be one.
func isRegID(id string) bool {
	return len(id) >= 16 && len(id) <= 256 && !strings.ContainsAny(id, " \t\r\n,")
}

// send takes a message for one device or several. A token that nobody has is
// told in a receipt if one is wanted, and else at once.
func (x *mi) send(w http.ResponseWriter, f url.Values) {
	id := "scm" + newHex()
	ids := strings.Split(f.Get("registration_id"), ",")
	kinds, _ := strconv.Atoi(f.Get("extra.callback.type"))
	var bad []string
	for _, token := range ids {
		since, dead := x.since(token)
		kind := 1
		switch {
		case !isRegID(token) || dead && kinds&xiaomiNoDevice == 0:
			bad = append(bad, token)
			continue
		case dead:
			x.counts.accepted.Add(1)
			x.counts.lost.Add(1)
			kind = xiaomiNoDevice
		default:
			since = time.Now()
			heard := x.accept(record{token: token, id: id, collapse: f.Get("notify_id"), payload: []byte(f.Encode()), read: readXiaomi})
			if !heard {
				kind = 0
			}
		}
		if at := f.Get("extra.callback"); at != "" && kinds&kind != 0 {
			x.report(at, f.Get("extra.callback.param"), id, token, kind, since)
		}
	}
	if len(bad) == len(ids) {
		x.refuse(w, "10029")
		return
	}
	data := map[string]string{"id": id}
	if len(bad) > 0 {
		x.counts.refuse("bad_regids")
		data["bad_regids"] = strings.Join(bad, ",")
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"result": "ok", "trace_id": newHex(), "code": 0, "data": data, "description": "成功",
		"info": fmt.Sprintf("Received push messages for %d REGID", len(ids)-len(bad)),
	})
}

// report posts a receipt: a form whose field "data" is a JSON object by message
// id.
func (x *mi) report(at, param, id, token string, kind int, when time.Time) {
	text, err := json.Marshal(map[string]any{id: map[string]any{
		"param": param, "type": kind, "targets": token, "jobkey": "", "barStatus": "Enable", "timestamp": when.UnixMilli(),
	}})
	if err != nil {
		return // strings and numbers always encode
	}
	x.mail.postNote(x.settings.Load(), note{
		to: at, kind: "application/x-www-form-urlencoded", text: url.Values{"data": {string(text)}}.Encode(), counts: &x.counts,
	})
}

func readXiaomi(payload []byte, m *Message) {
	f, err := url.ParseQuery(string(payload))
	if err != nil {
		return // it was read once
	}
	m.Title, m.Body = f.Get("title"), f.Get("description")
	_ = json.Unmarshal([]byte(f.Get("payload")), &m.Data) // an app may put anything there
}

// note is a receipt of a vendor that does not sign it.
type note struct {
	to, kind, text string // kind is the content type
	counts         *counts
}

// postNote sends a receipt when its time has come. It may get lost as the
// settings say.
func (m *mail) postNote(s *Settings, n note) {
	if happens(s.ReceiptLoss) {
		n.counts.callbacksLost.Add(1)
		return
	}
	if m.pending.Add(1) > maxPending {
		m.pending.Add(-1)
		n.counts.callbacksLost.Add(1)
		return
	}
	time.AfterFunc(s.receiptDelay(), func() {
		defer m.pending.Add(-1)
		if m.hand(n) {
			n.counts.callbacks.Add(1)
		} else {
			n.counts.callbacksFailed.Add(1)
		}
	})
}

// hand reports whether a receipt was taken; the client's timeout bounds it.
func (m *mail) hand(n note) bool {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, n.to, strings.NewReader(n.text))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", n.kind)
	res, err := m.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	_ = res.Body.Close()
	return res.StatusCode/100 == 2
}
