package sandbox_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald/providers/sandbox"
)

func TestControl(t *testing.T) {
	s := start(t, sandbox.Config{})
	p := open(t, s, "apns", "")
	if _, err := p.Send(t.Context(), delivery("apns", "n1.0.0")); err != nil {
		t.Fatal(err)
	}
	token := tokens["apns"]
	steps := []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/control/vendors", "", 200, `"vendors":[{"name":"apns","url":"https://127.0.0.1:`},
		{"GET", "/control/vendors/apns", "", 200, `"counts":{"requests":1,"accepted":1,"refused":{},"shown":1`},
		{"GET", "/control/vendors/pigeon", "", 404, `"error"`},
		{"PUT", "/control/vendors/apns/settings", `{"latency_ms":5,"error":"ServiceUnavailable"}`, 200, `"latency_ms":5`},
		{"PATCH", "/control/vendors/apns/settings", `{"retry_after_s":9}`, 200, `"latency_ms":5`},
		{"PUT", "/control/vendors/apns/settings", `{}`, 200, `"latency_ms":0`},
		{"PUT", "/control/vendors/apns/settings", `{"outage":"flood"}`, 400, `outage must be`},
		{"PUT", "/control/vendors/apns/settings", `{"error":"UNAVAILABLE"}`, 400, `no error named`},
		{"PUT", "/control/vendors/apns/settings", `{"error_rate":2}`, 400, `from 0 to 1`},
		{"PUT", "/control/vendors/apns/settings", `{"speed":2}`, 400, `unknown field`},
		{"PUT", "/control/vendors/apns/dead/" + token, `{}`, 204, ``},
		{"GET", "/control/vendors/apns/dead", "", 200, token},
		{"DELETE", "/control/vendors/apns/dead/" + token, "", 204, ``},
		{"GET", "/control/vendors/apns/dead", "", 200, `{"dead":[]}`},
		{"GET", "/control/vendors/apns/devices/" + token, "", 200, `"title":"Shipped"`},
		{"GET", "/control/vendors/apns/messages?limit=5", "", 200, `"title":"Shipped"`},
		{"GET", "/control/vendors/apns/messages?limit=x", "", 400, `limit`},
		{"GET", "/control/ca.pem", "", 200, "BEGIN CERTIFICATE"},
		{"GET", "/control/credentials/fcm", "", 200, `"service_account"`},
		{"POST", "/control/reset", "", 204, ""},
		{"GET", "/control/vendors/apns", "", 200, `"requests":0`},
	}
	for _, step := range steps {
		status, answer := call(t, s, step.method, step.path, step.body, "application/json")
		if status != step.status || !strings.Contains(answer, step.contains) {
			t.Errorf("%s %s: %d %s, want %d with %s", step.method, step.path, status, answer, step.status, step.contains)
		}
	}
	if status, _ := call(t, s, "POST", "/control/reset", "", "text/plain"); status != http.StatusUnsupportedMediaType {
		t.Errorf("a change that a foreign page could send: %d, want 415", status)
	}
}

func call(t *testing.T, s *sandbox.Sandbox, method, path, body, kind string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.ControlURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(req)
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

// start runs a sandbox until the test ends.
