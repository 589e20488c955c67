package sandbox

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// apnsReasons are Apple's reasons with their status, of
// developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
// as of 2026-11-20.
var apnsReasons = map[string]int{
	"BadCollapseId": 400, "BadDeviceToken": 400, "BadExpirationDate": 400, "BadMessageId": 400,
	"BadPriority": 400, "BadTopic": 400, "DeviceTokenNotForTopic": 400, "DuplicateHeaders": 400,
	"IdleTimeout": 400, "InvalidPushType": 400, "MissingDeviceToken": 400, "MissingTopic": 400,
	"PayloadEmpty": 400, "TopicDisallowed": 400, "BadCertificate": 403, "BadCertificateEnvironment": 403,
	"ExpiredProviderToken": 403, "Forbidden": 403, "InvalidProviderToken": 403, "MissingProviderToken": 403,
	"BadPath": 404, "MethodNotAllowed": 405, "ExpiredToken": 410, "Unregistered": 410,
	"PayloadTooLarge": 413, "TooManyProviderTokenUpdates": 429, "TooManyRequests": 429,
	"InternalServerError": 500, "ServiceUnavailable": 503, "Shutdown": 503,
}

// apnsPushTypes are the values that apns-push-type may have.
var apnsPushTypes = map[string]bool{
	"alert": true, "background": true, "controls": true, "location": true, "voip": true, "complication": true,
	"fileprovider": true, "mdm": true, "liveactivity": true, "pushtotalk": true, "widgets": true,
}

const (
	apnsKeyID, apnsTeamID, apnsTopic = "SANDBOXKEY", "SANDBOXTEA", "com.example.demo"

	apnsLimit     = 4096
	apnsVoIPLimit = 5120
)

// apple plays APNs.
type apple struct {
	*vendor
	public *ecdsa.PublicKey
	ca     *x509.Certificate
	tokens seenTokens
}

func newApple(v *vendor, id *identity) *apple {
	a := &apple{vendor: v, public: &id.apns.PublicKey, ca: id.ca}
	v.words = words{
		internal: "InternalServerError", limited: "TooManyRequests", tell: a.tell,
		knows: func(word string) bool { return apnsReasons[word] != 0 },
	}
	return a
}

func (a *apple) tell(w http.ResponseWriter, reason string) { a.tellSince(w, reason, time.Time{}) }

func (a *apple) tellSince(w http.ResponseWriter, reason string, since time.Time) {
	status := apnsReasons[reason]
	a.retryAfter(w, status)
	w.WriteHeader(status)
	if status == http.StatusGone {
		if since.IsZero() {
			since = time.Now()
		}
		fmt.Fprintf(w, `{"reason":%q,"timestamp":%d}`, reason, since.UnixMilli())
		return
	}
	fmt.Fprintf(w, `{"reason":%q}`, reason)
}

// ServeHTTP takes one notification.
func (a *apple) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.meddle(w, r) {
		return
	}
	token, ok := strings.CutPrefix(r.URL.Path, "/3/device/")
	switch {
	case !ok:
		a.refuse(w, "BadPath")
		return
	case r.Method != http.MethodPost:
		a.refuse(w, "MethodNotAllowed")
		return
	}
	body, err := readBody(r, apnsVoIPLimit)
	if err != nil {
		return // the client has gone
	}
	id := r.Header.Get("Apns-Id")
	if id == "" {
		id = newUUID()
	}
	w.Header()["Apns-Id"] = []string{id}
	if reason := a.fault(r, id, token, body); reason != "" {
		a.refuse(w, reason)
		return
	}
	if since, dead := a.since(token); dead {
		a.counts.refuse("Unregistered")
		a.tellSince(w, "Unregistered", since)
		return
	}
	a.accept(record{token: token, id: id, collapse: r.Header.Get("Apns-Collapse-Id"), payload: body, read: readAPNs})
}

// fault finds what Apple would refuse, in the order Apple looks.
func (a *apple) fault(r *http.Request, id, token string, body []byte) string {
	h := r.Header
	pushType, topic := h.Get("Apns-Push-Type"), h.Get("Apns-Topic")
	limit := apnsLimit
	if pushType == "voip" {
		limit = apnsVoIPLimit
	}
	topics, reason := a.known(r)
	if reason != "" {
		return reason
	}
	if topic == "" && len(topics) == 1 {
		topic = topics[0] // a certificate for one topic names it
	}
	switch {
	case token == "":
		return "MissingDeviceToken"
	case !isDeviceToken(token):
		return "BadDeviceToken"
	case len(h["Apns-Topic"]) > 1 || len(h["Apns-Collapse-Id"]) > 1:
		return "DuplicateHeaders"
	case topic == "":
		return "MissingTopic"
	case !isBundleID(topic):
		return "BadTopic"
	case pushType != "" && !apnsPushTypes[pushType]:
		return "InvalidPushType"
	case !topicFits(topic, pushType), topics != nil && (apnsTokenOnly[pushType] || !slices.Contains(topics, topic)):
		return "TopicDisallowed"
	case !isUUID(id):
		return "BadMessageId"
	case len(h.Get("Apns-Collapse-Id")) > 64:
		return "BadCollapseId"
	case !isPriority(h.Get("Apns-Priority"), pushType):
		return "BadPriority"
	case !isNumber(h.Get("Apns-Expiration")):
		return "BadExpirationDate"
	case len(body) > limit:
		return "PayloadTooLarge"
	case len(body) < 2 || body[0] != '{' || !json.Valid(body):
		return "PayloadEmpty"
	}
	return ""
}

// apnsSuffixes are what topics end with by push type; the others' end with
// none of them. Source, as of 2026-11-24:
// developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
var apnsSuffixes = map[string]string{
	"voip": ".voip", "complication": ".complication", "location": ".location-query", "fileprovider": ".pushkit.fileprovider",
	"liveactivity": ".push-type.liveactivity", "pushtotalk": ".voip-ptt", "controls": ".push-type.controls", "widgets": ".push-type.widgets",
}

// apnsTokenOnly are the push types that a certificate is no good for.
var apnsTokenOnly = map[string]bool{"location": true, "liveactivity": true}

func topicFits(topic, pushType string) bool {
	if pushType == "mdm" {
		return true // its topics are of another kind
	}
	if suffix := apnsSuffixes[pushType]; suffix != "" {
		return strings.HasSuffix(topic, suffix)
	}
	for _, suffix := range apnsSuffixes {
		if strings.HasSuffix(topic, suffix) {
			return false
		}
	}
	return true
}

func readAPNs(payload []byte, m *Message) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil {
		return
	}
	var aps struct {
		Alert json.RawMessage `json:"alert"`
	}
	_ = json.Unmarshal(fields["aps"], &aps)
	var alert struct{ Title, Body string }
	if json.Unmarshal(aps.Alert, &alert) != nil {
		_ = json.Unmarshal(aps.Alert, &alert.Body) // an alert may be a plain string
	}
	delete(fields, "aps")
	m.Title, m.Body, m.Data = alert.Title, alert.Body, stringsOf(fields)
}

// seenTokens remembers the provider tokens that were found good, for a check of
// their signature takes longer than everything else.
type seenTokens struct {
	mu   sync.RWMutex
	good map[string]time.Time // issued at
}

// fault names what is wrong with an Authorization header. The signature is
// checked if the token says that it was made with the sandbox's own key; of a
// token of another key only the form can be judged.
func (s *seenTokens) fault(header string, public *ecdsa.PublicKey) string {
	token, ok := strings.CutPrefix(header, "bearer ")
	if !ok {
		if token, ok = strings.CutPrefix(header, "Bearer "); !ok {
			return "MissingProviderToken"
		}
	}
	s.mu.RLock()
	issued, known := s.good[token]
	s.mu.RUnlock()
	if !known {
		claims := jwt.MapClaims{}
		parsed, parts, err := jwt.NewParser().ParseUnverified(token, claims)
		if err != nil || parsed.Method.Alg() != "ES256" {
			return "InvalidProviderToken"
		}
		kid, _ := parsed.Header["kid"].(string)
		team, _ := claims["iss"].(string)
		iat, err := claims.GetIssuedAt()
		if kid == "" || team == "" || err != nil || iat == nil {
			return "InvalidProviderToken"
		}
		if kid == apnsKeyID && (team != apnsTeamID || parsed.Method.Verify(parts[0]+"."+parts[1], parsed.Signature, public) != nil) {
			return "InvalidProviderToken"
		}
		issued = iat.Time
		s.remember(token, issued)
	}
	if age := time.Since(issued); age > time.Hour || age < -5*time.Minute {
		return "ExpiredProviderToken"
	}
	return ""
}

func (s *seenTokens) remember(token string, issued time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good == nil || len(s.good) >= 1000 {
		s.good = make(map[string]time.Time)
	}
	s.good[token] = issued
}

// isDeviceToken knows every token but that of zeros alone, which is what those
// ask with who want to know no more than whether they are known themselves.
func isDeviceToken(t string) bool {
	return strings.Trim(t, "0") != "" && len(t) >= 64 && len(t) <= 200 && strings.Trim(t, "0123456789abcdefABCDEF") == ""
}

func isBundleID(t string) bool {
	for _, c := range []byte(t) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return len(t) <= 255
}

func isUUID(id string) bool {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return false
	}
	return strings.Trim(id, "0123456789abcdefABCDEF-") == ""
}

func isPriority(p, pushType string) bool {
	switch p {
	case "", "1", "5":
		return true
	case "10":
		return pushType != "background"
	}
	return false
}

func isNumber(s string) bool {
	if s == "" {
		return true
	}
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}
