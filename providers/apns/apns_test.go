package apns

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service(t)))
}

func TestAnyServerCanPlayApple(t *testing.T) {
	type request struct {
		path   string
		header http.Header
		body   map[string]any
	}
	got := make(chan request, 1)
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("payload: %v", err)
		}
		got <- request{r.URL.Path, r.Header, body}
		w.Header().Set("apns-id", "from-apple")
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	d := delivery("order-8812.0.3")
	d.Data = map[string]string{"order": "8812", "sign": "<&>"}
	d.Class = push.Marketing
	d.Address.Topic = "com.example.other"
	answer, err := f.Provider.Send(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if answer.ID != "from-apple" {
		t.Errorf("Answer.ID = %q", answer.ID)
	}
	r := <-got
	if want := "/3/device/" + d.Address.Token; r.path != want {
		t.Errorf("path = %q, want %q", r.path, want)
	}
	for header, want := range map[string]string{
		"apns-topic": "com.example.other", "apns-priority": "5", "apns-push-type": "alert",
		"apns-collapse-id": "n1", "apns-id": messageID("demo", "order-8812.0.3"),
	} {
		if r.header.Get(header) != want {
			t.Errorf("%s = %q, want %q", header, r.header.Get(header), want)
		}
	}
	if !strings.HasPrefix(r.header.Get("authorization"), "bearer ey") {
		t.Error("there is no bearer token")
	}
	system, _ := r.body["aps"].(map[string]any)
	alert, _ := system["alert"].(map[string]any)
	if alert["title"] != "Shipped" || system["sound"] != "default" {
		t.Errorf("aps = %v", system)
	}
	if r.body["order"] != "8812" || r.body["sign"] != "<&>" || r.body["herald_id"] != d.ID {
		t.Errorf("payload = %v", r.body)
	}
}

func TestGoneSaysSinceWhen(t *testing.T) {
	s := service(t)
	s.Accept = providertest.JSON(410, `{"reason":"Unregistered","timestamp":1700000000000}`)
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	var e *push.Error
	if !errors.As(err, &e) || !e.Since.Equal(time.UnixMilli(1700000000000)) {
		t.Errorf("Send() error = %+v, want it to say since when", err)
	}
}

func TestThrottledSaysHowLong(t *testing.T) {
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "17")
		providertest.JSON(429, `{"reason":"TooManyRequests"}`)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	var e *push.Error
	if !errors.As(err, &e) || e.RetryAfter != 17*time.Second {
		t.Errorf("Send() error = %+v, want RetryAfter 17s", err)
	}
}

func TestBadDeviceTokenIsJudgedByTheOthers(t *testing.T) {
	tests := map[string]struct {
		goods, bads int
		want        error
	}{
		"the first answer ever":              {0, 1, push.ErrRejected},
		"one dead among the living":          {50, 1, push.ErrUnregistered},
		"all are bad: the wrong environment": {0, 30, push.ErrCredentials},
		"more bad than good":                 {15, 30, push.ErrCredentials},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var h tokenHealth
			for range tt.goods {
				h.good()
			}
			var got error
			for range tt.bads {
				got = h.bad()
			}
			if !errors.Is(got, tt.want) {
				t.Errorf("bad() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestExpiredTokenIsSignedAnewOnce(t *testing.T) {
	s := service(t)
	var refused atomic.Bool
	var last atomic.Value
	refused.Store(true)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		last.Store(r.Header.Get("authorization"))
		if refused.Load() {
			providertest.JSON(403, `{"reason":"ExpiredProviderToken"}`)(w, r)
		}
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	send := func() error {
		_, err := p.Send(t.Context(), delivery("n1.0.0"))
		return err
	}
	p.tokens.Young = 1 // nanosecond: every token is old
	if err := send(); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("old token: error = %v, want unavailable", err)
	}
	old := last.Load()
	p.tokens.Young = resignAfter
	for range 2 {
		if err := send(); !errors.Is(err, push.ErrCredentials) {
			t.Errorf("young token: error = %v, want credentials", err)
		}
	}
	young := last.Load()
	refused.Store(false)
	if err := send(); err != nil || young == old || last.Load() != young {
		t.Errorf("error = %v, want one new token in 20 minutes", err)
	}
}

// shelf is a [providers.TokenStore] of one process.
type shelf struct {
	mu    sync.Mutex
	token string
	since time.Time
}

func (s *shelf) Token(context.Context, string) (string, time.Time, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.since, s.since.Add(tokenLife), nil
}

func (s *shelf) Keep(_ context.Context, _, token string, since, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.since = token, since
	return nil
}

func (s *shelf) Turn(context.Context, string, time.Duration) (func(time.Duration), error) {
	return func(time.Duration) {}, nil
}

func TestWorkersCarryOneProviderToken(t *testing.T) {
	s := service(t)
	var mu sync.Mutex
	bearers := make(map[string]int)
	s.Accept = func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		bearers[r.Header.Get("authorization")]++
	}
	var kept shelf
	for range 3 {
		f := providertest.HTTP(s).Start(t, providertest.Accepts)
		f.Provider.(*Provider).ShareTokens(&kept, "demo/apns/1")
		if _, err := f.Provider.Send(t.Context(), delivery("n1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	if len(bearers) != 1 {
		t.Errorf("three workers carried %d tokens, want one", len(bearers))
	}
}

func TestPoolOpensMoreConnectionsWhenStreamsRunOut(t *testing.T) {
	const at = 40
	s := service(t)
	arrived, release := make(chan string, at), make(chan struct{})
	s.Accept = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- r.RemoteAddr
		<-release
	}
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 10} // 40 at once need 4 connections
	p := providertest.HTTP(s).Start(t, providertest.Accepts).Provider
	done := make(chan error, at)
	for i := range at {
		go func() {
			_, err := p.Send(t.Context(), delivery(push.DeliveryID("n1", 0, i)))
			done <- err
		}()
	}
	peers := map[string]int{}
	for range at {
		peers[<-arrived]++
	}
	close(release)
	for range at {
		if err := <-done; err != nil {
			t.Errorf("Send() error = %v", err)
		}
	}
	if len(peers) != at/10 {
		t.Errorf("%d connections carried %d requests of at most 10 each", len(peers), at)
	}
}

func TestOpenTellsEveryFaultAndNoSecret(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"ftp://x","key":"s3cret","ca":"s3cret"}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 6 {
		t.Fatalf("New() error = %v, want six faults", err)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("New() error tells a secret: %v", err)
	}
}

func TestEveryRowOfTheTableCanBeUsed(t *testing.T) {
	if _, err := providers.ParseCodes(codesJSON); err != nil {
		t.Error(err)
	}
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "on its way",
			ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: strings.Repeat("ab", 32)},
	}
}

func service(t *testing.T) providertest.Service {
	p8 := signingKey(t)
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("<", 800) // six bytes each in JSON
	refuse := func(status int, reason string, kind error) providertest.Refusal {
		return providertest.Refusal{Answer: providertest.JSON(status, `{"reason":"`+reason+`"}`), Kind: kind}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			c, _ := json.Marshal(map[string]string{
				"endpoint": endpoint, "ca": ca, "key_id": "KEY", "team_id": "TEAM", "key": p8, "topic": "com.example.app",
			})
			p, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept:   func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("apns-id", "A1") },
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{p8[30:60], "bearer ey"},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"app was deleted":              refuse(410, "Unregistered", push.ErrUnregistered),
			"token expired":                refuse(410, "ExpiredToken", push.ErrUnregistered),
			"bad token, nothing known":     refuse(400, "BadDeviceToken", push.ErrRejected),
			"token of another app":         refuse(400, "DeviceTokenNotForTopic", push.ErrCredentials),
			"wrong key":                    refuse(403, "InvalidProviderToken", push.ErrCredentials),
			"payload too large":            refuse(413, "PayloadTooLarge", push.ErrRejected),
			"one device too often":         refuse(429, "TooManyRequests", push.ErrThrottled),
			"apple is down":                refuse(503, "ServiceUnavailable", push.ErrUnavailable),
			"apple breaks":                 refuse(500, "InternalServerError", push.ErrUnavailable),
			"a reason nobody has heard of": refuse(400, "BadMoon", push.ErrRejected),
			"a reason with a secret in it": refuse(400, strings.Repeat("ab", 32)+" is bad", push.ErrRejected),
		},
	}
}

// signingKey makes a .p8 file.
func signingKey(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// credentials are good, and lead nowhere.
func credentials(t *testing.T) []byte {
	c, _ := json.Marshal(map[string]string{"key_id": "KEY", "team_id": "TEAM", "key": signingKey(t), "topic": "com.example.app"})
	return c
}
