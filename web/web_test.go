package web

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestChangesNeedTheTokenAndTheRight(t *testing.T) {
	box := &fakeSandbox{}
	h := open(t, &fake{lively: true}, func(c *Config) { c.Sandbox = box.start(t) })
	admin, reader := h.operator(t), h.withKey(t, "hk_read")
	_, page := admin.get("/sandbox")
	_, readersPage := reader.get("/sandbox")
	settings := url.Values{"do": {"settings"}, "latency_ms": {"250"}}
	with := func(token string) url.Values {
		form := url.Values{"csrf": {token}}
		maps.Copy(form, settings)
		return form
	}
	tests := map[string]struct {
		v       *visitor
		path    string
		form    url.Values
		headers []string
		want    int
	}{
		"no token":                          {admin, "/sandbox/apns", settings, nil, 403},
		"somebody else's token":             {admin, "/sandbox/apns", with(csrfOf(readersPage)), nil, 403},
		"from another site, with the token": {admin, "/sandbox/apns", with(csrfOf(page)), []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a reader turns the sandbox":        {reader, "/sandbox/apns", with(csrfOf(readersPage)), nil, 403},
		"a reader plays a device":           {reader, "/demo/device?device=browser-1", with(csrfOf(readersPage)), nil, 403},
		"a device without token":            {admin, "/demo/device?device=browser-1", nil, nil, 403},
		"logout without token":              {admin, "/logout", nil, nil, 403},
		"a stranger":                        {h.stranger(t), "/sandbox/apns", with(csrfOf(page)), nil, 401},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if res, _ := tt.v.post(tt.path, tt.form, tt.headers...); res.StatusCode != tt.want {
				t.Errorf("POST %s: %s, want %d", tt.path, res.Status, tt.want)
			}
		})
	}
	if len(box.asked) != 0 || len(h.registered) != 0 {
		t.Errorf("something was changed: %v %v", box.asked, h.registered)
	}
}

func TestTheSandboxIsTurnedThroughItsControlAPI(t *testing.T) {
	box := &fakeSandbox{}
	h := open(t, &fake{lively: true}, func(c *Config) { c.Sandbox = box.start(t) + "/" })
	v := h.operator(t)
	_, page := v.get("/sandbox")
	for _, want := range []string{`value="120"`, `value="2.5"`, "outage: hang", "dead-token-7", "played 3×", "no answer", "TooManyRequests", "bearer [hidden]", "Shipped &lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	tests := map[string]struct {
		form url.Values
		want string // what the control API hears; "" for nothing
		code int
	}{
		"settings":       {url.Values{"do": {"settings"}, "latency_ms": {"250"}, "error_rate": {"12.5"}, "outage": {"reset"}, "error": {"UNAVAILABLE"}}, `PATCH /control/vendors/fcm/settings {"error":"UNAVAILABLE","error_rate":0.125,"latency_ms":250,"outage":"reset"}`, 303},
		"calm":           {url.Values{"do": {"calm"}}, `PUT /control/vendors/fcm/settings {}`, 303},
		"a dead token":   {url.Values{"do": {"kill"}, "token": {"a/b c"}}, `PUT /control/vendors/fcm/dead/a/b c {}`, 303},
		"a token lives":  {url.Values{"do": {"revive"}, "token": {"t1"}}, `DELETE /control/vendors/fcm/dead/t1 `, 303},
		"a script":       {url.Values{"do": {"script"}, "script": {` [{"times":1,"do":{"hang":true}}] `}}, `POST /sandbox/fcm/faults {"rules":[{"times":1,"do":{"hang":true}}]}`, 303},
		"a whole body":   {url.Values{"do": {"script"}, "script": {`{"rules":[]}`}}, `POST /sandbox/fcm/faults {"rules":[]}`, 303},
		"script removed": {url.Values{"do": {"unscript"}}, `DELETE /sandbox/fcm/faults `, 303},
		"not a script":   {url.Values{"do": {"script"}, "script": {"hang, please"}}, "", 422},
		"half a script":  {url.Values{"do": {"script"}, "script": {`{"rules":`}}, "", 422},
		"a spread":       {url.Values{"do": {"settings"}, "latency_spread": {"lognormal"}}, `PATCH /control/vendors/fcm/settings {"latency_spread":"lognormal"}`, 303},
		"no token":       {url.Values{"do": {"kill"}}, "", 422},
		"not a number":   {url.Values{"do": {"settings"}, "latency_ms": {"much"}}, "", 422},
		"NaN":            {url.Values{"do": {"settings"}, "error_rate": {"NaN"}}, "", 422},
		"above all":      {url.Values{"do": {"settings"}, "error_rate": {"101"}}, "", 422},
		"nothing to do":  {url.Values{}, "", 422},
		"refused by API": {url.Values{"do": {"settings"}, "outage": {"nonsense"}}, `PATCH /control/vendors/fcm/settings {"outage":"nonsense"}`, 422},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			box.asked = nil
			tt.form.Set("csrf", csrfOf(page))
			res, body := v.post("/sandbox/fcm", tt.form)
			if res.StatusCode != tt.code {
				t.Errorf("POST: %s, want %d", res.Status, tt.code)
			}
			if got := strings.Join(box.asked, "\n"); got != tt.want {
				t.Errorf("the control API heard\n%s\nwant\n%s", got, tt.want)
			}
			if strings.Contains(body, "<b>nonsense") {
				t.Error("the API's words reach the page unescaped")
			}
		})
	}
}

func TestADeviceGetsWhatItNeedsToConnect(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	_, page := v.get("/demo/device?device=browser-7")
	if strings.Contains(page, "jwt-of") {
		t.Error("a token is in the page; it should only be in the answer to the module")
	}
	res, body := v.post("/demo/device?app=demo&device=browser-7", nil, "X-CSRF-Token", csrfOf(page), "Accept", "application/json")
	var got connection
	if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("POST: %s %s", res.Status, body)
	}
	got.ExpiresAt = time.Time{}
	if want := (connection{URL: "ws://127.0.0.1:9/mqtt", ClientID: "browser-7", Username: "demo/browser-7", Password: "jwt-of-browser-7"}); got != want {
		t.Errorf("connection = %+v, want %+v", got, want)
	}
	if !slices.Equal(h.registered, []string{"demo/browser-7"}) {
		t.Errorf("registered %v", h.registered)
	}
	for _, name := range []string{"a/b", "a#", "+", strings.Repeat("x", 65), "<script>"} {
		if res, _ := v.get("/demo/device?device=" + url.QueryEscape(name)); res.StatusCode != http.StatusNotFound {
			t.Errorf("device %q: %s, want 404", name, res.Status)
		}
	}
}

func TestHeadersBoundWhatAPageMayDo(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	for _, path := range []string{"/", "/nowhere", "/static/app.js", "/data/overview"} {
		res, _ := v.get(path)
		csp := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self' ws://127.0.0.1:9;", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %q", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q allows something unsafe", path, csp)
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s: %s = %q, want %q", path, header, got, want)
			}
		}
	}
}

func TestPlantedMarkupIsShownAndNotRun(t *testing.T) {
	const evil = `<script>alert("x")</script>'"><img src=x onerror=alert(1)>`
	h := open(t, &fake{lively: true, planted: evil})
	v := h.operator(t)
	for _, path := range []string{
		"/", "/data/overview", "/?class=" + url.QueryEscape(evil), "/providers", "/choice", "/journeys", "/explore?sql=minute" + url.QueryEscape(evil), "/explore?sql=system", "/data/choice", notificationPath("demo", "n"+evil), deliveryPath("demo", "n"+evil, "d"+evil), "/demo/device",
		"/login?next=" + url.QueryEscape("/"+evil),
	} {
		res, body := v.get(path)
		if res.StatusCode >= http.StatusInternalServerError {
			t.Errorf("GET %s: %s", path, res.Status)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", `="><`} {
			if strings.Contains(body, bad) {
				t.Errorf("GET %s holds %q", path, bad)
			}
		}
	}
}

func TestLinksLeadToWhatTheyName(t *testing.T) {
	h := open(t, &fake{lively: true, planted: "/?#% x"})
	v := h.operator(t)
	_, page := v.get("/notifications/a%2Fb%3F")
	if !strings.Contains(page, `href="/notifications/a%2Fb%3F/deliveries/phone-1%2F%3F%23%25%20x?app=demo"`) {
		t.Error("the link to the delivery does not name its device")
	}
	if res, page := v.get("/notifications/a%2Fb%3F/deliveries/phone-1%2F%3F%23%25%20x?app=demo"); res.StatusCode != http.StatusOK || !strings.Contains(page, "a/b?.0.0") {
		t.Errorf("the delivery's page: %s", res.Status)
	}
}

func TestSecretsAreNowhere(t *testing.T) {
	var log strings.Builder
	key := "s3cr3t-signing-key-of-thirty-two-bytes!!"
	h := open(t, &fake{lively: true}, func(c *Config) {
		c.Key, c.Sandbox = []byte(key), (&fakeSandbox{}).start(t)
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	v := h.operator(t)
	for _, path := range []string{"/", "/login", "/sandbox", "/demo/device", "/data/overview", "/nowhere", "/login?token=s3cr3t-token"} {
		if _, body := v.get(path); strings.Contains(body, "s3cr3t") && !strings.HasPrefix(path, "/login?") {
			t.Errorf("GET %s shows a secret", path)
		}
	}
	h.stranger(t).get("/login?token=s3cr3t-token")
	if strings.Contains(log.String(), "s3cr3t") || log.Len() == 0 {
		t.Errorf("the log holds a secret or nothing:\n%s", log.String())
	}
}

func TestAnEmptyPageSaysWhatToDo(t *testing.T) {
	h := open(t, &fake{}, func(c *Config) { c.Command = "bin/herald send --to device:phone-1 --title Hi" })
	_, page := h.operator(t).get("/")
	for _, want := range []string{
		`data-copy="bin/herald send --to device:phone-1 --title Hi"`, "embedded ClickHouse absent: events wait in the spool",
		"1,204 events wait", "No provider was tried", "last 15 min",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the empty page lacks %q", want)
		}
	}
}

func TestAStoreThatIsAwayCostsItsPartOnly(t *testing.T) {
	f := &fake{lively: true}
	f.away.Store(true)
	h := open(t, f)
	res, page := h.operator(t).get("/")
	if res.StatusCode != http.StatusOK || !strings.Contains(page, "The numbers cannot be read now") || strings.Contains(page, "Nothing sent") || !strings.Contains(page, "order-8812-shipped") {
		t.Errorf("overview without numbers: %s; want the notice and the rest of the page", res.Status)
	}
}

func TestOverviewDataHoldsTheNumbersOfThePage(t *testing.T) {
	h := open(t, &fake{lively: true}, func(c *Config) { c.Refresh = time.Hour })
	v := h.operator(t)
	_, page := v.get("/?window=1h")
	_, body := v.get("/data/overview?window=1h")
	var n numbers
	if err := json.Unmarshal([]byte(body), &n); err != nil {
		t.Fatal(err)
	}
	if n.App != "demo" || n.Window != "1h" || n.StepSeconds != 60 || (len(n.Series) != 59 && len(n.Series) != 60) || len(n.Providers) != 4 {
		t.Errorf("numbers = app %s window %s step %d points %d providers %d", n.App, n.Window, n.StepSeconds, len(n.Series), len(n.Providers))
	}
	for _, want := range []string{count(n.Counts.Delivered), percent(n.Counts.Delivered, n.Counts.Deliveries), millis(n.P95), "last 1 h"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if h.reads.Load() != 1 {
		t.Errorf("the numbers were read %d times for two looks, want once", h.reads.Load())
	}
	for _, path := range []string{"/?window=1y", "/?app=nobody"} {
		if res, _ := v.get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s, want 404", path, res.Status)
		}
	}
}

func TestADeliveryTellsItsStoryInOrder(t *testing.T) {
	at := time.Unix(1e9, 0)
	attempts := []Attempt{{Provider: "live", At: at.Add(3 * time.Millisecond)}, {Provider: "fcm", At: at.Add(5 * time.Second)}}
	receipts := []Proof{{Stage: "delivered", At: at.Add(-time.Hour), AfterMs: 5200}} // the device's clock is an hour slow
	story := func(accepted time.Time, r []Proof) (words []string) {
		for _, s := range (deliveryView{Delivery: Delivery{AcceptedAt: accepted, Attempts: attempts, Receipts: r}}).Steps() {
			if s.Attempt != nil {
				words = append(words, s.Attempt.Provider+" "+decimal(s.After, 0))
			} else {
				words = append(words, s.Proof.Stage+" "+decimal(s.After, 0))
			}
		}
		return words
	}
	if got, want := story(at, receipts), []string{"live 3", "fcm 5,000", "delivered 5,200"}; !slices.Equal(got, want) {
		t.Errorf("steps = %v, want %v", got, want)
	}
	if got, want := story(time.Time{}, nil), []string{"live 0", "fcm 4,997"}; !slices.Equal(got, want) {
		t.Errorf("steps without the time of acceptance = %v, want %v", got, want)
	}
}

func TestTheStreamSendsWhatChanged(t *testing.T) {
	h := open(t, &fake{lively: true}, func(c *Config) { c.Refresh = 20 * time.Millisecond })
	v := h.operator(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/data/overview/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("Content-Type = %q", kind)
	}
	var events []update
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for len(events) < 2 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var u update
			if err := json.Unmarshal([]byte(data), &u); err != nil {
				t.Fatal(err)
			}
			events = append(events, u)
		}
	}
	if len(events) < 2 {
		t.Fatalf("%d events: %v", len(events), lines.Err())
	}
	if len(events[0].Parts) != 10 {
		t.Errorf("the first event has %d parts, want all 10", len(events[0].Parts))
	}
	if _, ok := events[1].Parts["status"]; ok {
		t.Error("the second event repeats the part about the stores, which had not changed")
	}
	if len(events[1].Charts["latency"].Series) != 2 || events[1].Parts["headline"] == "" || events[1].Parts["headline"] == events[0].Parts["headline"] {
		t.Error("the numbers do not move")
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	_, err := New(Config{Key: []byte("short"), WebSocket: "http://x", Sandbox: ":"})
	for _, want := range []string{"web.key", "web.login", "web.apps", "web.numbers", "web.notifications", "web.status", "web.websocket", "web.sandbox"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() = %v, want it to name %s", err, want)
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for got, want := range map[string]string{
		count(1234567): "1,234,567", count(999): "999", percent(1, 3): "33.3 %", percent(9999, 10000): "99.9 %",
		percent(10, 10): "100.0 %", percent(0, 0): "–", millis(nil): "–", millis(known(9.25, 1)): "9.2", millis(known(12345.6, 1)): "12,346",
		size(2048): "2.0 KiB", ago(90 * time.Minute): "1 h", width(1, 3): "33.33%", width(5, 3): "100.00%",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheRunningStepCountsThePartThatHasPassed(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	known := []Point{{At: at(120), Accepted: 3}, {At: at(240), Accepted: 9}}
	if early := fill(known, at(70), at(250), time.Minute); len(early) != 2 || early[0].Accepted != 3 || early[1].Accepted != 0 {
		t.Errorf("10 s into the step: %+v, want 120 with 3 and 180 with 0", early)
	}
	got := fill(known, at(70), at(270), time.Minute)
	if last := got[len(got)-1]; len(got) != 3 || last.perMinute(time.Minute, at(270)).Accepted != 18 {
		t.Errorf("30 s into the step: %+v, want the last with 9 in half a minute, which is 18 per minute", got)
	}
	if first := got[0].perMinute(time.Minute, at(270)); first.Accepted != 3 || first.Running {
		t.Errorf("a whole step = %+v, want 3 per minute", first)
	}
}
