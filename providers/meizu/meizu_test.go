package meizu

import (
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
	callback = "https://herald.example.com/v1/callbacks/meizu"
	secret   = "mz-s3cret"
	phone    = "RA50c6348036344485d01776773577c64740465480a6b"
	taken    = `{"code":"200","message":"","msgId":"c2ee5c3bf00448cfbceb7fdf68c3c8eb","value":{}}`
)

func TestProviderKeepsTheContract(t *testing.T) { providertest.Run(t, providertest.HTTP(service())) }

func TestRecordedReplies(t *testing.T) { providertest.Replay(t, service()) }

func TestSignatureIsOfTheParametersByName(t *testing.T) {
	form := url.Values{"k2": {"v2"}, "k1": {"v1"}, "k3": {"中"}, "sign": {"old"}}
	// printf 'k1=v1k2=v2k3=中secret' | md5sum
	if got := sign(form, "secret"); got != "418c6ad79422a224a5ed3749111b830b" {
		t.Errorf("sign() = %s", got)
	}
}

func TestMessageIsInTheServicesWords(t *testing.T) {
	got := make(chan *http.Request, 1)
	s := service()
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- r
		providertest.JSON(200, taken)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	answer, err := f.Provider.Send(t.Context(), delivery("order-8812.0.3"))
	if err != nil || answer.ID != "c2ee5c3bf00448cfbceb7fdf68c3c8eb" || answer.Stage != push.Accepted {
		t.Fatalf("Send() = %+v, %v", answer, err)
	}
	r := <-got
	form := r.PostForm
	if r.URL.Path != shownPath || form.Get("appId") != "100999" || form.Get("pushIds") != phone || form.Get("sign") != sign(form, secret) {
		t.Errorf("%s with %v", r.URL.Path, form)
	}
	var m shown
	if err := json.Unmarshal([]byte(form.Get("messageJson")), &m); err != nil {
		t.Fatal(err)
	}
	if m.Bar.Title != "Shipped" || m.Bar.Text != "on its way" || m.Click.Parameters["order"] != "8812" || m.Click.Parameters[providers.IDKey] != "order-8812.0.3" {
		t.Errorf("message = %+v", m)
	}
	if m.Time != (kept{1, 1}) || m.More.Key != notifyKey("n1") || m.More.Notify != (notify{1, 1, 1}) || m.More.Float != 1 {
		t.Errorf("message = %+v", m)
	}
	if m.Extra == nil || m.Extra.Callback != callback+"?app=demo" || m.Extra.Type != 3 || !strings.HasPrefix(m.Extra.Param, "order-8812.0.3/") {
		t.Errorf("extra = %+v", m.Extra)
	}
}

func TestMessageDependsOnTheDelivery(t *testing.T) {
	of := func(change func(d *push.Delivery)) shown {
		t.Helper()
		d := delivery("n1.0.0")
		change(d)
		m, _, err := open1(t).message([]*push.Delivery{d})
		if err != nil {
			t.Fatal(err)
		}
		var said shown
		if err := json.Unmarshal([]byte(m.text), &said); err != nil {
			t.Fatal(err)
		}
		return said
	}
	left := func(d time.Duration) func(*push.Delivery) {
		return func(x *push.Delivery) { x.ExpiresAt = time.Now().Add(d) }
	}
	for name, tt := range map[string]struct {
		change func(d *push.Delivery)
		want   kept
	}{
		"kept three days at most":             {left(30 * 24 * time.Hour), kept{1, 72}},
		"kept in whole hours":                 {left(5*time.Hour + 40*time.Minute), kept{1, 5}},
		"within the hour it is now or never":  {left(50 * time.Minute), kept{}},
		"what has no end is kept three days":  {func(d *push.Delivery) { d.ExpiresAt = time.Time{} }, kept{1, 72}},
		"over already, so it is now or never": {left(-time.Hour), kept{}},
	} {
		if got := of(tt.change).Time; got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	if m := of(func(d *push.Delivery) { d.Silent = true }); m.More.Notify != (notify{0, 1, 0}) || m.More.Float != 0 {
		t.Errorf("in quiet hours: %+v", m.More)
	}
	if m := of(func(d *push.Delivery) { d.CollapseKey = "order" }); m.More.Key != notifyKey("order") || len(m.More.Key) != 8 {
		t.Errorf("a caller's collapse key does not replace: %q", m.More.Key)
	}
	if m := of(func(d *push.Delivery) { d.ID = strings.Repeat("x", 64) + ".0.0" }); m.Extra != nil {
		t.Errorf("an id too long to be reported on has %+v", m.Extra)
	}
}

func TestWeighRefusesWhatTheServiceWould(t *testing.T) {
	tests := map[string]struct {
		change func(d *push.Delivery)
		fits   bool
	}{
		"a title of 32 characters":    {func(d *push.Delivery) { d.Title = strings.Repeat("字", 32) }, true},
		"a title of 33":               {func(d *push.Delivery) { d.Title = strings.Repeat("x", 33) }, false},
		"a text of 100 characters":    {func(d *push.Delivery) { d.Body = strings.Repeat("字", 100) }, true},
		"a text of 101":               {func(d *push.Delivery) { d.Body = strings.Repeat("x", 101) }, false},
		"no title":                    {func(d *push.Delivery) { d.Title = " " }, false},
		"no text":                     {func(d *push.Delivery) { d.Body = "" }, false},
		"much data":                   {func(d *push.Delivery) { d.Data = map[string]string{"k": strings.Repeat("x", 2000)} }, false},
		"neither of them, and unseen": {func(d *push.Delivery) { d.Title, d.Body = "", ""; say(d, `{"data_only":true}`) }, true},
		"much data, unseen": {func(d *push.Delivery) {
			d.Data = map[string]string{"k": strings.Repeat("x", 2000)}
			say(d, `{"data_only":true}`)
		}, false},
		"words that nobody checked": {func(d *push.Delivery) { say(d, `{"what":1}`) }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			tt.change(d)
			_, err := open1(t).Weigh(d)
			if (err == nil) != tt.fits || err != nil && !errors.Is(err, push.ErrRejected) {
				t.Errorf("Weigh() error = %v, want that it fits: %v", err, tt.fits)
			}
		})
	}
}

func TestEachPushIDOfAListHasItsOwnReply(t *testing.T) {
	s := service()
	var form url.Values
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form = r.PostForm
		providertest.JSON(200, `{"code":"200","msgId":"m1","value":{"110002":["id-0","id-2"],"520":["id-3"]}}`)(w, r)
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	var ds []*push.Delivery
	for i := range 5 {
		d := delivery(push.DeliveryID("n1", 0, i))
		d.Address.Token = fmt.Sprint("id-", i)
		ds = append(ds, d)
	}
	ds[4].Address.Token = "id-4,id-5" // other people's
	want := []error{push.ErrUnregistered, nil, push.ErrUnregistered, push.ErrThrottled, push.ErrUnregistered}
	for i, reply := range f.Provider.(*Provider).SendBatch(t.Context(), ds) {
		if !errors.Is(reply.Err, want[i]) || want[i] == nil && reply.Answer.ID != "m1" {
			t.Errorf("id %d: %+v, want %v", i, reply, want[i])
		}
		if i == 3 && push.ScopeOf(reply.Err) != push.ScopeToken {
			t.Error("one device that got much binds the others")
		}
	}
	if form.Get("pushIds") != "id-0,id-1,id-2,id-3" || !strings.Contains(form.Get("messageJson"), `"herald_id":"n1.0"`) || f.Attempts() != 1 {
		t.Errorf("form = %v in %d attempts, want four ids and the chunk's", form, f.Attempts())
	}
}

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"ttl_seconds":0,"click":{"open":"activity","target":"com.example.Main"},"sound":false,"expanded":"more"}`: "",
		`{"ttl_seconds":300000,"click":{"open":"intent","target":"intent://x#Intent;end"}}`:                         "click.open ttl_seconds",
		`{"data_only":true,"float":true}`: "data_only",
		`{"channel_id":"1"}`:              "channel_id",
		`{"click":{"open":"url","target":"https://x/` + strings.Repeat("y", 1000) + `"}}`: "click.target",
	})
}

func TestOverridesGoWhereMeizuWantsThem(t *testing.T) {
	d := delivery("n1.0.0")
	say(d, `{"sound":false,"float":false,"expanded":"much more","click":{"open":"url","target":"https://x/y"},"ttl_seconds":7200}`)
	m, _, err := open1(t).message([]*push.Delivery{d})
	if err != nil {
		t.Fatal(err)
	}
	var said shown
	_ = json.Unmarshal([]byte(m.text), &said)
	if said.More.Notify != (notify{1, 1, 0}) || said.More.Float != 0 || said.Expand == nil || said.Expand.Text != "much more" || said.Click.Type != 2 || said.Click.URL != "https://x/y" {
		t.Errorf("message = %s", m.text)
	}
	say(d, `{"data_only":true}`)
	if m, _, err = open1(t).message([]*push.Delivery{d}); err != nil || m.path != unseenPath || !strings.Contains(m.text, `herald_id`) || strings.Contains(m.text, "noticeBarInfo") {
		t.Errorf("unseen: %+v, %v", m, err)
	}
}

func TestOpenTellsEveryFault(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"ftp://x","ca":"no"}`))
	var invalid *push.Invalid
	if !errors.As(err, &invalid) || len(invalid.Faults) != 4 {
		t.Errorf("New() error = %v, want four faults", err)
	}
}

func TestServiceIsAskedWhetherItTakesTheCredentials(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"it does":                 {providertest.JSON(200, `{"code":"200","message":"","value":[]}`), nil},
		"the secret is another's": {providertest.JSON(200, `{"code":"1006","message":"sign","value":""}`), push.ErrCredentials},
		"it is not the service":   {providertest.JSON(200, `{"hello":1}`), push.ErrUnavailable},
		"it breaks":               {providertest.JSON(502, `<html>`), push.ErrUnavailable},
	} {
		s := service()
		s.Accept = func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != countsPath || r.URL.Query().Get("sign") != sign(r.URL.Query(), secret) {
				t.Errorf("asked %s %s", r.Method, r.URL)
			}
			tt.answer(w, r)
		}
		_, err := providertest.HTTP(s).Start(t, providertest.Accepts).Provider.(*Provider).Check(t.Context())
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: Check() error = %v, want %v", name, err, tt.want)
		}
	}
}

func say(d *push.Delivery, overrides string) {
	d.Overrides = map[string]json.RawMessage{name: json.RawMessage(overrides)}
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
		Address: push.Address{Provider: name, Token: phone},
	}
}

func service() providertest.Service {
	large := delivery("n1.0.0")
	large.Body = strings.Repeat("x", 101)
	refuse := func(status int, code string, kind error) providertest.Refusal {
		return providertest.Refusal{
			Answer: providertest.JSON(status, `{"code":"`+code+`","message":"`+phone+` with `+secret+`","value":"","redirect":""}`), Kind: kind,
		}
	}
	one := func(code string, kind error) providertest.Refusal {
		return providertest.Refusal{Answer: providertest.JSON(200, `{"code":"200","message":"","value":{"`+code+`":["`+phone+`"]}}`), Kind: kind}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			c, _ := json.Marshal(map[string]any{"endpoint": endpoint, "ca": ca, "app_id": "100999", "app_secret": secret})
			p, err := Opener(callback)(c)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Accept:   providertest.JSON(200, taken),
		Delivery: delivery,
		TooLarge: large,
		Secrets:  []string{secret},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"the device is gone":      one("110002", push.ErrUnregistered),
			"that is no pushId":       one("110003", push.ErrUnregistered),
			"the device got much":     one("520", push.ErrThrottled),
			"it could not send":       one("513", push.ErrUnavailable),
			"a reason nobody knows":   one("599", push.ErrRejected),
			"it is busy":              refuse(200, "1003", push.ErrThrottled),
			"the signature is wrong":  refuse(200, "1006", push.ErrCredentials),
			"too fast":                refuse(200, "110010", push.ErrThrottled),
			"unseen ones are limited": refuse(200, "110053", push.ErrPolicy),
			"a code nobody knows":     refuse(200, "119999", push.ErrRejected),
			"it breaks":               refuse(500, "119999", push.ErrUnavailable),
			"JSON, but of another's":  {Answer: providertest.JSON(200, `{"hello":"world"}`), Kind: push.ErrUnknown},
			"a redirect to elsewhere": {Answer: http.RedirectHandler("https://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, Kind: push.ErrUnavailable},
		},
	}
}
