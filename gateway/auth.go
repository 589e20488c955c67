package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// auth proves to a back end that it is Herald who asks.
type auth struct {
	declared Auth
	secret   secret
	client   *http.Client

	mu    sync.Mutex
	token *oauth2.Token // oauth2: used until it ends
	turn  chan struct{} // whose it is to fetch the next
}

// secret finds a secret when it is needed, so that a new one counts at once.
type secret func(ctx context.Context) ([]byte, error)

// Secrets knows the secrets that apps have given.
type Secrets interface {
	GatewaySecret(ctx context.Context, app, name string) ([]byte, error)
}

type noSecrets struct{}

func (noSecrets) GatewaySecret(context.Context, string, string) ([]byte, error) {
	return nil, errors.New("gateway: no secrets are kept here")
}

func (c *compiler) secret(field, name string) secret {
	kind, rest, _ := strings.Cut(name, ":")
	switch {
	case name == "":
		c.faults.Add(field, "is needed: the name of a secret")
	case (kind == "env" || kind == "file") && rest != "":
		if !c.rules.Trusted {
			c.faults.Add(field, "may be env: or file: in the operator's own folder only")
		}
		return func(context.Context) ([]byte, error) { return operatorSecret(kind, rest) }
	default:
		c.name(field, name)
	}
	app, kept := c.d.App, c.rules.Secrets
	if kept == nil {
		kept = noSecrets{}
	}
	return func(ctx context.Context) ([]byte, error) { return kept.GatewaySecret(ctx, app, name) }
}

func operatorSecret(kind, where string) ([]byte, error) {
	if kind == "file" {
		raw, err := os.ReadFile(where)
		return []byte(strings.TrimSpace(string(raw))), err
	}
	if v := os.Getenv(where); v != "" {
		return []byte(v), nil
	}
	return nil, fmt.Errorf("gateway: the environment has no %s", where)
}

func (c *compiler) auth(field string, a Auth, client *http.Client, config *tls.Config) *auth {
	out := &auth{declared: a, client: client, turn: make(chan struct{}, 1), secret: c.secret(field+".secret", a.Secret)}
	switch a.Type {
	case "api_key":
		if (a.Header != "") == (a.Query != "") {
			c.faults.Add(field, "api_key needs one of header and query")
		}
	case "basic":
		if a.User == "" {
			c.faults.Add(field+".user", "is needed")
		}
	case "hmac":
		c.signing(field+".signing", a.Signing)
	case "oauth2":
		c.url(field+".token_url", a.TokenURL)
		if a.ClientID == "" {
			c.faults.Add(field+".client_id", "is needed")
		}
	case "mtls":
		config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pem, err := out.secret(r.Context())
			if err != nil {
				return nil, err
			}
			pair, err := tls.X509KeyPair(pem, pem)
			return &pair, err
		}
	default:
		c.faults.Add(field+".type", "must be api_key, basic, hmac, oauth2 or mtls")
	}
	return out
}

func (c *compiler) signing(field string, s Signing) {
	if !slices.Contains([]string{"", "sha256", "sha512"}, s.Algorithm) {
		c.faults.Add(field+".algorithm", "must be sha256 or sha512")
	}
	if !slices.Contains([]string{"", "hex", "base64"}, s.Encoding) {
		c.faults.Add(field+".encoding", "must be hex or base64")
	}
	for _, m := range holder.FindAllStringSubmatch(s.Payload, -1) {
		if !slices.Contains([]string{"id", "timestamp", "nonce", "method", "path", "query", "body"}, m[1]) {
			c.faults.Addf(field+".payload", "{%s} is none of id, timestamp, nonce, method, path, query, body", m[1])
		}
	}
}

// sign adds the proof to a request.
func (a *auth) sign(ctx context.Context, r *http.Request, body []byte) error {
	d := a.declared
	if d.Type == "mtls" {
		return nil // the handshake is the proof
	}
	if d.Type == "oauth2" {
		token, err := a.bearer(ctx)
		if err != nil {
			return err
		}
		token.SetAuthHeader(r)
		return nil
	}
	key, err := a.secret(ctx)
	if err != nil {
		return err
	}
	switch d.Type {
	case "api_key":
		if d.Query != "" {
			q := r.URL.Query()
			q.Set(d.Query, string(key))
			r.URL.RawQuery = q.Encode()
			return nil
		}
		r.Header.Set(d.Header, d.Prefix+string(key))
	case "basic":
		r.SetBasicAuth(d.User, string(key))
	case "hmac":
		values := map[string]string{
			"timestamp": strconv.FormatInt(time.Now().Unix(), 10), "nonce": rand.Text(),
			"method": r.Method, "path": r.URL.EscapedPath(), "query": r.URL.RawQuery, "body": string(body),
		}
		r.Header.Set(orElse(d.Signing.TimestampHeader, "X-Timestamp"), values["timestamp"])
		if d.Signing.NonceHeader != "" {
			r.Header.Set(d.Signing.NonceHeader, values["nonce"])
		}
		r.Header.Set(orElse(d.Header, "X-Signature"), d.Prefix+d.Signing.sum(key, values))
	}
	return nil
}

// sum is the signature as it is written.
func (s Signing) sum(key []byte, values map[string]string) string {
	raw := s.mac(key, values)
	if s.Encoding == "base64" {
		return base64.StdEncoding.EncodeToString(raw)
	}
	return hex.EncodeToString(raw)
}

func (s Signing) mac(key []byte, values map[string]string) []byte {
	var h func() hash.Hash = sha256.New
	if s.Algorithm == "sha512" {
		h = sha512.New
	}
	m := hmac.New(h, key)
	m.Write([]byte(holder.ReplaceAllStringFunc(orElse(s.Payload, "{timestamp}.{body}"), func(hold string) string {
		return values[hold[1:len(hold)-1]]
	})))
	return m.Sum(nil)
}

// bearer is a token that has not ended. Calls that need one while there is none
// wait for the same.
func (a *auth) bearer(ctx context.Context) (*oauth2.Token, error) {
	if t := a.current(); t != nil {
		return t, nil
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if t := a.current(); t != nil {
		return t, nil
	}
	key, err := a.secret(ctx)
	if err != nil {
		return nil, err
	}
	d := a.declared
	c := clientcredentials.Config{ClientID: d.ClientID, ClientSecret: string(key), TokenURL: d.TokenURL, Scopes: d.Scopes}
	t, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, a.client))
	if err != nil {
		return nil, tokenError(err)
	}
	a.mu.Lock()
	a.token = t
	a.mu.Unlock()
	return t, nil
}

// tokenError leaves out the answer of the token's server, which may repeat the
// secret.
func tokenError(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return fmt.Errorf("gateway: the token's server answered %d %s", refused.Response.StatusCode, refused.ErrorCode)
	}
	return err
}

func (a *auth) current() *oauth2.Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token.Valid() {
		return a.token
	}
	return nil
}

// renew forgets a token that was refused, and tells whether to try again.
func (a *auth) renew() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	had := a.token != nil
	a.token = nil
	return had
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
