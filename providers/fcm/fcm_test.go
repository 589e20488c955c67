package fcm

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
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

func TestAnyServerCanPlayGoogle(t *testing.T) {
	var path, bearer string
	var body map[string]map[string]any
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		path, bearer = r.URL.Path, r.Header.Get("Authorization")
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("body: %v", err)
		}
		providertest.JSON(200, `{"name":"projects/p1/messages/1"}`)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	d := delivery("order-8812.0.3")
	d.Data = map[string]string{"order": "8812"}
	d.CollapseKey = "order-8812"
	answer, err := f.Provider.Send(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if answer.ID != "projects/p1/messages/1" {
		t.Errorf("Answer.ID = %q", answer.ID)
	}
	if path != "/v1/projects/p1/messages:send" || bearer != "Bearer access-1" {
		t.Errorf("path %q, authorization %q", path, bearer)
	}
	m := body["message"]
	android := m["android"].(map[string]any)
	if m["token"] != d.Address.Token || android["collapse_key"] != "order-8812" || android["priority"] != "high" || android["ttl"] != "3600s" {
		t.Errorf("message = %v", m)
	}
	if data := m["data"].(map[string]any); data["order"] != "8812" || data["herald_id"] != d.ID {
		t.Errorf("data = %v", data)
	}
}

func TestServiceThatIsDownIsAskedOnceAndSaysWhen(t *testing.T) {
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "30")
		refusal(503, "UNAVAILABLE", "UNAVAILABLE", "")(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	begin := time.Now()
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	var e *push.Error
	if !errors.As(err, &e) || !errors.Is(err, push.ErrUnavailable) || e.RetryAfter != 30*time.Second {
		t.Errorf("Send() error = %+v, want unavailable for 30s", err)
	}
	if f.Attempts() != 1 || time.Since(begin) > 5*time.Second {
		t.Errorf("%d attempts in %v", f.Attempts(), time.Since(begin))
	}
}

func TestFaultyFieldIsNamed(t *testing.T) {
	for field, want := range map[string]string{
		"message.android.ttl":   "INVALID_ARGUMENT: a field of the message is invalid: message.android.ttl",
		"message.data.s3cret":   "INVALID_ARGUMENT: a field of the message is invalid",
		"registration-token-of": "INVALID_ARGUMENT: a field of the message is invalid",
	} {
		s := service(t)
		s.Accept = refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", field)
		_, err := providertest.HTTP(s).Start(t, providertest.Accepts).Provider.Send(t.Context(), delivery("n1.0.0"))
		var e *push.Error
		if !errors.As(err, &e) || e.Detail != want {
			t.Errorf("%s: Send() error = %+v, want the detail %q", field, err, want)
		}
	}
}

func TestRefusedAccessTokenIsFetchedAnewOnce(t *testing.T) {
	s := service(t)
	s.Accept = refusal(401, "UNAUTHENTICATED", "", "")
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("young token: error = %v, want credentials", err)
	}
	p.tokens.Young = 1 // nanosecond: every token is old
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("old token: error = %v, want unavailable", err)
	}
}

func TestTokenEndpointsRefusals(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"service account was deleted": {providertest.JSON(400, `{"error":"invalid_grant","error_description":"s3cret"}`), push.ErrCredentials},
		"endpoint is down":            {providertest.JSON(503, `s3cret`), push.ErrUnavailable},
		"endpoint answers html":       {providertest.JSON(200, `<html>s3cret`), push.ErrUnavailable},
		"there is no token":           {providertest.JSON(200, `{"note":"s3cret"}`), push.ErrUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			s.Aside = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					tt.answer(w, r)
				}
				return r.URL.Path == "/token"
			}
			f := providertest.HTTP(s).Start(t, providertest.Accepts)
			_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
			if !errors.Is(err, tt.want) {
				t.Errorf("Send() error = %v, want %v", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "s3cret") {
				t.Errorf("Send() error tells what the endpoint wrote: %v", err)
			}
			if f.Attempts() != 0 {
				t.Error("a message was sent without a token")
			}
		})
	}
}

func TestOpenTellsEveryFaultAndNoSecret(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"x","service_account":{"type":"user","private_key":"s3cret","project_id":""}}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 5 {
		t.Fatalf("New() error = %v, want five faults", err)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("New() error tells a secret: %v", err)
	}
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "on its way",
			ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: "registration-token-of-phone-1"},
	}
}

// refusal answers as Google's APIs do; word and field may be empty.
func refusal(status int, canonical, word, field string) http.HandlerFunc {
	details := []string{}
	if word != "" {
		details = append(details, `{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"`+word+`"}`)
	}
	if field != "" {
		details = append(details, `{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"`+field+`","description":"bad"}]}`)
	}
	return providertest.JSON(status, fmt.Sprintf(`{"error":{"code":%d,"message":"registration-token-of-phone-1 is bad","status":%q,"details":[%s]}}`,
		status, canonical, strings.Join(details, ",")))
}

func signingKey(t testing.TB) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func service(t *testing.T) providertest.Service {
	text := signingKey(t)
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 4097)
	var granted atomic.Int64
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			granted.Store(0)
			c, _ := json.Marshal(map[string]any{
				"endpoint": endpoint, "ca": ca,
				"service_account": map[string]string{
					"type": "service_account", "project_id": "p1", "private_key": text, "client_email": "a@p1.example",
				},
			})
			p, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept: providertest.JSON(200, `{"name":"projects/p1/messages/1"}`),
		Aside: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" {
				return false
			}
			if r.FormValue("assertion") == "" {
				t.Error("the token endpoint was sent no assertion")
			}
			providertest.JSON(200, fmt.Sprintf(`{"access_token":"access-%d","expires_in":3600,"token_type":"Bearer"}`, granted.Add(1)))(w, r)
			return true
		},
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{text[40:70], "access-1"},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"app was deleted":            {Answer: refusal(404, "NOT_FOUND", "UNREGISTERED", ""), Kind: push.ErrUnregistered},
			"no such project":            {Answer: refusal(404, "NOT_FOUND", "", ""), Kind: push.ErrCredentials},
			"the token is no token":      {Answer: refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.token"), Kind: push.ErrUnregistered},
			"a field is wrong":           {Answer: refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.data"), Kind: push.ErrRejected},
			"token of another project":   {Answer: refusal(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", ""), Kind: push.ErrUnregistered},
			"account may not send":       {Answer: refusal(403, "PERMISSION_DENIED", "", ""), Kind: push.ErrCredentials},
			"apns key in firebase wrong": {Answer: refusal(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", ""), Kind: push.ErrCredentials},
			"too fast":                   {Answer: refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", ""), Kind: push.ErrThrottled},
			"google breaks":              {Answer: refusal(500, "INTERNAL", "INTERNAL", ""), Kind: push.ErrUnavailable},
			"google is down":             {Answer: refusal(503, "UNAVAILABLE", "UNAVAILABLE", ""), Kind: push.ErrUnavailable},
		},
	}
}
