package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// jpushErrors are JPush's codes with their HTTP status, of
// docs.jiguang.cn/en/jpush/server/push/http_status_code and of JPush's clients
// as of 2026-11-23. 2002 is from memory.
var jpushErrors = map[string]struct {
	status  int
	message string
}{
	"1000": {500, "System error"},
	"1001": {405, "Only support HTTP Post method"},
	"1002": {400, "Missing parameter"},
	"1003": {400, "Invalid parameter value"},
	"1004": {401, "Basic authentication failed"},
	"1005": {400, "Message is too large"},
	"1011": {400, "cannot find user by this audience or has been inactive for more than 255 days"},
	"1020": {404, "Only support HTTPS"},
	"1030": {503, "Internal timeout"},
	"2002": {429, "Request too frequently"},
}

const (
	jpushKey     = "herald0sandbox0000000000"
	jpushMaxIDs  = 1000   // of one message
	jpushLimit   = 4000   // bytes of the message without whom it is for
	jpushTTL     = 259200 // seconds at most
	jpushMaxBody = 64 << 10
	jpushIDs     = "/v3/push/cid"
)

// aurora plays JPush's v3 push, which the provider "http" speaks by
// configuration alone.
type aurora struct {
	*vendor
	secret string
}

func newAurora(v *vendor, id *identity) *aurora {
	a := &aurora{vendor: v, secret: madeSecret(id, v.name)}
	v.words = words{
		internal: "1000", limited: "2002", tell: a.tell,
		knows: func(word string) bool { return jpushErrors[word].status != 0 },
	}
	return a
}

// jpushCredentials are a whole configuration. That of a real account is in
// providers/custom/examples.
func (s *Sandbox) jpushCredentials() map[string]any {
	text := func(template string) map[string]any { return map[string]any{"$json": template} }
	row := func(kind string, codes ...int) map[string]any { return map[string]any{"code": codes, "kind": kind} }
	return map[string]any{
		"endpoint": s.URL("http"), "ca": s.id.CA, "allow_private": true, "path": "/v3/push",
		"vars": map[string]string{"app_key": jpushKey, "master_secret": madeSecret(s.id, "http")},
		"sign": map[string]string{"kind": "basic", "secret": "{{.Vars.app_key}}:{{.Vars.master_secret}}"},
		"body": map[string]any{
			"platform": "all", "audience": map[string]any{"registration_id": map[string]any{"$each": "{{.Token}}"}},
			"notification": map[string]any{"android": map[string]any{
				"title": "{{.Title}}", "alert": "{{.Body}}", "extras": text("{{json .Data}}"),
			}},
			"options": map[string]any{"time_to_live": map[string]any{"$optional": text("{{if .TTL}}{{min .TTL 259200}}{{end}}")}},
		},
		"check":       map[string]any{"method": "GET", "path": jpushIDs, "query": map[string]string{"count": "1"}},
		"batch":       map[string]any{"most": jpushMaxIDs, "classes": []string{"marketing"}},
		"limit_bytes": jpushLimit, "success": map[string]any{"status": []int{200}}, "message_id": "msg_id", "code": "error.code",
		"codes": []any{
			row("unregistered", 1011), row("rejected", 1002, 1003, 1005), row("credentials", 1001, 1004, 1020),
			row("unavailable", 1000, 1030), row("throttled", 2002),
		},
	}
}

func (a *aurora) tell(w http.ResponseWriter, code string) {
	e := jpushErrors[code]
	a.retryAfter(w, e.status)
	n, _ := strconv.Atoi(code) // the table's codes are numbers
	writeJSON(w, e.status, map[string]any{"error": map[string]any{"code": n, "message": e.message}})
}

// jpushMessage is what of a message can be seen on a device.
type jpushMessage struct {
	Platform any `json:"platform"`
	Audience struct {
		IDs []string `json:"registration_id"`
	} `json:"audience"`
	Notification struct {
		Android struct {
			Title  string            `json:"title"`
			Alert  string            `json:"alert"`
			Extras map[string]string `json:"extras"`
		} `json:"android"`
	} `json:"notification"`
	Options struct {
		TTL int64 `json:"time_to_live"`
	} `json:"options"`
}

// ServeHTTP takes one message, or a question for an id of one to come.
func (a *aurora) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ids := r.Method == http.MethodGet && r.URL.Path == jpushIDs
	if ids && a.trouble(w, r, a.settings.Load()) || !ids && a.meddle(w, r) {
		return
	}
	body, err := readBody(r, jpushMaxBody)
	user, secret, _ := r.BasicAuth()
	switch {
	case !ids && r.URL.Path != "/v3/push":
		a.refuse(w, "1020")
	case !ids && r.Method != http.MethodPost:
		a.refuse(w, "1001")
	case user != jpushKey || subtle.ConstantTimeCompare([]byte(secret), []byte(a.secret)) != 1:
		a.refuse(w, "1004")
	case err != nil:
		a.refuse(w, "1002")
	case ids:
		writeJSON(w, http.StatusOK, map[string]any{"cidlist": []string{jpushKey + "-" + newHex()}})
	default:
		a.send(w, body)
	}
}

func (a *aurora) send(w http.ResponseWriter, body []byte) {
	var m jpushMessage
	if json.Unmarshal(body, &m) != nil || m.Platform == nil || len(m.Audience.IDs) == 0 {
		a.refuse(w, "1002")
		return
	}
	known := slices.DeleteFunc(slices.Clone(m.Audience.IDs), func(token string) bool { _, dead := a.since(token); return dead })
	switch {
	case len(m.Audience.IDs) > jpushMaxIDs || m.Notification.Android.Alert == "" || m.Options.TTL < 0 || m.Options.TTL > jpushTTL:
		a.refuse(w, "1003")
	case weightWithoutAudience(body) > jpushLimit:
		a.refuse(w, "1005")
	case len(known) == 0:
		a.refuse(w, "1011") // of some it says nothing
	default:
		id := newHex()
		for _, token := range known {
			a.accept(record{token: token, id: id, payload: body, read: readJPush})
		}
		writeJSON(w, http.StatusOK, map[string]string{"sendno": "0", "msg_id": id})
	}
}

// weightWithoutAudience is what a message weighs, whomever it is for.
func weightWithoutAudience(body []byte) int {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(body, &fields) // it was read once
	weight := len(body)
	if audience := len(fields["audience"]); audience > 0 {
		weight -= audience
	}
	return weight
}

func readJPush(payload []byte, m *Message) {
	var sent jpushMessage
	_ = json.Unmarshal(payload, &sent) // it was read once
	n := sent.Notification.Android
	m.Title, m.Body, m.Data = n.Title, n.Alert, n.Extras
}
