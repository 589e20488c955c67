package web

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

// cartography plays the API about a map: fences of both shapes, one of them
// over the antimeridian, a place, and a crowd.
func cartography(f *fake) func(Actor) http.Handler {
	const gate = `{"id":"gate","name":"The gate <b>of</b> all","circle":{"lat":52.52,"lon":13.405,"radius_m":300},"on":["enter","dwell"],"dwell_seconds":600,"notification":{"title":"Hi"}}`
	answers := map[string]string{
		"GET /v1/fences":          `{"fences":[` + gate + `,{"id":"pacific","polygon":[{"lat":10,"lon":170},{"lat":10,"lon":-170},{"lat":-10,"lon":-170},{"lat":-10,"lon":170}],"on":["exit"],"notification":{"title":"Bye"}}]}`,
		"GET /v1/fences/gate":     gate,
		"GET /v1/places":          `{"places":[{"id":"shop-1","name":"Shop at the station","kind":"shop","circle":{"lat":52.525,"lon":13.369,"radius_m":150}}]}`,
		"POST /v1/places/preview": `{"devices":1234,"points":[{"lat":52.521,"lon":13.41},{"lat":52.53,"lon":13.39},{"lat":52.51,"lon":13.42}]}`,
	}
	return func(a Actor) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Method != http.MethodGet {
				f.mu.Lock()
				f.asked = append(f.asked, r.Method+" "+r.URL.Path+" "+string(body))
				f.mu.Unlock()
			}
			text, ok := answers[r.Method+" "+r.URL.Path]
			switch {
			case strings.Contains(string(body), `"lat":"north"`):
				w.WriteHeader(http.StatusUnprocessableEntity)
				_, _ = io.WriteString(w, `{"detail":"the request has faults","faults":[{"field":"to.near.lat","detail":"must be a number"}]}`)
			case a.App == "bank" && r.Method == http.MethodGet:
				_, _ = io.WriteString(w, `{}`)
			case ok:
				_, _ = io.WriteString(w, text)
			case r.Method == http.MethodPut:
				_, _ = w.Write(body)
			default:
				f.api(a).ServeHTTP(w, r)
			}
		})
	}
}

const drawn = `document.getElementById("map")?.dataset.drawn === "yes"`

func TestTheMapFitsEveryScreenAndIsFitForAll(t *testing.T) {
	axe, err := os.ReadFile("testdata/npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		need.Missing(t, "axe-core is absent: npm ci --prefix web/testdata/npm")
	}
	f := &fake{lively: true}
	h := open(t, f, func(c *Config) { c.API = cartography(f) })
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()))
	for _, sc := range []struct {
		width int64
		theme string
	}{{360, "light"}, {360, "dark"}, {1280, "light"}, {1280, "dark"}} {
		b.screen(sc.width, 900, sc.theme)
		for name, path := range map[string]string{
			"map": "/map", "map-empty": "/map?app=bank", "map-crowd": "/map?lat=52.52&lon=13.405&radius_m=5000", "map-edit": "/map?fence=gate",
		} {
			b.run(chromedp.Navigate(h.url + path))
			b.until(drawn)
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s at %d px is %d px too wide", name, sc.width, over)
			}
			audit(b, string(axe), sc.theme+" "+path)
			b.shoot(name + "-" + sc.theme + "-" + map[bool]string{true: "narrow", false: "wide"}[sc.width < 700])
		}
	}
	b.quiet()
}

func TestTheMapShowsWhatThereIsAndPutsFencesUp(t *testing.T) {
	f := &fake{lively: true}
	h := open(t, f, func(c *Config) { c.API = cartography(f) })
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()), chromedp.Navigate(h.url+"/map?lat=52.6&lon=13.3&radius_m=5000&filter=platform+%3D+%22ios%22"))
	b.until(drawn)
	if got := eval[string](b, `document.getElementById("h-map").textContent`); got != "1,234 devices there" {
		t.Errorf("the map says %q", got)
	}
	// Outlines, two fences, one place, three devices and the circle that was asked about.
	if n := eval[int](b, `document.querySelectorAll("#map path").length`); n != 8 {
		t.Errorf("%d things are drawn, want 8", n)
	}
	asked := func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.asked[len(f.asked)-1]
	}
	for _, want := range []string{`"lat":52.6`, `"radius_m":5000`, `"filter":"platform = \"ios\""`} {
		if !strings.Contains(asked(), want) {
			t.Errorf("asked %s, which has no %s", asked(), want)
		}
	}
	b.run(chromedp.Click("#map"))
	b.until(`document.querySelector("#fence [name=lat]").value !== ""`)
	b.run(chromedp.SetValue("#fence [name=id]", "corner"), chromedp.Click("#fence .button"))
	// The page moves on then; while it does it cannot be asked.
	moved := func() bool {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`location.search === "?app=demo" && `+drawn))
		return ok && err == nil
	}
	for deadline := time.Now().Add(30 * time.Second); !moved(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the page does not move on")
		}
	}
	if got := asked(); !strings.HasPrefix(got, "PUT /v1/fences/corner ") || !strings.Contains(got, `"on":["enter"]`) || !strings.Contains(got, `"title":`) {
		t.Errorf("asked %s", got)
	}
	b.run(chromedp.Navigate(h.url + "/map?lat=north&lon=1"))
	b.until(`document.querySelector(".fault")?.textContent.includes("must be a number")`)
	b.quiet("422")
}
