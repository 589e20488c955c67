package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

var look = flag.String("look", "", "folder for screenshots of the operators' pages, to be looked at")

// screen is a browser on a running Herald, with all that it complains about.
type screen struct {
	t    *testing.T
	p    *program
	page context.Context

	mu         sync.Mutex
	complaints []string
}

func openScreen(t *testing.T, p *program) *screen {
	t.Helper()
	s := &screen{t: t, p: p, page: startBrowserFor(t, 10*time.Minute)}
	s.do() // opens the tab, so that no complaint is missed
	err := chromedp.Listen(s.page, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && (e.Entry.Level == "error" || e.Entry.Source == "security") {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.complaints = append(s.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(s.page, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *screen) do(steps ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	if err := chromedp.Do(s.page, steps...); err != nil {
		s.t.Fatal(err)
	}
}

// until waits for what a script says, looking again and again.
func (s *screen) until(what, script string) {
	s.t.Helper()
	eventually(s.t, 90*time.Second, what, func() error {
		ok, err := chromedp.Run(s.page, chromedp.Evaluate[bool](script))
		if err != nil || !ok {
			text, _ := chromedp.Run(s.page, chromedp.Evaluate[string](`document.querySelector("main")?.innerText.slice(0, 600)`))
			return fmt.Errorf("%s is %v, %w; the page says %q", script, ok, err, text)
		}
		return nil
	})
}

func (s *screen) shows(width int64, theme string) {
	s.t.Helper()
	s.do(chromedp.EmulateViewport(width, 900))
	_, err := chromedp.Call(s.page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// shoot saves the whole page where -look is given.
func (s *screen) shoot(name string) {
	s.t.Helper()
	if *look == "" {
		return
	}
	png, err := chromedp.Run(s.page, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(*look, name+".png"), png, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// sound fails for what axe finds serious, and for a page that is too wide.
func (s *screen) sound(axe, where string) {
	s.t.Helper()
	if axe != "" {
		s.do(chromedp.Evaluate[chromedp.Void](axe))
		found, err := chromedp.Run(s.page, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(
			r.violations.map((v) => v.id + " (" + v.impact + "): " + v.nodes.map((n) => n.html.slice(0, 160)).join(" | "))))`, chromedp.EvalAwaitPromise))
		var violations []string
		if err == nil {
			err = json.Unmarshal([]byte(found), &violations)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		for _, v := range violations {
			s.t.Errorf("%s: %s", where, v)
		}
	}
	over, err := chromedp.Run(s.page, chromedp.Evaluate[int](`document.documentElement.scrollWidth - innerWidth`))
	if err != nil || over > 0 {
		s.t.Errorf("%s is %d px too wide, %v", where, over, err)
	}
}

func (s *screen) quiet() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.complaints {
		s.t.Errorf("the browser complains: %s", c)
	}
}

// TestTheConsoleRunsTheHouse leads a browser through every page of operators and
// admins on the demo fleet: real numbers, live updates, changes with their
// audit, roles.
func TestTheConsoleRunsTheHouse(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir())
	axe, err := os.ReadFile("../../web/testdata/npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		need.Missing(t, "axe-core is absent: npm ci --prefix web/testdata/npm")
	}
	s := openScreen(t, p)
	s.shows(1440, "light")
	s.do(chromedp.Navigate(p.facts.Dashboard))
	campaign := strings.TrimSpace(p.run("send", "--to", "all", "--class", "marketing", "--rate", "60", "--title", "A slow one"))

	s.steerCampaign(campaign)
	s.sayFaults()
	s.eraseUser()
	s.makeApp()
	s.enforceRoles()
	s.readAudit()
	s.visitAll(string(axe), campaign)
	s.drainNode()
	s.quiet()
}

func (s *screen) steerCampaign(id string) {
	s.do(chromedp.Navigate(s.p.facts.URL + "/notifications?state=sending&class=marketing"))
	s.until("the campaign is in the list", fmt.Sprintf(`[...document.querySelectorAll("tbody th a")].some((a) => a.textContent === %q)`, id))
	s.do(chromedp.Navigate(s.p.facts.URL + "/notifications/" + id + "?app=demo"))
	state := func(want string) string {
		return fmt.Sprintf(`document.querySelector(".stand .state")?.textContent === %q && document.getElementById("live").dataset.state === "on"`, want)
	}
	s.until("it is being sent", state("sending"))
	s.until("the bar moves", `document.getElementById("way")?.value > 0`)
	press := func(do string) string {
		return fmt.Sprintf(`(() => { const f = document.querySelector('form input[name=do][value="%s"]')?.form; f?.requestSubmit(f.querySelector("button")); return !!f })()`, do)
	}
	s.until("pause is pressed", press("notification.pause"))
	s.until("it is paused", state("paused"))
	s.until("resume is pressed", press("notification.resume"))
	s.until("it goes on", state("sending"))
	s.do(chromedp.SendKeys("#rate", "90\r"))
	s.until("the rate is taken", state("sending"))
	s.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("details.confirm summary").click()`))
	s.shoot("notification-open")
	s.until("cancel is pressed", press("notification.cancel"))
	s.until("it is cancelled", state("cancelled"))
}

func (s *screen) readAudit() {
	for _, action := range []string{"notification.pause", "notification.resume", "notification.rate", "notification.cancel", "user.erase", "key.create", "session.begin"} {
		s.do(chromedp.Navigate(s.p.facts.URL + "/audit?app=demo&who=operator&action=" + action))
		s.until(action+" is in the audit", `document.querySelector("tbody tr")?.innerText.includes("`+action+`") && document.querySelector("tbody tr").innerText.includes("operator") && document.querySelector("tbody tr").innerText.includes("done")`)
	}
}

func (s *screen) sayFaults() {
	s.do(chromedp.Navigate(s.p.facts.URL + "/settings?app=demo&tab=app"))
	s.until("the settings are there", `!!document.querySelector("input[name=timezone]")`)
	s.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("input[name=timezone]").value = "Mars/Olympus"; document.querySelector("form.fields").requestSubmit()`))
	s.until("the fault names its field", `document.querySelector("input[name=timezone][aria-invalid=true] + .fault")?.textContent.includes("policy.timezone")`)
	s.shoot("settings-fault")
	s.do(chromedp.Evaluate[chromedp.Void](`window.stale = true; document.querySelector("input[name=timezone]").value = "Europe/Berlin"; document.querySelector("form.fields").requestSubmit()`))
	s.until("it is saved, and the page is another", `!window.stale && document.querySelector("input[name=timezone]")?.value === "Europe/Berlin"`)
}

// enforceRoles makes a key that may only read, and tries with it what it may not.
func (s *screen) enforceRoles() {
	s.do(chromedp.Navigate(s.p.facts.URL + "/settings?app=demo&tab=keys"))
	s.until("the form is there", `!!document.querySelector("input[name=name]")`)
	s.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("input[name=name]").value = "a reader"; document.querySelectorAll("input[name=scopes]").forEach((b) => (b.checked = b.value === "read")); document.querySelector("form.fields").requestSubmit()`))
	s.until("the key is shown once", `document.querySelector(".command code")?.textContent.startsWith("hk_")`)
	key, err := chromedp.Run(s.page, chromedp.Evaluate[string](`document.querySelector(".command code").textContent`))
	if err != nil {
		s.t.Fatal(err)
	}
	v := s.reader(key)
	if _, err := v.get("/notifications?app=demo"); err != nil {
		s.t.Error(err)
	}
	for _, path := range []string{"/audit", "/settings"} {
		if _, err := v.get(path + "?app=demo"); err == nil || !strings.Contains(err.Error(), "403") {
			s.t.Errorf("a reader's %s: %v, want 403", path, err)
		}
	}
}

// eraseUser looks at a person and erases them from every store.
func (s *screen) eraseUser() {
	s.p.putDevice("of-ann", "apns")
	body := deviceBody("of-ann", "apns")
	body["user"] = "ann-to-erase"
	if status := s.p.call(http.MethodPut, "/v1/devices/of-ann", body, nil); status >= 300 {
		s.t.Fatalf("register: %d", status)
	}
	s.do(chromedp.Navigate(s.p.facts.URL + "/users/ann-to-erase?app=demo"))
	s.until("the page of the user lists the device", `document.querySelector("tbody th a")?.textContent === "of-ann"`)
	s.until("erase is pressed", `(() => { const f = document.querySelector('form input[value="user.erase"]')?.form; f?.requestSubmit(); return !!f })()`)
	s.until("all is erased", `document.querySelector("main")?.innerText.includes("done ") && document.querySelector("main").innerText.includes("No device is registered")`)
}

// makeApp makes an app and looks at it.
func (s *screen) makeApp() {
	s.do(chromedp.Navigate(s.p.facts.URL + "/settings?app=demo&tab=app"))
	s.until("the form is there", `!!document.querySelector('form[action="/apps"]')`)
	s.do(chromedp.Evaluate[chromedp.Void](`(() => { const f = document.querySelector('form[action="/apps"]'); f.elements.id.value = "second"; f.elements.name.value = "The second shop"; f.requestSubmit() })()`))
	s.until("the new app is looked at", `new URLSearchParams(location.search).get("app") === "second" && document.querySelector("#app option:checked")?.textContent === "The second shop"`)
}

// visitAll looks at every page, each in one size and theme: wide and narrow, light
// and dark take turns.
func (s *screen) visitAll(axe, campaign string) {
	s.do(chromedp.Navigate(s.p.facts.URL + "/devices?app=demo"))
	s.until("devices are listed", `document.querySelectorAll("tbody tr").length > 10`)
	device, err := chromedp.Run(s.page, chromedp.Evaluate[string](`document.querySelector("tbody th a").getAttribute("href")`))
	if err != nil {
		s.t.Fatal(err)
	}
	pages := []string{
		"/?app=demo", "/providers?app=demo", "/choice?app=demo", "/journeys?app=demo", "/explore?app=demo", "/notifications?app=demo",
		"/notifications?app=demo&since=never", "/notifications/" + campaign + "?app=demo", "/devices?app=demo", device, "/queues?app=demo", "/live?app=demo",
		"/audit?app=demo", "/settings?app=demo", "/settings?app=demo&tab=keys", "/settings?app=demo&tab=credentials", "/settings?app=demo&tab=templates",
		"/settings?app=demo&tab=webhooks", "/settings?app=demo&tab=members", "/sandbox?app=demo",
	}
	for i, path := range pages {
		width, theme := []int64{390, 1440}[i%2], []string{"light", "light", "dark", "dark"}[i%4]
		s.shows(width, theme)
		s.do(chromedp.Navigate(s.p.facts.URL + path))
		s.until(path+" has a heading and no fault", `!!document.querySelector("h1")?.textContent && !document.querySelector("#part-headline .fault")`)
		s.sound(axe, fmt.Sprintf("%s at %d px, %s", path, width, theme))
		s.shoot(fmt.Sprintf("%02d-%d-%s", i, width, theme))
	}
	s.shows(390, "light")
	s.do(chromedp.Click(".burger"))
	s.until("the menu opens on a phone", `document.getElementById("menu").matches(":popover-open")`)
	s.shoot("menu-390")
	s.shows(1440, "light")
}

// drainNode has the only node send its devices away, and then take them again.
func (s *screen) drainNode() {
	s.do(chromedp.Navigate(s.p.facts.URL + "/live?app=demo"))
	s.until("devices are connected", `Number(document.querySelector(".figures dd")?.textContent) > 5`)
	s.until("drain is pressed", `(() => { const f = document.querySelector('form input[value="node.drain"]')?.form; f?.requestSubmit(); return !!f })()`)
	s.until("they were sent away, and others are refused", `document.querySelector(".figures dd")?.textContent === "0" && !!document.querySelector('form input[value="node.keep"]')`)
	s.until("keep is pressed", `(() => { const f = document.querySelector('form input[value="node.keep"]')?.form; f?.requestSubmit(); return !!f })()`)
	s.until("they are back", `Number(document.querySelector(".figures dd")?.textContent) > 5`)
}

// reader signs in by a key, without a screen.
func (s *screen) reader(key string) *visitor {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	v := &visitor{s.t, s.p.facts.URL, &http.Client{Jar: jar, Timeout: time.Minute}}
	page, err := v.get("/login")
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := v.http.PostForm(v.base+"/login", url.Values{"key": {key}, "csrf": {csrfMeta.FindStringSubmatch(page)[1]}}) //nolint:noctx // a test's own child
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	return v
}

var csrfMeta = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)
