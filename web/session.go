package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	cookieName   = "herald_session"
	sessionLife  = 12 * time.Hour
	maxFormBytes = 64 << 10
)

// session is what the cookie says, signed so that nobody else can say it:
//
//	base64url(JSON) "." base64url(HMAC-SHA256(key, the first part))
//
// Before login it is a session without a name, which carries the login form's
// CSRF token and nothing else.
type session struct {
	Identity
	ID      string `json:"i"`
	CSRF    string `json:"c"`
	Expires int64  `json:"e"`           // Unix seconds
	Flow    *flow  `json:"f,omitempty"` // a sign-in under way

	roles Roles // what the viewer may do, as of this request
}

// allows reports whether a change carries the session's CSRF token, in the form
// field "csrf" or, from our modules, in the header X-CSRF-Token.
func (s *session) allows(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	token := r.Header.Get("X-CSRF-Token")
	if token == "" {
		token = r.PostFormValue("csrf")
	}
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.CSRF)) == 1
}

// sessions signs and reads cookies. Only those who signed out are remembered,
// until their cookie would have ended by itself.
type sessions struct {
	key    []byte
	secure bool
	now    func() time.Time

	mu    sync.Mutex
	ended map[string]int64 // session id → when its cookie expires
}

func newSessions(key []byte, secure bool, now func() time.Time) *sessions {
	return &sessions{key: key, secure: secure, now: now, ended: map[string]int64{}}
}

// start gives the browser a new session. Ids and CSRF tokens are never reused,
// so what was known before login is worth nothing after it.
func (ss *sessions) start(w http.ResponseWriter, who Identity) *session {
	return ss.give(w, &session{Identity: who})
}

// begin gives the browser a session before login that remembers a sign-in.
func (ss *sessions) begin(w http.ResponseWriter, f *flow) { ss.give(w, &session{Flow: f}) }

func (ss *sessions) give(w http.ResponseWriter, s *session) *session {
	s.ID, s.CSRF, s.Expires = rand.Text(), rand.Text(), ss.now().Add(sessionLife).Unix()
	body, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, a bool and a number
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	ss.setCookie(w, text+"."+ss.sign(text), int(sessionLife/time.Second))
	return s
}

func (ss *sessions) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: ss.secure, SameSite: http.SameSiteLaxMode,
	})
}

func (ss *sessions) sign(text string) string {
	mac := hmac.New(sha256.New, ss.key)
	mac.Write([]byte("herald session\x00"))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// read returns the request's session, or nil if there is none that holds.
func (ss *sessions) read(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	text, sum, _ := strings.Cut(cookie.Value, ".")
	if !hmac.Equal([]byte(sum), []byte(ss.sign(text))) {
		return nil
	}
	var s session
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(body, &s) != nil || !ss.live(&s) {
		return nil
	}
	return &s
}

// live reports whether s has neither expired nor signed out.
func (ss *sessions) live(s *session) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	_, ended := ss.ended[s.ID]
	return !ended && ss.now().Unix() < s.Expires
}

// end signs s out everywhere.
func (ss *sessions) end(w http.ResponseWriter, s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	now := ss.now().Unix()
	maps.DeleteFunc(ss.ended, func(_ string, expires int64) bool { return expires <= now })
	ss.ended[s.ID] = s.Expires
	ss.setCookie(w, "", -1)
}
