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
// another one. "stock" is Firebase's SDK as it comes, on Go's transport and
// OAuth's; "own" the same SDK on Herald's, which sets the token itself; "provider"
// all that Herald does for an attempt. "sdk" is the SDK with nothing below it:
// what no transport can take away.
func BenchmarkEgress(b *testing.B) {
	access := strings.Repeat("a", 200)
	wire := func(b *testing.B, e providers.Engine) (url string, wire http.RoundTripper) {
		url, ca := providertest.Lean(b, 0)
		cfg, err := providers.TLS(ca)
		if err != nil {
			b.Fatal(err)
		}
		return url, e.Transport(cfg, 4)
	}
	b.Run("stock", func(b *testing.B) {
		url, base := wire(b, providers.GoEngine)
		token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: access, TokenType: "Bearer"})
		benchFirebase(b, url, &oauth2.Transport{Source: token, Base: base})
	})
	b.Run("own", func(b *testing.B) {
		url, base := wire(b, providers.OwnEngine)
		benchFirebase(b, url, bearer{"Bearer " + access, base})
	})
	b.Run("provider", benchProvider)
	b.Run("sdk", func(b *testing.B) { benchFirebase(b, "https://nowhere.example", nowhere{}) })
}

// bearer sets the token on a request that the SDK made for it alone.
type bearer struct {
	token string
	base  http.RoundTripper
}

func (t bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header["Authorization"] = []string{t.token}
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

func benchFirebase(b *testing.B, url string, transport http.RoundTripper) {
	client := &http.Client{Transport: transport}
	app, err := firebase.NewApp(b.Context(), &firebase.Config{ProjectID: "demo"}, option.WithEndpoint(url+"/v1"), option.WithHTTPClient(client))
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
