package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// honorErrors are Honor's codes with its words for them. Those of
// developer.honor.com/cn/docs/11002/reference/downlink-message could not be
// read, so the sandbox knows the HTTP statuses alone.
var honorErrors = map[string]string{
	"400": "parameter error",
	"401": "authentication failed",
	"404": "not found",
	"429": "too many requests",
	"500": "internal error",
	"503": "service unavailable",
}

const (
	honorApp       = "104400001"
	honorClient    = "herald-sandbox"
	honorPath      = "/api/v1/" + honorApp + "/sendMessage"
	honorTokenPath = "/auth/token"
	honorLimit     = 4096 // unverified: Huawei's
	honorMaxBody   = 5 << 20
	honorShown     = 40000002 // the result of what arrived
)

// magic plays Honor's push service with its OAuth token endpoint. Receipts go
// where PUT /console/receipts says, {"address":"…"}, in the place of Honor's
// console; how Honor signs them is not known.
type magic struct {
	*vendor
	oauth *clientOAuth
	mail  *mail
}

func newMagic(v *vendor, id *identity, post *mail) *magic {
	m := &magic{vendor: v, mail: post, oauth: newClientOAuth(honorClient, oauthSecret(id, v.name))}
	v.words = words{
		internal: "500", limited: "429", tell: m.tell,
		knows: func(word string) bool { return honorErrors[word] != "" },
	}
	return m
}

func honorCredentials(s *Sandbox) map[string]any {
	return map[string]any{
		"endpoint": s.URL("honor"), "ca": s.id.CA, "app_id": honorApp,
		"client_id": honorClient, "client_secret": oauthSecret(s.id, "honor"),
	}
}

func (m *magic) tell(w http.ResponseWriter, code string) {
	status, _ := strconv.Atoi(code) // the table's codes are numbers
	m.retryAfter(w, status)
	writeJSON(w, status, map[string]any{"code": status, "message": honorErrors[code]})
}

// ServeHTTP takes one message or grants one access token.
func (m *magic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == honorTokenPath {
		if !m.trouble(w, r, m.settings.Load()) {
			m.oauth.grant(w, r)
		}
		return
	}
	if r.URL.Path == huaweiConsole {
		takeAddress(w, r, &m.reports)
		return
	}
	if m.meddle(w, r) {
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != honorPath {
		m.refuse(w, "404")
		return
	}
	body, err := readBody(r, honorMaxBody)
	if err != nil {
		return // the client has gone
	}
	stamp, err := strconv.ParseInt(r.Header.Get("timestamp"), 10, 64)
	switch {
	case !m.oauth.knows(r.Header.Get("Authorization")):
		m.refuse(w, "401")
	case err != nil || time.Since(time.UnixMilli(stamp)).Abs() > time.Hour: // in milliseconds, and not in seconds
		m.refuse(w, "400")
	default:
		m.send(w, body)
	}
}

// honorRequest is what the sandbox looks at in a request.
type honorRequest struct {
	Data    string   `json:"data"`
	Token   []string `json:"token"`
	Android struct {
		TTL          string `json:"ttl"`
		BiTag        string `json:"biTag"`
		Notification *struct {
			Title       string `json:"title"`
			Body        string `json:"body"`
			Tag         string `json:"tag"`
			Importance  string `json:"importance"`
			ClickAction *struct {
				Type   int    `json:"type"`
				Intent string `json:"intent"`
				Action string `json:"action"`
			} `json:"clickAction"`
		} `json:"notification"`
	} `json:"android"`
}

// good finds what the service refuses at once.
func (q *honorRequest) good(size int) bool {
	for _, token := range q.Token {
		text, _ := json.Marshal(token) // a string always encodes
		size -= len(text)
	}
	n := q.Android.Notification
	switch {
	case len(q.Token) == 0 || size > honorLimit || !isLife(q.Android.TTL):
		return false
	case n == nil:
		return q.Data != ""
	case n.Title == "" || n.Body == "" || n.ClickAction == nil || n.ClickAction.Type < 1 || n.ClickAction.Type > 3:
		return false
	case n.ClickAction.Type == 1 && n.ClickAction.Intent+n.ClickAction.Action == "":
		return false
	}
	return slices.Contains([]string{"", "LOW", "NORMAL"}, n.Importance)
}

func (m *magic) send(w http.ResponseWriter, body []byte) {
	var req honorRequest
	if json.Unmarshal(body, &req) != nil || !req.good(len(body)) {
		m.refuse(w, "400")
		return
	}
	id, tag := newHex(), ""
	if n := req.Android.Notification; n != nil {
		tag = n.Tag
	}
	expired, heard := []string{}, []map[string]any{}
	for _, token := range req.Token {
		if _, dead := m.since(token); dead || !isPushToken(token) {
			expired = append(expired, token)
			continue
		}
		if m.accept(record{token: token, id: id, collapse: tag, payload: body, read: readHonor}) {
			heard = append(heard, map[string]any{
				"token": token, "biTag": req.Android.BiTag, "status": honorShown, "timestamp": time.Now().UnixMilli(), "appid": honorApp, "requestId": id,
			})
		}
	}
	if to := m.reports.Load(); to != nil && *to != "" && len(heard) > 0 {
		text, _ := json.Marshal(map[string]any{"statuses": heard}) // strings and numbers always encode
		m.mail.postNote(m.settings.Load(), note{to: *to, kind: "application/json", text: string(text), counts: &m.counts})
	}
	if len(expired) > 0 {
		m.counts.refuse("expireTokens")
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"code": http.StatusOK, "message": "success",
		"data": map[string]any{
			"sendResult": len(expired) < len(req.Token), "requestId": id, "failTokens": []string{}, "expireTokens": expired,
		},
	})
}

func readHonor(payload []byte, m *Message) {
	var req honorRequest
	if json.Unmarshal(payload, &req) != nil {
		return
	}
	if n := req.Android.Notification; n != nil {
		m.Title, m.Body = n.Title, n.Body
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(req.Data), &fields) == nil {
		m.Data = stringsOf(fields)
	}
}
