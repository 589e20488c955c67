package fcm

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"golang.org/x/oauth2"
	"google.golang.org/api/option"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestMain(m *testing.M) {
	providertest.ServeLean()
	os.Exit(m.Run())
}

// BenchmarkEgress is what a request costs this process alone: the vendor is
// another one. "stock" is Firebase's SDK as it comes: given a token and nothing
// more, it puts Google's telemetry, parameters and OAuth over Go's transport.
// "plain" is the same without the telemetry. "own" is the SDK on Herald's
// transport, which sets the token itself; "provider" all that Herald does for an
// attempt. "sdk" is the SDK with nothing below it: what no transport can take
// away.
func BenchmarkEgress(b *testing.B) {
	access := strings.Repeat("a", 200)
	token := option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: access, TokenType: "Bearer"}))
	client := func(t http.RoundTripper) option.ClientOption {
		return option.WithHTTPClient(&http.Client{Transport: t})
	}
	b.Run("stock", func(b *testing.B) { benchFirebase(b, trusted(b), token) })
	b.Run("plain", func(b *testing.B) { benchFirebase(b, trusted(b), token, option.WithTelemetryDisabled()) })
	b.Run("own", func(b *testing.B) {
		url, ca := providertest.Lean(b, 0)
		cfg, err := providers.TLS(ca)
		if err != nil {
			b.Fatal(err)
		}
		benchFirebase(b, url, client(bearer{[]string{"Bearer " + access}, providers.OwnEngine.Transport(cfg, 4)}))
	})
	b.Run("provider", benchProvider)
	b.Run("sdk", func(b *testing.B) { benchFirebase(b, "https://nowhere.example", client(nowhere{})) })
}

// trusted is a vendor whose certificate Go's own transport trusts while the
// benchmark runs: the SDK makes its transport from that one.
func trusted(b *testing.B) (url string) {
	url, ca := providertest.Lean(b, 0)
	cfg, err := providers.TLS(ca)
	if err != nil {
		b.Fatal(err)
	}
	own := http.DefaultTransport.(*http.Transport)
	before := own.TLSClientConfig
	own.TLSClientConfig = cfg
	b.Cleanup(func() { own.TLSClientConfig = before })
	return url
}

// bearer sets the token on a request that the SDK made for it alone.
type bearer struct {
	token []string
	base  http.RoundTripper
}

func (t bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header["Authorization"] = t.token
	return t.base.RoundTrip(req)
}

// nowhere takes every message.
type nowhere struct{}

func (nowhere) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{}, Request: req,
		Body: io.NopCloser(strings.NewReader(`{"name":"projects/demo/messages/0:1500415314455276%31bd1c9631bd1c96"}`)),
	}, nil
}

func benchFirebase(b *testing.B, url string, options ...option.ClientOption) {
	app, err := firebase.NewApp(b.Context(), &firebase.Config{ProjectID: "demo"}, append(options, option.WithEndpoint(url+"/v1"))...)
	if err != nil {
		b.Fatal(err)
	}
	fcm, err := app.Messaging(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	d := delivery("n1.0.0")
	providertest.Load(b, 500, func(int) error {
		ttl := time.Hour
		_, err := fcm.Send(b.Context(), &messaging.Message{
			Token:        d.Address.Token,
			Data:         map[string]string{"order": "8812", "herald_id": "n1.0.17"},
			Notification: &messaging.Notification{Title: d.Title, Body: d.Body},
			Android: &messaging.AndroidConfig{
				Priority: "high", TTL: &ttl, Notification: &messaging.AndroidNotification{Tag: "order-8812-shipped"},
			},
		})
		return err
	})
}

func benchProvider(b *testing.B) {
	url, ca := providertest.Lean(b, 0)
	c, err := json.Marshal(map[string]any{
		"endpoint": url, "ca": ca,
		"service_account": map[string]string{
			"type": "service_account", "project_id": "demo", "private_key": signingKey(b), "client_email": "a@demo.example",
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	p, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	first := delivery("n1.0.0")
	providertest.Load(b, 500, func(i int) error {
		d := *first
		d.ID = push.DeliveryID("n1", i/100, i%100)
		_, err := p.Send(b.Context(), &d)
		return err
	})
}
