package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// oppoErrors are the service's codes with words like its own; the provider's
// codes.json has their source, and what of it is unverified. All are answered
// with status 200.
var oppoErrors = map[string]string{
	"-1": "Service Currently Unavailable", "-2": "Service in Flow Control", "11": "Invalid AuthToken",
	"13": "App Call Limited", "14": "Invalid AppKey", "15": "Missing AppKey", "16": "Invalid Signature",
	"17": "Missing Signature", "18": "Missing Timestamp", "19": "Invalid Timestamp", "26": "Ip Not Allowed",
	"27": "App Disabled", "28": "Missing Auth Token", "29": "Missing Auth Token", "30": "Api Permission Denied",
	"31": "Message Forbidden", "32": "Duplicate Message", "33": "Exceed Daily Messages", "34": "Exceed Daily Pictures",
	"40": "Missing Required Arguments", "41": "Invalid Arguments", "51": "Message Refused", "55": "Too Many Requests",
	"67": "Message Refused", "10000": "Invalid Registration Id",
}

const (
	oppoKey     = "herald-sandbox"
	oppoChannel = "herald-private"
	oppoMaxBody = 8 << 20
	oppoPath    = "/server/v1/message/notification/unicast"
	oppoMany    = "/server/v1/message/notification/unicast_batch"
	oppoMaxMany = 1000 // messages of one request

	oppoTokenLife = 24 * time.Hour
	oppoClockSkew = 10 * time.Minute
	oppoMaxSent   = 100_000 // pairs of device and message id that are remembered
)

// opush plays OPPO PUSH.
type opush struct {
	*vendor
	secret  string
	mail    *mail
	granted grants

	mu   sync.Mutex
	sent map[[2]string]struct{} // device and app_message_id: a second one is refused
}

// grants are the auth tokens that a vendor gave out, with their ends.
type grants struct {
	mu  sync.Mutex
	end map[string]time.Time
}

// give makes a token that is good for so long.
func (g *grants) give(life time.Duration) string {
	token := rand.Text()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end == nil || len(g.end) >= 10_000 {
		g.end = make(map[string]time.Time)
	}
	g.end[token] = time.Now().Add(life)
	return token
}

// good reports whether a token was given and has not ended.
func (g *grants) good(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	end, ok := g.end[token]
	return ok && time.Now().Before(end)
}

func newOppo(v *vendor, id *identity, m *mail) *opush {
	o := &opush{vendor: v, secret: madeSecret(id, v.name), mail: m, sent: make(map[[2]string]struct{})}
	v.words = words{
		internal: "99999", limited: "13", quota: "33", tell: o.tell,
		knows: func(word string) bool { return oppoErrors[word] != "" },
	}
	return o
}

// oppoCredentials are those of an app with a private channel for all but
// marketing.
func (s *Sandbox) oppoCredentials() map[string]any {
	return map[string]any{
		"endpoint": s.URL("oppo"), "ca": s.id.CA, "app_key": oppoKey, "master_secret": madeSecret(s.id, "oppo"),
		"channels": map[string]string{
			"otp": oppoChannel, "transactional": oppoChannel, "chat": oppoChannel, "call": oppoChannel,
		},
		"categories": map[string]string{"otp": "ACCOUNT", "transactional": "ORDER", "chat": "IM", "call": "IM", "marketing": "MARKETING"},
	}
}

func (o *opush) tell(w http.ResponseWriter, code string) {
	status := http.StatusOK
	switch code {
	case o.words.limited:
		o.retryAfter(w, http.StatusTooManyRequests) // what it means; the status says that the service works
	case o.words.internal:
		status = http.StatusInternalServerError
	}
	n, _ := strconv.Atoi(code) // the table's codes are numbers
	writeJSON(w, status, map[string]any{"code": n, "message": oppoErrors[code]})
}

// ServeHTTP grants one auth token or takes one message.
func (o *opush) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	auth := r.URL.Path == "/server/v1/auth"
	switch {
	case auth && o.trouble(w, r, o.settings.Load()), !auth && o.meddle(w, r):
		return
	case r.Method != http.MethodPost || (!auth && r.URL.Path != oppoPath && r.URL.Path != oppoMany):
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, oppoMaxBody)
	if r.ParseForm() != nil {
		o.refuse(w, "41")
		return
	}
	switch token := r.PostForm.Get("auth_token"); {
	case auth:
		o.grant(w, r.PostForm)
	case token == "":
		o.refuse(w, "29")
	case !o.granted.good(token):
		o.refuse(w, "11")
	case r.URL.Path == oppoMany:
		o.sendMany(w, r.PostForm.Get("messages"))
	default:
		o.send(w, r.PostForm.Get("message"))
	}
}

// grant answers a signature of key, time and secret with a token for a day.
func (o *opush) grant(w http.ResponseWriter, f url.Values) {
	millis, err := strconv.ParseInt(f.Get("timestamp"), 10, 64)
	off := time.Since(time.UnixMilli(millis)).Abs()
	sign := sha256.Sum256([]byte(oppoKey + f.Get("timestamp") + o.secret))
	switch {
	case f.Get("app_key") != oppoKey:
		o.refuse(w, "14")
	case f.Get("timestamp") == "":
		o.refuse(w, "18")
	case err != nil || off > oppoClockSkew:
		o.refuse(w, "19")
	case subtle.ConstantTimeCompare([]byte(f.Get("sign")), []byte(hex.EncodeToString(sign[:]))) != 1:
		o.refuse(w, "16")
	default:
		writeJSON(w, http.StatusOK, map[string]any{"code": 0, "message": "success", "data": map[string]any{
			"auth_token": o.granted.give(oppoTokenLife), "create_time": time.Now().UnixMilli(),
		}})
	}
}

// oppoMessage is what the sandbox looks at in a message.
type oppoMessage struct {
	TargetType   int    `json:"target_type"`
	TargetValue  string `json:"target_value"`
	Notification struct {
		ID         string `json:"app_message_id"`
		Style      int    `json:"style"`
		Title      string `json:"title"`
		Content    string `json:"content"`
		Parameters string `json:"action_parameters"`
		TTL        int    `json:"off_line_ttl"`
		NotifyID   int64  `json:"notify_id"`
		Channel    string `json:"channel_id"`
		Callback   string `json:"call_back_url"`
		Param      string `json:"call_back_parameter"`
	} `json:"notification"`
}

// fault finds what the service refuses at once.
func (m *oppoMessage) fault() string {
	n := &m.Notification
	text := map[int]int{0: 50, 1: 50, 2: 128, 3: 50}
	switch {
	case strings.TrimSpace(n.Title) == "" || strings.TrimSpace(n.Content) == "":
		return "40"
	case m.TargetType == 2 && (len(m.TargetValue) < 16 || strings.ContainsAny(m.TargetValue, " \t\r\n,;")):
		return "10000"
	case m.TargetType != 2,
		utf8.RuneCountInString(n.Title) > 50,
		utf8.RuneCountInString(n.Content) > text[n.Style],
		utf8.RuneCountInString(n.Parameters) > 4000,
		n.TTL < 0,
		len(n.Callback) > 200 || len(n.Param) > 100,
		n.Channel != "" && n.Channel != oppoChannel:
		return "41"
	}
	return ""
}

// send takes one message.
func (o *opush) send(w http.ResponseWriter, text string) {
	id, code := o.take(text)
	if code != "" {
		o.refuse(w, code)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"code": 0, "message": "Success", "data": map[string]string{"messageId": id, "status": "call_success"},
	})
}

// sendMany takes a list of messages, each for itself.
func (o *opush) sendMany(w http.ResponseWriter, text string) {
	var messages []json.RawMessage
	if json.Unmarshal([]byte(text), &messages) != nil || len(messages) == 0 || len(messages) > oppoMaxMany {
		o.refuse(w, "41")
		return
	}
	rows := make([]map[string]any, len(messages))
	for i, message := range messages {
		var m oppoMessage
		_ = json.Unmarshal(message, &m) // take refuses what is none
		id, code := o.take(string(message))
		rows[i] = map[string]any{"messageId": id, "registrationId": m.TargetValue}
		if code != "" {
			o.counts.refuse(code)
			n, _ := strconv.Atoi(code) // the table's codes are numbers
			rows[i]["errorCode"], rows[i]["errorMessage"] = n, oppoErrors[code]
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"code": 0, "message": "Success", "data": rows})
}

// take takes a message or says why not. A token that nobody has is told in a
// receipt if one is wanted, and else at once.
func (o *opush) take(text string) (id, code string) {
	var m oppoMessage
	if json.Unmarshal([]byte(text), &m) != nil {
		return "", "41"
	}
	n := &m.Notification
	when, dead := o.since(m.TargetValue)
	switch code = m.fault(); {
	case code != "":
		return "", code
	case dead && n.Callback == "":
		return "", "10000"
	case o.again(m.TargetValue, n.ID):
		return "", "32"
	}
	id, event := newHex(), "regid_invalid"
	if dead {
		o.counts.accepted.Add(1)
		o.counts.lost.Add(1)
	} else {
		event, when = "push_arrive", time.Now()
		collapse := strconv.FormatInt(n.NotifyID, 10)
		if !o.accept(record{token: m.TargetValue, id: id, collapse: collapse, payload: []byte(text), read: readOppo}) {
			event = ""
		}
	}
	if n.Callback != "" && event != "" {
		o.report(&m, id, event, when)
	}
	return id, ""
}

// again reports whether a device has had a message id before, and notes it.
func (o *opush) again(token, id string) bool {
	if id == "" {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	key := [2]string{token, id}
	if _, had := o.sent[key]; had {
		return true
	}
	if len(o.sent) >= oppoMaxSent {
		clear(o.sent)
	}
	o.sent[key] = struct{}{}
	return false
}

// report posts a receipt: a JSON list, here always of one.
func (o *opush) report(m *oppoMessage, id, event string, when time.Time) {
	text, err := json.Marshal([]any{map[string]string{
		"messageId": id, "appId": oppoKey, "taskId": id, "registrationIds": m.TargetValue,
		"eventTime": strconv.FormatInt(when.UnixMilli(), 10), "param": m.Notification.Param, "eventType": event,
	}})
	if err != nil {
		return // strings always encode
	}
	o.mail.postNote(o.settings.Load(), note{
		to: m.Notification.Callback, kind: "application/json", text: string(text), counts: &o.counts,
	})
}

func readOppo(payload []byte, m *Message) {
	var sent oppoMessage
	if json.Unmarshal(payload, &sent) != nil {
		return // it was read once
	}
	m.Title, m.Body = sent.Notification.Title, sent.Notification.Content
	_ = json.Unmarshal([]byte(sent.Notification.Parameters), &m.Data) // an app may put anything there
}
