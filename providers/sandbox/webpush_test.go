package sandbox_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestBrowserSubscribesAndShowsWhatItDecrypts(t *testing.T) {
	s := start(t, sandbox.Config{})
	var keys struct {
		Public string `json:"public_key"`
	}
	if err := json.Unmarshal(s.Credentials("webpush"), &keys); err != nil {
		t.Fatal(err)
	}
	status, token := post(t, s, "/subscriptions", nil, `{"applicationServerKey":"`+keys.Public+`"}`)
	if status != http.StatusCreated {
		t.Fatalf("subscribe: %d %s", status, token)
	}
	d := delivery("webpush", "n1.0.0")
	d.Address.Token = token
	if _, err := open(t, s, "webpush", "").Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if shows := s.Shows("webpush", token); len(shows) != 1 || shows[0].Title != "Shipped" || shows[0].Data["order"] != "8812" {
		t.Errorf("the browser shows %+v", shows)
	}
	if status, _ := post(t, s, "/subscriptions", nil, `{"applicationServerKey":"`+strings.Repeat("A", 87)+`"}`); status != 400 {
		t.Errorf("subscribe with another key: %d, want 400", status)
	}
}

func TestMessageForAnotherBrowserCannotBeRead(t *testing.T) {
	s := start(t, sandbox.Config{})
	mine := sandbox.Subscription(s.URL("webpush"), "browser-1")
	d := delivery("webpush", "n1.0.0")
	d.Address.Token = strings.Replace(mine, "/push/browser-1", "/push/browser-2", 1)
	if _, err := open(t, s, "webpush", "").Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if shows := s.Shows("webpush", "browser-2"); len(shows) != 1 || strings.Contains(shows[0].Body, "on its way") {
		t.Errorf("the browser shows %+v", shows)
	}
}

func TestPushServiceKnowsItsSenders(t *testing.T) {
	s := start(t, sandbox.Config{})
	var elsewhere, c map[string]any
	if err := json.Unmarshal(start(t, sandbox.Config{}).Credentials("webpush"), &elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(s.Credentials("webpush"), &c); err != nil {
		t.Fatal(err)
	}
	c["public_key"], c["private_key"] = elsewhere["public_key"], elsewhere["private_key"]
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openers("")["webpush"](text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), delivery("webpush", "n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("with another sandbox's keys: Send() error = %v, want credentials", err)
	}
}

func TestPushServiceChecksEveryHeader(t *testing.T) {
	s := start(t, sandbox.Config{})
	day := time.Now().Add(20 * time.Hour).Unix()
	origin := s.URL("webpush")
	good := jwt.MapClaims{"aud": origin, "exp": day, "sub": "mailto:ops@example.com"}
	tests := map[string]struct {
		claims jwt.MapClaims // nil for no Authorization
		header map[string]string
		size   int
		want   int
	}{
		"all is well":                    {good, nil, 200, 201},
		"nothing but a TTL":              {good, nil, 0, 201},
		"as large as may be":             {good, nil, 4096, 201},
		"a byte more":                    {good, nil, 4097, 413},
		"no token":                       {nil, nil, 200, 401},
		"a token for elsewhere":          {jwt.MapClaims{"aud": "https://push.example.com", "exp": day, "sub": "mailto:ops@example.com"}, nil, 200, 403},
		"a token without end":            {jwt.MapClaims{"aud": origin, "sub": "mailto:ops@example.com"}, nil, 200, 403},
		"a token of too long a life":     {jwt.MapClaims{"aud": origin, "exp": day + 20*3600, "sub": "mailto:ops@example.com"}, nil, 200, 403},
		"a token that has ended":         {jwt.MapClaims{"aud": origin, "exp": day - 24*3600, "sub": "mailto:ops@example.com"}, nil, 200, 403},
		"a subject with mailto: twice":   {jwt.MapClaims{"aud": origin, "exp": day, "sub": "mailto:mailto:ops@example.com"}, nil, 200, 403},
		"no subject":                     {jwt.MapClaims{"aud": origin, "exp": day}, nil, 200, 403},
		"no TTL":                         {good, map[string]string{"TTL": ""}, 200, 400},
		"a TTL that is none":             {good, map[string]string{"TTL": "-1"}, 200, 400},
		"an urgency that is none":        {good, map[string]string{"Urgency": "critical"}, 200, 400},
		"a topic of 32":                  {good, map[string]string{"Topic": strings.Repeat("a", 32)}, 200, 201},
		"a topic of 33":                  {good, map[string]string{"Topic": strings.Repeat("a", 33)}, 200, 400},
		"a topic with a slash":           {good, map[string]string{"Topic": "a/b"}, 200, 400},
		"the draft's encoding":           {good, map[string]string{"Content-Encoding": "aesgcm"}, 200, 400},
		"a browser that is not so named": {good, map[string]string{":path": "/elsewhere"}, 200, 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			header := map[string]string{"TTL": "60", "Content-Encoding": "aes128gcm", ":path": "/push/browser-1"}
			if tt.claims != nil {
				header["Authorization"] = vapid(t, s, tt.claims)
			}
			maps.Copy(header, tt.header)
			status, answer := post(t, s, header[":path"], header, strings.Repeat("x", tt.size))
			if status != tt.want {
				t.Errorf("answer %d %s, want %d", status, answer, tt.want)
			}
		})
	}
}

// vapid makes the Authorization header of these claims with the credentials'
// keys.
func vapid(t *testing.T, s *sandbox.Sandbox, claims jwt.MapClaims) string {
	t.Helper()
	var c struct {
		Public  string `json:"public_key"`
		Private string `json:"private_key"`
	}
	if err := json.Unmarshal(s.Credentials("webpush"), &c); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(c.Private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return "vapid t=" + token + ", k=" + c.Public
}

// client trusts the sandbox's CA.
func client(t *testing.T, s *sandbox.Sandbox) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.CA()))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func post(t *testing.T, s *sandbox.Sandbox, path string, header map[string]string, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL("webpush")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range header {
		if value != "" && key[0] != ':' {
			req.Header.Set(key, value)
		}
	}
	res, err := client(t, s).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
