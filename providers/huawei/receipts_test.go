package huawei

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	user        = "herald"
	callbackKey = "callback-s3cret"
)

func TestReceiptsBecomeStages(t *testing.T) {
	tests := map[string]struct {
		result int
		stage  push.Stage
		kind   string
	}{
		"it arrived":                   {0, push.Delivered, ""},
		"the app was deleted":          {2, push.Failed, "unregistered"},
		"another's token":              {5, push.Failed, "unregistered"},
		"notifications are off":        {6, push.Failed, "policy"},
		"a phone in a drawer":          {10, push.Failed, "unreachable"},
		"replaced by a newer":          {15, push.Failed, "policy"},
		"the app's process is dead":    {27, push.Failed, "unreachable"},
		"too many":                     {102, push.Failed, "throttled"},
		"held back":                    {201, push.Failed, "policy"},
		"test messages used up":        {256, push.Failed, "quota"},
		"a result of tomorrow's kinds": {999, push.Failed, "rejected"},
	}
	p := open(t, callbackKey)
	at := time.Now().Add(-3 * time.Second).UTC().Truncate(time.Millisecond)
	for name, tt := range tests {
		for version, body := range map[string]string{
			"v1": `{"statuses":[{"biTag":"n1.0.7","appid":"10001","token":"t","status":%d,"timestamp":%d,"requestId":"R1"}]}`,
			"v2": `{"statuses":[{"biTag":"n1.0.7","pushType":0,"token":"t","requestId":"R1","deliveryStatus":{"result":%d,"timestamp":%d}}]}`,
		} {
			t.Run(name+", "+version, func(t *testing.T) {
				rs, err := p.Callback(signed(callbackKey, time.Now()), fmt.Appendf(nil, body, tt.result, at.UnixMilli()))
				if err != nil || len(rs) != 1 {
					t.Fatalf("Callback() = %v, %v, want one receipt", rs, err)
				}
				r := rs[0]
				if r.Stage != tt.stage || r.Kind != tt.kind || !r.At.Equal(at) {
					t.Errorf("receipt = %+v, want %s %s at %v", r, tt.stage, tt.kind, at)
				}
				if r.App != "demo" || r.Notification != "n1" || r.Delivery != "n1.0.7" || r.ProviderID != "R1" || r.Source != push.VendorCallback {
					t.Errorf("receipt = %+v", r)
				}
			})
		}
	}
}

func TestReceiptsOfOthersArePassedOver(t *testing.T) {
	p := open(t, callbackKey)
	rs, err := p.Callback(signed(callbackKey, time.Now()), []byte(
		`{"statuses":[{"biTag":"campaign","status":0},{"biTag":"n1.0.1"},{"biTag":"n1.0.2","status":0,"timestamp":99999999999999}]}`))
	if err != nil || len(rs) != 1 || rs[0].Delivery != "n1.0.2" || rs[0].At.After(time.Now()) {
		t.Errorf("Callback() = %+v, %v, want that of n1.0.2 alone, now", rs, err)
	}
}

func TestReceiptsMayCountInSeconds(t *testing.T) {
	p := open(t, callbackKey)
	at := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	rs, err := p.Callback(signed(callbackKey, time.Now()), fmt.Appendf(nil, `{"statuses":[{"biTag":"n1.0.1","status":0,"timestamp":%d}]}`, at.Unix()))
	if err != nil || len(rs) != 1 || !rs[0].At.Equal(at) {
		t.Errorf("Callback() = %+v, %v, want one at %v", rs, err, at)
	}
}

func TestReceiptsMustBeSigned(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte("a key made by the console"))
	now := time.Now()
	tests := map[string]struct {
		secret  string
		request *http.Request
		want    error
	}{
		"signed with the secret":            {callbackKey, signed(callbackKey, now), nil},
		"signed with the secret's bytes":    {key, signed("a key made by the console", now), nil},
		"signed with the secret as it is":   {key, signed(key, now), nil},
		"signed with another":               {callbackKey, signed("x", now), push.ErrCredentials},
		"signed an hour ago":                {callbackKey, signed(callbackKey, now.Add(-time.Hour)), push.ErrCredentials},
		"not signed":                        {callbackKey, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?app=demo", nil), push.ErrCredentials},
		"signed, and nobody knows a secret": {"", signed("", now), push.ErrCredentials},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, tt.secret).Callback(tt.request, []byte(`{"statuses":[]}`))
			if !errors.Is(err, tt.want) {
				t.Errorf("Callback() error = %v, want %v", err, tt.want)
			}
			if err != nil && tt.secret != "" && strings.Contains(err.Error(), tt.secret) {
				t.Errorf("Callback() error tells the secret: %v", err)
			}
		})
	}
}

// AppGallery Connect tries an address without a signature and with no results.
func TestAddressIsTriedWithoutASignature(t *testing.T) {
	for body, want := range map[string]error{
		``: nil, `{}`: nil, `{"test":true}`: nil,
		`{"statuses":[{"biTag":"n1.0.1","status":0}]}`: push.ErrCredentials, `{"statuses":[]}`: push.ErrCredentials, `<html>`: push.ErrCredentials,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?app=demo", nil)
		if rs, err := open(t, callbackKey).Callback(r, []byte(body)); !errors.Is(err, want) || len(rs) != 0 {
			t.Errorf("Callback(%q) = %v, %v, want %v", body, rs, err, want)
		}
	}
	if got := string(open(t, callbackKey).CallbackAnswer()); got != `{"code":"0","message":"success"}` {
		t.Errorf("CallbackAnswer() = %s", got)
	}
}

func TestReceiptsThatMakeNoSense(t *testing.T) {
	p := open(t, callbackKey)
	for _, body := range []string{``, `<html>`, `{}`, `{"statuses":7}`} {
		_, err := p.Callback(signed(callbackKey, time.Now()), []byte(body))
		if _, ok := errors.AsType[*push.Invalid](err); !ok {
			t.Errorf("Callback(%q) error = %v, want a *push.Invalid", body, err)
		}
	}
}

// TestSignatureIsHuaweis holds a signature made elsewhere, with
// printf '1563105451261a07bfa17herald' | openssl dgst -sha256 -hmac callback-s3cret -binary | base64.
func TestSignatureIsHuaweis(t *testing.T) {
	c := &config{CallbackUser: user, CallbackSecret: callbackKey}
	header := "timestamp=1563105451261; nonce=a07bfa17; value=UfzY8a+bwLadGt9T4c+CA/iLv9zkcyYJS9NMhN4mkos="
	if err := c.verify(header, time.UnixMilli(1563105451261)); err != nil {
		t.Errorf("verify() error = %v", err)
	}
}

// signed is a request as Huawei makes it.
func signed(key string, at time.Time) *http.Request {
	stamp, nonce := fmt.Sprint(at.UnixMilli()), "a07bfa17-6d82-4b53-a9a2-07cfef5ceef1"
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(stamp + nonce + user))
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/callbacks/huawei?app=demo", nil)
	r.Header.Set(signatureHeader, "timestamp="+stamp+"; nonce="+nonce+"; value="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return r
}

func open(t *testing.T, secret string) *Provider {
	t.Helper()
	c := fmt.Sprintf(`{"client_id":"1","client_secret":"x","callback_user":%q,"callback_secret":%q}`, user, secret)
	if secret == "" {
		c = `{"client_id":"1","client_secret":"x"}`
	}
	p, err := New([]byte(c))
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Provider)
}
