package web

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

var look = flag.String("look", "", "folder for screenshots of every page, to be looked at")

// browser is a real Chromium with one tab that keeps every complaint.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// startBrowser starts Chromium, or skips the test where there is none.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		need.Missing(t, "no Chromium found: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute) // on a machine that has much else to do
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	b.run() // opens the tab, so that no complaint is missed
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear keeps errors of scripts, of the network and of the content policy.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Source == "security" {
			b.complaints = append(b.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, fmt.Sprintf("exception: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.complaints = append(b.complaints, fmt.Sprintf("console: %+v", e.Args))
		}
	}
}

// quiet fails the test for every complaint that does not contain one of the
// expected words.
func (b *browser) quiet(expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, c := range b.complaints {
		for _, e := range expected {
			if strings.Contains(c, e) {
				continue next
			}
		}
		b.t.Errorf("the browser complains: %s", c)
	}
	b.complaints = nil
}

func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// screen sets the size and the system's theme.
func (b *browser) screen(width, height int64, theme string) {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// eval is the value of a JavaScript expression.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for a JavaScript condition.
func (b *browser) until(condition string) {
	b.t.Helper()
	wait := chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(30*time.Second), chromedp.WithPollingInterval(30*time.Millisecond))
	if _, err := chromedp.Run(b.ctx, wait); err != nil {
		where := eval[string](b, `location.href + " " + document.getElementById("live")?.dataset.state`)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Fatalf("%s: waiting until %s: %v; the browser complains: %q", where, condition, err, b.complaints)
	}
}

// shoot saves the whole page where -look is given.
func (b *browser) shoot(name string) {
	b.t.Helper()
	if *look == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*look, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

const charted = `document.querySelectorAll(".chart:not([data-drawn])").length === 0 && document.getElementById("live").dataset.state === "on"`

func TestOverviewMovesInARealBrowser(t *testing.T) {
	h := open(t, &fake{lively: true}, func(c *Config) { c.Sandbox = (&fakeSandbox{}).start(t) })
	b := startBrowser(t)
	b.screen(1440, 900, "light")
	b.run(chromedp.Navigate(h.link()))
	b.until(charted)

	before := eval[string](b, `document.querySelector(".figures dd").textContent`)
	b.until(fmt.Sprintf(`document.querySelector(".figures dd").textContent !== %q`, before))
	// To be read, not asserted: a busy machine paints when it can. That painting
	// waits for no numbers is what TestAPageFillsWhenItsNumbersCome asserts.
	t.Logf("first contentful paint after %.0f ms", eval[float64](b, `performance.getEntriesByName("first-contentful-paint")[0].startTime`))
	if word := eval[string](b, `document.getElementById("live-word").textContent`); word != "Live" {
		t.Errorf("indicator says %q, want Live", word)
	}
	for _, chart := range []string{"latency", "throughput"} { // their tooltips are markup that the policy could forbid
		x := eval[float64](b, `document.querySelector("[data-chart=`+chart+`]").scrollIntoView(), document.querySelector("[data-chart=`+chart+`]").getBoundingClientRect().x + 200`)
		y := eval[float64](b, `document.querySelector("[data-chart=`+chart+`]").getBoundingClientRect().y + 120`)
		b.run(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
		b.until(`document.querySelector("[data-chart=` + chart + `] .tip")?.textContent.includes("UTC")`)
		b.shoot("tip-" + chart)
	}
	b.quiet()
}

func TestThePolicyStopsWhatIsPlanted(t *testing.T) {
	h := open(t, &fake{lively: true})
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()))
	b.until(charted)
	b.quiet()
	for name, plant := range map[string]string{
		"inline script":   `document.body.append(Object.assign(document.createElement("script"), {textContent: "window.ran = true"}))`,
		"event attribute": `document.body.insertAdjacentHTML("beforeend", "<img src=/static/none onerror='window.ran = true'>")`,
		"inline style":    `document.body.insertAdjacentHTML("beforeend", "<i style='color:red'>x</i>")`,
		"another site":    `fetch("http://127.0.0.1:1/").catch(() => 0)`,
	} {
		violated := eval[bool](b, `new Promise((yes) => { addEventListener("securitypolicyviolation", () => yes(true), {once: true}); `+plant+`; setTimeout(() => yes(false), 3000) })`)
		if !violated || eval[bool](b, `window.ran === true`) {
			t.Errorf("%s: the policy did not stop it", name)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) < 4 {
		t.Errorf("this test's ears are deaf: %q", b.complaints)
	}
}

func TestThePageRestsWhileItIsHidden(t *testing.T) {
	h := open(t, &fake{lively: true})
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()))
	b.until(charted)
	hide := `Object.defineProperty(document, "hidden", {value: %t, configurable: true}); document.dispatchEvent(new Event("visibilitychange"))`
	b.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(hide, true)))
	b.until(`document.getElementById("live").dataset.state === "pause"`)
	b.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(hide, false)))
	b.until(`document.getElementById("live").dataset.state === "on"`)
	b.quiet()
}

func TestStreamComesBackAfterTheServerWasAway(t *testing.T) {
	h := open(t, &fake{lively: true})
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()))
	b.until(charted)
	h.done <- struct{}{} // ends this one stream, as a restart would
	b.until(`document.getElementById("live").dataset.state === "wait"`)
	b.until(`document.getElementById("live").dataset.state === "on"`)
	b.quiet()
}

func TestPagesFitEveryScreenAndTheme(t *testing.T) {
	h := open(t, &fake{lively: true}, func(c *Config) { c.Sandbox = (&fakeSandbox{}).start(t) })
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()))
	pages := map[string]string{
		"overview": "/", "week": "/?window=7d", "empty": "/?app=bank", "providers": "/providers", "compared": "/providers?maker=Apple&window=24h",
		"no-providers": "/providers?app=bank", "choice": "/choice", "no-choice": "/choice?app=bank", "explore": "/explore", "asked": "/explore?sql=SELECT+minute", "bars": "/explore?sql=SELECT+maker", "refused": "/explore?sql=SELECT+*+FROM+system.tables",
		"journeys": "/journeys", "no-journeys": "/journeys?app=bank", "notification": "/notifications/order-8812-shipped",
		"delivery": "/notifications/order-8812-shipped/deliveries/phone-1", "sandbox": "/sandbox", "device": "/demo/device", "chat": "/demo/chat", "lost": "/nowhere",
	}
	for path := range deskPages() {
		pages[strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(strings.TrimPrefix(path, "/"))] = path
	}
	type screen struct {
		width int64
		theme string
	}
	screens := []screen{{360, "light"}, {768, "dark"}, {1920, "light"}}
	if *look != "" {
		screens = []screen{{390, "light"}, {390, "dark"}, {1440, "light"}, {1440, "dark"}}
	}
	for _, sc := range screens {
		b.screen(sc.width, 900, sc.theme)
		for name, path := range pages {
			b.run(chromedp.Navigate(h.url + path))
			if name == "asked" || name == "bars" {
				b.until(`document.querySelector("#plot[data-drawn] canvas") !== null`)
			}
			if eval[bool](b, `!!document.getElementById("insight")`) {
				b.until(charted)
			}
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s at %d px is %d px too wide", name, sc.width, over)
			}
			ground := eval[string](b, `getComputedStyle(document.body).backgroundColor`)
			if dark := ground == "rgb(17, 19, 15)"; dark != (sc.theme == "dark") {
				t.Errorf("%s in %s has the ground %s", name, sc.theme, ground)
			}
			if *look != "" {
				b.run(chromedp.Sleep(1100 * time.Millisecond)) // animations, for the picture only
				b.shoot(fmt.Sprintf("%s-%d-%s", name, sc.width, sc.theme))
			}
		}
	}
	h.away.Store(true) // the page without numbers
	b.run(chromedp.Navigate(h.url + "/?window=1h"))
	b.until(`document.querySelector("h1").textContent === "No numbers now"`)
	b.shoot("away")
	b.quiet("ws://127.0.0.1:9/", "404 (Not Found)", "422 (Unprocessable Entity)") // no broker there, and a page that is lost on purpose
}

func TestThemeToggleIsRemembered(t *testing.T) {
	h := open(t, &fake{lively: true})
	b := startBrowser(t)
	b.screen(1440, 900, "light")
	b.run(chromedp.Navigate(h.link()))
	b.until(charted)
	b.run(chromedp.Click(chromedp.ID("theme")), chromedp.Navigate(h.url+"/?window=1h"))
	if theme := eval[string](b, `document.documentElement.dataset.theme`); theme != "dark" {
		t.Errorf("theme after the toggle and another page = %q, want dark", theme)
	}
	b.quiet()
}

func TestAxeFindsNothingSerious(t *testing.T) {
	axe, err := os.ReadFile("testdata/npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		need.Missing(t, "axe-core is absent: npm ci --prefix web/testdata/npm")
	}
	h := open(t, &fake{lively: true}, func(c *Config) { c.Sandbox = (&fakeSandbox{}).start(t) })
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.url + "/login"))
	audit(b, string(axe), "login")
	b.run(chromedp.Navigate(h.link()))
	for _, theme := range []string{"light", "dark"} {
		b.screen(1280, 900, theme)
		for _, path := range slices.Concat(slices.Sorted(maps.Keys(deskPages())), []string{"/", "/?app=bank", "/providers", "/providers?maker=Apple", "/providers?app=bank", "/choice", "/choice?app=bank", "/journeys", "/journeys?app=bank", "/explore", "/explore?sql=SELECT+minute", "/explore?sql=SELECT+*+FROM+system.tables", "/notifications/order-8812-shipped", "/notifications/order-8812-shipped/deliveries/phone-1", "/sandbox", "/demo/device", "/demo/chat", "/nowhere"}) {
			b.run(chromedp.Navigate(h.url + path))
			audit(b, string(axe), theme+" "+path)
		}
	}
}

// audit runs axe-core on the page that is shown. The debugger puts it there,
// which the content policy does not hinder.
func audit(b *browser, axe, where string) {
	b.t.Helper()
	b.run(chromedp.Evaluate[chromedp.Void](axe))
	found := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(
		r.violations.map((v) => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map((n) => n.html + " " + n.failureSummary)}))))`)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		b.t.Errorf("%s: %s (%s): %s\n\t%s", where, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n\t"))
	}
}
