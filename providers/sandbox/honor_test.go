package sandbox_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/honor"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestHonorRefusesWhatItRefuses(t *testing.T) {
	s := start(t, sandbox.Config{})
	const path = "/api/v1/104400001/sendMessage"
	access := accessToken(t, s, "honor", "/auth/token")
	if status, answer := ask(t, s, http.MethodPost, "honor", path, access, `{}`); status != 400 || !strings.Contains(answer, `"code":400`) {
		t.Errorf("a request without a timestamp: %d %s", status, answer)
	}
	if status, _ := ask(t, s, http.MethodPost, "honor", path, "stale", `{}`); status != 401 {
		t.Errorf("an access token of nobody's: %d", status)
	}
	if status, _ := ask(t, s, http.MethodPost, "honor", "/api/v1/7/sendMessage", access, `{}`); status != 404 {
		t.Errorf("an app of nobody's: %d", status)
	}
	other := bytes.Replace(s.Credentials("honor"), []byte(`"client_secret":"`), []byte(`"client_secret":"x`), 1)
	p, err := honor.New(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), delivery("honor", "n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("a wrong secret: error = %v", err)
	}
}

func TestHonorTellsOfADeadToken(t *testing.T) {
	s := start(t, sandbox.Config{})
	p := open(t, s, "honor", "")
	s.Kill("honor", tokens["honor"], time.Now())
	if _, err := p.Send(t.Context(), delivery("honor", "n1.0.0")); !errors.Is(err, push.ErrUnregistered) {
		t.Errorf("Send() error = %v, want unregistered", err)
	}
}

func TestHonorSaysItsWords(t *testing.T) {
	saysItsWords(t, "honor", map[string]error{
		"400": push.ErrRejected, "401": push.ErrCredentials, "404": push.ErrCredentials,
		"429": push.ErrThrottled, "500": push.ErrUnavailable, "503": push.ErrThrottled,
	})
}

func TestHonorRepeatReplaces(t *testing.T) { replacesRepeats(t, "honor") }

func TestHonorReportsThatAMessageArrived(t *testing.T) {
	s := start(t, sandbox.Config{})
	p := open(t, s, "honor", "")
	reports := make(chan push.Receipt, 4)
	herald := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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
	status, _ := ask(t, s, http.MethodPut, "honor", "/console/receipts", "", `{"address":"`+herald.URL+`/v1/callbacks/honor?app=demo"}`)
	if status != http.StatusNoContent {
		t.Fatalf("the console answers %d", status)
	}
	answer, err := p.Send(t.Context(), delivery("honor", "n1.0.7"))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-reports:
		if r.Stage != push.Delivered || r.Delivery != "n1.0.7" || r.App != "demo" || r.ProviderID != answer.ID {
			t.Errorf("receipt = %+v", r)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no receipt")
	}
}
