package vivo

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

const (
	callback = "https://herald.example.com/v1/callbacks/vivo"
	secret   = "vivo-s3cret"
	granted  = "auth-t0ken"
	accepted = `{"result":0,"desc":"请求成功","taskId":"121397329"}`
)

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.HTTP(service()))
}

func TestMessageIsInTheServicesWords(t *testing.T) {
	type request struct {
		token string
		body  message
	}
	got := make(chan request, 1)
	s := service()
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		req := request{token: r.Header.Get("authToken")}
		if err := json.NewDecoder(r.Body).Decode(&req.body); err != nil {
			t.Error(err)
		}
		got <- req
		providertest.JSON(200, accepted)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	answer, err := f.Provider.Send(t.Context(), delivery("order-8812.0.3"))
	if err != nil || answer.ID != "121397329" || answer.Stage != push.Accepted {
		t.Fatalf("Send() = %+v, %v", answer, err)
	}
	req := <-got
	m := req.body
	if req.token != granted || m.AppID != "10004" || m.RegID != "reg-1" || m.Title != "Shipped" || m.Content != "on its way" {
		t.Errorf("request = %+v", req)
	}
	if m.Classification != system || m.Category != "TODO" || m.RequestID != "order-8812.0.3" || m.NotifyID != providers.NotifyID("n1") {
		t.Errorf("request = %+v", req)
	}
	if m.Data["order"] != "8812" || m.Data[providers.IDKey] != "order-8812.0.3" || m.Extra["callback"] != callback+"?app=demo" {
		t.Errorf("request = %+v", req)
	}
	if m.TTL < 3590 || m.TTL > 3600 {
		t.Errorf("timeToLive = %d s, want about an hour", m.TTL)
	}
}

func TestMessageDependsOnTheDelivery(t *testing.T) {
	of := func(change func(d *push.Delivery)) message {
		d := delivery("n1.0.0")
		change(d)
		m, _, err := open1(t).message([]*push.Delivery{d})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := of(func(d *push.Delivery) { d.ExpiresAt = time.Now().AddDate(0, 0, 7) }); m.TTL != 86400 {
		t.Errorf("kept for %d s, want a day at most", m.TTL)
	}
	if m := of(func(d *push.Delivery) { d.ExpiresAt = time.Now().Add(time.Second) }); m.TTL != 60 {
		t.Errorf("kept for %d s, want a minute at least", m.TTL)
	}
	if m := of(func(d *push.Delivery) { d.Class = push.Marketing }); m.Classification != operations || m.Category != "MARKETING" {
		t.Errorf("marketing is %d %s", m.Classification, m.Category)
	}
	if m := of(func(d *push.Delivery) { d.CollapseKey = "order" }); m.NotifyID != providers.NotifyID("order") {
		t.Error("a caller's collapse key does not replace")
	}
	if m := of(func(d *push.Delivery) { d.ID = strings.Repeat("x", 64) + ".0.0" }); len(m.RequestID) > maxRequest || m.Extra != nil {
		t.Errorf("a long id makes %q and %v", m.RequestID, m.Extra)
	}
}

func TestWeighRefusesWhatTheServiceWould(t *testing.T) {
	pairs := func(n int) map[string]string {
		data := make(map[string]string)
		for i := range n {
			data[fmt.Sprint(i)] = "x"
		}
		return data
	}
	tests := map[string]struct {
		change func(d *push.Delivery)
		fits   bool
	}{
		"a title of 20 Han characters": {func(d *push.Delivery) { d.Title = strings.Repeat("字", 20) }, true},
		"a title of 21":                {func(d *push.Delivery) { d.Title = strings.Repeat("字", 21) }, false},
		"a title of 40 letters":        {func(d *push.Delivery) { d.Title = strings.Repeat("x", 40) }, true},
		"a title of 41":                {func(d *push.Delivery) { d.Title = strings.Repeat("x", 41) }, false},
		"an emoji is one":              {func(d *push.Delivery) { d.Title = strings.Repeat("🎉", 40) }, true},
		"a text of 50 Han characters":  {func(d *push.Delivery) { d.Body = strings.Repeat("字", 50) }, true},
		"one more, and it is a comma":  {func(d *push.Delivery) { d.Body = strings.Repeat("字", 49) + "，," }, false},
		"no text":                      {func(d *push.Delivery) { d.Body = "" }, false},
		"eight keys beside Herald's":   {func(d *push.Delivery) { d.Data = pairs(8) }, true},
		"nine":                         {func(d *push.Delivery) { d.Data = pairs(9) }, false},
		"more than a kilobyte of data": {func(d *push.Delivery) { d.Data = map[string]string{"k": strings.Repeat("x", 1024)} }, false},
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

func TestOpenTellsEveryFault(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"ftp://x","ca":"no","categories":{"news":"NEWS"}}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 6 {
		t.Errorf("New() error = %v, want six faults", err)
	}
}

func open1(t *testing.T) *Provider {
	return service().Open(t, "http://127.0.0.1:1", "").(*Provider)
}

func TestListIsSavedThenSent(t *testing.T) {
	s := service()
	var lists []list
	result := `{"result":0,"taskId":"T1","invalidUsers":[{"status":2,"userid":"reg-0"},{"status":3,"userid":"reg-2"}]}`
	s.Aside = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != savePath {
			return grant(w, r)
		}
		var m message
		_ = json.NewDecoder(r.Body).Decode(&m)
		if m.RegID != "" || m.Data[providers.IDKey] != "n1.0" || m.Extra != nil || m.Classification != operations {
			t.Errorf("saved message = %+v, want no device, the chunk's id and no report", m)
		}
		providertest.JSON(200, `{"result":0,"taskId":"T1"}`)(w, r)
		return true
	}
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		var l list
		_ = json.NewDecoder(r.Body).Decode(&l)
		if r.URL.Path != listPath {
			t.Errorf("path = %s", r.URL.Path)
		}
		lists = append(lists, l)
		providertest.JSON(200, result)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	p.now = func() time.Time { return time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC) } // noon in China
	ds := several(3)
	want := []error{push.ErrUnregistered, nil, push.ErrUnreachable}
	for i, reply := range p.SendBatch(t.Context(), ds) {
		if !errors.Is(reply.Err, want[i]) || want[i] == nil && reply.Answer.ID != "T1" {
			t.Errorf("id %d: %+v, want %v", i, reply, want[i])
		}
	}
	p.SendBatch(t.Context(), ds[1:])
	if len(lists) != 2 || len(lists[0].RegIDs) != 3 || lists[0].TaskID != "T1" || lists[0].RequestID == lists[1].RequestID {
		t.Errorf("lists = %+v, want two of different ids", lists)
	}
	result = `{"result":10252,"desc":"too many lists"}`
	replies := p.SendBatch(t.Context(), ds)
	if !errors.Is(replies[0].Err, push.ErrUnavailable) || p.Batch(ds[0].Notification) != 1 {
		t.Errorf("when the day's lists are used up: %+v, batch of %d; want another attempt, one by one", replies[0], p.Batch(ds[0].Notification))
	}
}

func TestOnlyWhatNeedsNoReportGoesAsAList(t *testing.T) {
	p := open1(t)
	chat := several(1)[0].Notification
	chat.Class = push.Chat
	if p.Batch(several(1)[0].Notification) != maxBatch || p.Batch(chat) != 1 {
		t.Errorf("marketing %d, chat %d", p.Batch(several(1)[0].Notification), p.Batch(chat))
	}
	p.callback = ""
	if p.Batch(chat) != maxBatch {
		t.Error("nobody waits for reports, and chat goes one by one")
	}
}

// several are deliveries of one marketing notification.
func several(n int) []*push.Delivery {
	ds := make([]*push.Delivery, n)
	for i := range ds {
		ds[i] = delivery(push.DeliveryID("n1", 0, i))
		ds[i].Class, ds[i].Address.Token = push.Marketing, fmt.Sprint("reg-", i)
	}
	return ds
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

// grant is the service's side of the auth call.
func grant(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != authPath {
		return false
	}
	var asked struct {
		AppID, AppKey, Sign string
		Timestamp           int64
	}
	_ = json.NewDecoder(r.Body).Decode(&asked)
	sign := md5.Sum(fmt.Appendf(nil, "10004key-1%d%s", asked.Timestamp, secret))
	body := `{"result":10206,"desc":"sign"}`
	if asked.AppID == "10004" && asked.AppKey == "key-1" && asked.Sign == hex.EncodeToString(sign[:]) {
		body = `{"result":0,"desc":"请求成功","authToken":"` + granted + `"}`
	}
	providertest.JSON(200, body)(w, r)
	return true
}

func service() providertest.Service {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 101)
	refuse := func(status int, code string, kind error) providertest.Refusal {
		return providertest.Refusal{
			Answer: providertest.JSON(status, `{"result":`+code+`,"desc":"reg-1 with auth-t0ken"}`), Kind: kind,
		}
	}
	invalid := func(status string, kind error) providertest.Refusal {
		return providertest.Refusal{
			Answer: providertest.JSON(200, `{"result":10302,"desc":"regId不合法","invalidUser":{"status":`+status+`,"userid":"reg-1"}}`), Kind: kind,
		}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			c, _ := json.Marshal(map[string]any{
				"endpoint": endpoint, "ca": ca, "app_id": "10004", "app_key": "key-1", "app_secret": secret,
				"categories": map[string]string{"transactional": "TODO"},
			})
			p, err := Opener(callback)(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept:   providertest.JSON(200, accepted),
		Aside:    grant,
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{secret, granted},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"the token is no token":      refuse(200, "10302", push.ErrUnregistered),
			"nobody has the token":       invalid("1", push.ErrUnregistered),
			"the app was removed":        invalid("2", push.ErrUnregistered),
			"the device is long away":    invalid("3", push.ErrUnreachable),
			"it is no device for tests":  invalid("4", push.ErrPolicy),
			"a status that nobody knows": invalid("9", push.ErrUnregistered),
			"the quota is used up":       refuse(200, "10073", push.ErrQuota),
			"too fast":                   refuse(200, "10072", push.ErrThrottled),
			"the content breaks a rule":  refuse(200, "10104", push.ErrRejected),
			"the app is another":         refuse(200, "10094", push.ErrCredentials),
			"a new token is refused":     refuse(200, "10000", push.ErrCredentials),
			"a code nobody knows":        refuse(200, "99999", push.ErrRejected),
			"it breaks":                  refuse(500, "99999", push.ErrUnavailable),
			"JSON, but of another's":     {Answer: providertest.JSON(200, `{"hello":"world"}`), Kind: push.ErrUnknown},
			"a redirect to elsewhere":    {Answer: http.RedirectHandler("https://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, Kind: push.ErrUnavailable},
		},
	}
}
