package web

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

func TestAPageIsThereBeforeItsNumbers(t *testing.T) {
	f := &fake{lively: true, held: make(chan struct{})}
	h := open(t, f, func(c *Config) { c.Patience = time.Millisecond })
	v := h.operator(t)
	for name, path := range insightPaths {
		res, page := v.get(path + "?maker=Apple")
		if res.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s", path, res.Status)
		}
		for _, want := range []string{"<h1>Reading the numbers</h1>", `aria-busy="true"`, "<noscript>Without JavaScript", `data-stream="/data/` + name + `/stream?app=demo&amp;maker=Apple`} {
			if !strings.Contains(page, want) {
				t.Errorf("GET %s while its numbers are awaited lacks %s", path, want)
			}
		}
		for _, bad := range []string{"Nothing", "No numbers", `class="empty"`, "The numbers come back", `class="rules-form"`} {
			if strings.Contains(page, bad) {
				t.Errorf("GET %s while its numbers are awaited says %s", path, bad)
			}
		}
	}
	close(f.held)
	for name, path := range insightPaths {
		if res, _ := v.get("/data/" + name + "?maker=Apple"); res.StatusCode != http.StatusOK { // waits for the reading under way
			t.Errorf("GET /data/%s: %s", name, res.Status)
		}
		if _, page := v.get(path + "?maker=Apple"); strings.Contains(page, "Reading the numbers") {
			t.Errorf("GET %s knows nothing of what was just read", path)
		}
	}
}

func TestAPageFillsWhenItsNumbersCome(t *testing.T) {
	axe, err := os.ReadFile("testdata/npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		need.Missing(t, "axe-core is absent: npm ci --prefix web/testdata/npm")
	}
	type screen struct {
		width int64
		theme string
	}
	screens := []screen{{390, "dark"}, {1440, "light"}}
	if *look != "" {
		screens = append([]screen{{390, "light"}, {1440, "dark"}}, screens...)
	}
	b := startBrowser(t)
	for _, name := range slices.Sorted(maps.Keys(insightPaths)) {
		f := &fake{lively: true, held: make(chan struct{})}
		release := sync.OnceFunc(func() { close(f.held) })
		h := open(t, f, func(c *Config) { c.Patience = time.Millisecond })
		t.Cleanup(release)
		b.run(chromedp.Navigate(h.link()))
		for _, sc := range screens {
			b.screen(sc.width, 900, sc.theme)
			b.run(chromedp.Navigate(h.url + insightPaths[name]))
			b.until(`document.querySelector(".ghost") !== null && performance.getEntriesByName("first-contentful-paint").length > 0`)
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s waiting at %d px is %d px too wide", name, sc.width, over)
			}
			b.shoot(fmt.Sprintf("waiting-%s-%d-%s", name, sc.width, sc.theme))
		}
		audit(b, string(axe), name+" waiting")
		still := []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: still}); err != nil {
			t.Fatal(err)
		}
		b.until(`getComputedStyle(document.querySelector(".ghost")).animationName === "none"`)
		if says := eval[string](b, `document.querySelector("h1").textContent + document.querySelector("#insight").ariaBusy`); says != "Reading the numberstrue" {
			t.Errorf("%s waiting says %q", name, says)
		}
		b.run(chromedp.Evaluate[chromedp.Void](`window.moved = 0; new PerformanceObserver((all) => all.getEntries().forEach((e) => (moved = Math.max(moved, e.value)))).observe({type: "layout-shift"})`))
		release()
		b.until(charted)
		b.until(`document.querySelector(".ghost, [aria-busy]") === null && document.querySelector("#part-filters select") !== null`)
		if says := eval[string](b, `document.querySelector("h1").textContent`); strings.Contains(says, "numbers") {
			t.Errorf("%s filled says %q", name, says)
		}
		if moved := eval[float64](b, `moved`); moved > 0.1 { // what web.dev calls good
			t.Errorf("%s jumps by %.3f as it fills", name, moved)
		}
		b.shoot("filled-" + name)
	}
	b.quiet()
}
