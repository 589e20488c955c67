package sandbox

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// meizuErrors are the service's codes with words like its own; the provider's
// codes.json has their source. All are answered with status 200.
var meizuErrors = map[string]string{
	"500":    "other error",
	"1001":   "system error",
	"1003":   "server busy",
	"1005":   "parameter error",
	"1006":   "sign error",
	"110000": "invalid appId",
	"110001": "invalid appKey",
	"110004": "parameter is empty",
	"110009": "app is in the blacklist",
	"110010": "request rate of the app exceeds the limit",
	"110053": "unvarnished messages exceed the limit",
}

// Of a pushId, in the answer to a request that was taken.
const (
	meizuNotSubscribed = "110002"
	meizuIllegal       = "110003"
)

const (
	meizuID      = "100999"
	meizuMaxIDs  = 1000
	meizuMaxBody = 512 << 10
	meizuPath    = "/garcia/api/server/push/"
)

// flyme plays Meizu's push service.
type flyme struct {
	*vendor
	secret string
	mail   *mail
}

func newFlyme(v *vendor, id *identity, m *mail) *flyme {
	f := &flyme{vendor: v, secret: madeSecret(id, v.name), mail: m}
	v.words = words{
		internal: "1001", limited: "110010", tell: f.tell,
		knows: func(word string) bool { return meizuErrors[word] != "" },
	}
	return f
}

func (s *Sandbox) meizuCredentials() map[string]any {
	return map[string]any{
		"endpoint": s.URL("meizu"), "ca": s.id.CA, "app_id": meizuID, "app_secret": madeSecret(s.id, "meizu"),
	}
}

func (f *flyme) tell(w http.ResponseWriter, code string) {
	if code == f.words.limited {
		f.retryAfter(w, http.StatusTooManyRequests) // what it means; the status says that the service works
	}
	writeJSON(w, http.StatusOK, map[string]string{"code": code, "message": meizuErrors[code], "value": "", "redirect": ""})
}

// ServeHTTP takes one message, or a question for the app's counts.
func (f *flyme) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, meizuMaxBody)
	counts := r.Method == http.MethodGet && r.URL.Path == meizuPath+"statistics/dailyPushStatics"
	if counts && f.trouble(w, r, f.settings.Load()) || !counts && f.meddle(w, r) {
		return
	}
	if r.ParseForm() != nil {
		f.refuse(w, "1005")
		return
	}
	unseen := r.URL.Path == meizuPath+"unvarnished/pushByPushId"
	switch {
	case !counts && (r.Method != http.MethodPost || !unseen && r.URL.Path != meizuPath+"varnished/pushByPushId"):
		http.NotFound(w, r)
	case r.Form.Get("appId") != meizuID:
		f.refuse(w, "110000")
	case subtle.ConstantTimeCompare([]byte(r.Form.Get("sign")), []byte(meizuSign(r.Form, f.secret))) != 1:
		f.refuse(w, "1006")
	case counts:
		writeJSON(w, http.StatusOK, map[string]any{"code": "200", "message": "", "redirect": "", "value": []any{}})
	default:
		f.send(w, r.PostForm, unseen)
	}
}

// meizuSign is the signature that a form must have.
func meizuSign(form url.Values, secret string) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "sign" {
			text += name + "=" + form.Get(name)
		}
	}
	sum := md5.Sum([]byte(text + secret)) // the service's choice
	return hex.EncodeToString(sum[:])
}

// meizuMessage is what of a message the service looks at, be it shown or not.
type meizuMessage struct {
	Bar struct {
		Title string `json:"title"`
		Text  string `json:"content"`
	} `json:"noticeBarInfo"`
	Click struct {
		Type       int               `json:"clickType"`
		URL        string            `json:"url"`
		Activity   string            `json:"activity"`
		Parameters map[string]string `json:"parameters"`
	} `json:"clickTypeInfo"`
	Time struct {
		Offline int `json:"offLine"`
		Hours   int `json:"validTime"`
	} `json:"pushTimeInfo"`
	More struct {
		Key string `json:"notifyKey"`
	} `json:"advanceInfo"`
	Extra struct {
		Callback string `json:"callback"`
		Param    string `json:"callback.param"`
		Type     int    `json:"callback.type"`
	} `json:"extra"`
	Content string `json:"content"` // of one that is not shown
}

// fault finds what the service refuses at once.
func (m *meizuMessage) fault(unseen bool) string {
	between := func(s string, most int) bool { n := utf8.RuneCountInString(s); return n >= 1 && n <= most }
	switch {
	case unseen && !between(m.Content, 2000),
		!unseen && (!between(m.Bar.Title, 32) || !between(m.Bar.Text, 100)),
		m.Time.Offline == 1 && (m.Time.Hours < 1 || m.Time.Hours > 72),
		m.Click.Type < 0 || m.Click.Type > 3 || m.Click.Type == 1 && m.Click.Activity == "" || m.Click.Type == 2 && m.Click.URL == "",
		len(m.Click.URL) > 1000 || len(m.Click.Activity) > 1000,
		len(m.More.Key) > 8,
		len(m.Extra.Callback) > 128 || len(m.Extra.Param) > 64:
		return "1005"
	}
	return ""
}

// send takes a message for one device or several, and names those that are gone.
func (f *flyme) send(w http.ResponseWriter, form url.Values, unseen bool) {
	var m meizuMessage
	ids := strings.Split(form.Get("pushIds"), ",")
	if form.Get("pushIds") == "" || form.Get("messageJson") == "" {
		f.refuse(w, "110004")
		return
	}
	if json.Unmarshal([]byte(form.Get("messageJson")), &m) != nil || len(ids) > meizuMaxIDs || m.fault(unseen) != "" {
		f.refuse(w, "1005")
		return
	}
	id := newHex()
	bad := map[string][]string{}
	var heard []string
	for _, token := range ids {
		_, dead := f.since(token)
		switch {
		case !isRegID(token):
			bad[meizuIllegal] = append(bad[meizuIllegal], token)
		case dead:
			bad[meizuNotSubscribed] = append(bad[meizuNotSubscribed], token)
		case f.accept(record{token: token, id: id, collapse: m.More.Key, payload: []byte(form.Get("messageJson")), read: readMeizu}):
			heard = append(heard, token)
		}
	}
	for code := range bad {
		f.counts.refuse(code)
	}
	if m.Extra.Callback != "" && m.Extra.Type&1 != 0 && !unseen && len(heard) > 0 {
		f.report(&m, id, heard)
	}
	writeJSON(w, http.StatusOK, map[string]any{"code": "200", "message": "", "msgId": id, "value": bad})
}

// report posts the receipt of devices that a message reached: a form whose field
// "cb" is a JSON object by message id and type.
func (f *flyme) report(m *meizuMessage, id string, heard []string) {
	text, err := json.Marshal(map[string]any{id + "-1": map[string]any{"param": m.Extra.Param, "type": 1, "targets": heard}})
	if err != nil {
		return // strings and numbers always encode
	}
	f.mail.postNote(f.settings.Load(), note{
		to: m.Extra.Callback, kind: "application/x-www-form-urlencoded",
		text: url.Values{"cb": {string(text)}, "access_token": {newHex()}}.Encode(), counts: &f.counts,
	})
}

func readMeizu(payload []byte, m *Message) {
	var sent meizuMessage
	_ = json.Unmarshal(payload, &sent) // it was read once
	m.Title, m.Body, m.Data = sent.Bar.Title, sent.Bar.Text, sent.Click.Parameters
	if sent.Content != "" {
		_ = json.Unmarshal([]byte(sent.Content), &m.Data) // an app may put anything there
	}
}
