package custom

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

func sealed(body, nonce string) string {
	mac := hmac.New(sha256.New, []byte("receipt-s3cret"))
	mac.Write([]byte(nonce + body))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// reporting is a service that signs its reports as a whole.
func reporting(t *testing.T) *Provider {
	return open(t, map[string]any{
		"endpoint": "https://x.example",
		"vars":     map[string]string{"seal": "receipt-s3cret"},
		"codes":    []map[string]any{{"code": "uninstalled", "kind": "unregistered", "means": "the app was removed"}},
		"code":     "code",
		"receipts": map[string]any{
			"signature": map[string]string{
				"kind": "hmac-sha256", "secret": "{{.Vars.seal}}", "over": `{{.Header "X-Nonce"}}{{.RequestBody}}`,
				"from": "header:X-Sign", "encoding": "base64",
			},
			"items": "events", "delivery": "tag.id", "message_id": "msg", "stage": "what", "at": "when", "code": "why",
			"stages": map[string]string{"1": "delivered", "2": "displayed", "3": "clicked", "9": "failed"},
		},
	})
}

func report1(t *testing.T, body, sign string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/callbacks/http?app=demo", strings.NewReader(body))
	r.Header.Set("X-Nonce", "n0nce")
	r.Header.Set("X-Sign", sign)
	return r
}

func TestReportsBecomeReceipts(t *testing.T) {
	when := time.Now().Add(-time.Minute).Truncate(time.Millisecond).UTC()
	body := `{"events":[
		{"tag":{"id":"order-8812.0.3"},"msg":77,"what":1,"when":"` + when.Format(time.RFC3339Nano) + `"},
		{"tag":{"id":"order-8812.0.4"},"msg":78,"what":9,"why":"uninstalled"},
		{"tag":{"id":"order-8812.0.5"},"what":9,"why":"nobody knows"},
		{"tag":{"id":"order-8812.0.6"},"what":4},
		{"tag":{"id":"sent from the console"},"what":1},
		"nonsense"]}`
	rs, err := reporting(t).Callback(report1(t, body, sealed(body, "n0nce")), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := []push.Receipt{
		{Delivery: "order-8812.0.3", ProviderID: "77", Stage: push.Delivered},
		{Delivery: "order-8812.0.4", ProviderID: "78", Stage: push.Failed, Kind: "unregistered"},
		{Delivery: "order-8812.0.5", Stage: push.Failed, Kind: "rejected"},
	}
	if len(rs) != len(want) {
		t.Fatalf("receipts = %+v, want %d", rs, len(want))
	}
	for i, w := range want {
		r := rs[i]
		if r.Delivery != w.Delivery || r.ProviderID != w.ProviderID || r.Stage != w.Stage || r.Kind != w.Kind {
			t.Errorf("receipt %d = %+v, want %+v", i, r, w)
		}
		if r.App != "demo" || r.Notification != "order-8812" || r.Provider != name || r.Source != push.VendorCallback {
			t.Errorf("receipt %d = %+v", i, r)
		}
	}
	if !rs[0].At.Equal(when) {
		t.Errorf("At = %v, want %v", rs[0].At, when)
	}
}

func TestReportsThatAreNotTheServicesAreRefused(t *testing.T) {
	body := `{"events":[{"tag":{"id":"order-8812.0.3"},"what":1}]}`
	other := strings.Replace(body, "0.3", "0.4", 1)
	tests := map[string]struct{ body, sign string }{
		"no signature":           {body, ""},
		"another secret":         {body, base64.StdEncoding.EncodeToString(make([]byte, 32))},
		"about another delivery": {other, sealed(body, "n0nce")},
		"with another nonce":     {body, sealed(body, "n1nce")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rs, err := reporting(t).Callback(report1(t, tt.body, tt.sign), []byte(tt.body))
			if !errors.Is(err, push.ErrCredentials) || len(rs) != 0 || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Callback() = %v, %v, want credentials", rs, err)
			}
		})
	}
	_, err := open(t, map[string]any{"endpoint": "https://x.example"}).Callback(report1(t, body, ""), []byte(body))
	if !errors.Is(err, push.ErrCredentials) {
		t.Errorf("without receipts: Callback() error = %v", err)
	}
	_, err = reporting(t).Callback(report1(t, "{", sealed("{", "n0nce")), []byte("{"))
	if _, ok := errors.AsType[*push.Invalid](err); !ok {
		t.Errorf("a signed body that is not JSON: error = %v", err)
	}
}

// The shape of Getui's reports: a JSON object a line, each signed by itself.
func TestReportsCanBeSignedOneByOne(t *testing.T) {
	p := open(t, map[string]any{
		"endpoint": "https://x.example",
		"receipts": map[string]any{
			"signature": map[string]string{
				"kind": "md5", "secret": "m4ster", "over": `{{.Item "app"}}{{.Item "id"}}{{.Item "code"}}{{.Secret}}`, "from": "item:sign",
			},
			"lines": true, "delivery": "id", "stage": "code", "stages": map[string]string{"200": "delivered"},
		},
	})
	line := func(id string) string {
		return `{"app":"a1","id":"` + id + `","code":"200","sign":"` + strings.ToUpper(sum("a1"+id+"200m4ster")) + `"}`
	}
	body := line("n1.0.0") + "\n" + line("n1.0.1") + "\n"
	rs, err := p.Callback(report1(t, body, ""), []byte(body))
	if err != nil || len(rs) != 2 || rs[1].Delivery != "n1.0.1" || rs[1].Stage != push.Delivered {
		t.Fatalf("Callback() = %+v, %v", rs, err)
	}
	body += strings.Replace(line("n1.0.2"), "n1.0.2", "n1.0.3", 1)
	if rs, err := p.Callback(report1(t, body, ""), []byte(body)); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("one forged line among good ones: %+v, %v", rs, err)
	}
}
