package webpush

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/push"
)

// node starts a script and returns its standard input and its next line.
func node(t *testing.T, script string) (io.Writer, func() string) {
	t.Helper()
	program := need.Program(t, "node", "apt-get install nodejs npm")
	cmd := exec.CommandContext(t.Context(), program, script)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // it ends with its input, or with the test
	})
	lines := bufio.NewScanner(out)
	return in, func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("%s ended: %v", script, lines.Err())
		}
		return lines.Text()
	}
}

func TestBrowserReadsWhatWeSend(t *testing.T) {
	in, next := node(t, "testdata/browser.js")
	var keys library.Keys
	if err := json.Unmarshal([]byte(next()), &keys); err != nil {
		t.Fatal(err)
	}
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	defer srv.Close()
	p := open(t, map[string]any{"allow_private": true})
	for _, text := range []string{"", "grüezi 🙂", strings.Repeat("x", 24), strings.Repeat("x", 3700)} {
		d := delivery("n1.0.0")
		d.Body, d.CollapseKey = text, "parcel"
		d.Address.Token = subscriptionJSON(t, library.Subscription{Endpoint: srv.URL + "/p/1", Keys: keys})
		if _, err := p.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(in, base64.StdEncoding.EncodeToString(body))
		var clear string
		if err := json.Unmarshal([]byte(next()), &clear); err != nil {
			t.Fatal(err)
		}
		checkMessage(t, clear, d)
	}
}

func TestWebPushTestingTakesWhatWeSend(t *testing.T) {
	need.File(t, "testdata/npm/node_modules/web-push-testing", "npm ci --prefix providers/webpush/testdata/npm")
	_, next := node(t, "testdata/npm/service.js")
	service := next()
	p := open(t, map[string]any{"allow_private": true})
	sub := ask(t, service+"/subscribe", map[string]string{"userVisibleOnly": "true", "applicationServerKey": p.config.PublicKey})
	d := delivery("n1.0.0")
	d.Address.Token = string(sub)
	if _, err := p.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	var client struct{ ClientHash string }
	if err := json.Unmarshal(sub, &client); err != nil {
		t.Fatal(err)
	}
	var got struct{ Messages []string }
	if err := json.Unmarshal(ask(t, service+"/get-notifications", map[string]string{"clientHash": client.ClientHash}), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Messages) != 1 {
		t.Fatalf("%d messages, want 1", len(got.Messages))
	}
	checkMessage(t, got.Messages[0], d)

	if _, err := open(t, map[string]any{"allow_private": true}).Send(t.Context(), d); !errors.Is(err, push.ErrRejected) {
		t.Errorf("with another VAPID key: Send() error = %v, want rejected", err) // it answers 400
	}
	ask(t, service+"/expire-subscription/"+client.ClientHash, nil)
	if _, err := p.Send(t.Context(), d); !errors.Is(err, push.ErrUnregistered) {
		t.Errorf("after its end: Send() error = %v, want unregistered", err)
	}
}

func checkMessage(t *testing.T, clear string, d *push.Delivery) {
	t.Helper()
	var m message
	if err := json.Unmarshal([]byte(clear), &m); err != nil {
		t.Fatalf("%v: %s", err, clear)
	}
	if m.ID != d.ID || m.Notification != "n1" || m.Title != d.Title || m.Body != d.Body || m.Data["order"] != "8812" || m.CollapseKey != d.CollapseKey {
		t.Errorf("the browser reads %+v", m)
	}
}

func subscriptionJSON(t *testing.T, s library.Subscription) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ask posts JSON to web-push-testing and returns the "data" of its answer.
func ask(t *testing.T, address string, body any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", address, res.StatusCode, answer)
	}
	var wrapped struct{ Data json.RawMessage }
	_ = json.Unmarshal(answer, &wrapped) // an ended subscription is answered "OK"
	return wrapped.Data
}
