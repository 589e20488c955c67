package custom

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestProviderKeepsTheContract(t *testing.T) {
	t.Run("jpush", func(t *testing.T) { providertest.Run(t, providertest.HTTP(service("jpush"))) })
	t.Run("getui", func(t *testing.T) {
		s := service("getui")
		twin := &getui{seen: map[string]int{}}
		s.Aside = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/auth") {
				return false
			}
			twin.ServeHTTP(w, r)
			return true
		}
		s.Accept = providertest.JSON(200, `{"code":0,"data":{"T1":{"x":"successed_offline"}}}`)
		s.TooLarge = nil
		s.Refusals = map[providertest.Behaviour]providertest.Refusal{
			"too fast":            {Answer: providertest.JSON(401, `{"code":10005,"msg":"x"}`), Kind: push.ErrThrottled},
			"a new token refused": {Answer: providertest.JSON(401, `{"code":10001,"msg":"x"}`), Kind: push.ErrCredentials},
			"nobody has the cid":  {Answer: providertest.JSON(400, `{"code":20001,"msg":"target user is invalid"}`), Kind: push.ErrUnregistered},
		}
		providertest.Run(t, providertest.HTTP(s))
	})
}

func TestExamplesHoldAgainstTheVendorsTwins(t *testing.T) {
	const android = "AndroidTokenOf44Characters_0123456789abcdefg"
	tests := map[string]struct {
		vendor, token string
		change        func(*push.Delivery, map[string]any)
		want          error // nil means accepted
		id            string
	}{
		"jpush takes it":                        {"jpush", "1507bfd3b7c8283abc1", nil, nil, "18103083292408631"},
		"jpush does not know the device":        {"jpush", "dead1", nil, push.ErrUnregistered, ""},
		"jpush refuses the secret":              {"jpush", "r1", wrongSecret, push.ErrCredentials, ""},
		"jpush would refuse a large message":    {"jpush", "r1", large, push.ErrRejected, ""},
		"jpush takes what never expires":        {"jpush", "r1", forever, nil, "18103083292408631"},
		"jpush takes what lasts a month":        {"jpush", "r1", month, nil, "18103083292408631"},
		"jpush takes quotes and line breaks":    {"jpush", "r1", quotes, nil, "18103083292408631"},
		"getui takes it":                        {"getui", "cid1", nil, nil, "RASS_0721_509ff16b"},
		"getui does not know the device":        {"getui", "dead1", nil, push.ErrUnregistered, ""},
		"getui has not seen the device":         {"getui", "away1", nil, push.ErrUnreachable, ""},
		"getui refuses the secret":              {"getui", "cid1", wrongSecret, push.ErrCredentials, ""},
		"getui takes what lasts a month":        {"getui", "cid1", month, nil, "RASS_0721_509ff16b"},
		"getui takes quotes and line breaks":    {"getui", "cid1", quotes, nil, "RASS_0721_509ff16b"},
		"umeng takes it":                        {"umeng", android, nil, nil, "uu84567160689098123411"},
		"umeng refuses the signature":           {"umeng", android, wrongSecret, push.ErrCredentials, ""},
		"umeng does not take the token":         {"umeng", "short", nil, push.ErrRejected, ""},
		"umeng would refuse a large message":    {"umeng", android, large, push.ErrRejected, ""},
		"umeng takes what never expires":        {"umeng", android, forever, nil, "uu84567160689098123411"},
		"umeng takes quotes and line breaks":    {"umeng", android, quotes, nil, "uu84567160689098123411"},
		"umeng takes a message without a title": {"umeng", android, untitled, nil, "uu84567160689098123411"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, changes := delivery("order-8812.0.3"), map[string]any{}
			d.Address.Token = tt.token
			if tt.change != nil {
				tt.change(d, changes)
			}
			twin := twinOf(tt.vendor)
			p := start(t, tt.vendor, twin, changes)
			answer, err := p.Send(t.Context(), d)
			if !errors.Is(err, tt.want) || answer.ID != tt.id {
				t.Fatalf("Send() = %q, %v, want %q, %v", answer.ID, err, tt.id, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells the secret: %v", err)
			}
			if tt.want == nil {
				b, _ := json.Marshal(twin.message())
				for _, want := range []string{tt.token, "order-8812.0.3", encoded(d.Body)} {
					if !strings.Contains(string(b), want) {
						t.Errorf("the message lacks %s: %s", want, b)
					}
				}
			}
		})
	}
}

func TestGetuiIsAskedForATokenOnce(t *testing.T) {
	twin := &getui{seen: map[string]int{}}
	p := start(t, "getui", twin, nil)
	d := delivery("order-8812.0.3")
	for range 3 {
		if _, err := p.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if twin.fetches != 1 {
		t.Errorf("%d tokens were fetched, want 1", twin.fetches)
	}
	if len(twin.seen) != 1 {
		t.Errorf("a delivery had the request ids %v, want one, so that Getui drops repeats", twin.seen)
	}
	for id := range twin.seen {
		if len(id) != 32 {
			t.Errorf("request id %q", id)
		}
	}
}

func TestAnEndedTokenIsFetchedAgain(t *testing.T) {
	twin := &getui{seen: map[string]int{}}
	p := start(t, "getui", twin, nil)
	d := delivery("order-8812.0.3")
	if _, err := p.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	twin.forgotten = twin.fetches // the service has lost it
	p.tokens.Young = 1            // nanosecond: every token is old
	if _, err := p.Send(t.Context(), d); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("Send() error = %v, want unavailable: the next attempt has a new token", err)
	}
	if _, err := p.Send(t.Context(), d); err != nil {
		t.Errorf("Send() with a new token: %v", err)
	}
}

func TestExamplesMustBeFilledIn(t *testing.T) {
	for vendor, b := range Examples() {
		_, err := New(b)
		var invalid *push.Invalid
		if !errors.As(err, &invalid) {
			t.Fatalf("%s: New() error = %v, want faults", vendor, err)
		}
		for _, f := range invalid.Faults {
			if !strings.HasPrefix(f.Field, "vars.") {
				t.Errorf("%s: %s %s", vendor, f.Field, f.Detail)
			}
		}
	}
}

func wrongSecret(_ *push.Delivery, c map[string]any) {
	c["vars"] = map[string]string{"app_id": "app1", "app_key": appKey, "master_secret": "an0ther-secret"}
}
func large(d *push.Delivery, _ map[string]any)    { d.Body = strings.Repeat("大", 1400) }
func forever(d *push.Delivery, _ map[string]any)  { d.ExpiresAt = time.Time{} }
func untitled(d *push.Delivery, _ map[string]any) { d.Title = "" }
func month(d *push.Delivery, _ map[string]any)    { d.ExpiresAt = time.Now().Add(30 * 24 * time.Hour) }

func quotes(d *push.Delivery, _ map[string]any) { d.Body = "\"}],{{.Vars}}\n</script>\\ 你好 🙂" }

func encoded(s string) string {
	b, _ := json.Marshal(s)
	return strings.Trim(string(b), `"`)
}

type vendor interface {
	http.Handler
	message() map[string]any
}

func twinOf(name string) vendor {
	switch name {
	case "jpush":
		return &jpush{}
	case "getui":
		return &getui{seen: map[string]int{}}
	default:
		return &umeng{}
	}
}

// start opens an example with its twin in the vendor's place.
func start(t *testing.T, vendor string, twin http.Handler, changes map[string]any) *Provider {
	t.Helper()
	srv := httptest.NewTLSServer(twin)
	t.Cleanup(srv.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	p := openExample(t, vendor, srv.URL, ca, changes)
	t.Cleanup(p.CloseIdleConnections)
	return p
}

func openExample(t *testing.T, vendor, endpoint, ca string, changes map[string]any) *Provider {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(Examples()[vendor], &c); err != nil {
		t.Fatal(err)
	}
	c["endpoint"], c["ca"], c["allow_private"] = endpoint, ca, true
	c["vars"] = map[string]string{"app_id": "app1", "app_key": appKey, "master_secret": secret}
	maps.Copy(c, changes)
	return open(t, c)
}

func open(t *testing.T, c map[string]any) *Provider {
	t.Helper()
	b, _ := json.Marshal(c)
	p, err := New(b)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Provider)
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "order-8812", Class: push.Transactional, Title: "Shipped", Body: "Your parcel is on its way",
			Data: map[string]string{"order": "8812"}, ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone-1",
		Address: push.Address{Provider: name, Token: "t0k3n-of-a-device"},
	}
}

func service(vendor string) providertest.Service {
	tooLarge := delivery("n1.0.0")
	tooLarge.Body = strings.Repeat("x", 4001)
	refuse := func(status int, code string, kind error) providertest.Refusal {
		return providertest.Refusal{
			Answer: providertest.JSON(status, `{"error":{"code":`+code+`,"message":"t0k3n-of-a-device is bad"}}`), Kind: kind,
		}
	}
	return providertest.Service{
		Name: name,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			return openExample(t, vendor, endpoint, ca, nil)
		},
		Accept:   providertest.JSON(200, `{"sendno":"0","msg_id":"1"}`),
		Delivery: delivery,
		TooLarge: tooLarge,
		Secrets:  []string{secret, appKey},
		Refusals: map[providertest.Behaviour]providertest.Refusal{
			"wrong secret":          refuse(401, "1004", push.ErrCredentials),
			"no such device":        refuse(400, "1011", push.ErrUnregistered),
			"too fast":              refuse(429, "2002", push.ErrThrottled),
			"internal error":        refuse(500, "1000", push.ErrUnavailable),
			"bad parameter":         refuse(400, "1003", push.ErrRejected),
			"a code nobody knows":   refuse(400, "9999", push.ErrRejected),
			"the token as its code": refuse(400, `"t0k3n-of-a-device"`, push.ErrRejected),
			"a secret as its code":  refuse(400, `"`+secret+`"`, push.ErrRejected),
			"a redirect somewhere":  {Answer: http.RedirectHandler("https://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, Kind: push.ErrUnavailable},
		},
	}
}
