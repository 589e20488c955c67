package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// fcmError is one of FCM's errors: its HTTP status, the canonical status that
// goes with it, and the words. Source, as of 2026-11-20:
// firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode
type fcmError struct {
	status    int
	canonical string
	message   string
}

var fcmErrors = map[string]fcmError{
	"INVALID_ARGUMENT":       {400, "INVALID_ARGUMENT", "Request contains an invalid argument."},
	"UNAUTHENTICATED":        {401, "UNAUTHENTICATED", "Request had invalid authentication credentials."},
	"THIRD_PARTY_AUTH_ERROR": {401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"},
	"SENDER_ID_MISMATCH":     {403, "PERMISSION_DENIED", "SenderId mismatch"},
	"UNREGISTERED":           {404, "NOT_FOUND", "Requested entity was not found."},
	"QUOTA_EXCEEDED":         {429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'All send API requests'."},
	fcmDeviceQuota:           {429, "RESOURCE_EXHAUSTED", "Device message rate exceeded."},
	"INTERNAL":               {500, "INTERNAL", "Internal error encountered."},
	"UNAVAILABLE":            {503, "UNAVAILABLE", "The service is currently unavailable."},
}

// fcmDeviceQuota is QUOTA_EXCEEDED of one device; Google tells it apart in a
// QuotaFailure alone.
const fcmDeviceQuota = "DEVICE_QUOTA_EXCEEDED"

const (
	fcmProject = "herald-sandbox"
	fcmEmail   = "sandbox@herald-sandbox.iam.gserviceaccount.com"
	fcmLimit   = 4096
	fcmMaxBody = 64 << 10

	accessTokenLife = time.Hour
)

// google plays FCM v1 and its OAuth token endpoint.
type google struct {
	*vendor
	public  *rsa.PublicKey
	serial  atomic.Int64
	mu      sync.RWMutex
	granted map[string]time.Time // access token → its end
}

func newGoogle(v *vendor, id *identity) *google {
	g := &google{vendor: v, public: &id.fcm.PublicKey, granted: make(map[string]time.Time)}
	v.words = words{
		internal: "INTERNAL", limited: "QUOTA_EXCEEDED",
		tell:  func(w http.ResponseWriter, word string) { g.tell(w, word) },
		knows: func(word string) bool { return fcmErrors[word].status != 0 },
	}
	return g
}

// ServeHTTP takes one message or grants one access token.
func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		g.grant(w, r)
		return
	}
	if g.meddle(w, r) {
		return
	}
	project, ok := strings.CutPrefix(r.URL.Path, "/v1/projects/")
	project, ok2 := strings.CutSuffix(project, "/messages:send")
	if !ok || !ok2 || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	body, err := readBody(r, fcmMaxBody)
	if err != nil {
		return // the client has gone
	}
	if !g.knows(r.Header.Get("Authorization")) {
		g.refuse(w, "UNAUTHENTICATED")
		return
	}
	g.send(w, project, body)
}

// fcmRequest is what the sandbox looks at in a request.
type fcmRequest struct {
	ValidateOnly bool `json:"validate_only"`
	Message      struct {
		Token        string            `json:"token"`
		Topic        string            `json:"topic"`
		Condition    string            `json:"condition"`
		Data         map[string]string `json:"data"`
		Notification struct{ Title, Body string }
		Android      struct {
			CollapseKey  string `json:"collapse_key"`
			TTL          string `json:"ttl"`
			Priority     string `json:"priority"`
			Notification struct{ Tag string }
		}
	} `json:"message"`
}

func (g *google) send(w http.ResponseWriter, project string, body []byte) {
	var req fcmRequest
	if vs := violations(body); len(vs) > 0 {
		g.invalid(w, vs...)
		return
	}
	if json.Unmarshal(body, &req) != nil {
		g.invalid(w, violation{"message", "Invalid value"})
		return
	}
	m := &req.Message
	to := m.Topic + m.Condition
	switch {
	case to != "" && (m.Token != "" || m.Topic != "" && m.Condition != ""):
		g.invalid(w, violation{"message", "Exactly one of token, topic or condition must be given"})
		return
	case to != "" && !req.ValidateOnly:
		g.invalid(w, violation{"message.topic", "The sandbox has no subscribers"})
		return
	case to != "": // and is only to be looked at
	case len(m.Token) < 16 || len(m.Token) > 4096 || strings.ContainsAny(m.Token, " \t\r\n"):
		g.invalid(w, violation{"message.token", "The registration token is not a valid FCM registration token"})
		return
	case !isDuration(m.Android.TTL):
		g.invalid(w, violation{"message.android.ttl", "Invalid ttl"})
		return
	case weight(m.Data, m.Notification.Title, m.Notification.Body) > fcmLimit:
		g.invalid(w, violation{"message", "Message too big"})
		return
	}
	for key := range m.Data {
		if key == "from" || key == "message_type" || strings.HasPrefix(key, "google") || strings.HasPrefix(key, "gcm") {
			g.invalid(w, violation{"message.data", "Invalid data payload key: " + key})
			return
		}
	}
	if _, dead := g.since(m.Token); dead {
		g.refuse(w, "UNREGISTERED")
		return
	}
	if req.ValidateOnly {
		g.name(w, "projects/"+project+"/messages/fake_message_id")
		return
	}
	id := "projects/" + project + "/messages/0:" + strconv.FormatInt(g.serial.Add(1), 10)
	g.accept(record{token: m.Token, id: id, collapse: m.Android.Notification.Tag, payload: body, read: readFCM})
	g.name(w, id)
}

func (g *google) name(w http.ResponseWriter, id string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	fmt.Fprintf(w, `{"name":%q}`, id)
}

// invalid refuses fields.
func (g *google) invalid(w http.ResponseWriter, fields ...violation) {
	g.counts.refuse("INVALID_ARGUMENT")
	g.tell(w, "INVALID_ARGUMENT", fields...)
}

// tell answers with an error as Google's APIs do.
func (g *google) tell(w http.ResponseWriter, word string, fields ...violation) {
	e := fcmErrors[word]
	details := []any{}
	if word == fcmDeviceQuota {
		word = "QUOTA_EXCEEDED"
		details = append(details, map[string]any{
			"@type":      "type.googleapis.com/google.rpc.QuotaFailure",
			"violations": []map[string]string{{"subject": "device", "description": e.message}},
		})
	}
	if word != "UNAUTHENTICATED" {
		details = append(details, map[string]string{
			"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": word,
		})
	}
	if len(fields) > 0 {
		details = append(details, map[string]any{
			"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields,
		})
	}
	g.retryAfter(w, e.status)
	writeJSON(w, e.status, map[string]any{"error": map[string]any{
		"code": e.status, "message": e.message, "status": e.canonical, "details": details,
	}})
}

func readFCM(payload []byte, m *Message) {
	var req fcmRequest
	if json.Unmarshal(payload, &req) == nil {
		m.Title, m.Body, m.Data = req.Message.Notification.Title, req.Message.Notification.Body, req.Message.Data
	}
}

// grant serves the OAuth token endpoint: RFC 7523, section 2.1. It has the
// vendor's outages and none of its other manners.
func (g *google) grant(w http.ResponseWriter, r *http.Request) {
	if g.trouble(w, r, g.settings.Load()) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, fcmMaxBody)
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
		writeJSON(w, http.StatusBadRequest, map[string]string{
			"error": "unsupported_grant_type", "error_description": "Invalid grant_type: " + strconv.Itoa(len(r.PostFormValue("grant_type"))) + " bytes",
		})
		return
	}
	if fault := g.assertion(r.PostFormValue("assertion")); fault != "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": fault})
		return
	}
	token := "ya29." + rand.Text()
	g.mu.Lock()
	if len(g.granted) >= 10_000 {
		clear(g.granted)
	}
	g.granted[token] = time.Now().Add(accessTokenLife)
	g.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": token, "expires_in": int(accessTokenLife.Seconds()), "token_type": "Bearer",
	})
}

// assertion says what is wrong with a service account's JWT. Its signature is
// checked if it claims to be of the sandbox's own account.
func (g *google) assertion(text string) string {
	claims := jwt.MapClaims{}
	parsed, parts, err := jwt.NewParser().ParseUnverified(text, claims)
	if err != nil || parsed.Method.Alg() != "RS256" {
		return "Bad Request"
	}
	iss, _ := claims["iss"].(string)
	scope, _ := claims["scope"].(string)
	exp, err := claims.GetExpirationTime()
	switch {
	case iss == "":
		return "Invalid issuer: Not a valid email"
	case err != nil || exp == nil || time.Now().After(exp.Time):
		return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
	case !strings.Contains(scope, "firebase.messaging") && !strings.Contains(scope, "cloud-platform"):
		return "Invalid OAuth scope or ID token audience provided."
	case iss == fcmEmail && parsed.Method.Verify(parts[0]+"."+parts[1], parsed.Signature, g.public) != nil:
		return "Invalid JWT Signature."
	}
	return ""
}

// knows reports whether an Authorization header carries a granted token.
func (g *google) knows(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	g.mu.RLock()
	defer g.mu.RUnlock()
	end, granted := g.granted[token]
	return ok && granted && time.Now().Before(end)
}

// weight counts a message as FCM does: keys and values, without the envelope.
func weight(data map[string]string, texts ...string) int {
	n := 0
	for key, value := range data {
		n += len(key) + len(value)
	}
	for _, text := range texts {
		n += len(text)
	}
	return n
}

func isDuration(s string) bool {
	if s == "" {
		return true
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(s, "s"), 64)
	return err == nil && strings.HasSuffix(s, "s") && f >= 0 && f <= 28*24*3600
}
