package sandbox

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// pushErrors are a push service's answers under names of ours: the standards
// give them a status alone. RFC 8030, sections 5 and 8.4; RFC 8292, section 4.
var pushErrors = map[string]struct {
	status  int
	message string
}{
	"BadTTL":              {400, "TTL must be a number of seconds"},
	"BadUrgency":          {400, "Urgency must be very-low, low, normal or high"},
	"BadTopic":            {400, "Topic must be at most 32 characters of base64url"},
	"BadEncoding":         {400, "Content-Encoding must be aes128gcm"},
	"BadKey":              {400, "applicationServerKey must be the public_key of the credentials"},
	"Unauthorized":        {401, "The request bears no VAPID token"},
	"Forbidden":           {403, "The VAPID token is not good for this subscription"},
	"NotFound":            {404, "There is no such subscription"},
	"Gone":                {410, "The subscription has ended"},
	"PayloadTooLarge":     {413, "The message has more than 4096 bytes"},
	"TooManyRequests":     {429, "Too many messages"},
	"InternalServerError": {500, "Something broke"},
	"ServiceUnavailable":  {503, "Try again later"},
}

const (
	pushLimit   = 4096           // encrypted
	pushMaxTTL  = 28 * 24 * 3600 // in seconds; more is cut down to it
	pushMaxLife = 24 * time.Hour // of a VAPID token
	pushPath    = "/push/"       // then the name of the browser
	pushSubject = "mailto:ops@herald.example"
)

// pusher plays the push service of browsers. Every browser is subscribed
// already: its name is the end of its endpoint, and its keys follow from its
// name ([Subscription]), so that a subscription outlives a restart.
type pusher struct {
	*vendor
	public *ecdsa.PublicKey
	key    string // public, as an Authorization header has it
}

func newPusher(v *vendor, id *identity) (*pusher, error) {
	private := id.vapid()
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), private.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	p := &pusher{vendor: v, public: public, key: base64url(private.PublicKey().Bytes())}
	v.words = words{
		internal: "InternalServerError", limited: "TooManyRequests", tell: p.tell,
		knows: func(word string) bool { return pushErrors[word].status != 0 },
	}
	return p, nil
}

// vapid is the pair of keys of the credentials. It follows from the CA's, so it
// outlives a restart with them.
func (id *identity) vapid() *ecdh.PrivateKey { return derive(id.CAKey, "vapid") }

// pushCredentials are those of an app.
func (id *identity) pushCredentials(endpoint string) map[string]any {
	private := id.vapid()
	return map[string]any{
		"endpoint": endpoint, "ca": id.CA, "subject": pushSubject, "allow_private": true,
		"public_key": base64url(private.PublicKey().Bytes()), "private_key": base64url(private.Bytes()),
	}
}

func (p *pusher) tell(w http.ResponseWriter, word string) {
	e := pushErrors[word]
	p.retryAfter(w, e.status)
	writeJSON(w, e.status, map[string]any{"code": e.status, "error": http.StatusText(e.status), "message": e.message})
}

// ServeHTTP takes one message, or issues one subscription.
func (p *pusher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/subscriptions" && r.Method == http.MethodPost {
		p.subscribe(w, r)
		return
	}
	if p.meddle(w, r) {
		return
	}
	browser, ok := strings.CutPrefix(r.URL.Path, pushPath)
	if !ok || browser == "" || r.Method != http.MethodPost {
		p.refuse(w, "NotFound")
		return
	}
	body, err := readBody(r, pushLimit)
	if err != nil {
		return // the client has gone
	}
	if word := p.fault(r, browser, body); word != "" {
		p.refuse(w, word)
		return
	}
	id := newHex()
	p.accept(record{
		token: browser, id: id, collapse: r.Header.Get("Topic"), payload: body,
		read: func(payload []byte, m *Message) { readPush(browser, payload, m) },
	})
	w.Header().Set("Location", p.url+"/message/"+id)
	w.Header().Set("TTL", strconv.Itoa(min(seconds(r.Header.Get("TTL")), pushMaxTTL)))
	w.WriteHeader(http.StatusCreated)
}

// fault finds what the service refuses, in the order of the services we know.
func (p *pusher) fault(r *http.Request, browser string, body []byte) string {
	if word := p.stranger(r); word != "" {
		return word
	}
	topic := r.Header.Get("Topic")
	switch _, dead := p.since(browser); {
	case dead:
		return "Gone"
	case len(body) > pushLimit:
		return "PayloadTooLarge"
	case seconds(r.Header.Get("TTL")) < 0:
		return "BadTTL"
	case r.Header.Get("Urgency") != "" && !isUrgency(r.Header.Get("Urgency")):
		return "BadUrgency"
	case len(topic) > 32 || !isBase64URL(topic):
		return "BadTopic"
	case len(body) > 0 && r.Header.Get("Content-Encoding") != "aes128gcm":
		return "BadEncoding"
	}
	return ""
}

// stranger checks the VAPID token of RFC 8292.
func (p *pusher) stranger(r *http.Request) string {
	token, key, ok := vapidHeader(r.Header.Get("Authorization"))
	if !ok {
		return "Unauthorized"
	}
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience("https://"+r.Host), jwt.WithExpirationRequired(),
	).ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return p.public, nil })
	if err != nil || strings.TrimRight(key, "=") != p.key {
		return "Forbidden"
	}
	subject, _ := claims["sub"].(string)
	mail, isMail := strings.CutPrefix(subject, "mailto:")
	exp, err := claims.GetExpirationTime()
	switch {
	case err != nil || time.Until(exp.Time) > pushMaxLife:
		return "Forbidden"
	case !isMail && !strings.HasPrefix(subject, "https:"), isMail && (!strings.Contains(mail, "@") || strings.ContainsAny(mail, " <>:")):
		return "Forbidden" // Apple wants it so; the standard is content without
	}
	return ""
}

// vapidHeader takes "vapid t=…, k=…" apart.
func vapidHeader(h string) (token, key string, ok bool) {
	scheme, rest, _ := strings.Cut(h, " ")
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			token = value
		case "k":
			key = value
		}
	}
	return token, key, strings.EqualFold(scheme, "vapid") && token != "" && key != ""
}

// subscribe plays PushManager.subscribe: it answers a new browser's
// PushSubscription.
func (p *pusher) subscribe(w http.ResponseWriter, r *http.Request) {
	var options struct {
		Key string `json:"applicationServerKey"`
	}
	body, err := readBody(r, pushLimit)
	if err != nil || json.Unmarshal(body, &options) != nil || strings.TrimRight(options.Key, "=") != p.key {
		p.tell(w, "BadKey")
		return
	}
	writeJSON(w, http.StatusCreated, json.RawMessage(Subscription(p.url, newHex())))
}

// deviceOf is the name under which a vendor knows a device: for a
// PushSubscription the end of its endpoint, and else the token itself.
func deviceOf(vendor, token string) string {
	if vendor == "xmpp" {
		return bareJID(token)
	}
	var s struct{ Endpoint string }
	if vendor != "webpush" || json.Unmarshal([]byte(token), &s) != nil {
		return token
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return token
	}
	return path.Base(u.Path)
}

// readPush decrypts a message as the browser would and reads what Herald's
// service worker reads.
func readPush(browser string, payload []byte, m *Message) {
	text, err := decrypt(browserKey(browser), browserAuth(browser), payload)
	if err != nil {
		m.Body = "(cannot be decrypted)"
		return
	}
	var p struct {
		ID, Notification, Title, Body string
		Data                          map[string]json.RawMessage
	}
	if json.Unmarshal(text, &p) != nil {
		m.Body = string(text) // somebody else's message
		return
	}
	m.Title, m.Body, m.Data = p.Title, p.Body, stringsOf(p.Data)
	m.Data["herald_id"], m.Data["herald_notification"] = p.ID, p.Notification
}

// seconds reads a TTL; -1 if it is none.
func seconds(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

func isUrgency(s string) bool {
	return s == "very-low" || s == "low" || s == "normal" || s == "high"
}
