package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/apns"
	"github.com/herald-push/herald/providers/custom"
	"github.com/herald-push/herald/providers/fcm"
	"github.com/herald-push/herald/providers/honor"
	"github.com/herald-push/herald/providers/huawei"
	"github.com/herald-push/herald/providers/meizu"
	"github.com/herald-push/herald/providers/oppo"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/providers/smpp"
	"github.com/herald-push/herald/providers/sms"
	"github.com/herald-push/herald/providers/vivo"
	"github.com/herald-push/herald/providers/webpush"
	"github.com/herald-push/herald/providers/xiaomi"
	"github.com/herald-push/herald/providers/xmpp"
	"github.com/herald-push/herald/push"
)

// tokens are addresses that the played vendors know.
var tokens = map[string]string{
	"apns": strings.Repeat("a1", 32), "fcm": "registration-token-of-phone-1", "sms": "+15551234567",
	"webpush": sandbox.Subscription("https://push.example.com", "browser-1"),
	"xiaomi":  "registration-id+of/phone-1==",
	"huawei":  "push-token-of-phone-1", "honor": "push-token-of-phone-2",
	"http":  "1507bfd3b7c8283abc1",
	"oppo":  "OPPO_CN_0123456789abcdef",
	"vivo":  "12345678901234567890123",
	"meizu": "RA50c6348036344485d01776773577c64740465480a6b",
	"smpp":  "+15551234567",
	"xmpp":  "ann@example.org",
}

// overHTTP are the vendors that answer each request. Those that keep a
// connection have tests of their own.
func overHTTP() []string {
	return slices.DeleteFunc(slices.Clone(sandbox.Vendors[:]), func(v string) bool { return v == "smpp" || v == "xmpp" })
}

func TestVendorsTakeWhatTheProvidersSend(t *testing.T) {
	s := start(t, sandbox.Config{})
	for _, vendor := range overHTTP() {
		t.Run(vendor, func(t *testing.T) {
			p := open(t, s, vendor, "")
			answer, err := p.Send(t.Context(), delivery(vendor, "n1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			shows := s.Shows(vendor, tokens[vendor])
			if len(shows) != 1 || !strings.Contains(shows[0].Body, "on its way") || shows[0].ID != answer.ID {
				t.Fatalf("the device shows %+v after %+v", shows, answer)
			}
			if vendor != "sms" && (shows[0].Title != "Shipped" || shows[0].Data["order"] != "8812" || shows[0].Data["herald_id"] != "n1.0.0") {
				t.Errorf("the device shows %+v", shows[0])
			}
		})
	}
}

func TestRepeatReplacesInsteadOfShowingTwice(t *testing.T) {
	s := start(t, sandbox.Config{})
	for _, vendor := range []string{"apns", "fcm", "webpush"} {
		p := open(t, s, vendor, "")
		for range 2 {
			if _, err := p.Send(t.Context(), delivery(vendor, "n1.0.0")); err != nil {
				t.Fatal(err)
			}
		}
		if shows := s.Shows(vendor, tokens[vendor]); len(shows) != 1 || shows[0].Times != 2 {
			t.Errorf("%s: the device shows %+v, want one that came twice", vendor, shows)
		}
	}
}

func TestFaultsBecomeTheirKinds(t *testing.T) {
	tests := map[string]struct {
		settings sandbox.Settings
		want     error
	}{
		"refuse":                 {sandbox.Settings{Outage: sandbox.Refuse}, push.ErrUnavailable},
		"hang":                   {sandbox.Settings{Outage: sandbox.Hang}, push.ErrUnknown},
		"reset":                  {sandbox.Settings{Outage: sandbox.Reset}, push.ErrUnknown},
		"html":                   {sandbox.Settings{Outage: sandbox.HTML}, push.ErrUnavailable},
		"silent":                 {sandbox.Settings{Outage: sandbox.Silent}, nil},
		"its own fault":          {sandbox.Settings{ErrorRate: 1}, push.ErrUnavailable},
		"later than we wait":     {sandbox.Settings{LatencyMs: 30_000}, push.ErrUnknown},
		"everything gets lost":   {sandbox.Settings{Loss: 1}, nil},
		"slow, but in good time": {sandbox.Settings{LatencyMs: 5, JitterMs: 5}, nil},
	}
	s := start(t, sandbox.Config{})
	each := func(t *testing.T, vendor string) {
		p := open(t, s, vendor, "")
		if _, err := p.Send(t.Context(), delivery(vendor, "n1.0.0")); err != nil { // so that a connection stands
			t.Fatal(err)
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				if err := s.Set(vendor, tt.settings); err != nil {
					t.Fatal(err)
				}
				before, d := s.Counts(vendor), delivery(vendor, "n2.0.0")
				var err error
				if name == "hang" || name == "later than we wait" {
					err = givenUp(t, p, d, func() bool { return s.Counts(vendor).Requests > before.Requests })
				} else {
					_, err = p.Send(t.Context(), d)
				}
				// A connection that is thrown out while it is used may leave doubt.
				if !errors.Is(err, tt.want) && (name != "refuse" || !errors.Is(err, push.ErrUnknown)) {
					t.Errorf("Send() error = %v, want %v", err, tt.want)
				}
				if lost := name == "silent" || name == "everything gets lost"; lost && s.Counts(vendor).Shown != before.Shown {
					t.Error("a device heard")
				}
				if err := s.Set(vendor, sandbox.Settings{}); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Send(t.Context(), delivery(vendor, "n3.0.0")); err != nil {
					t.Errorf("after it is over: Send() error = %v", err)
				}
			})
		}
	}
	for _, vendor := range overHTTP() {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			each(t, vendor)
		})
	}
}

func TestThrottledSaysHowLong(t *testing.T) {
	s := start(t, sandbox.Config{})
	for _, vendor := range overHTTP() {
		p := open(t, s, vendor, "")
		if err := s.Set(vendor, sandbox.Settings{RatePerS: 1, RetryAfterS: 7}); err != nil {
			t.Fatal(err)
		}
		var last error
		for range 3 {
			if _, last = p.Send(t.Context(), delivery(vendor, "n1.0.0")); last != nil {
				break // a provider may hold back by itself from now on
			}
		}
		var e *push.Error
		if !errors.As(last, &e) || !errors.Is(last, push.ErrThrottled) || (e.RetryAfter-7*time.Second).Abs() > time.Second {
			t.Errorf("%s: Send() error = %+v, want throttled for about 7s", vendor, last)
		}
	}
}

func TestDeadTokens(t *testing.T) {
	s := start(t, sandbox.Config{})
	since := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for _, vendor := range []string{"apns", "fcm", "webpush"} {
		p := open(t, s, vendor, "")
		s.Kill(vendor, tokens[vendor], since)
		_, err := p.Send(t.Context(), delivery(vendor, "n1.0.0"))
		var e *push.Error
		if !errors.As(err, &e) || !errors.Is(err, push.ErrUnregistered) {
			t.Fatalf("%s: Send() error = %v, want unregistered", vendor, err)
		}
		if vendor == "apns" && !e.Since.Equal(since) {
			t.Errorf("Since = %v, want %v", e.Since, since)
		}
	}
}

func TestTextMessagesAreReportedLateAndSigned(t *testing.T) {
	tests := map[string]struct {
		dead bool
		want []push.Stage
	}{
		"a phone that is there": {false, []push.Stage{push.HandedOver, push.Delivered}},
		"a number nobody has":   {true, []push.Stage{push.Failed}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{})
			var p providers.Provider
			reports := make(chan push.Receipt, 4)
			herald := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				rs, err := p.(providers.Callbacker).Callback(r, body)
				if err != nil {
					t.Errorf("Callback() error = %v", err)
				}
				for _, rec := range rs {
					reports <- rec
				}
			}))
			defer herald.Close()
			p = open(t, s, "sms", herald.URL+"/v1/callbacks/sms")
			if tt.dead {
				s.Kill("sms", tokens["sms"], time.Now())
			}
			if err := s.Set("sms", sandbox.Settings{ReceiptDelayMs: 30}); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if _, err := p.Send(t.Context(), delivery("sms", "n1.0.7")); err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				select {
				case r := <-reports:
					if r.Stage != want || r.Delivery != "n1.0.7" || r.Device != "phone-1" {
						t.Errorf("receipt = %+v, want %s", r, want)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("no report of %s", want)
				}
			}
			if time.Since(begin) < 30*time.Millisecond {
				t.Error("the report came before its time")
			}
		})
	}
}

func TestVendorsRefuseWhatTheyRefuse(t *testing.T) {
	s := start(t, sandbox.Config{})
	apnsOther := bytes.Replace(s.Credentials("apns"), []byte("SANDBOXTEA"), []byte("ANOTHERTEA"), 1)
	smsOther := bytes.Replace(s.Credentials("sms"), []byte(`"secret":"`), []byte(`"secret":"x`), 1)
	tests := map[string]struct {
		vendor      string
		credentials []byte
		change      func(d *push.Delivery)
		want        error
	}{
		"apns: a key of another team":    {"apns", apnsOther, nil, push.ErrCredentials},
		"apns: a token that is no token": {"apns", nil, func(d *push.Delivery) { d.Address.Token = "phone" }, push.ErrRejected},
		"apns: a topic that is none":     {"apns", nil, func(d *push.Delivery) { d.Address.Topic = "com_example" }, push.ErrCredentials},
		"fcm: a token that is no token":  {"fcm", nil, func(d *push.Delivery) { d.Address.Token = "phone" }, push.ErrUnregistered},
		"sms: a wrong secret":            {"sms", smsOther, nil, push.ErrCredentials},
		"sms: a number that is none":     {"sms", nil, func(d *push.Delivery) { d.Address.Token = "12" }, push.ErrUnregistered},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			credentials := tt.credentials
			if credentials == nil {
				credentials = s.Credentials(tt.vendor)
			}
			p, err := openers("")[tt.vendor](credentials)
			if err != nil {
				t.Fatal(err)
			}
			d := delivery(tt.vendor, "n1.0.0")
			if tt.change != nil {
				tt.change(d)
			}
			if _, err := p.Send(t.Context(), d); !errors.Is(err, tt.want) {
				t.Errorf("Send() error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestFleetHearsOfEveryMessage(t *testing.T) {
	s := start(t, sandbox.Config{})
	heard := make(chan sandbox.Message, 1)
	remove := s.OnShow(func(m sandbox.Message) { heard <- m })
	p := open(t, s, "apns", "")
	if _, err := p.Send(t.Context(), delivery("apns", "n1.0.0")); err != nil {
		t.Fatal(err)
	}
	if m := <-heard; m.Vendor != "apns" || m.Data["herald_id"] != "n1.0.0" {
		t.Errorf("heard %+v", m)
	}
	remove()
	if _, err := p.Send(t.Context(), delivery("apns", "n1.0.1")); err != nil {
		t.Fatal(err)
	}
	if len(heard) != 0 {
		t.Error("heard again after remove")
	}
}

func TestCredentialsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	first, err := sandbox.New(sandbox.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	old := map[string]string{}
	for _, v := range sandbox.Vendors {
		old[v] = string(first.Credentials(v))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Run(ctx); err != nil {
		t.Fatal(err)
	}
	again := start(t, sandbox.Config{Dir: dir})
	for _, v := range sandbox.Vendors {
		p, err := openers("")[v]([]byte(old[v]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), delivery(v, "n1.0.0")); err != nil {
			t.Errorf("%s: Send() with the old credentials: %v", v, err)
		}
	}
	_ = again
}

func TestMemoryIsBounded(t *testing.T) {
	s := start(t, sandbox.Config{PerDevice: 3})
	p := open(t, s, "apns", "")
	for i := range 5 {
		d := delivery("apns", fmt.Sprintf("n%d.0.0", i))
		d.Notification.ID = fmt.Sprint("n", i)
		if _, err := p.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	shows := s.Shows("apns", tokens["apns"])
	if len(shows) != 3 || shows[2].Data["herald_id"] != "n4.0.0" {
		t.Errorf("the device shows %d, the last %+v", len(shows), shows[len(shows)-1])
	}
}

func start(t testing.TB, c sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() error = %v", err)
		}
	})
	return s
}

func openers(callback string) map[string]providers.Opener {
	return map[string]providers.Opener{
		"apns": apns.New, "fcm": fcm.New, "sms": sms.Opener(callback), "webpush": webpush.New,
		"xiaomi": xiaomi.Opener(callback),
		"huawei": huawei.New, "honor": honor.New,
		"http":  custom.New,
		"oppo":  oppo.Opener(callback),
		"vivo":  vivo.Opener(callback),
		"meizu": meizu.Opener(callback),
		"smpp":  smpp.Opener(nil),
		"xmpp":  xmpp.New,
	}
}

func open(t testing.TB, s *sandbox.Sandbox, vendor, callback string) providers.Provider {
	t.Helper()
	if !json.Valid(s.Credentials(vendor)) {
		t.Fatalf("credentials of %s are not JSON", vendor)
	}
	p, err := openers(callback)[vendor](s.Credentials(vendor))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func delivery(vendor, id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "on its way",
			Data: map[string]string{"order": "8812"}, ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: vendor, Token: tokens[vendor]},
	}
}
