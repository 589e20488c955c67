package webpush

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	library "github.com/SherClockHolmes/webpush-go"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

// TestServiceWorkerReadsAndShowsWhatWeSend has a real browser's service worker
// decrypt what we send with the keys that it made. Chromium takes pushes from
// its maker's servers alone, so the push event is fired over its debugging
// protocol, with the text that the worker has read.
func TestServiceWorkerReadsAndShowsWhatWeSend(t *testing.T) {
	bodies := make(chan []byte, 1)
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir("testdata")))
	mux.HandleFunc("POST /push/1", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		bodies <- body
		w.WriteHeader(http.StatusCreated)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	tab := chromium(t)

	registrations := make(chan serviceworker.RegistrationID, 16)
	err := chromedp.Listen(tab, func(event any) {
		if e, ok := event.(*serviceworker.EventWorkerRegistrationUpdated); ok && len(e.Registrations) > 0 {
			select {
			case registrations <- e.Registrations[0].RegistrationID:
			default: // the first will do
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(tab, serviceworker.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(tab, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "notifications"}, Setting: browser.PermissionSettingGranted, Origin: srv.URL,
	}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.Navigate(srv.URL+"/page.html")); err != nil {
		t.Fatal(err)
	}
	var keys library.Keys
	if err := json.Unmarshal([]byte(evaluate(t, tab, `keys()`)), &keys); err != nil {
		t.Fatal(err)
	}

	p := open(t, map[string]any{"allow_private": true})
	var clear string
	for _, text := range []string{strings.Repeat("x", 3500), "grüezi 🙂"} {
		d := delivery("n1.0.0")
		d.Body, d.CollapseKey = text, "parcel"
		d.Overrides = map[string]json.RawMessage{name: json.RawMessage(`{"url":"/orders/8812","options":{"icon":"/i.png","requireInteraction":true}}`)}
		d.Address.Token = subscriptionJSON(t, library.Subscription{Endpoint: srv.URL + "/push/1", Keys: keys})
		if _, err := p.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		clear = evaluate(t, tab, fmt.Sprintf(`read(%q)`, base64.StdEncoding.EncodeToString(<-bodies)))
		checkMessage(t, clear, d)
	}

	var registration serviceworker.RegistrationID
	select {
	case registration = <-registrations:
	case <-tab.Done():
		t.Fatal("the service worker is not registered")
	}
	if _, err := chromedp.Call(tab, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{
		Origin: srv.URL, RegistrationID: registration, Data: clear,
	}); err != nil {
		t.Fatal(err)
	}
	wait := chromedp.Poll[bool](`shown().then((s) => s !== "[]")`, chromedp.WithPollingTimeout(20*time.Second))
	if _, err := chromedp.Run(tab, wait); err != nil {
		t.Fatalf("nothing is shown: %v", err)
	}
	want := fmt.Sprintf(`[{"title":"Shipped","body":"grüezi 🙂","tag":"parcel","icon":"%s/i.png","requireInteraction":true,"data":{"id":"n1.0.0","url":"/orders/8812"}}]`, srv.URL)
	if got := evaluate(t, tab, `shown()`); got != want {
		t.Errorf("the browser shows %s, want %s", got, want)
	}
}

// chromium starts a real browser and opens a tab.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, program := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(program); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		need.Missing(t, "no Chromium found: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func evaluate(t *testing.T, tab context.Context, expression string) string {
	t.Helper()
	v, err := chromedp.Run(tab, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%.80s: %v", expression, err)
	}
	return v
}
