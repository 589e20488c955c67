package honor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

const (
	phone  = "push-token-of-phone-1"
	secret = "client-s3cret"
)

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service(t)))
}

func TestAnyServerCanPlayHonor(t *testing.T) {
	got := make(chan *http.Request, 1)
	var body request
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("body: %v", err)
		}
		got <- r
		answers(200, 200, `"sendResult":true,"requestId":"R1"`)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	d := delivery("order-8812.0.3")
	d.Data = map[string]string{"order": "8812"}
	d.CollapseKey = "order-8812"
	answer, err := f.Provider.Send(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	r := <-got
	if answer.ID != "R1" || answer.Stage != push.Accepted {
		t.Errorf("Answer = %+v", answer)
	}
	if r.URL.Path != "/api/v1/104/sendMessage" || r.Header.Get("Authorization") != "Bearer access-1" {
		t.Errorf("path %q, authorization %q", r.URL.Path, r.Header.Get("Authorization"))
	}
	stamp, err := strconv.ParseInt(r.Header.Get("timestamp"), 10, 64)
	if err != nil || time.Since(time.UnixMilli(stamp)).Abs() > time.Minute {
		t.Errorf("timestamp = %q, want milliseconds", r.Header.Get("timestamp"))
	}
	n := body.Android.Notification
	if len(body.Token) != 1 || body.Token[0] != phone || n == nil || n.Tag != "order-8812" || n.NotifyID != providers.NotifyID("order-8812") || n.Importance != "NORMAL" || n.ClickAction.Type != 3 {
		t.Errorf("request = %+v, notification = %+v", body, n)
	}
	if a := body.Android; !strings.HasPrefix(a.BiTag, d.ID+"/") || (a.TTL != "3600s" && a.TTL != "3599s") {
		t.Errorf("android = %+v", a)
	}
	var data map[string]string
	if err := json.Unmarshal([]byte(body.Data), &data); err != nil || data["order"] != "8812" || data["herald_id"] != d.ID {
		t.Errorf("data = %s", body.Data)
	}
}

func TestMessageShapes(t *testing.T) {
	c, err := parse([]byte(`{"app_id":"104","client_id":"1","client_secret":"x","click_intent":"intent://com.example/orders#Intent;scheme=shop;end"}`))
	if err != nil {
		t.Fatal(err)
	}
	d := delivery("n1.0.0")
	d.Class, d.ExpiresAt = push.Marketing, time.Now().Add(60*24*time.Hour)
	r := c.request([]*push.Delivery{d}, []string{phone}, &options{})
	if n := r.Android.Notification; n.Importance != "LOW" || n.ClickAction.Type != 1 || n.ClickAction.Intent != c.ClickIntent || r.Android.TTL != "1296000s" {
		t.Errorf("android = %+v, notification = %+v", r.Android, n)
	}
	d.Title, d.Body = "", ""
	if r := c.request([]*push.Delivery{d}, []string{phone}, &options{}); r.Android.Notification != nil {
		t.Errorf("a message without text shows %+v", r.Android.Notification)
	}
	d.Body = "half"
	if _, _, err := c.encode([]*push.Delivery{d}, []string{phone}); !errors.Is(err, push.ErrRejected) {
		t.Errorf("a body without a title: error = %v", err)
	}
}

func TestAnswersAreReadPerToken(t *testing.T) {
	tests := map[string]struct {
		data string
		want error // nil is accepted
	}{
		"it was sent":                   {`"sendResult":true,"requestId":"R1","failTokens":null,"expireTokens":null`, nil},
		"another's token is old":        {`"sendResult":true,"requestId":"R1","expireTokens":["somebody-else"]`, nil},
		"the token is old":              {`"sendResult":true,"expireTokens":["` + phone + `"]`, push.ErrUnregistered},
		"it could not be sent":          {`"sendResult":true,"failTokens":["` + phone + `"]`, push.ErrUnavailable},
		"nothing was sent, and no list": {`"sendResult":false`, push.ErrUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			s.Accept = answers(200, 200, tt.data)
			f := providertest.HTTP(s).Start(t, providertest.Accepts)
			answer, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
			if !errors.Is(err, tt.want) {
				t.Errorf("Send() error = %v, want %v", err, tt.want)
			}
			if tt.want == nil && answer.ID != "R1" {
				t.Errorf("Answer = %+v", answer)
			}
		})
	}
}

func TestRefusedAccessTokenIsFetchedAnewOnce(t *testing.T) {
	s := service(t)
	s.Accept = providertest.JSON(401, ``)
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	p.tokens.Young = 1 // nanosecond: every token is old
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("old token: error = %v, want unavailable", err)
	}
	p.tokens.Young = 0 // the default
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("young token: error = %v, want credentials", err)
	}
}

func TestWithoutAccessTokenNothingIsSent(t *testing.T) {
	s := service(t)
	s.Aside = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == tokenPath {
			providertest.JSON(400, `{"error":"invalid_client","error_description":"`+secret+`"}`)(w, r)
		}
		return r.URL.Path == tokenPath
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	if !errors.Is(err, push.ErrCredentials) || strings.Contains(fmt.Sprint(err), secret) {
		t.Errorf("Send() error = %v, want credentials, and no secret", err)
	}
	if f.Attempts() != 0 {
		t.Error("a message was sent without a token")
	}
}

func TestOpenTellsEveryFaultAndNoSecret(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"x","app_id":"a/b","ca":"s3cret","click_intent":"open"}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 6 {
		t.Fatalf("New() error = %v, want six faults", err)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("New() error tells a secret: %v", err)
	}
}

func TestEachTokenOfAListHasItsOwnReply(t *testing.T) {
	s := service(t)
	s.Accept = providertest.JSON(200, `{"code":200,"data":{"sendResult":true,"requestId":"R1","failTokens":["t2"],"expireTokens":["t0"]}}`)
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	var ds []*push.Delivery
	for i := range 4 {
		d := delivery(push.DeliveryID("n1", 0, i))
		d.Address.Token = fmt.Sprint("t", i)
		ds = append(ds, d)
	}
	want := []error{push.ErrUnregistered, nil, push.ErrUnavailable, nil}
	for i, reply := range f.Provider.(*Provider).SendBatch(t.Context(), ds) {
		if !errors.Is(reply.Err, want[i]) || want[i] == nil && reply.Answer.ID != "R1" {
			t.Errorf("token %d: %+v, want %v", i, reply, want[i])
		}
	}
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "on its way",
			ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: phone},
	}
}

// answers answers as Honor does.
func answers(status, code int, data string) http.HandlerFunc {
	return providertest.JSON(status, fmt.Sprintf(`{"code":%d,"message":"%s said so","data":{%s}}`, code, phone, data))
}

func service(t *testing.T) providertest.Service {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 4097)
	var granted atomic.Int64
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			granted.Store(0)
			c, _ := json.Marshal(map[string]string{
				"endpoint": endpoint, "ca": ca, "app_id": "104", "client_id": "client-1", "client_secret": secret,
			})
			p, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept: answers(200, 200, `"sendResult":true,"requestId":"R1"`),
		Aside: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != tokenPath {
				return false
			}
			if r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != "client-1" || r.FormValue("client_secret") != secret {
				t.Errorf("the token endpoint was sent %v", r.Form)
			}
			providertest.JSON(200, fmt.Sprintf(`{"access_token":"access-%d","expires_in":3600,"token_type":"Bearer"}`, granted.Add(1)))(w, r)
			return true
		},
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{secret, "access-1"},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"the token is old":       {Answer: answers(200, 200, `"sendResult":false,"expireTokens":["`+phone+`"]`), Kind: push.ErrUnregistered},
			"it failed":              {Answer: answers(200, 200, `"sendResult":false,"failTokens":["`+phone+`"]`), Kind: push.ErrUnavailable},
			"the request is wrong":   {Answer: answers(400, 400, ``), Kind: push.ErrRejected},
			"the body's code counts": {Answer: answers(200, 400, ``), Kind: push.ErrRejected},
			"new token is refused":   {Answer: answers(401, 401, ``), Kind: push.ErrCredentials},
			"there is no such app":   {Answer: answers(404, 404, ``), Kind: push.ErrCredentials},
			"too fast":               {Answer: answers(429, 429, ``), Kind: push.ErrThrottled},
			"honor breaks":           {Answer: answers(500, 500, ``), Kind: push.ErrUnavailable},
			"honor is busy":          {Answer: providertest.JSON(503, ``), Kind: push.ErrThrottled},
			"a code of Huawei's":     {Answer: answers(200, 80300007, ``), Kind: push.ErrUnregistered},
			"a code of tomorrow":     {Answer: answers(200, 99, ``), Kind: push.ErrRejected},
		},
	}
}
