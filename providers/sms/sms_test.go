package sms

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

const callback = "https://herald.example.com/v1/callbacks/sms"

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service()))
}

func TestAnyServerCanPlayTheService(t *testing.T) {
	got := make(chan *http.Request, 1)
	s := service()
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- r
		providertest.JSON(201, `{"sid":"SM1"}`)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	d := delivery("order-8812.0.3")
	d.Body = strings.Repeat("x", 200)
	answer, err := f.Provider.Send(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if answer.ID != "SM1" || answer.CostMicros != 2*7900 {
		t.Errorf("Answer = %+v, want SM1 for two segments at 0.0079", answer)
	}
	r := <-got
	if user, secret, _ := r.BasicAuth(); user != "AC1" || secret != "auth-s3cret" {
		t.Errorf("basic auth %q %q", user, secret)
	}
	if r.URL.Path != "/2010-04-01/Accounts/AC1/Messages.json" || r.PostForm.Get("To") != "+15551234567" || r.PostForm.Get("From") != "+15550100" {
		t.Errorf("%s %v", r.URL.Path, r.PostForm)
	}
	if want := callback + "?app=demo&delivery=order-8812.0.3&device=phone-1"; r.PostForm.Get("StatusCallback") != want {
		t.Errorf("StatusCallback = %q, want %q", r.PostForm.Get("StatusCallback"), want)
	}
	if v := r.PostForm.Get("ValidityPeriod"); v != "3599" && v != "3600" {
		t.Errorf("ValidityPeriod = %q", v)
	}
}

func TestCallbackBecomesAReceipt(t *testing.T) {
	tests := map[string]struct {
		status, code string
		want         push.Stage
		kind         string
	}{
		"the network took it":   {"sent", "", push.HandedOver, ""},
		"the phone has it":      {"delivered", "", push.Delivered, ""},
		"nobody has the number": {"undelivered", "30005", push.Failed, "unregistered"},
		"the carrier filtered":  {"failed", "30007", push.Failed, "policy"},
		"still on its way":      {"queued", "", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := open1(t)
			form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {tt.status}, "ErrorCode": {tt.code}}
			query := "app=demo&delivery=order-8812.0.3&device=phone-1"
			rs, err := p.Callback(request(t, query, sign(form, callback+"?"+query, "auth-s3cret")), []byte(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if len(rs) != 0 {
					t.Errorf("receipts = %+v, want none", rs)
				}
				return
			}
			if len(rs) != 1 {
				t.Fatalf("%d receipts, want 1", len(rs))
			}
			r := rs[0]
			if r.Stage != tt.want || r.Kind != tt.kind || r.Source != push.VendorCallback {
				t.Errorf("receipt = %+v", r)
			}
			if r.App != "demo" || r.Notification != "order-8812" || r.Delivery != "order-8812.0.3" || r.Device != "phone-1" || r.ProviderID != "SM1" {
				t.Errorf("receipt = %+v", r)
			}
		})
	}
}

func TestCallbackThatIsNotTheServicesIsRefused(t *testing.T) {
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}
	query := "app=demo&delivery=order-8812.0.3&device=phone-1"
	good := sign(form, callback+"?"+query, "auth-s3cret")
	tests := map[string]struct{ query, signature, body string }{
		"no signature":               {query, "", form.Encode()},
		"signed with another secret": {query, sign(form, callback+"?"+query, "guess"), form.Encode()},
		"about another delivery":     {strings.Replace(query, "8812.0.3", "8812.0.4", 1), good, form.Encode()},
		"with another status":        {query, good, "MessageSid=SM1&MessageStatus=read"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := open1(t).Callback(request(t, tt.query, tt.signature), []byte(tt.body))
			if !errors.Is(err, push.ErrCredentials) {
				t.Errorf("Callback() error = %v, want credentials", err)
			}
		})
	}
}

// The example of www.twilio.com/docs/usage/security.
func TestSignatureIsTwilios(t *testing.T) {
	form := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"},
		"From": {"+14158675309"}, "To": {"+18005551212"},
	}
	got := sign(form, "https://mycompany.com/myapp.php?foo=1&bar=2", "12345")
	if want := "RSOYDt4T1cUTdK1PDd93/VVr8B8="; got != want {
		t.Errorf("sign() = %q, want %q", got, want)
	}
}

func TestOpenTellsEveryFault(t *testing.T) {
	_, err := Opener("")([]byte(`{"endpoint":"ftp://x","price_per_segment":-1}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 5 {
		t.Errorf("open error = %v, want five faults", err)
	}
}

func request(t *testing.T, query, signature string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/callbacks/sms?"+query, nil)
	r.Header.Set("X-Twilio-Signature", signature)
	return r
}

func open1(t *testing.T) *Provider {
	p := service().Open(t, "http://127.0.0.1:1", "")
	return p.(*Provider)
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.OTP, Title: "Herald", Body: "Your code is 123456",
			ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: "+15551234567"},
	}
}

func service() providertest.Service {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 1601)
	refuse := func(status int, code string, kind error) providertest.Refusal {
		return providertest.Refusal{
			Answer: providertest.JSON(status, `{"code":`+code+`,"message":"+15551234567 is bad","status":400}`), Kind: kind,
		}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			c, _ := json.Marshal(map[string]any{
				"endpoint": endpoint, "ca": ca, "account": "AC1", "secret": "auth-s3cret", "from": "+15550100", "price_per_segment": 0.0079,
			})
			p, err := Opener(callback)(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept:   providertest.JSON(201, `{"sid":"SM1","status":"queued"}`),
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{"auth-s3cret", "QUMxOmF1dGgtczNjcmV0"},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"wrong secret":         refuse(401, "20003", push.ErrCredentials),
			"too fast":             refuse(429, "20429", push.ErrThrottled),
			"not a number":         refuse(400, "21211", push.ErrUnregistered),
			"opted out":            refuse(400, "21610", push.ErrPolicy),
			"queue is full":        refuse(429, "21611", push.ErrThrottled),
			"service breaks":       refuse(500, "20500", push.ErrUnavailable),
			"a code nobody knows":  refuse(400, "99999", push.ErrRejected),
			"a redirect somewhere": {Answer: http.RedirectHandler("https://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, Kind: push.ErrUnavailable},
		},
	}
}
