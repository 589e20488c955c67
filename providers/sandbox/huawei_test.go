package sandbox_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/huawei"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestHuaweiReportsWhatBecameOfAMessage(t *testing.T) {
	tests := map[string]struct {
		dead  bool
		stage push.Stage
		kind  string
	}{
		"a phone that is there":        {false, push.Delivered, ""},
		"an app that was just deleted": {true, push.Failed, "unregistered"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{})
			p := open(t, s, "huawei", "")
			reports := make(chan push.Receipt, 4)
			herald := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { _, _ = w.Write(p.(providers.Answerer).CallbackAnswer()) }()
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
			status, _ := ask(t, s, http.MethodPut, "huawei", "/console/receipts", "", `{"address":"`+herald.URL+`/v1/callbacks/huawei?app=demo"}`)
			if status != http.StatusNoContent {
				t.Fatalf("the console answers %d", status)
			}
			if tt.dead {
				s.Kill("huawei", tokens["huawei"], time.Now())
			}
			answer, err := p.Send(t.Context(), delivery("huawei", "n1.0.7"))
			if err != nil {
				t.Fatal(err)
			}
			select {
			case r := <-reports:
				if r.Stage != tt.stage || r.Kind != tt.kind || r.Delivery != "n1.0.7" || r.App != "demo" || r.ProviderID != answer.ID {
					t.Errorf("receipt = %+v, want %s %s of %s", r, tt.stage, tt.kind, answer.ID)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("no receipt")
			}
			for end := time.Now().Add(30 * time.Second); s.Counts("huawei").Callbacks != 1; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("it does not hear that the receipt was taken: %+v", s.Counts("huawei"))
				}
			}
		})
	}
}

func TestHuaweiTellsOfADeadTokenAtOnceOnceItKnows(t *testing.T) {
	s := start(t, sandbox.Config{})
	s.Kill("huawei", tokens["huawei"], time.Now().Add(-time.Hour))
	if _, err := open(t, s, "huawei", "").Send(t.Context(), delivery("huawei", "n1.0.0")); !errors.Is(err, push.ErrUnregistered) {
		t.Errorf("Send() error = %v, want unregistered", err)
	}
}

func TestHuaweiTakesWhatItCanOfAList(t *testing.T) {
	s := start(t, sandbox.Config{})
	s.Kill("huawei", "push-token-of-phone-9", time.Now().Add(-time.Hour))
	const body = `{"message":{"data":"{}","android":{"collapse_key":-1,"ttl":"60s"},"token":[TOKENS]}}`
	tests := map[string]struct {
		tokens, contains string
		status           int
	}{
		"all are good":  {`"push-token-of-phone-1","push-token-of-phone-2"`, `"code":"80000000"`, 200},
		"one is dead":   {`"push-token-of-phone-1","push-token-of-phone-9"`, `"code":"80100000"`, 200},
		"all are bad":   {`"push-token-of-phone-9","short"`, `"code":"80300007"`, 400},
		"there is none": {``, `"code":"80300010"`, 400},
	}
	access := accessToken(t, s, "huawei", "/oauth2/v3/token")
	for name, tt := range tests {
		status, answer := ask(t, s, http.MethodPost, "huawei", "/v2/p1/messages:send", access, strings.Replace(body, "TOKENS", tt.tokens, 1))
		if status != tt.status || !strings.Contains(answer, tt.contains) {
			t.Errorf("%s: %d %s, want %d with %s", name, status, answer, tt.status, tt.contains)
		}
	}
	if n := len(s.Shows("huawei", "push-token-of-phone-1")); n != 2 {
		t.Errorf("the device shows %d, want 2: that of the partial success too", n)
	}
}

func TestHuaweiRefusesWhatItRefuses(t *testing.T) {
	const notification = `{"title":"a","body":"b","click_action":{"type":3}}`
	message := func(android string) string {
		return `{"message":{"android":{` + android + `},"token":["push-token-of-phone-1"]}}`
	}
	tests := map[string]struct {
		body, code string
	}{
		"not json":           {`<`, "80100001"},
		"nothing to show":    {message(``), "80100003"},
		"no click action":    {message(`"notification":{"title":"a","body":"b"}`), "80100003"},
		"a page of no name":  {message(`"notification":{"title":"a","body":"b","click_action":{"type":1}}`), "80100003"},
		"an urgency of none": {message(`"urgency":"LOW","notification":` + notification), "80100003"},
		"a month to live":    {message(`"ttl":"2592000s","notification":` + notification), "80100004"},
		"a far collapse key": {message(`"collapse_key":101,"notification":` + notification), "80100013"},
		"too long":           {message(`"bi_tag":"` + strings.Repeat("x", 4096) + `","notification":` + notification), "80300008"},
	}
	s := start(t, sandbox.Config{})
	access := accessToken(t, s, "huawei", "/oauth2/v3/token")
	for name, tt := range tests {
		if _, answer := ask(t, s, http.MethodPost, "huawei", "/v1/100000001/messages:send", access, tt.body); !strings.Contains(answer, tt.code) {
			t.Errorf("%s: %s, want %s", name, answer, tt.code)
		}
	}
	if status, answer := ask(t, s, http.MethodPost, "huawei", "/v1/100000001/messages:send", "stale", message(``)); status != 401 || !strings.Contains(answer, "80200001") {
		t.Errorf("an access token of nobody's: %d %s", status, answer)
	}
	other := bytes.Replace(s.Credentials("huawei"), []byte(`"client_secret":"`), []byte(`"client_secret":"x`), 1)
	p, err := huawei.New(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), delivery("huawei", "n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("a wrong secret: error = %v", err)
	}
}

func TestHuaweiSaysItsWords(t *testing.T) {
	saysItsWords(t, "huawei", map[string]error{
		"80100016": push.ErrRejected, "80100017": push.ErrThrottled, "80300002": push.ErrCredentials,
		"80300007": push.ErrUnregistered, "80600003": push.ErrUnavailable, "503": push.ErrThrottled,
	})
}

func TestHuaweiRepeatReplaces(t *testing.T) { replacesRepeats(t, "huawei") }

// accessToken gets one with the sandbox's own credentials.
func accessToken(t *testing.T, s *sandbox.Sandbox, vendor, path string) string {
	t.Helper()
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(s.Credentials(vendor), &c); err != nil {
		t.Fatal(err)
	}
	status, answer := ask(t, s, http.MethodPost, vendor, path, "", "grant_type=client_credentials&client_id="+c.ID+"&client_secret="+c.Secret)
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer), &granted); err != nil || granted.AccessToken == "" {
		t.Fatalf("the token endpoint answers %d %s", status, answer)
	}
	return granted.AccessToken
}

// ask makes one request of a vendor. A body that is not JSON is a form.
func ask(t *testing.T, s *sandbox.Sandbox, method, vendor, path, access, body string) (int, string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.CA()))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL(vendor)+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(body, "grant_type") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}
