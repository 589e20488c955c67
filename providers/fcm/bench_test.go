package fcm

import (
	"encoding/json"
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
// another one. "stock" is Firebase's SDK on Go's transport, "own" the same on
// ours, "provider" all that Herald does for an attempt.
func BenchmarkEgress(b *testing.B) {
	b.Run("stock", func(b *testing.B) { benchFirebase(b, providers.GoEngine) })
	b.Run("own", func(b *testing.B) { benchFirebase(b, providers.OwnEngine) })
	b.Run("provider", benchProvider)
}

func benchFirebase(b *testing.B, engine providers.Engine) {
	url, ca := providertest.Lean(b, 0)
	cfg, err := providers.TLS(ca)
	if err != nil {
		b.Fatal(err)
	}
	token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: strings.Repeat("a", 200), TokenType: "Bearer"})
	client := &http.Client{Transport: &oauth2.Transport{Source: token, Base: engine.Transport(cfg, 4)}}
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
