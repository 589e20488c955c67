package sandbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clientOAuth grants access tokens to one OAuth client: RFC 6749, section 4.4,
// as Huawei and Honor have it.
type clientOAuth struct {
	client, secret string

	mu      sync.RWMutex
	granted map[string]time.Time // access token → its end
}

func newClientOAuth(client, secret string) *clientOAuth {
	return &clientOAuth{client: client, secret: secret, granted: make(map[string]time.Time)}
}

// oauthSecret makes a secret from one that is kept, so that it outlives a
// restart as that one does.
func oauthSecret(id *identity, of string) string {
	mac := hmac.New(sha256.New, []byte(id.SMSSecret))
	mac.Write([]byte(of))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (o *clientOAuth) grant(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	refuse := func(word, description string) {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": word, "error_description": description})
	}
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case r.PostFormValue("grant_type") != "client_credentials":
		refuse("unsupported_grant_type", "not support grant_type")
		return
	case r.PostFormValue("client_id") != o.client,
		subtle.ConstantTimeCompare([]byte(r.PostFormValue("client_secret")), []byte(o.secret)) != 1:
		refuse("invalid_client", "invalid client or client_secret")
		return
	}
	token := rand.Text()
	o.mu.Lock()
	if len(o.granted) >= 10_000 {
		clear(o.granted)
	}
	o.granted[token] = time.Now().Add(accessTokenLife)
	o.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": token, "expires_in": int(accessTokenLife.Seconds()), "token_type": "Bearer",
	})
}

// knows reports whether an Authorization header carries a granted token.
func (o *clientOAuth) knows(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	o.mu.RLock()
	defer o.mu.RUnlock()
	end, granted := o.granted[token]
	return ok && granted && time.Now().Before(end)
}

// isPushToken knows a token by its form, as vague as Huawei's and Honor's are.
func isPushToken(token string) bool {
	return len(token) >= 16 && len(token) <= 4096 && !strings.ContainsAny(token, " \t\r\n")
}

// isLife knows a time to live of at most 15 days, such as "86400s".
func isLife(ttl string) bool {
	if ttl == "" {
		return true
	}
	n, err := strconv.Atoi(strings.TrimSuffix(ttl, "s"))
	return err == nil && strings.HasSuffix(ttl, "s") && n >= 1 && n <= 15*24*3600
}
