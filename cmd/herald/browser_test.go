package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
)

func TestABrowserIsADevice(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	page := startBrowser(t)
	run := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(page, steps...); err != nil {
			t.Fatal(err)
		}
	}
	run(chromedp.Navigate(p.facts.Dashboard), chromedp.Navigate(p.facts.URL+"/demo/device?device=browser-1"))
	shows := func(script string) func() error {
		return func() error {
			ok, err := chromedp.Run(page, chromedp.Evaluate[bool](script))
			if err != nil || !ok {
				return fmt.Errorf("%s is %v: %w", script, ok, err)
			}
			return nil
		}
	}
	eventually(t, 30*time.Second, "the page connects", shows(`document.getElementById("wire")?.dataset.state === "on"`))
	id := strings.TrimSpace(p.run("send", "--to", "device:browser-1", "--title", "Hi", "--body", "there"))
	eventually(t, 30*time.Second, "the page shows it", shows(`document.querySelector(".card strong")?.textContent === "Hi"`))
	eventually(t, 30*time.Second, "Herald knows that it was displayed", func() error {
		if story := p.run("explain", id); !strings.Contains(story, "displayed, says the app") {
			return fmt.Errorf("explain says %q", story)
		}
		return nil
	})

	// It walks past the shop of the demo, whose fence makes it ring.
	run(chromedp.Click("#walk"))
	eventually(t, 60*time.Second, "the fence rings", shows(`document.querySelector(".card strong")?.textContent === "Welcome to the corner shop"`))
}

// TestTwoBrowsersChat has two pages talk over the live connection: what one says
// the other shows, with ticks once it is read, and a message taken back is gone.
func TestTwoBrowsersChat(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	ann := startBrowser(t)
	bob, cancel := chromedp.NewContext(ann) // a second tab
	t.Cleanup(cancel)
	do := func(page context.Context, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(page, steps...); err != nil {
			t.Fatal(err)
		}
	}
	until := func(page context.Context, what, script string) {
		t.Helper()
		eventually(t, 30*time.Second, what, func() error {
			ok, err := chromedp.Run(page, chromedp.Evaluate[bool](script))
			if err != nil || !ok {
				return fmt.Errorf("%s is %v: %w", script, ok, err)
			}
			return nil
		})
	}
	const connected = `document.getElementById("wire")?.dataset.state === "on"`
	do(ann, chromedp.Navigate(p.facts.Dashboard), chromedp.Navigate(p.facts.URL+"/demo/chat?user=ann"))
	until(ann, "ann connects", connected)
	do(bob, chromedp.Navigate(p.facts.Dashboard), chromedp.Navigate(p.facts.URL+"/demo/chat?user=bob"))
	until(bob, "bob connects", connected)

	do(ann, chromedp.SendKeys("#peer", "bob\r"), chromedp.SendKeys("#text", "Hello Bob\r"))
	until(bob, "bob's list shows it", `document.querySelector(".talk-row .preview")?.textContent === "Hello Bob" && document.querySelector(".badge")?.textContent === "1"`)
	do(bob, chromedp.Click(".talk-row"))
	until(bob, "bob reads it", `document.querySelector(".theirs .words")?.textContent === "Hello Bob"`)
	until(ann, "ann sees that it was read", `document.querySelector(".mine .tick")?.dataset.state === "read"`)
	do(bob, chromedp.SendKeys("#text", "Hello Ann"))
	until(ann, "ann sees that bob writes", `document.getElementById("hint").textContent.startsWith("bob is writing")`)
	do(bob, chromedp.SendKeys("#text", "\r"))
	until(ann, "ann hears bob", `document.querySelector(".theirs .words")?.textContent === "Hello Ann"`)
	do(ann, chromedp.Evaluate[chromedp.Void](`document.querySelector(".mine .take").click()`))
	until(bob, "what ann took back is gone", `document.querySelector(".theirs .words")?.textContent === "Message taken back"`)
	pictures := &screen{t: t, p: p, page: ann}
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{390, 1440} {
			if *look != "" {
				pictures.shows(width, theme)
				pictures.shoot(fmt.Sprintf("chat-%d-%s", width, theme))
			}
		}
	}

	// Bob leaves, and has a phone.
	p.person("bob", "bob-phone", "fcm")
	do(bob, chromedp.Navigate("about:blank"))
	eventually(t, 60*time.Second, "bob is away", func() error {
		var answer struct{ Online []string }
		if status := p.call(http.MethodPost, "/v1/im/online?as=ann", map[string]any{"users": []string{"bob"}}, &answer); status != http.StatusOK || len(answer.Online) > 0 {
			return fmt.Errorf("status %d, online %q", status, answer.Online)
		}
		return nil
	})
	do(ann, chromedp.SendKeys("#text", "Are you there?\r"))
	eventually(t, 60*time.Second, "bob's phone shows it", func() error {
		var mail struct {
			Messages []struct{ Title, Body string }
		}
		if _, err := call(t.Context(), p.facts.Sandbox, "", http.MethodGet, "/control/vendors/fcm/messages", nil, &mail); err != nil {
			return err
		}
		for _, m := range mail.Messages {
			if m.Title == "ann" && m.Body == "Are you there?" {
				return nil
			}
		}
		return fmt.Errorf("%+v", mail)
	})
	do(bob, chromedp.Navigate(p.facts.URL+"/demo/chat?user=bob"))
	until(bob, "bob is back and finds it", `document.querySelector(".talk-row .preview")?.textContent === "Are you there?" && document.querySelector(".badge")?.textContent === "1"`)
}

// startBrowser starts Chromium, or skips the test where there is none.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	return startBrowserFor(t, 2*time.Minute)
}

// startBrowserFor is startBrowser for a test that takes longer.
func startBrowserFor(t *testing.T, life time.Duration) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		need.Missing(t, "no Chromium found; make test installs it on Debian")
	}
	ctx, cancel := context.WithTimeout(t.Context(), life)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

func TestTheDemoFillsTheDashboard(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir())
	if p.facts.ClickHouse == "" {
		need.Missing(t, "no embedded ClickHouse; scripts/chdb.sh installs it")
	}
	eventually(t, 90*time.Second, "three roads deliver, people look and click", func() error {
		table := p.run("analytics", "funnel", "--format", "csv")
		for _, road := range []string{"apns", "fcm", "live"} {
			if !strings.Contains(table, "\n"+road+",") {
				return fmt.Errorf("no %s in\n%s", road, table)
			}
		}
		var deliveries, accepted, handed, delivered, displayed, clicked int
		_, all, _ := strings.Cut(table, "\nall,")
		if _, err := fmt.Sscanf(all, "%d,%d,%d,%d,%d,%d", &deliveries, &accepted, &handed, &delivered, &displayed, &clicked); err != nil {
			return err
		}
		if delivered == 0 || displayed == 0 || clicked == 0 || delivered > accepted {
			return fmt.Errorf("funnel\n%s", table)
		}
		return nil
	})
}
