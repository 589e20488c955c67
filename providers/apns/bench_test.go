package apns

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sideshow/apns2"
	"golang.org/x/net/http2"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestMain(m *testing.M) {
	providertest.ServeLean()
	os.Exit(m.Run())
}

// BenchmarkEgress is what a request costs this process alone: the vendor is
// another one. "stock" is apns2 on the transport it brings, "own" the same on
// ours, "provider" all that Herald does for an attempt.
func BenchmarkEgress(b *testing.B) {
	b.Run("stock", func(b *testing.B) { benchAPNs2(b, 0, 500, theirTransport) })
	b.Run("own", func(b *testing.B) { benchAPNs2(b, 0, 500, ourTransport(4)) })
	b.Run("provider", func(b *testing.B) { benchProvider(b, 0, 500) })
}

// BenchmarkThousandStreams keeps a thousand requests under way on one connection
// to a vendor that takes 50 ms for each: 20,000/s is what can be had.
func BenchmarkThousandStreams(b *testing.B) {
	const latency = 50 * time.Millisecond
	b.Run("stock", func(b *testing.B) { benchAPNs2(b, latency, 1000, theirTransport) })
	b.Run("own", func(b *testing.B) { benchAPNs2(b, latency, 1000, ourTransport(1)) })
}

func theirTransport(b *testing.B, ca string) http.RoundTripper {
	cfg, err := providers.TLS(ca)
	if err != nil {
		b.Fatal(err)
	}
	return &http2.Transport{TLSClientConfig: cfg, ReadIdleTimeout: 15 * time.Second} //nolint:staticcheck // apns2 has this one
}

func ourTransport(conns int) func(b *testing.B, ca string) http.RoundTripper {
	return func(b *testing.B, ca string) http.RoundTripper {
		cfg, err := providers.TLS(ca)
		if err != nil {
			b.Fatal(err)
		}
		return providers.OwnEngine.Transport(cfg, conns)
	}
}

func benchAPNs2(b *testing.B, latency time.Duration, callers int, transport func(*testing.B, string) http.RoundTripper) {
	url, ca := providertest.Lean(b, latency)
	p := openAt(b, url, ca)
	client := &apns2.Client{Host: url, Token: p.token, HTTPClient: &http.Client{Transport: transport(b, ca)}}
	payload := []byte(`{"aps":{"alert":{"title":"Shipped","body":"Your parcel is on its way"},"sound":"default"},"order":"8812","herald_id":"n1.0.17"}`)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	providertest.Load(b, callers, func(int) error {
		_, err := client.PushWithContext(ctx, &apns2.Notification{
			ApnsID: "8f0d1c9c-6d4f-4b0e-9d4b-0d3a3f3f6a11", CollapseID: "order-8812-shipped", DeviceToken: strings.Repeat("ab", 32),
			Topic: "com.example.app", Expiration: time.Unix(1_900_000_000, 0), Priority: apns2.PriorityHigh,
			PushType: apns2.PushTypeAlert, Payload: payload,
		})
		return err
	})
}

func benchProvider(b *testing.B, latency time.Duration, callers int) {
	url, ca := providertest.Lean(b, latency)
	p := openAt(b, url, ca)
	first := delivery("n1.0.0")
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	providertest.Load(b, callers, func(i int) error {
		d := *first
		d.ID = push.DeliveryID("n1", i/100, i%100)
		_, err := p.Send(ctx, &d)
		return err
	})
}

func openAt(b *testing.B, url, ca string) *Provider {
	c, err := json.Marshal(map[string]string{
		"endpoint": url, "ca": ca, "key_id": "KEY", "team_id": "TEAM", "key": signingKey(b), "topic": "com.example.app",
	})
	if err != nil {
		b.Fatal(err)
	}
	p, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	return p.(*Provider)
}
