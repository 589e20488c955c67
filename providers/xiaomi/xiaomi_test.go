package xiaomi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

const (
	callback = "https://herald.example.com/v1/callbacks/xiaomi"
	secret   = "mi-s3cret"
	accepted = `{"result":"ok","trace_id":"X1","code":0,"data":{"id":"scm1"},"description":"成功","info":"Received push messages for 1 REGID"}`
)

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service()))
}

func TestMessageIsInTheServicesWords(t *testing.T) {
	got := make(chan *http.Request, 1)
	s := service()
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- r
		providertest.JSON(200, accepted)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	answer, err := f.Provider.Send(t.Context(), delivery("order-8812.0.3"))
	if err != nil || answer.ID != "scm1" || answer.Stage != push.Accepted {
		t.Fatalf("Send() = %+v, %v", answer, err)
	}
	r := <-got
	if r.URL.Path != "/v3/message/regid" || r.Header.Get("Authorization") != "key="+secret {
		t.Errorf("%s with Authorization %q", r.URL.Path, r.Header.Get("Authorization"))
	}
	want := map[string]string{
		"registration_id": "reg+id/1==", "restricted_package_name": "com.example.app",
		"title": "Shipped", "description": "on its way", "pass_through": "0",
		"extra.channel_id": "ch-orders", "extra.callback": callback + "?app=demo", "extra.callback.type": "147",
		"notify_id": strconv.Itoa(int(providers.NotifyID("n1"))),
	}
	for field, value := range want {
		if r.PostForm.Get(field) != value {
			t.Errorf("%s = %q, want %q", field, r.PostForm.Get(field), value)
		}
	}
	var data map[string]string
	if err := json.Unmarshal([]byte(r.PostForm.Get("payload")), &data); err != nil || data["order"] != "8812" || data[providers.IDKey] != "order-8812.0.3" {
		t.Errorf("payload = %s", r.PostForm.Get("payload"))
	}
	if ttl, _ := strconv.Atoi(r.PostForm.Get("time_to_live")); ttl < 3_590_000 || ttl > 3_600_000 {
		t.Errorf("time_to_live = %d ms, want about an hour", ttl)
	}
}

func TestFormDependsOnTheDelivery(t *testing.T) {
	tests := map[string]struct {
		change func(d *push.Delivery)
		field  string
		want   string
	}{
		"kept no longer than two weeks":        {func(d *push.Delivery) { d.ExpiresAt = time.Now().AddDate(0, 1, 0) }, "time_to_live", "1209600000"},
		"over already":                         {func(d *push.Delivery) { d.ExpiresAt = time.Now().Add(-time.Hour) }, "time_to_live", "1000"},
		"a class without a channel":            {func(d *push.Delivery) { d.Class = push.Marketing }, "extra.channel_id", ""},
		"a caller's collapse key replaces":     {func(d *push.Delivery) { d.CollapseKey = "order" }, "notify_id", strconv.Itoa(int(providers.NotifyID("order")))},
		"an id too long to be reported on":     {func(d *push.Delivery) { d.ID = strings.Repeat("x", 60) + ".0.0" }, "extra.callback", ""},
		"an app too long for the report's URL": {func(d *push.Delivery) { d.App = strings.Repeat("x", 99) }, "extra.callback", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			tt.change(d)
			if got := open1(t).form([]*push.Delivery{d}, nil, "{}").Get(tt.field); got != tt.want {
				t.Errorf("%s = %q, want %q", tt.field, got, tt.want)
			}
		})
	}
}

func TestWeighRefusesWhatTheServiceWould(t *testing.T) {
	tests := map[string]struct {
		change func(d *push.Delivery)
		fits   bool
	}{
		"a title of 49 characters": {func(d *push.Delivery) { d.Title = strings.Repeat("字", 49) }, true},
		"a title of 50":            {func(d *push.Delivery) { d.Title = strings.Repeat("x", 50) }, false},
		"a text of 127 characters": {func(d *push.Delivery) { d.Body = strings.Repeat("字", 127) }, true},
		"a text of 128":            {func(d *push.Delivery) { d.Body = strings.Repeat("x", 128) }, false},
		"a title of blanks":        {func(d *push.Delivery) { d.Title = " \t" }, false},
		"no text":                  {func(d *push.Delivery) { d.Body = "" }, false},
		"much data":                {func(d *push.Delivery) { d.Data = map[string]string{"k": strings.Repeat("x", 4096)} }, false},
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

func TestQuotaStaysClosedUntilMidnightInChina(t *testing.T) {
	now := time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC) // 22:30 there
	if got := providers.UntilMidnightInChina(now); got != 90*time.Minute {
		t.Errorf("UntilMidnightInChina() = %v, want 1h30m", got)
	}
	f := providertest.HTTP(service()).Start(t, "its quota is used up")
	_, err := f.Provider.Send(t.Context(), delivery("n1.0.0"))
	var e *push.Error
	if !errors.As(err, &e) || e.RetryAfter <= 0 || e.RetryAfter > 24*time.Hour || e.Code != "200001" {
		t.Errorf("Send() error = %+v, want a quota with a time", e)
	}
}

func TestListOfDevicesIsNoDevice(t *testing.T) {
	f := providertest.HTTP(service()).Start(t, providertest.Accepts)
	d := delivery("n1.0.0")
	d.Address.Token = "mine,yours"
	if _, err := f.Provider.Send(t.Context(), d); !errors.Is(err, push.ErrUnregistered) || f.Attempts() != 0 {
		t.Errorf("Send() error = %v after %d attempts", err, f.Attempts())
	}
}

func TestOpenTellsEveryFault(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"ftp://x","ca":"no","channels":{"news":"1"}}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 5 {
		t.Errorf("New() error = %v, want five faults", err)
	}
}

func open1(t *testing.T) *Provider {
	return service().Open(t, "http://127.0.0.1:1", "").(*Provider)
}

func TestEachIDOfAListHasItsOwnReply(t *testing.T) {
	s := service()
	var form url.Values
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form = r.PostForm
		providertest.JSON(200, `{"result":"ok","code":0,"data":{"id":"scm1","bad_regids":"reg-0,reg-2"}}`)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	var ds []*push.Delivery
	for i := range 4 {
		d := delivery(push.DeliveryID("n1", 0, i))
		d.Address.Token = fmt.Sprint("reg-", i)
		ds = append(ds, d)
	}
	ds[3].Address.Token = "reg-3,reg-4" // other people's
	want := []error{push.ErrUnregistered, nil, push.ErrUnregistered, push.ErrUnregistered}
	for i, reply := range f.Provider.(*Provider).SendBatch(t.Context(), ds) {
		if !errors.Is(reply.Err, want[i]) || want[i] == nil && reply.Answer.ID != "scm1" {
			t.Errorf("id %d: %+v, want %v", i, reply, want[i])
		}
	}
	if form.Get("registration_id") != "reg-0,reg-1,reg-2" || !strings.HasPrefix(form.Get("extra.callback.param"), "n1.0/") || !strings.Contains(form.Get("payload"), `"herald_id":"n1.0"`) {
		t.Errorf("form = %v, want three ids and the chunk's", form)
	}
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "on its way",
			Data: map[string]string{"order": "8812"}, ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: "reg+id/1=="},
	}
}

func service() providertest.Service {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 128)
	refuse := func(status int, code string, kind error) providertest.Refusal {
		body := `{"result":"error","reason":"reg+id/1== is bad","trace_id":"X1","code":` + code + `,"description":"mi-s3cret"}`
		return providertest.Refusal{Answer: providertest.JSON(status, body), Kind: kind}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			c, _ := json.Marshal(map[string]any{
				"endpoint": endpoint, "ca": ca, "app_secret": secret, "package": "com.example.app",
				"channels": map[string]string{"transactional": "ch-orders"},
			})
			p, err := Opener(callback)(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept:   providertest.JSON(200, accepted),
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{secret},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"the device is gone":      refuse(200, "10029", push.ErrUnregistered),
			"it had no time":          refuse(200, "10003", push.ErrUnavailable),
			"too fast":                refuse(200, "10027", push.ErrThrottled),
			"the person has blocked":  refuse(200, "10031", push.ErrPolicy),
			"its quota is used up":    refuse(200, "200001", push.ErrQuota),
			"the secret is wrong":     refuse(200, "21301", push.ErrCredentials),
			"so says the status":      refuse(401, "21301", push.ErrCredentials),
			"not the app's channel":   refuse(200, "27001", push.ErrRejected),
			"a code nobody knows":     refuse(200, "99999", push.ErrRejected),
			"it breaks":               refuse(500, "99999", push.ErrUnavailable),
			"data of another shape":   {Answer: providertest.JSON(200, `{"result":"error","code":10029,"data":"none"}`), Kind: push.ErrUnregistered},
			"the channel's quota":     {Answer: providertest.JSON(200, `{"result":"ok","code":0,"data":{"id":"scm1","channel_exceed_quota":"a:1"}}`), Kind: push.ErrQuota},
			"JSON, but of another's":  {Answer: providertest.JSON(200, `{"hello":"world"}`), Kind: push.ErrUnknown},
			"a redirect to elsewhere": {Answer: http.RedirectHandler("https://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, Kind: push.ErrUnavailable},
		},
	}
}
