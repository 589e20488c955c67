package webpush

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// capability is the part of an endpoint that nobody else may know.
const capability = "gAAAAAB-capability"

// token is a subscription with the keys of RFC 8291, appendix A.
const token = `{"endpoint":"https://push.example.com/wpush/v2/` + capability + `","expirationTime":null,"keys":{` +
	`"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",` +
	`"auth":"BTBZMqHH6r4Tts7J_aSIgg"}}`

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service(t)))
}

func TestRequestIsWhatTheStandardsSay(t *testing.T) {
	tests := map[string]struct {
		class   push.Class
		expires time.Duration
		urgency string
		ttl     []string
	}{
		"a call":               {push.Call, time.Minute, "high", []string{"59", "60"}},
		"a chat":               {push.Chat, time.Hour, "normal", []string{"3599", "3600"}},
		"an offer":             {push.Marketing, 90 * 24 * time.Hour, "low", []string{"2419200"}},
		"something that is up": {push.OTP, -time.Minute, "high", []string{"0"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			var got *http.Request
			var size int64
			s.Accept = func(w http.ResponseWriter, r *http.Request) {
				got = r
				size, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Location", "https://push.example.com/message/m1")
				w.WriteHeader(http.StatusCreated)
			}
			f := providertest.HTTP(s).Start(t, providertest.Accepts)
			d := delivery("n1.0.0")
			d.Class, d.ExpiresAt = tt.class, time.Now().Add(tt.expires)
			answer, err := f.Provider.Send(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if answer.ID != "m1" || int64(answer.Bytes) != size {
				t.Errorf("Answer = %+v for a body of %d bytes", answer, size)
			}
			if got.URL.Path != "/wpush/v2/"+capability || got.Header.Get("Content-Encoding") != "aes128gcm" {
				t.Errorf("%s, headers %v", got.URL.Path, got.Header)
			}
			if u := got.Header.Get("Urgency"); u != tt.urgency {
				t.Errorf("Urgency = %q, want %q", u, tt.urgency)
			}
			if v := got.Header.Get("TTL"); v != tt.ttl[0] && v != tt.ttl[len(tt.ttl)-1] {
				t.Errorf("TTL = %q, want %v", v, tt.ttl)
			}
			if v := got.Header.Get("Topic"); len(v) != 32 || strings.Trim(v, urlSafe) != "" {
				t.Errorf("Topic = %q, want 32 characters of base64url", v)
			}
			if !strings.HasPrefix(got.Header.Get("Authorization"), "vapid t=") {
				t.Errorf("Authorization = %.10q…", got.Header.Get("Authorization"))
			}
		})
	}
}

const urlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestTopicFollowsTheCollapseKey(t *testing.T) {
	a, b, c := delivery("n1.0.0"), delivery("n2.0.0"), delivery("n3.0.0")
	a.CollapseKey, b.CollapseKey = "score", "score"
	topic := func(d *push.Delivery) string { return new(sealed).topic(d) }
	if topic(a) != topic(b) {
		t.Error("the same collapse key has two topics")
	}
	if topic(a) == topic(c) || topic(c) != topic(delivery("n3.0.0")) {
		t.Error("without a collapse key the topic is not the delivery's own")
	}
}

func TestLargestMessageFits(t *testing.T) {
	f := providertest.HTTP(service(t)).Start(t, providertest.Accepts)
	d := delivery("n1.0.0")
	d.Body = ""
	empty, err := json.Marshal(message{ID: d.ID, Notification: "n1", Title: d.Title, Data: d.Data, Body: "x"})
	if err != nil {
		t.Fatal(err)
	}
	d.Body = strings.Repeat("x", limit-overhead-len(empty)+1)
	if answer, err := f.Provider.Send(t.Context(), d); err != nil || answer.Bytes != limit {
		t.Fatalf("Send() = %+v, %v, want %d bytes", answer, err, limit)
	}
	d.Body += "x"
	if _, err := f.Provider.Send(t.Context(), d); !errors.Is(err, push.ErrRejected) {
		t.Errorf("one byte more: Send() error = %v, want rejected", err)
	}
}

func TestSubscriptionThatCannotBeUsed(t *testing.T) {
	good := func(old, replacement string) string { return strings.Replace(token, old, replacement, 1) }
	tests := map[string]struct{ token, field string }{
		"not JSON":             {capability, "token "},
		"no endpoint":          {`{"keys":{}}`, "token.endpoint is missing"},
		"plain http":           {good("https:", "http:"), "token.endpoint must be https"},
		"another protocol":     {good("https:", "file:"), "token.endpoint must be https"},
		"a password":           {good("push.", "user:pass@push."), "token.endpoint is not an address"},
		"a key off the curve":  {good("BCVx", "BCVy"), "token.keys.p256dh"},
		"a secret cut short":   {good("BTBZ", ""), "token.keys.auth"},
		"an endless token":     {good("wpush", strings.Repeat("x", maxToken)), "token "},
		"an unreadable escape": {good("wpush", "%zz"), "token.endpoint is not an address"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := open(t, nil)
			d := delivery("n1.0.0")
			d.Address.Token = tt.token
			_, err := p.Send(t.Context(), d)
			e, ok := errors.AsType[*push.Error](err)
			if !ok || !errors.Is(err, push.ErrUnreachable) || !strings.Contains(e.Detail, tt.field) {
				t.Errorf("Send() error = %v, want unreachable for %q", err, tt.field)
			}
			if strings.Contains(err.Error(), capability) {
				t.Errorf("Send() error tells the endpoint: %v", err)
			}
		})
	}
}

func TestSubscriptionMayNotLeadIntoThePrivateNetwork(t *testing.T) {
	knocked := false
	inside := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		knocked = true
		w.WriteHeader(http.StatusCreated)
	}))
	defer inside.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(inside.URL, "https://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "10.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			p := open(t, nil)
			d := delivery("n1.0.0")
			d.Address.Token = strings.Replace(token, "push.example.com", host+":"+port, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := p.Send(ctx, d)
			if !errors.Is(err, push.ErrUnreachable) {
				t.Errorf("Send() error = %v, want unreachable", err)
			}
			if strings.Contains(err.Error(), capability) || strings.Contains(err.Error(), port) {
				t.Errorf("Send() error tells too much: %v", err)
			}
		})
	}
	if knocked {
		t.Error("a request came in")
	}
}

func TestErrorsNeverTellTheEndpoint(t *testing.T) {
	s := service(t)
	for _, b := range []providertest.Behaviour{
		providertest.Cuts, providertest.RefusesToTalk, providertest.BadCertificate, providertest.AcceptsHTML, providertest.AnswersHTML, "gone", "a redirect",
	} {
		t.Run(string(b), func(t *testing.T) {
			f := providertest.HTTP(s).Start(t, b)
			_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
			if err == nil || strings.Contains(err.Error(), capability) {
				t.Errorf("Send() error = %v", err)
			}
		})
	}
}

func TestThrottledForAsLongAsTheServiceSays(t *testing.T) {
	s := service(t)
	s.Accept = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	if e, ok := errors.AsType[*push.Error](err); !ok || e.RetryAfter != 7*time.Second || e.Code != "429" {
		t.Errorf("Send() error = %+v, want throttled for 7s", err)
	}
}

func TestOpenTellsEveryFault(t *testing.T) {
	private, public, err := library.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := library.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		credentials string
		fields      []string
	}{
		"nothing":                  {`{}`, []string{"subject", "public_key", "private_key"}},
		"nothing that is right":    {`{"endpoint":"http://x","subject":"me","public_key":"!","private_key":"AAAA"}`, []string{"endpoint", "subject", "public_key", "private_key"}},
		"keys of two pairs":        {`{"subject":"mailto:ops@example.com","public_key":"` + public + `","private_key":"` + other + `"}`, []string{"public_key"}},
		"a name beside the mail":   {`{"subject":"mailto:Ops <ops@example.com>","public_key":"` + public + `","private_key":"` + private + `"}`, []string{"subject"}},
		"a certificate that isn't": {`{"ca":"x","subject":"https://example.com/push","public_key":"` + public + `","private_key":"` + private + `"}`, []string{"ca"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New([]byte(tt.credentials))
			invalid, ok := errors.AsType[*push.Invalid](err)
			if !ok || len(invalid.Faults) != len(tt.fields) {
				t.Fatalf("New() error = %v, want faults of %v", err, tt.fields)
			}
			for i, f := range invalid.Faults {
				if f.Field != tt.fields[i] {
					t.Errorf("fault %d is of %q, want %q", i, f.Field, tt.fields[i])
				}
			}
			if strings.Contains(err.Error(), other) || strings.Contains(err.Error(), private) {
				t.Errorf("New() error tells the key: %v", err)
			}
		})
	}
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "Your parcel is on its way",
			Data: map[string]string{"order": "8812"}, ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "browser-1",
		Address: push.Address{Provider: name, Token: token},
	}
}

// open opens a provider with new keys and these more credentials.
func open(t *testing.T, more map[string]any) *Provider {
	t.Helper()
	private, public, err := library.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	c := map[string]any{"subject": "mailto:ops@example.com", "public_key": public, "private_key": private}
	maps.Copy(c, more)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.(*Provider).CloseIdleConnections)
	return p.(*Provider)
}

func service(t *testing.T) providertest.Service {
	private, public, err := library.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", limit)
	refuse := func(status int, body string, kind error) providertest.Refusal {
		return providertest.Refusal{Answer: providertest.JSON(status, body), Kind: kind}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			return open(t, map[string]any{
				"endpoint": endpoint, "ca": ca, "allow_private": true, "public_key": public, "private_key": private,
			})
		},
		Accept: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Location", "/message/m1")
			w.WriteHeader(http.StatusCreated)
		},
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{private, capability, "BTBZMqHH6r4Tts7J_aSIgg"},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"a header is wrong":     refuse(400, `{"code":400,"errno":112,"error":"Bad Request","message":"Invalid TTL header"}`, push.ErrRejected),
			"another key, at Apple": refuse(400, `{"reason":"VapidPkHashMismatch"}`, push.ErrPolicy),
			"no token":              refuse(401, `{"code":401,"errno":109,"error":"Unauthorized"}`, push.ErrCredentials),
			"a token Apple refuses": refuse(403, `{"reason":"BadJwtToken"}`, push.ErrCredentials),
			"never there":           refuse(404, `{"code":404,"errno":102}`, push.ErrUnregistered),
			"gone":                  refuse(410, "push subscription "+capability+" has unsubscribed or expired.", push.ErrUnregistered),
			"too large there":       refuse(413, ``, push.ErrRejected),
			"too fast":              refuse(429, ``, push.ErrThrottled),
			"broken":                refuse(500, ``, push.ErrUnavailable),
			"busy":                  refuse(503, `{"errno":201}`, push.ErrUnavailable),
			"a redirect":            {Answer: http.RedirectHandler("https://127.0.0.1:1/"+capability, http.StatusTemporaryRedirect).ServeHTTP, Kind: push.ErrRejected},
		},
	}
}
