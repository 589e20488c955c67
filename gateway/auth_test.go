package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald/push"
)

func withAuth(auth string) string {
	return strings.Replace(one("\n        call: {backend: main, method: POST, path: /x}\n"), "allow_private: true,", "allow_private: true, auth: "+auth+",", 1)
}

func TestHeraldProvesItselfToTheBackEnd(t *testing.T) {
	tests := map[string]struct {
		auth string
		good func(r *http.Request, body string) bool
	}{
		"a key in a header": {`{type: api_key, header: Authorization, prefix: "Key ", secret: key}`, func(r *http.Request, _ string) bool {
			return r.Header.Get("Authorization") == "Key s3cret-k3y"
		}},
		"a key in the query": {`{type: api_key, query: k, secret: key}`, func(r *http.Request, _ string) bool { return r.URL.Query().Get("k") == "s3cret-k3y" }},
		"a name and a password": {`{type: basic, user: herald, secret: key}`, func(r *http.Request, _ string) bool {
			u, p, _ := r.BasicAuth()
			return u == "herald" && p == "s3cret-k3y"
		}},
		"a signature": {`{type: hmac, secret: key, signing: {payload: "{method} {path} {timestamp} {nonce}\n{body}", nonce_header: X-Nonce}}`, func(r *http.Request, body string) bool {
			m := hmac.New(sha256.New, []byte("s3cret-k3y"))
			fmt.Fprintf(m, "POST /x %s %s\n%s", r.Header.Get("X-Timestamp"), r.Header.Get("X-Nonce"), body)
			return r.Header.Get("X-Signature") == hex.EncodeToString(m.Sum(nil))
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withAuth(tt.auth), func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				answerJSON(fmt.Sprint(tt.good(r, string(body))))(w, r)
			})
			if out, _, e := w.ask("get", `{"a":1}`); out != "true" {
				t.Errorf("the back end was not convinced: %s (%v)", out, e)
			}
		})
	}
}

func TestATokenIsFetchedOnceAndAgainWhenItIsRefused(t *testing.T) {
	var fetched atomic.Int32
	var refuse atomic.Bool
	w := newWorld(t, withAuth(`{type: oauth2, token_url: BACKEND/token, client_id: herald, secret: key}`), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			if id, key, _ := r.BasicAuth(); id != "herald" || key != "s3cret-k3y" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			answerJSON(fmt.Sprintf(`{"access_token":"t%d","token_type":"Bearer","expires_in":3600}`, fetched.Add(1)))(w, r)
			return
		}
		if refuse.CompareAndSwap(true, false) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answerJSON(`"`+r.Header.Get("Authorization")+`"`)(w, r)
	})
	for range 3 {
		if out, _, e := w.ask("get", `{}`); out != `"Bearer t1"` {
			t.Fatalf("the back end saw %s (%v)", out, e)
		}
	}
	refuse.Store(true)
	if out, _, e := w.ask("get", `{}`); out != `"Bearer t2"` || fetched.Load() != 2 {
		t.Errorf("after the token was taken back the back end saw %s (%v), %d tokens were fetched", out, e, fetched.Load())
	}
}

func TestASecretThatIsMissingIsTheBackEndsTroubleAndShownToNobody(t *testing.T) {
	w := newWorld(t, withAuth(`{type: api_key, header: X-Key, secret: other}`), answerJSON(`1`))
	if code, _, e := w.ask("get", `{}`); code != CodeAuth || strings.Contains(e.Detail, "s3cret") {
		t.Errorf("Call() = %v", e)
	}
}

func TestADeclarationIsToldEveryFaultAtOnce(t *testing.T) {
	d, err := ParseYAML([]byte(`
app: demo
service: Jobs
default: "9"
backends:
  main: {url: "file:///etc/passwd", headers: {Host: evil}, timeout_ms: 99999, auth: {type: magic, secret: "env:KEY"}}
versions:
  0: {operations: {}}
  1:
    operations:
      a: {adapt: {version: "1", operation: b}}
      b: {adapt: {version: "1", operation: a}}
      c: {call: {backend: none, method: STEAL, path: "../x", response: ".[", retries: 9}, cache: {per: world}}
      d: {calls: {x: {backend: main, path: /, needs: [y]}, y: {backend: main, path: /, needs: [x, z]}}}
      e: {mock: true}
      f: {call: {backend: main, method: POST, path: /, retries: 1}, cache: {per: app, seconds: 1}, input: {type: thing}, limits: {planet: {per_second: 0}}}
inbound:
  x: {verify: {type: hmac, secret: key, signing: {payload: "{body}"}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var invalid *push.Invalid
	if err := Check(d, Rules{}); !errors.As(err, &invalid) {
		t.Fatalf("Check() = %v", err)
	}
	told := map[string]bool{}
	for _, f := range invalid.Faults {
		told[f.Field] = true
	}
	const at = "versions.1.operations."
	for _, field := range []string{
		"service", "default", "backends.main.url", "backends.main.headers.Host", "backends.main.timeout_ms", "backends.main.auth.type",
		"backends.main.auth.secret", "versions.0", "versions.0.operations", at + "a.adapt", at + "b.adapt", at + "c.call.backend",
		at + "c.call.method", at + "c.call.path", at + "c.call.response", at + "c.call.retries", at + "c.cache.per", at + "d.calls.x.needs",
		at + "d.calls.y.needs", at + "e.examples", at + "f.call.retries", at + "f.cache", at + "f.input", at + "f.limits.planet",
		"inbound.x.notify", "inbound.x.id", "inbound.x.verify.signing.payload",
	} {
		if !told[field] {
			t.Errorf("nothing is told of %s", field)
		}
	}
	if t.Failed() {
		t.Log(invalid)
	}
	if _, err := ParseYAML([]byte("service: [")); !errors.As(err, &invalid) {
		t.Errorf("what is not YAML: %v", err)
	}
	if _, err := ParseYAML([]byte("service: a\ncolour: red")); !errors.As(err, &invalid) || invalid.Faults[0].Field != "colour" {
		t.Errorf("a field that is not known: %v", err)
	}
}

func TestAFaultyFileLeavesItsEarlierFormInForce(t *testing.T) {
	w := newWorld(t, one(plainGet), answerJSON(`{"a":1}`))
	if err := writeService(w.folder, "service: ["); err != nil {
		t.Fatal(err)
	}
	if err := w.Load(t.Context()); err == nil {
		t.Error("Load() takes what is not YAML")
	}
	if out, _, e := w.ask("get", `{}`); out != "1" {
		t.Errorf("afterwards the service answers %s (%v)", out, e)
	}
}

func writeService(folder, text string) error {
	return os.WriteFile(filepath.Join(folder, "service.yaml"), []byte(text), 0o600)
}
