package oppo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

const (
	callback = "https://herald.example.com/v1/callbacks/oppo"
	secret   = "master-s3cret"
	granted  = "auth-t0ken"
	accepted = `{"code":0,"message":"Success","data":{"messageId":"m1","status":"call_success"}}`
)

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service()))
}

func TestMessageIsInTheServicesWords(t *testing.T) {
	got := make(chan url.Values, 1)
	s := service()
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- r.PostForm
		providertest.JSON(200, accepted)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	answer, err := f.Provider.Send(t.Context(), delivery("order-8812.0.3"))
	if err != nil || answer.ID != "m1" || answer.Stage != push.Accepted {
		t.Fatalf("Send() = %+v, %v", answer, err)
	}
	form := <-got
	if form.Get("auth_token") != granted {
		t.Errorf("auth_token = %q", form.Get("auth_token"))
	}
	var m message
	if err := json.Unmarshal([]byte(form.Get("message")), &m); err != nil {
		t.Fatal(err)
	}
	n := m.Notification
	if m.TargetType != 2 || m.TargetValue != "reg-1" || !m.Verify || n.Title != "Shipped" || n.Content != "on its way" {
		t.Errorf("message = %+v", m)
	}
	if n.AppMessageID != "order-8812.0.3" || n.NotifyID != providers.NotifyID("n1") || n.ChannelID != "orders" || n.Category != "ORDER" {
		t.Errorf("notification = %+v", n)
	}
	if n.CallbackURL != callback+"?app=demo" || !n.OffLine || n.OffLineTTL < 3590 || n.OffLineTTL > 3600 {
		t.Errorf("notification = %+v", n)
	}
}

func TestMessageDependsOnTheDelivery(t *testing.T) {
	of := func(change func(d *push.Delivery)) notification {
		d := delivery("n1.0.0")
		change(d)
		return open1(t).message(d, "{}").Notification
	}
	if n := of(func(d *push.Delivery) { d.ExpiresAt = time.Now().AddDate(0, 1, 0) }); n.OffLineTTL != 10*24*3600 {
		t.Errorf("kept for %d s, want ten days at most", n.OffLineTTL)
	}
	if n := of(func(d *push.Delivery) { d.Body = strings.Repeat("字", 51) }); n.Style != styleLong {
		t.Errorf("a long text has style %d", n.Style)
	}
	if n := of(func(d *push.Delivery) { d.Class = push.Marketing }); n.ChannelID != "" || n.Category != "" {
		t.Errorf("a class without a channel has %q %q", n.ChannelID, n.Category)
	}
	if n := of(func(d *push.Delivery) { d.CollapseKey = "order" }); n.NotifyID != providers.NotifyID("order") {
		t.Errorf("a caller's collapse key does not replace")
	}
	if n := of(func(d *push.Delivery) { d.ID = strings.Repeat("x", 64) + ".9999.9999" }); n.CallbackURL == "" {
		t.Errorf("the longest id gets no receipt")
	}
}

func TestWeighRefusesWhatTheServiceWould(t *testing.T) {
	tests := map[string]struct {
		change func(d *push.Delivery)
		fits   bool
	}{
		"a title of 50 characters": {func(d *push.Delivery) { d.Title = strings.Repeat("字", 50) }, true},
		"a title of 51":            {func(d *push.Delivery) { d.Title = strings.Repeat("x", 51) }, false},
		"a text of 128 characters": {func(d *push.Delivery) { d.Body = strings.Repeat("字", 128) }, true},
		"a text of 129":            {func(d *push.Delivery) { d.Body = strings.Repeat("x", 129) }, false},
		"no title":                 {func(d *push.Delivery) { d.Title = "" }, false},
		"much data":                {func(d *push.Delivery) { d.Data = map[string]string{"k": strings.Repeat("x", 4000)} }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			tt.change(d)
			if _, err := open1(t).Weigh(d); (err == nil) != tt.fits {
				t.Errorf("Weigh() error = %v, want that it fits: %v", err, tt.fits)
			}
		})
	}
}

func TestWhatWasSentBeforeCountsAsTaken(t *testing.T) {
	s := service()
	s.Accept = providertest.JSON(200, `{"code":32,"message":"Duplicate app_message_id"}`)
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	if answer, err := f.Provider.Send(t.Context(), delivery("n1.0.0")); err != nil || answer.Stage != push.Accepted {
		t.Errorf("Send() = %+v, %v, want accepted", answer, err)
	}
}

func TestEachMessageOfAListHasItsOwnReply(t *testing.T) {
	tests := map[string]struct {
		rows string
		want []error // of three devices
	}{
		"one is gone": {
			`{"messageId":"m0","registrationId":"reg-0"},{"messageId":"m1","registrationId":"reg-1","errorCode":10000,"errorMessage":"no"},{"messageId":"m2","registrationId":"reg-2"}`,
			[]error{nil, push.ErrUnregistered, nil},
		},
		"one has had it": {
			`{"messageId":"m0","registrationId":"reg-0","errorCode":32},{"messageId":"m1","registrationId":"reg-1"},{"messageId":"m2","registrationId":"reg-2"}`,
			[]error{nil, nil, nil},
		},
		"they are told in another order": {
			`{"messageId":"m2","registrationId":"reg-2"},{"messageId":"m1","registrationId":"reg-1","errorCode":33},{"messageId":"m0","registrationId":"reg-0"}`,
			[]error{nil, push.ErrQuota, nil},
		},
		"one is not told": {
			`{"messageId":"m0","registrationId":"reg-0"},{"messageId":"m2","registrationId":"reg-2"}`,
			[]error{nil, push.ErrUnknown, nil},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service()
			s.Accept = func(w http.ResponseWriter, r *http.Request) {
				var messages []message
				if err := json.Unmarshal([]byte(r.PostFormValue("messages")), &messages); err != nil || len(messages) != 3 {
					t.Errorf("messages = %s", r.PostFormValue("messages"))
				} else if n := messages[2].Notification; n.AppMessageID != "n1.0.2" || !strings.Contains(n.Parameters, "n1.0.2") || !strings.HasPrefix(n.CallbackParam, "n1.0.2/") {
					t.Errorf("the third message = %+v, want its delivery's own id", n)
				}
				providertest.JSON(200, `{"code":0,"message":"Success","data":[`+tt.rows+`]}`)(w, r)
			}
			f := providertest.HTTP(s).Start(t, providertest.Accepts)
			var ds []*push.Delivery
			for i := range 3 {
				d := delivery(push.DeliveryID("n1", 0, i))
				d.Address.Token = fmt.Sprint("reg-", i)
				ds = append(ds, d)
			}
			for i, reply := range f.Provider.(*Provider).SendBatch(t.Context(), ds) {
				if !errors.Is(reply.Err, tt.want[i]) || tt.want[i] == nil && reply.Answer.ID != fmt.Sprint("m", i) {
					t.Errorf("device %d: %+v, want %v", i, reply, tt.want[i])
				}
			}
		})
	}
}

func TestQuotaStaysClosedUntilMidnightInChina(t *testing.T) {
	now := time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC) // 22:30 there
	if got := providers.UntilMidnightInChina(now); got != 90*time.Minute {
		t.Errorf("UntilMidnightInChina() = %v, want 1h30m", got)
	}
}

func TestCodeBelowZeroKeepsItsSign(t *testing.T) {
	f := providertest.HTTP(service()).Start(t, "it limits its flow")
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	var e *push.Error
	if !errors.As(err, &e) || e.Code != "-2" || e.RetryAfter != time.Second {
		t.Errorf("Send() error = %+v, want -2 and a second", e)
	}
}

func TestOpenTellsEveryFault(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"ftp://x","ca":"no","channels":{"news":"1"},"categories":{"news":"NEWS"}}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 6 {
		t.Errorf("New() error = %v, want six faults", err)
	}
}

func open1(t *testing.T) *Provider {
	return service().Open(t, "http://127.0.0.1:1", "").(*Provider)
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "on its way",
			Data: map[string]string{"order": "8812"}, ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: "reg-1"},
	}
}

// acceptAll takes a message, or all of a list.
func acceptAll(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != manyPath {
		providertest.JSON(200, accepted)(w, r)
		return
	}
	var messages []message
	_ = json.Unmarshal([]byte(r.PostFormValue("messages")), &messages)
	rows := make([]string, len(messages))
	for i, m := range messages {
		rows[i] = fmt.Sprintf(`{"messageId":"m%d","registrationId":%q}`, i, m.TargetValue)
	}
	providertest.JSON(200, `{"code":0,"message":"Success","data":[`+strings.Join(rows, ",")+`]}`)(w, r)
}

// grant is the service's side of the auth call.
func grant(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != authPath {
		return false
	}
	sign := sha256.Sum256([]byte("key-1" + r.PostFormValue("timestamp") + secret))
	body := `{"code":16,"message":"Invalid Signature"}`
	if r.PostFormValue("app_key") == "key-1" && r.PostFormValue("sign") == hex.EncodeToString(sign[:]) {
		body = `{"code":0,"message":"success","data":{"auth_token":"` + granted + `","create_time":1700000000000}}`
	}
	providertest.JSON(200, body)(w, r)
	return true
}

func service() providertest.Service {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 129)
	refuse := func(status int, code string, kind error) providertest.Refusal {
		return providertest.Refusal{
			Answer: providertest.JSON(status, `{"code":`+code+`,"message":"reg-1 with auth-t0ken","data":null}`), Kind: kind,
		}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			c, _ := json.Marshal(map[string]any{
				"endpoint": endpoint, "ca": ca, "app_key": "key-1", "master_secret": secret,
				"channels":   map[string]string{"transactional": "orders"},
				"categories": map[string]string{"transactional": "ORDER"},
			})
			p, err := Opener(callback)(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept:   acceptAll,
		Aside:    grant,
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{secret, granted},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"the device is gone":      refuse(200, "10000", push.ErrUnregistered),
			"it is not available":     refuse(200, "-1", push.ErrThrottled),
			"it limits its flow":      refuse(200, "-2", push.ErrThrottled),
			"a new token is refused":  refuse(200, "11", push.ErrCredentials),
			"the address is unknown":  refuse(200, "26", push.ErrCredentials),
			"the quota is used up":    refuse(200, "33", push.ErrQuota),
			"an argument is wrong":    refuse(200, "41", push.ErrRejected),
			"a code nobody knows":     refuse(200, "99999", push.ErrRejected),
			"it breaks":               refuse(500, "99999", push.ErrUnavailable),
			"JSON, but of another's":  {Answer: providertest.JSON(200, `{"hello":"world"}`), Kind: push.ErrUnknown},
			"a redirect to elsewhere": {Answer: http.RedirectHandler("https://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, Kind: push.ErrUnavailable},
		},
	}
}
