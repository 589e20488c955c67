package huawei

import (
	"encoding/json"
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

const (
	phone  = "push-token-of-phone-1"
	secret = "client-s3cret"
)

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service(t)))
}

func TestAnyServerCanPlayHuawei(t *testing.T) {
	got := make(chan *http.Request, 1)
	var body request
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("body: %v", err)
		}
		got <- r
		answers(200, "80000000", "Success")(w, r)
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
	if r.URL.Path != "/v1/10001/messages:send" || r.Header.Get("Authorization") != "Bearer access-1" {
		t.Errorf("path %q, authorization %q", r.URL.Path, r.Header.Get("Authorization"))
	}
	m := body.Message
	n := m.Android.Notification
	if len(m.Token) != 1 || m.Token[0] != phone || n == nil || n.Title != "Shipped" || n.Tag != "order-8812" || n.NotifyID != providers.NotifyID("order-8812") {
		t.Errorf("message = %+v, notification = %+v", m, n)
	}
	if m.Android.BITag != d.ID || m.Android.CollapseKey != -1 || (m.Android.TTL != "3600s" && m.Android.TTL != "3599s") || n.ClickAction.Type != 3 {
		t.Errorf("android = %+v", m.Android)
	}
	var data map[string]string
	if err := json.Unmarshal([]byte(m.Data), &data); err != nil || data["order"] != "8812" || data["herald_id"] != d.ID {
		t.Errorf("data = %s", m.Data)
	}
}

func TestClassesInHuaweisWords(t *testing.T) {
	c, err := parse([]byte(`{"client_id":"1","client_secret":"x","categories":{"transactional":"EXPRESS"}}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[push.Class]struct{ category, urgency, importance string }{
		push.OTP:           {"ACCOUNT", "HIGH", "NORMAL"},
		push.Call:          {"VOIP", "HIGH", "NORMAL"},
		push.Chat:          {"IM", "NORMAL", "NORMAL"},
		push.Transactional: {"EXPRESS", "NORMAL", "NORMAL"},
		push.Marketing:     {"MARKETING", "NORMAL", "LOW"},
	}
	for class, want := range tests {
		d := delivery("n1.0.0")
		d.Class = class
		a := c.message([]*push.Delivery{d}, []string{phone}, urgencyOf(class), &options{}).Android
		if a.Category != want.category || a.Urgency != want.urgency || a.Notification.Importance != want.importance {
			t.Errorf("%s: %+v, importance %s, want %+v", class, a, a.Notification.Importance, want)
		}
	}
}

func TestMessageShapes(t *testing.T) {
	c, err := parse([]byte(`{"client_id":"1","client_secret":"x","project_id":"p7","receipt_id":"RCP1","click_intent":"intent://com.example/orders#Intent;scheme=shop;end"}`))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(c.send, "/v2/p7/messages:send") {
		t.Errorf("messages go to %s", c.send)
	}
	d := delivery(strings.Repeat("n", 64) + ".0.17")
	d.ExpiresAt = time.Now().Add(60 * 24 * time.Hour)
	a := c.message([]*push.Delivery{d}, []string{phone}, urgencyNormal, &options{}).Android
	if a.BITag != "" || a.ReceiptID != "RCP1" || a.TTL != "1296000s" {
		t.Errorf("android = %+v, want no tag that is too long and 15 days at most", a)
	}
	if n := a.Notification; n.ClickAction.Type != 1 || n.ClickAction.Intent != c.ClickIntent {
		t.Errorf("click action = %+v", n.ClickAction)
	}
	d.Title, d.Body = "", ""
	if a := c.message([]*push.Delivery{d}, []string{phone}, urgencyNormal, &options{}).Android; a.Notification != nil {
		t.Errorf("a message without text shows %+v", a.Notification)
	}
	d.Body = "half"
	if _, _, err := c.encode([]*push.Delivery{d}, []string{phone}, urgencyNormal); !errors.Is(err, push.ErrRejected) {
		t.Errorf("a body without a title: error = %v", err)
	}
}

func TestPartialSuccessIsReadPerToken(t *testing.T) {
	tests := map[string]struct {
		code, message string
		want          error // nil is accepted
	}{
		"others were refused":          {"80100000", `{"success":1,"failure":1,"illegal_tokens":["somebody-else"]}`, nil},
		"ours was refused":             {"80100000", `{"success":1,"failure":1,"illegal_tokens":["` + phone + `"]}`, push.ErrUnregistered},
		"ours, for a reason":           {"80100000", `{"failure":1,"illegalTokens":{"countryNotSupport":["` + phone + `"]}}`, push.ErrPolicy},
		"ours, for a reason of theirs": {"80100000", `{"failure":1,"illegalTokens":{"whoKnows":["` + phone + `"]}}`, push.ErrUnregistered},
		"another's reason":             {"80100000", `{"failure":1,"illegalTokens":{"noRight":["somebody-else"]}}`, nil},
		"one failed and none is named": {"80100000", `{"success":0,"failure":1}`, push.ErrUnregistered},
		"it is not said":               {"80100000", `Partial success`, push.ErrUnknown},
		"all, for the app's fault":     {"80300007", `{"failure":1,"illegalTokens":{"noPushTypeRight":["` + phone + `"]}}`, push.ErrCredentials},
		"all, in words":                {"80300007", `All the tokens are invalid`, push.ErrUnregistered},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			s.Accept = answers(200, tt.code, tt.message)
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

func TestEachTokenOfAListHasItsOwnReply(t *testing.T) {
	gone, ok := push.ErrUnregistered, error(nil)
	tests := map[string]struct {
		code, message string
		want          []error // of three tokens
	}{
		"all were taken":          {"80000000", "Success", []error{ok, ok, ok}},
		"one is bad":              {"80100000", `{"success":2,"failure":1,"illegal_tokens":["t1"]}`, []error{ok, gone, ok}},
		"two are, each for its":   {"80100000", `{"success":1,"failure":2,"illegalTokens":{"80300007":["t0"],"256":["t2"]}}`, []error{gone, ok, push.ErrQuota}},
		"all are bad":             {"80300007", `{"success":0,"failure":3,"illegal_tokens":["t0","t1","t2"]}`, []error{gone, gone, gone}},
		"which are is not told":   {"80100000", `{"success":1,"failure":2}`, []error{push.ErrUnknown, push.ErrUnknown, push.ErrUnknown}},
		"the message is broken":   {"80100003", "Illegal payload", []error{push.ErrRejected, push.ErrRejected, push.ErrRejected}},
		"the answer is not JSON?": {"80100000", "some failed", []error{push.ErrUnknown, push.ErrUnknown, push.ErrUnknown}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			var body request
			s.Accept = func(w http.ResponseWriter, r *http.Request) {
				_ = json.NewDecoder(r.Body).Decode(&body)
				answers(200, tt.code, tt.message)(w, r)
			}
			f := providertest.HTTP(s).Start(t, providertest.Accepts)
			var ds []*push.Delivery
			for i := range 3 {
				d := delivery(push.DeliveryID("n1", 4, i))
				d.Address.Token = fmt.Sprint("t", i)
				ds = append(ds, d)
			}
			for i, reply := range f.Provider.(*Provider).SendBatch(t.Context(), ds) {
				if !errors.Is(reply.Err, tt.want[i]) || tt.want[i] == nil && reply.Answer.ID != "R1" {
					t.Errorf("token %d: %+v, want %v", i, reply, tt.want[i])
				}
			}
			if m := body.Message; len(m.Token) != 3 || m.Android.BITag != "n1.4" || !strings.Contains(m.Data, `"herald_id":"n1.4"`) || m.Android.Notification.Tag != "n1" {
				t.Errorf("message = %+v, want the chunk's id and three tokens", m)
			}
		})
	}
}

func TestAppWithoutRightToUrgencySendsWithout(t *testing.T) {
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		var body request
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body.Message.Android.Urgency == urgencyHigh {
			answers(200, "80300011", "no right")(w, r)
			return
		}
		answers(200, "80000000", "Success")(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	d := delivery("n1.0.0")
	d.Class = push.OTP
	if _, err := f.Provider.Send(t.Context(), d); !push.Retryable(err) {
		t.Errorf("first attempt: error = %v, want one to try again after", err)
	}
	if _, err := f.Provider.Send(t.Context(), d); err != nil {
		t.Errorf("second attempt: error = %v", err)
	}
}

func TestFlowControlSaysHowLong(t *testing.T) {
	s := service(t)
	s.Accept = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	var e *push.Error
	if !errors.As(err, &e) || !errors.Is(err, push.ErrThrottled) || e.RetryAfter != 30*time.Second {
		t.Errorf("Send() error = %+v, want throttled for 30s", err)
	}
}

func TestRefusedAccessTokenIsFetchedAnewOnce(t *testing.T) {
	s := service(t)
	s.Accept = answers(401, "80200003", "OAuth token expired")
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	p.tokens.Young = 1 // nanosecond: every token is old
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("old token: error = %v, want unavailable", err)
	}
	p.tokens.Young = 0 // the default
	for range 2 {
		if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrCredentials) {
			t.Errorf("young token: error = %v, want credentials", err)
		}
	}
	if token, _ := p.tokens.Get(t.Context()); token != "access-2" {
		t.Errorf("the token is %q: a young one was fetched anew", token)
	}
}

func TestWithoutAccessTokenNothingIsSent(t *testing.T) {
	s := service(t)
	s.Aside = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == tokenPath {
			providertest.JSON(400, `{"error":1101,"sub_error":20044,"error_description":"`+secret+`"}`)(w, r)
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
	_, err := New([]byte(`{"endpoint":"x","client_id":"a/b","ca":"s3cret","callback_secret":"s3cret",
		"click_intent":"open","categories":{"otp":"NEWS"}}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 7 {
		t.Fatalf("New() error = %v, want seven faults", err)
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
		Address: push.Address{Provider: name, Token: phone},
	}
}

// answers answers as Push Kit does.
func answers(status int, code, message string) http.HandlerFunc {
	text, _ := json.Marshal(map[string]string{"code": code, "msg": message, "requestId": "R1"})
	return providertest.JSON(status, string(text))
}

func service(t *testing.T) providertest.Service {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 4097)
	var granted atomic.Int64
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			granted.Store(0)
			c, _ := json.Marshal(map[string]string{"endpoint": endpoint, "ca": ca, "client_id": "10001", "client_secret": secret})
			p, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept: answers(200, "80000000", "Success"),
		Aside: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != tokenPath {
				return false
			}
			if r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != "10001" || r.FormValue("client_secret") != secret {
				t.Errorf("the token endpoint was sent %v", r.Form)
			}
			providertest.JSON(200, fmt.Sprintf(`{"access_token":"access-%d","expires_in":3600,"token_type":"Bearer"}`, granted.Add(1)))(w, r)
			return true
		},
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{secret, "access-1"},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"the token is bad":      {Answer: answers(200, "80300007", "All the tokens are invalid: "+phone), Kind: push.ErrUnregistered},
			"the message is broken": {Answer: answers(400, "80100003", "Illegal payload"), Kind: push.ErrRejected},
			"sensitive words":       {Answer: answers(200, "80100016", "sensitive"), Kind: push.ErrRejected},
			"topic tasks":           {Answer: answers(200, "80100017", "too many"), Kind: push.ErrThrottled},
			"new token is refused":  {Answer: answers(401, "80200001", "OAuth authentication error"), Kind: push.ErrCredentials},
			"app may not send":      {Answer: answers(200, "80300002", "no permission"), Kind: push.ErrCredentials},
			"receipt address":       {Answer: answers(200, "80300013", "invalid receipt"), Kind: push.ErrCredentials},
			"oauth is away":         {Answer: answers(200, "80600003", "oauth"), Kind: push.ErrUnavailable},
			"huawei breaks":         {Answer: answers(500, "81000001", "system inner error"), Kind: push.ErrUnavailable},
			"a code of tomorrow":    {Answer: answers(200, "89999999", "who knows"), Kind: push.ErrRejected},
			"flow control":          {Answer: providertest.JSON(503, ``), Kind: push.ErrThrottled},
		},
	}
}
