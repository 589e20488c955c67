package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is written by one goroutine and read by another.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// playSandbox runs the command until the test ends and waits for its output.
func playSandbox(t *testing.T, cmd sandboxCmd, ready func(string) bool) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, done := &output{}, make(chan error, 1)
	go func() { done <- cmd.Run(ctx, streams{out, io.Discard}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("herald sandbox: %v", err)
		}
	})
	for end := time.After(30 * time.Second); !ready(out.text()); {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-end:
			t.Fatalf("herald sandbox says only %q", out.text())
		}
	}
	return out.text()
}

// TestSandboxServesAStranger uses what the command prints, as somebody would who
// has a client of APNs to test and no Herald.
func TestSandboxServesAStranger(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := playSandbox(t, sandboxCmd{Host: "127.0.0.1", CAFile: ca, JSON: true}, func(text string) bool { return json.Valid([]byte(text)) })
	var told struct {
		Control string `json:"control"`
		CAFile  string `json:"ca_file"`
		Vendors map[string]struct {
			URL         string
			Credentials map[string]any
		}
	}
	if err := json.Unmarshal([]byte(text), &told); err != nil || told.CAFile != ca || len(told.Vendors) < 10 {
		t.Fatalf("output: %v, %d vendors, certificate in %s", err, len(told.Vendors), told.CAFile)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	ask := func(method, url, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(answer)
	}
	device := told.Vendors["apns"].URL + "/3/device/" + strings.Repeat("ab", 32)
	if status, answer := ask("POST", device, `{"aps":{}}`); status != 403 || answer != `{"reason":"MissingProviderToken"}` {
		t.Errorf("without a token: %d %s", status, answer)
	}
	if status, answer := ask("POST", told.Control+"/sandbox/apns/faults", `{"rules":[{"times":1,"do":{"code":"TooManyRequests","retry_after_s":9}}]}`); status != 200 {
		t.Errorf("faults: %d %s", status, answer)
	}
	if status, answer := ask("POST", device, `{"aps":{}}`); status != 429 || answer != `{"reason":"TooManyRequests"}` {
		t.Errorf("with the fault: %d %s", status, answer)
	}
	if _, answer := ask("GET", told.Control+"/sandbox/apns/requests", ""); strings.Count(answer, `"path":"/3/device/`) != 2 {
		t.Errorf("requests: %s", answer)
	}
}

func TestSandboxTellsPeopleWhatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	text := playSandbox(t, sandboxCmd{Host: "127.0.0.1", Dir: dir}, func(text string) bool { return strings.Contains(text, "faults") })
	for _, want := range []string{"key_id=SANDBOXKEY", "project_id=", "/sandbox/apns/requests", filepath.Join(dir, "ca.pem")} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	err := (&sandboxCmd{Port: map[string]int{"apms": 1}}).Run(t.Context(), streams{io.Discard, io.Discard})
	if err == nil || !strings.Contains(err.Error(), `"apms"`) {
		t.Errorf("a vendor that does not exist: %v", err)
	}
}
