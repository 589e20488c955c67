package web

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

// businesses plays the API about services: one that does well and one with
// every trouble that there is.
func businesses(f *fake) func(Actor) http.Handler {
	answers := map[string]string{
		"/v1/gateway/services": `{"services":[
			{"service":"cars","title":"Cars","from":"the API","versions":[{"version":1,"operations":["search"]}]},
			{"service":"jobs","title":"Jobs <b>and</b> more","from":"jobs.yaml","events":["viewed"],"versions":[
				{"version":1,"deprecated":"2026-05-01","sunset":"2026-12-01","operations":["search"]},
				{"version":2,"operations":["apply","search"]}]}]}`,
		"/v1/gateway/services/jobs": `{"service":"jobs","declaration":{"versions":{"1":{"operations":{"search":{}}},"2":{"operations":{
			"apply":{"calls":{"firm":{},"job":{}}},"search":{"examples":[{"input":{"text":"cook"}}]}}}}}}`,
		"/v1/gateway/services/cars":       `{"service":"cars","declaration":{"versions":{"1":{"operations":{"search":{}}}}}}`,
		"/v1/gateway/services/cars/state": `{"operations":[],"backends":[],"shadows":[],"exchanges":[],"events":[],"hours":[]}`,
		"/v1/gateway/services/jobs/state": `{
			"operations":[{"version":"2","operation":"search","calls":1200,"errors":{"backend_timeout":12,"job_closed":3},"cache_hits":400,"cache_stale":2,"partial":1,"p50_ms":4.2,"p99_ms":87.1}],
			"backends":[{"backend":"main","breaker":"closed","under_way":3,"most":64},{"backend":"firms","breaker":"open","under_way":0,"most":8}],
			"shadows":[{"version":"2","operation":"search","report":{"same":90,"different":2,"failed":1,"last":[{"at":"2026-06-01T12:00:00Z","where":[{"path":"jobs[0].pay","was":"2100","is":"\"2100\""}]},{"error":"backend_failed"}]}}],
			"exchanges":[{"version":2,"operation":"search","input":{"text":"nurse"},"answers":{"":{"status":200,"body":{"items":[]}}}}],
			"events":[{"event":"viewed","id":"e-1","state":"failed","detail":"to is missing","replays":1,"received_at":"2026-06-01T12:00:00Z"}],
			"hours":[{"hour":"2026-06-01T11:00:00Z","calls":800,"failed":9,"cached":300,"p50_ms":4,"p99_ms":80},{"hour":"2026-06-01T12:00:00Z","calls":400,"failed":6,"cached":102,"p50_ms":5,"p99_ms":90}]}`,
	}
	return func(a Actor) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, ok := answers[r.URL.Path]; ok && r.Method == http.MethodGet {
				if a.App == "bank" {
					text = `{"services":[]}`
				}
				_, _ = io.WriteString(w, text)
				return
			}
			if strings.HasSuffix(r.URL.Path, "/try") {
				body, _ := io.ReadAll(r.Body)
				f.mu.Lock()
				f.asked = append(f.asked, string(body))
				f.mu.Unlock()
				_, _ = io.WriteString(w, `{"operation":"search","output":{"jobs":[{"title":"Nurse"}]},"answers":{}}`)
				return
			}
			f.api(a).ServeHTTP(w, r)
		})
	}
}

func TestABusinesssPageFitsEveryScreenAndIsFitForAll(t *testing.T) {
	axe, err := os.ReadFile("testdata/npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		need.Missing(t, "axe-core is absent: npm ci --prefix web/testdata/npm")
	}
	f := &fake{lively: true}
	h := open(t, f, func(c *Config) { c.API = businesses(f) })
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()))
	for _, sc := range []struct {
		width int64
		theme string
	}{{360, "light"}, {360, "dark"}, {1280, "light"}, {1280, "dark"}} {
		b.screen(sc.width, 900, sc.theme)
		for name, path := range map[string]string{
			"services": "/services", "no-services": "/services?app=bank", "service": "/services/jobs", "service-unused": "/services/cars",
		} {
			b.run(chromedp.Navigate(h.url + path))
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s at %d px is %d px too wide", name, sc.width, over)
			}
			audit(b, string(axe), sc.theme+" "+path)
			b.shoot(name + "-" + sc.theme + "-" + map[bool]string{true: "narrow", false: "wide"}[sc.width < 700])
		}
	}
	b.quiet()
}

func TestAMappingIsTriedOnItsPage(t *testing.T) {
	f := &fake{lively: true}
	h := open(t, f, func(c *Config) { c.API = businesses(f) })
	b := startBrowser(t)
	b.run(chromedp.Navigate(h.link()), chromedp.Navigate(h.url+"/services/jobs"))
	if got := eval[string](b, `document.querySelector("textarea[name=input]").value`); !strings.Contains(got, "nurse") {
		t.Errorf("the playground begins with %q, want the exchange that was kept", got)
	}
	b.run(chromedp.Click(`main form[data-act] .button`))
	b.until(`document.querySelector("pre.said-here").textContent.includes("Nurse")`)
	f.mu.Lock()
	asked := f.asked[len(f.asked)-1]
	f.mu.Unlock()
	for _, want := range []string{`"operation":"search"`, `"version":2`, `"text":"nurse"`, `"status":200`} {
		if !strings.Contains(asked, want) {
			t.Errorf("asked %s, which has no %s", asked, want)
		}
	}
	b.run(chromedp.Navigate(h.url + "/services/jobs?try=2+apply"))
	if got := eval[string](b, `document.querySelector("textarea[name=answers]").value`); !strings.Contains(got, `"firm"`) || !strings.Contains(got, `"job"`) {
		t.Errorf("the playground of several calls begins with %q", got)
	}
	b.quiet()
}
