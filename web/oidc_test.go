package web

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuer is a small OpenID Connect provider that lets everybody in as somebody.
// It keeps to the standards where they guard: codes work once, and only with
// the verifier of their challenge and the client's secret.
type issuer struct {
	url string
	key *rsa.PrivateKey

	mu    sync.Mutex
	codes map[string]url.Values // code → what the browser came with
	// bend may change the claims of the next id token.
	bend func(jwt.MapClaims)
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		b64 := base64.RawURLEncoding.EncodeToString
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	i.url = srv.URL
	return i
}

func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != "herald" || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || !strings.Contains(q.Get("scope"), "openid") {
		http.Error(w, "not a code flow with PKCE", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = q
	i.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	asked, ok := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || id != "herald" || secret != "s3cr3t" || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	claims := jwt.MapClaims{
		"iss": i.url, "sub": "u1", "aud": "herald", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
		"nonce": asked.Get("nonce"), "email": "Ann@Example.com", "email_verified": true,
	}
	if i.bend != nil {
		i.bend(claims)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = "k1"
	signed, err := token.SignedString(i.key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": signed})
}

// openWithIssuer starts a site whose people sign in at an issuer.
func openWithIssuer(t *testing.T, f *fake) (*house, *issuer) {
	t.Helper()
	i := startIssuer(t)
	// The address of return is known once the site listens, so that the issuer
	// hears of one that stands for it.
	h := open(t, f, func(c *Config) {
		c.OIDC = &OIDC{Issuer: i.url, ClientID: "herald", ClientSecret: "s3cr3t", Redirect: "http://site.invalid/login/oidc/callback", Name: "Example"}
	})
	return h, i
}

// walk follows a browser's way to the issuer and back; it returns the answer to
// what it brought.
func walk(t *testing.T, v *visitor, change func(url.Values)) (*http.Response, string) {
	t.Helper()
	res, _ := v.get("/login/oidc?next=/sandbox")
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("the way to the issuer: %s", res.Status)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, res.Header.Get("Location"), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, body := v.do(req)
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("the issuer: %s %s", res.Status, body)
	}
	q := back.Query()
	if change != nil {
		change(q)
	}
	return v.get(back.Path + "?" + q.Encode())
}

func TestSigningInAtAnIssuer(t *testing.T) {
	h, _ := openWithIssuer(t, &fake{lively: true, members: map[string]Role{"ann@example.com": Viewer}})
	v := h.stranger(t)
	if _, page := v.get("/login"); !strings.Contains(page, "Sign in with Example") {
		t.Error("the form does not offer it")
	}
	res, body := walk(t, v, nil)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/sandbox" {
		t.Fatalf("back from the issuer: %s to %q\n%s", res.Status, res.Header.Get("Location"), body)
	}
	if _, page := v.get("/"); !strings.Contains(page, "ann@example.com") || !strings.Contains(page, "viewer") {
		t.Error("the page does not say who is signed in")
	}
	if res, _ := v.get("/?app=bank"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an app that she is no member of: %s", res.Status)
	}
	h.mu.Lock()
	delete(h.members, "ann@example.com")
	h.mu.Unlock()
	if res, _ := v.get("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("a page after her membership ended: %s, want the login", res.Status)
	}
}

func TestWhatAnIssuerDoesNotVouchForIsRefused(t *testing.T) {
	tests := map[string]struct {
		bend   func(jwt.MapClaims)
		change func(url.Values)
	}{
		"another state":         {change: func(q url.Values) { q.Set("state", "x") }},
		"another code":          {change: func(q url.Values) { q.Set("code", "x") }},
		"a refusal":             {change: func(q url.Values) { q.Set("error", "access_denied") }},
		"another nonce":         {bend: func(c jwt.MapClaims) { c["nonce"] = "x" }},
		"for another client":    {bend: func(c jwt.MapClaims) { c["aud"] = "x" }},
		"of another issuer":     {bend: func(c jwt.MapClaims) { c["iss"] = "https://evil.example" }},
		"too old":               {bend: func(c jwt.MapClaims) { c["exp"] = 1000 }},
		"an unverified address": {bend: func(c jwt.MapClaims) { c["email_verified"] = false }},
		"no address":            {bend: func(c jwt.MapClaims) { delete(c, "email") }},
		"a member of no app":    {bend: func(c jwt.MapClaims) { c["email"] = "eve@example.com" }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, i := openWithIssuer(t, &fake{members: map[string]Role{"ann@example.com": Admin}})
			i.bend = tt.bend
			v := h.stranger(t)
			if res, body := walk(t, v, tt.change); res.StatusCode != http.StatusForbidden || !strings.Contains(body, `role="alert"`) {
				t.Errorf("%s, want 403 and a reason", res.Status)
			}
			if res, _ := v.get("/"); res.StatusCode != http.StatusSeeOther {
				t.Errorf("signed in all the same: %s", res.Status)
			}
		})
	}
}

func TestACodeIsGoodForItsBrowserAlone(t *testing.T) {
	h, _ := openWithIssuer(t, &fake{members: map[string]Role{"ann@example.com": Admin}})
	thief := h.stranger(t)
	thief.get("/login/oidc")
	var stolen url.Values
	v := h.stranger(t)
	walk(t, v, func(q url.Values) {
		stolen = url.Values{"code": q["code"], "state": q["state"]}
		q.Set("state", "lost")
	})
	if res, _ := thief.get("/login/oidc/callback?" + stolen.Encode()); res.StatusCode != http.StatusForbidden {
		t.Errorf("a code of another browser: %s", res.Status)
	}
}

func TestAnIssuerThatIsAwayStopsNobodyElse(t *testing.T) {
	h := open(t, &fake{}, func(c *Config) {
		c.OIDC = &OIDC{Issuer: "http://127.0.0.1:1", ClientID: "herald", Redirect: "http://site.invalid/login/oidc/callback"}
	})
	v := h.stranger(t)
	if res, body := v.get("/login/oidc"); res.StatusCode != http.StatusBadGateway || !strings.Contains(body, "use a key") {
		t.Errorf("%s, want the form with a reason", res.Status)
	}
	h.withKey(t, "hk_read")
}
