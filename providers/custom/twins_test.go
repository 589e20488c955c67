package custom

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The twins behave as the vendors' documents say. Tokens that begin with
// "dead" are unknown to them, those that begin with "away" long not seen.

const (
	appKey = "7d431e42dfa6a6d693ac2d04"
	secret = "5e987ac6d2e04d95a9d8f0d1"
)

// taken is what a twin took.
type taken struct {
	mu   sync.Mutex
	last map[string]any
}

func (t *taken) keep(m map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = m
}

func (t *taken) message() map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

func answer(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, format, args...)
}

// jpush plays POST /v3/push and GET /v3/push/cid.
type jpush struct{ taken }

func (t *jpush) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status, code int, why string) {
		answer(w, status, `{"error":{"code":%d,"message":%q}}`, code, why)
	}
	body, _ := io.ReadAll(r.Body)
	user, password, _ := r.BasicAuth()
	var m struct {
		Platform any
		Audience struct {
			IDs []string `json:"registration_id"`
		}
		Notification struct {
			Android struct {
				Alert  string
				Extras map[string]string
			}
		}
		Options struct {
			TTL *int `json:"time_to_live"`
		}
	}
	err := json.Unmarshal(body, &m)
	switch {
	case user != appKey || password != secret:
		refuse(401, 1004, "Authen failed")
	case r.Method == http.MethodGet && r.URL.Path == "/v3/push/cid" && r.URL.RawQuery == "count=1":
		answer(w, 200, `{"cidlist":["%s-1"]}`, appKey)
	case r.Method != http.MethodPost:
		refuse(405, 1001, "Only support POST")
	case r.URL.Path != "/v3/push" || r.URL.RawQuery != "":
		refuse(404, 1020, "no such address")
	case err != nil || m.Platform == nil || len(m.Audience.IDs) == 0:
		refuse(400, 1002, "Missing parameter")
	case len(m.Audience.IDs) > 1000 || m.Notification.Android.Alert == "" || m.Options.TTL != nil && *m.Options.TTL > 259200:
		refuse(400, 1003, "Invalid value")
	case len(body) > 4000:
		refuse(400, 1005, "Message too large")
	case strings.HasPrefix(m.Audience.IDs[0], "dead"):
		refuse(400, 1011, "cannot find user by this audience or has been inactive for more than 255 days")
	default:
		var whole map[string]any
		_ = json.Unmarshal(body, &whole)
		t.keep(whole)
		answer(w, 200, `{"sendno":"0","msg_id":"18103083292408631"}`)
	}
}

// getui plays /v2/app1/auth and /v2/app1/push/single/cid.
type getui struct {
	taken
	fetches, forgotten int
	seen               map[string]int // request ids, and how often
}

func (t *getui) token() string { return fmt.Sprintf("access-%d", t.fetches) }

func (t *getui) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/v2/app1/auth" {
		t.auth(w, body)
		return
	}
	var m struct {
		RequestID string `json:"request_id"`
		Settings  struct{ TTL *int64 }
		Audience  struct{ CID []string }
		Message   struct {
			Notification struct{ Title, Body, Payload string }
		} `json:"push_message"`
	}
	err := json.Unmarshal(body, &m)
	refuse := func(status, code int, why string) { answer(w, status, `{"code":%d,"msg":%q}`, code, why) }
	t.mu.Lock()
	good := r.Header.Get("token") == t.token() && t.forgotten < t.fetches
	t.mu.Unlock()
	switch {
	case r.URL.Path != "/v2/app1/push/single/cid":
		refuse(404, 404, "url error")
	case !good:
		refuse(401, 10001, "token is invalid")
	case err != nil:
		refuse(200, 1, "fail")
	case len(m.RequestID) < 10 || len(m.RequestID) > 32:
		refuse(400, 20001, "request_id is invalid")
	case len(m.Audience.CID) != 1 || m.Settings.TTL != nil && *m.Settings.TTL > 259200000:
		refuse(400, 20001, "settings is invalid")
	case m.Message.Notification.Title == "" || m.Message.Notification.Body == "":
		refuse(400, 20001, "title can not be empty")
	case strings.HasPrefix(m.Audience.CID[0], "dead"):
		refuse(400, 20001, "target user is invalid")
	default:
		word := "successed_online"
		if strings.HasPrefix(m.Audience.CID[0], "away") {
			word = "successed_ignore"
		}
		var whole map[string]any
		_ = json.Unmarshal(body, &whole)
		t.keep(whole)
		t.mu.Lock()
		t.seen[m.RequestID]++
		t.mu.Unlock()
		answer(w, 200, `{"code":0,"msg":"","data":{"RASS_0721_509ff16b":{%q:%q}}}`, m.Audience.CID[0], word)
	}
}

func (t *getui) auth(w http.ResponseWriter, body []byte) {
	var m struct{ Sign, Timestamp, Appkey string }
	_ = json.Unmarshal(body, &m)
	want := sha256.Sum256([]byte(appKey + m.Timestamp + secret))
	at, _ := strconv.ParseInt(m.Timestamp, 10, 64)
	if m.Sign != hex.EncodeToString(want[:]) || m.Appkey != appKey || time.Since(time.UnixMilli(at)).Abs() > 10*time.Minute {
		answer(w, 400, `{"code":20001,"msg":"sign is invalid"}`)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetches++
	answer(w, 200, `{"code":0,"msg":"","data":{"expire_time":"%d","token":%q}}`, time.Now().Add(24*time.Hour).UnixMilli(), t.token())
}

// umeng plays POST /api/send.
type umeng struct{ taken }

func (t *umeng) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(code int) {
		answer(w, 400, `{"ret":"FAIL","data":{"error_code":"%d","error_msg":"no"}}`, code)
	}
	body, _ := io.ReadAll(r.Body)
	var m struct {
		Appkey, Timestamp, Type string
		Tokens                  string `json:"device_tokens"`
		Payload                 struct {
			Display string `json:"display_type"`
			Body    struct{ Ticker, Title, Text string }
			Extra   map[string]string
		}
		Policy struct {
			Expire string `json:"expire_time"`
		}
	}
	err := json.Unmarshal(body, &m)
	want := md5.Sum([]byte("POST" + "https://" + r.Host + "/api/send" + string(body) + secret))
	at, _ := strconv.ParseInt(m.Timestamp, 10, 64)
	china := time.FixedZone("", 8*3600)
	expires, expireErr := time.ParseInLocation(time.DateTime, m.Policy.Expire, china)
	switch {
	case err != nil:
		refuse(2008)
	case m.Appkey != appKey:
		refuse(2021)
	case r.URL.Query().Get("sign") == "":
		refuse(2007)
	case r.URL.Query().Get("sign") != hex.EncodeToString(want[:]) || r.Method != http.MethodPost:
		refuse(2027)
	case time.Since(time.Unix(at, 0)).Abs() > 10*time.Minute:
		refuse(2028)
	case m.Type != "unicast":
		refuse(1016)
	case len(m.Tokens) != 44:
		refuse(1015)
	case m.Payload.Display != "notification":
		refuse(1019)
	case m.Payload.Body.Ticker == "" || m.Payload.Body.Title == "" || m.Payload.Body.Text == "":
		refuse(1008)
	case m.Policy.Expire != "" && (expireErr != nil || expires.Before(time.Now())):
		refuse(2003)
	case len(body) > 1840:
		refuse(2022)
	default:
		var whole map[string]any
		_ = json.Unmarshal(body, &whole)
		t.keep(whole)
		answer(w, 200, `{"ret":"SUCCESS","data":{"msg_id":"uu84567160689098123411"}}`)
	}
}
