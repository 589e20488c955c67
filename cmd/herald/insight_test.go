package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

// TestNumbersAgreeWhereverTheyAreAsked sends a few notifications and waits until
// the page, its file, the API, the command line and SQL written by hand all
// count what was sent.
func TestNumbersAgreeWhereverTheyAreAsked(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	if p.facts.ClickHouse == "" {
		need.Missing(t, "no embedded ClickHouse; scripts/chdb.sh installs it")
	}
	const sent, clicked = 7, 3
	var ids []string
	for i := range sent {
		device := fmt.Sprint("counted-", i)
		body := map[string]any{
			"user": device, "platform": "ios", "maker": []string{"Acme", "Other"}[i%2], "country": "DE",
			"addresses": []map[string]string{{"provider": "apns", "token": fmt.Sprintf("%064x", i+1)}},
		}
		if status := p.call(http.MethodPut, "/v1/devices/"+device, body, nil); status >= 300 {
			t.Fatalf("register %s: %d", device, status)
		}
		ids = append(ids, strings.TrimSpace(p.run("send", "--to", "device:"+device, "--title", "Hi", "--body", "there", "--class", "chat")))
	}
	for i, id := range ids[:clicked] {
		eventually(t, 60*time.Second, "a provider takes it, and the app's word counts", func() error {
			device := fmt.Sprint("counted-", i)
			body := map[string]any{"receipts": []map[string]string{{"id": id + ".0.0", "event": "clicked", "device": device}}}
			var answer struct{ Results []struct{ Status int } }
			if p.call(http.MethodPost, "/v1/receipts", body, &answer); len(answer.Results) != 1 || answer.Results[0].Status != http.StatusAccepted {
				return fmt.Errorf("answered %+v", answer)
			}
			return nil
		})
	}
	pages := pagesOf(t, p)
	eventually(t, 90*time.Second, "all agree", func() error {
		type row struct{ Deliveries, Accepted, Clicked int }
		want := row{sent, sent, clicked}
		got := map[string]row{}

		var page struct {
			Counts  row
			Classes []struct {
				Class  string
				Counts row
			}
		}
		text, err := pages.get("/data/overview?window=1h")
		if err != nil || json.Unmarshal([]byte(text), &page) != nil || len(page.Classes) != 1 {
			return fmt.Errorf("%s: %w", text, err)
		}
		got["page"] = page.Counts
		got["class "+page.Classes[0].Class] = page.Classes[0].Counts

		var api row
		for _, id := range ids {
			var n struct{ Counts row }
			p.call(http.MethodGet, "/v1/notifications/"+id, nil, &n)
			api.Deliveries, api.Accepted, api.Clicked = api.Deliveries+n.Counts.Deliveries, api.Accepted+n.Counts.Accepted, api.Clicked+n.Counts.Clicked
		}
		got["API"] = api

		var cli row
		var handed, delivered, displayed int
		_, line, _ := strings.Cut(p.run("analytics", "funnel", "--format", "csv"), "\nall,")
		if _, err := fmt.Sscanf(line, "%d,%d,%d,%d,%d,%d", &cli.Deliveries, &cli.Accepted, &handed, &delivered, &displayed, &cli.Clicked); err != nil {
			return err
		}
		got["command line"] = cli

		const byHand = `SELECT uniqExact(delivery), uniqExactIf(delivery, stage IN ('accepted', 'handed_over', 'delivered', 'displayed', 'clicked')),
			uniqExactIf(delivery, stage = 'clicked') FROM receipts WHERE app = 'demo' FORMAT TSV`
		text, err = post(p.facts.ClickHouse, byHand)
		var sql row
		if _, scanned := fmt.Sscan(text, &sql.Deliveries, &sql.Accepted, &sql.Clicked); err != nil || scanned != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		got["SQL by hand"] = sql

		const asked = `SELECT uniqExact(delivery), uniqExactIf(delivery, rank >= 3), uniqExactIf(delivery, rank >= 7) FROM receipts`
		file, err := pages.csv("/data/explore.csv?" + url.Values{"sql": {asked}}.Encode())
		if err != nil || len(file) != 2 {
			return fmt.Errorf("%v: %w", file, err)
		}
		var explored row
		if _, err := fmt.Sscan(strings.Join(file[1], " "), &explored.Deliveries, &explored.Accepted, &explored.Clicked); err != nil {
			return err
		}
		got["a question"] = explored

		for who, counts := range got {
			if counts != want {
				return fmt.Errorf("%s counts %+v, want %+v; all: %+v", who, counts, want, got)
			}
		}
		return nil
	})
	if file, err := pages.csv("/data/overview/funnel.csv?window=1h&maker=Acme"); err != nil || file[1][0] != "accepted" || file[1][1] != "4" {
		t.Errorf("the file of one maker holds %v, %v; want 4 of 7 accepted", file, err)
	}
	if _, err := pages.csv("/data/explore.csv?" + url.Values{"sql": {"SELECT * FROM system.tables"}}.Encode()); err == nil {
		t.Error("a system table was read")
	}
}

// TestEveryPageOfNumbersShowsTheDemo drives a real Chromium through the pages.
func TestEveryPageOfNumbersShowsTheDemo(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir())
	if p.facts.ClickHouse == "" {
		need.Missing(t, "no embedded ClickHouse; scripts/chdb.sh installs it")
	}
	tab := startBrowser(t)
	complaints := make(chan string, 100)
	if err := chromedp.Do(tab, chromedp.Navigate(p.facts.Dashboard)); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Listen(tab, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && (e.Entry.Level == "error" || e.Entry.Source == "security") {
			select {
			case complaints <- e.Entry.Text + " " + e.Entry.URL:
			default: // a hundred are enough to see what is wrong
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(tab, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	const drawn = `document.querySelectorAll(".chart").length > 0 && document.querySelectorAll(".chart:not([data-drawn])").length === 0`
	for path, shown := range map[string]string{
		"/":          `document.querySelectorAll("#part-classes tbody tr").length >= 3 && document.querySelectorAll("#part-providers tbody tr").length >= 3`,
		"/providers": `document.querySelectorAll("#part-compared tbody tr").length >= 3 && document.querySelectorAll("#part-lanes tbody tr").length >= 3`,
		"/choice":    `document.querySelectorAll("#part-shares li").length >= 3 && document.querySelectorAll("#part-picks .reason").length >= 3`,
		"/journeys":  `document.querySelectorAll("#part-ways tbody tr").length >= 3 && document.querySelectorAll("#part-spent tbody tr").length >= 2`,
		"/explore?sql=" + url.QueryEscape("SELECT provider, uniqExact(delivery) AS n FROM receipts WHERE provider != '' GROUP BY provider ORDER BY n DESC"): `document.querySelectorAll(".answer tbody tr").length >= 3`,
	} {
		eventually(t, 90*time.Second, path+" shows the demo", func() error {
			if strings.HasPrefix(path, "/explore") || eval(tab, `location.pathname`) != path { // pages move by themselves, but that of questions
				if err := chromedp.Do(tab, chromedp.Navigate(p.facts.URL+path)); err != nil {
					return err
				}
			}
			ok, err := chromedp.Run(tab, chromedp.Evaluate[bool](drawn+" && "+shown+` && !document.querySelector(".fault")`))
			if err != nil || !ok {
				return fmt.Errorf("not yet: %w", err)
			}
			return nil
		})
	}
	for range len(complaints) {
		t.Errorf("the browser complains: %s", <-complaints)
	}
}

// eval is the text of a JavaScript expression; "" where there is none.
func eval(tab context.Context, expression string) string {
	text, err := chromedp.Run(tab, chromedp.Evaluate[string](expression))
	if err != nil {
		return ""
	}
	return text
}

// visitor looks at the pages without a browser.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client
}

// pagesOf signs in by the program's link.
func pagesOf(t *testing.T, p *program) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, p.facts.URL, &http.Client{Jar: jar}}
	link := strings.TrimPrefix(p.facts.Dashboard, p.facts.URL)
	if _, err := v.get(link); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *visitor) get(path string) (string, error) {
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil)
	if err != nil {
		return "", err
	}
	res, err := v.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, res.Status, body)
	}
	return string(body), err
}

func (v *visitor) csv(path string) ([][]string, error) {
	text, err := v.get(path)
	if err != nil {
		return nil, err
	}
	return csv.NewReader(strings.NewReader(text)).ReadAll()
}

// post asks ClickHouse itself.
func post(dsn, query string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/"
	res, err := http.Post(u.String(), "text/plain", strings.NewReader(query)) //nolint:noctx // a test's question to its own child
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
