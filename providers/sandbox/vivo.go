package sandbox

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/time/rate"
)

// vivoErrors are the service's codes with words like its own; the provider's
// codes.json has their source, and what of it is unverified. All are answered
// with status 200.
var vivoErrors = map[string]string{
	"10000": "authToken is not valid", "10070": "operations messages exceeded", "10071": "not in the allowed hours",
	"10072": "too fast", "10073": "system messages exceeded", "10085": "content is not allowed",
	"10094": "appId is not the token's", "10096": "category does not exist", "10097": "category does not fit",
	"10104": "content is not allowed", "10200": "appId is empty", "10201": "appKey is empty",
	"10252": "list messages exceeded", "10254": "messages to all exceeded", "10302": "regId is not valid",
	"10206": "sign is not valid", "10207": "timestamp is not valid",
}

const (
	vivoID      = "100004"
	vivoKey     = "herald-sandbox"
	vivoMaxBody = 512 << 10
	vivoMaxIDs  = 1000   // of one list
	vivoMaxKept = 10_000 // messages that wait for their lists

	vivoTokenLife = 24 * time.Hour
	vivoClockSkew = 10 * time.Minute
	vivoAuthRate  = 10 // auth calls a second
)

// The service's categories of the two kinds of message.
const (
	vivoSystem     = " IM ACCOUNT TODO DEVICE_REMINDER ORDER SUBSCRIPTION "
	vivoOperations = " NEWS CONTENT MARKETING SOCIAL "
)

// vpush plays vivo's push service.
type vpush struct {
	*vendor
	secret  string
	mail    *mail
	granted grants
	auths   *rate.Limiter

	mu   sync.Mutex
	kept map[string]vivoMessage // messages for lists, by task id
}

func newVivo(v *vendor, id *identity, m *mail) *vpush {
	p := &vpush{vendor: v, secret: madeSecret(id, v.name), mail: m, auths: rate.NewLimiter(vivoAuthRate, vivoAuthRate)}
	p.words = words{
		internal: "500", limited: "10072", quota: "10070", tell: p.tell,
		knows: func(word string) bool { return vivoErrors[word] != "" },
	}
	return p
}

// vivoCredentials are those of an app; the service has no channels.
func (s *Sandbox) vivoCredentials() map[string]any {
	return map[string]any{
		"endpoint": s.URL("vivo"), "ca": s.id.CA, "app_id": vivoID, "app_key": vivoKey, "app_secret": madeSecret(s.id, "vivo"),
	}
}

func (p *vpush) tell(w http.ResponseWriter, code string) {
	status := http.StatusOK
	switch code {
	case p.words.limited:
		p.retryAfter(w, http.StatusTooManyRequests) // what it means; the status says that the service works
	case p.words.internal:
		status = http.StatusInternalServerError
	}
	n, _ := strconv.Atoi(code) // the table's codes are numbers
	writeJSON(w, status, map[string]any{"result": n, "desc": vivoErrors[code]})
}

// ServeHTTP grants one auth token or takes one message, or one list.
func (p *vpush) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	auth := r.URL.Path == "/message/auth"
	serve, known := map[string]func(http.ResponseWriter, []byte){
		"/message/auth": p.grant, "/message/send": p.send, "/message/saveListPayload": p.save, "/message/pushToList": p.sendList,
	}[r.URL.Path]
	switch {
	case auth && p.trouble(w, r, p.settings.Load()), !auth && p.meddle(w, r):
		return
	case r.Method != http.MethodPost || !known:
		http.NotFound(w, r)
		return
	}
	body, err := readBody(r, vivoMaxBody)
	switch {
	case err != nil: // the client has gone
	case !auth && !p.granted.good(r.Header.Get("authToken")):
		p.refuse(w, "10000")
	default:
		serve(w, body)
	}
}

// grant answers a signature of id, key, time and secret with a token for a day.
func (p *vpush) grant(w http.ResponseWriter, body []byte) {
	var asked struct {
		AppID     string `json:"appId"`
		AppKey    string `json:"appKey"`
		Timestamp int64  `json:"timestamp"`
		Sign      string `json:"sign"`
	}
	_ = json.Unmarshal(body, &asked) // what is missing is told below
	sign := md5.Sum([]byte(vivoID + vivoKey + strconv.FormatInt(asked.Timestamp, 10) + p.secret))
	switch {
	case !p.auths.Allow():
		p.refuse(w, "10072")
	case asked.AppID == "":
		p.refuse(w, "10200")
	case asked.AppKey == "":
		p.refuse(w, "10201")
	case time.Since(time.UnixMilli(asked.Timestamp)).Abs() > vivoClockSkew:
		p.refuse(w, "10207")
	case asked.AppID != vivoID || asked.AppKey != vivoKey,
		subtle.ConstantTimeCompare([]byte(asked.Sign), []byte(hex.EncodeToString(sign[:]))) != 1:
		p.refuse(w, "10206")
	default:
		writeJSON(w, http.StatusOK, map[string]any{"result": 0, "desc": "请求成功", "authToken": p.granted.give(vivoTokenLife)})
	}
}

// vivoMessage is what the sandbox looks at in a message.
type vivoMessage struct {
	AppID          string            `json:"appId"`
	RegID          string            `json:"regId"`
	Title          string            `json:"title"`
	Content        string            `json:"content"`
	TTL            int               `json:"timeToLive"`
	Classification int               `json:"classification"`
	Category       string            `json:"category"`
	Data           map[string]string `json:"clientCustomMap"`
	Extra          map[string]string `json:"extra"`
	RequestID      string            `json:"requestId"`
	NotifyID       int64             `json:"notifyId"`
}

// fault finds what the service refuses at once.
func (m *vivoMessage) fault(now time.Time) string {
	hour := now.In(time.FixedZone("CST", 8*60*60)).Hour()
	fits, other := vivoOperations, vivoSystem
	if m.Classification == 1 {
		fits, other = other, fits
	}
	category := " " + m.Category + " "
	switch {
	case m.AppID != vivoID:
		return "10094"
	case m.Category != "" && strings.Contains(other, category):
		return "10097"
	case m.Category != "" && !strings.Contains(fits, category):
		return "10096"
	case m.Classification == 0 && (hour < 7 || hour >= 23):
		return "10071"
	case strings.TrimSpace(m.Title) == "" || strings.TrimSpace(m.Content) == "",
		halves(m.Title) > 40 || halves(m.Content) > 100,
		len(m.Data) > 10 || weight(m.Data) > 1024,
		m.TTL != 0 && (m.TTL < 60 || m.TTL > 24*3600),
		m.RequestID == "" || len(m.RequestID) > 64,
		len(m.Extra["callback"]) > 128 || len(m.Extra["callback.param"]) > 64:
		return "10104"
	}
	return ""
}

// halves counts a Han character as two.
func halves(text string) int {
	n := 0
	for _, r := range text {
		n++
		if unicode.Is(unicode.Han, r) {
			n++
		}
	}
	return n
}

func (p *vpush) send(w http.ResponseWriter, body []byte) {
	var m vivoMessage
	if json.Unmarshal(body, &m) != nil {
		p.refuse(w, "10104")
		return
	}
	if code := m.fault(time.Now()); code != "" {
		p.refuse(w, code)
		return
	}
	if status := p.invalid(m.RegID); status != 0 {
		p.counts.refuse("10302")
		writeJSON(w, http.StatusOK, map[string]any{
			"result": 10302, "desc": vivoErrors["10302"], "invalidUser": map[string]any{"status": status, "userid": m.RegID},
		})
		return
	}
	id, collapse := newHex(), strconv.FormatInt(m.NotifyID, 10)
	if p.accept(record{token: m.RegID, id: id, collapse: collapse, payload: body, read: readVivo}) && m.Extra["callback"] != "" {
		p.report(&m, id)
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": 0, "desc": "请求成功", "taskId": id})
}

// invalid is the status of a registration id that no message goes to, 0 of others.
func (p *vpush) invalid(id string) int {
	switch _, dead := p.since(id); {
	case dead:
		return 2
	case len(id) != 23:
		return 1 // there never was such a device
	}
	return 0
}

// save keeps a message for a list.
func (p *vpush) save(w http.ResponseWriter, body []byte) {
	var m vivoMessage
	if json.Unmarshal(body, &m) != nil || m.RegID != "" {
		p.refuse(w, "10104")
		return
	}
	if code := m.fault(time.Now()); code != "" {
		p.refuse(w, code)
		return
	}
	id := newHex()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == nil || len(p.kept) >= vivoMaxKept {
		p.kept = make(map[string]vivoMessage)
	}
	p.kept[id] = m
	writeJSON(w, http.StatusOK, map[string]any{"result": 0, "desc": "请求成功", "taskId": id})
}

// sendList takes a list of devices for a message that was saved. Lists have no
// receipts.
func (p *vpush) sendList(w http.ResponseWriter, body []byte) {
	var list struct {
		RegIDs    []string `json:"regIds"`
		TaskID    string   `json:"taskId"`
		RequestID string   `json:"requestId"`
	}
	if json.Unmarshal(body, &list) != nil || len(list.RegIDs) < 2 || len(list.RegIDs) > vivoMaxIDs || list.RequestID == "" {
		p.refuse(w, "10104")
		return
	}
	p.mu.Lock()
	m, saved := p.kept[list.TaskID]
	p.mu.Unlock()
	if !saved {
		p.refuse(w, "10104")
		return
	}
	payload, _ := json.Marshal(m) // it was read from JSON
	collapse := strconv.FormatInt(m.NotifyID, 10)
	invalid := []map[string]any{}
	for _, id := range list.RegIDs {
		if status := p.invalid(id); status != 0 {
			invalid = append(invalid, map[string]any{"status": status, "userid": id})
			continue
		}
		p.accept(record{token: id, id: list.TaskID, collapse: collapse, payload: payload, read: readVivo})
	}
	if len(invalid) > 0 {
		p.counts.refuse("10302")
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": 0, "desc": "请求成功", "taskId": list.TaskID, "invalidUsers": invalid})
}

// report posts a receipt: a JSON object by task id.
func (p *vpush) report(m *vivoMessage, id string) {
	text, err := json.Marshal(map[string]any{id: map[string]string{
		"param": m.Extra["callback.param"], "targets": m.RegID,
		"ackType": "0", "ackTime": strconv.FormatInt(time.Now().UnixMilli(), 10),
	}})
	if err != nil {
		return // strings always encode
	}
	p.mail.postNote(p.settings.Load(), note{
		to: m.Extra["callback"], kind: "application/json", text: string(text), counts: &p.counts,
	})
}

func readVivo(payload []byte, m *Message) {
	var sent vivoMessage
	if json.Unmarshal(payload, &sent) == nil {
		m.Title, m.Body, m.Data = sent.Title, sent.Content, sent.Data
	}
}
