package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/providers/sandbox"
)

func TestNewcomersFirstMinutes(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	need.Program(t, "mosquitto_sub", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	hears := p.subscribe("phone-1")

	id := strings.TrimSpace(p.run("send", "--to", "device:phone-1", "--title", "Hi", "--body", "there"))
	select {
	case got := <-hears:
		var m struct{ Notification, Title, Body string }
		if err := json.Unmarshal([]byte(got), &m); err != nil || m.Notification != id || m.Title != "Hi" || m.Body != "there" {
			t.Errorf("phone-1 heard %s, want notification %s", got, id)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("phone-1 heard nothing")
	}

	eventually(t, 20*time.Second, "the acknowledgement makes it delivered", func() error {
		story := p.run("explain", id, "--device", "phone-1")
		for _, want := range []string{"attempt 1 by live: handed_over", "because", "delivered, says the device", "1 delivered"} {
			if !strings.Contains(story, want) {
				return fmt.Errorf("explain says %q, want %q in it", story, want)
			}
		}
		return nil
	})
	eventually(t, 20*time.Second, "analytics counts it", func() error {
		table := p.run("analytics", "providers", "--format", "csv")
		if !strings.Contains(table, "live,1,1,0,0,1,") {
			return fmt.Errorf("analytics says %q", table)
		}
		return nil
	})
	p.goesByOneRoad()
	p.goesByEveryRoad()
	p.stop()
	if err := orphans(p.dir); err != nil {
		t.Error(err)
	}
}

// goesByOneRoad sends by one road, with a word for it alone, and looks at what
// the vendor was asked.
func (p *program) goesByOneRoad() {
	p.t.Helper()
	p.call(http.MethodPut, "/v1/devices/iphone", map[string]any{
		"platform": "ios", "addresses": []map[string]string{{"provider": "apns", "token": strings.Repeat("ab", 32)}},
	}, nil)
	id := strings.TrimSpace(p.run("send", "--to", "device:iphone", "--title", "unseen", "--via", "apns", "--override", "apns.push_type=background"))
	eventually(p.t, 20*time.Second, "the vendor gets what was said to it alone", func() error {
		var asked json.RawMessage
		if _, err := call(p.t.Context(), p.facts.Sandbox, "", http.MethodGet, "/sandbox/apns/requests", nil, &asked); err != nil {
			return err
		}
		for _, want := range []string{id, "background", "content-available"} {
			if !strings.Contains(string(asked), want) {
				return fmt.Errorf("the vendor was asked %.2000s, want %q in it", asked, want)
			}
		}
		if strings.Contains(string(asked), "unseen") {
			return fmt.Errorf("a background push shows its title: %.2000s", asked)
		}
		return nil
	})
	eventually(p.t, 20*time.Second, "its story names the road", func() error {
		if story := p.run("explain", id, "--device", "iphone"); !strings.Contains(story, "attempt 1 by apns: accepted") {
			return fmt.Errorf("explain says %q", story)
		}
		return nil
	})
}

// goesByEveryRoad sends by each road alone, and looks at what arrived. Where a
// service has no receipts the vendor's word is all there is.
func (p *program) goesByEveryRoad() {
	p.t.Helper()
	var service struct{ URL string }
	if _, err := call(p.t.Context(), p.facts.Sandbox, "", http.MethodGet, "/control/vendors/webpush", nil, &service); err != nil {
		p.t.Fatal(err)
	}
	roads := []struct{ name, token, proof string }{
		{"fcm", "registration-token-of-phone-1", "attempt 1 by fcm: accepted"},
		{"huawei", "push-token-of-phone-1", "delivered, says the vendor (huawei)"},
		{"honor", "push-token-of-phone-2", "delivered, says the vendor (honor)"},
		{"xiaomi", "registration-id+of/phone-1==", "delivered, says the vendor (xiaomi)"},
		{"oppo", "OPPO_CN_0123456789abcdef", "delivered, says the vendor (oppo)"},
		{"vivo", "12345678901234567890123", "delivered, says the vendor (vivo)"},
		{"meizu", "RA50c6348036344485d01776773577c64740465480a6b", "delivered, says the vendor (meizu)"},
		{"sms", "+15551234567", "delivered, says the vendor (sms)"},
		{"smpp", "+491701234567", "delivered, says the vendor (smpp)"},
		{"xmpp", "ann@example.org", "delivered, says the device (xmpp)"},
		{"http", "1507bfd3b7c8283abc1", "attempt 1 by http: accepted"},
		{"webpush", sandbox.Subscription(service.URL, "browser-1"), "attempt 1 by webpush: accepted"},
	}
	ids := make([]string, len(roads))
	for i, road := range roads {
		p.call(http.MethodPut, "/v1/devices/by-"+road.name, map[string]any{
			"platform": "android", "addresses": []map[string]string{{"provider": road.name, "token": road.token}},
		}, nil)
		ids[i] = strings.TrimSpace(p.run("send", "--to", "device:by-"+road.name, "--title", "Hi", "--body", "by "+road.name, "--via", road.name))
	}
	for i, road := range roads {
		eventually(p.t, 30*time.Second, road.name+" delivers", func() error {
			story := p.run("explain", ids[i], "--device", "by-"+road.name)
			if !strings.Contains(story, road.proof) || strings.Contains(story, "paid twice") {
				return fmt.Errorf("explain says %q, want %q in it", story, road.proof)
			}
			return nil
		})
		var shown json.RawMessage
		if _, err := call(p.t.Context(), p.facts.Sandbox, "", http.MethodGet, "/control/vendors/"+road.name+"/messages", nil, &shown); err != nil {
			p.t.Fatal(err)
		}
		if !strings.Contains(string(shown), "by "+road.name) {
			p.t.Errorf("%s shows %s", road.name, shown)
		}
	}
}

func TestBannerAndFactsTellTheSame(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	f := p.facts
	banner := p.out.String()
	for what, want := range map[string]string{
		"API": f.URL, "key": f.APIKey, "MQTT": f.MQTT, "WebSocket": f.WebSocket, "dashboard": f.Dashboard,
		"sandbox": f.Sandbox, "data": f.Data,
	} {
		if want == "" || !strings.Contains(banner, want) {
			t.Errorf("the banner does not tell %s %q:\n%s", what, want, banner)
		}
	}
	for _, url := range []string{f.Redis, f.ClickHouse} {
		if password := passwordOf(url); password == "" || strings.Contains(banner, password) {
			t.Errorf("the banner shows the password %q, or there is none", password)
		}
	}
	info, err := os.Stat(filepath.Join(p.dir, factsFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v, want 0600: %v", factsFile, info.Mode().Perm(), err)
	}
	var raw map[string]string
	b, err := os.ReadFile(filepath.Join(p.dir, factsFile))
	if err != nil || json.Unmarshal(b, &raw) != nil || len(raw) != 9 {
		t.Errorf("%s holds %s, want nine facts: %v", factsFile, b, err)
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Get(f.Dashboard) //nolint:noctx // a test's deadline bounds it
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || strings.Contains(res.Request.URL.Path, "login") {
		t.Errorf("the dashboard's link leads to %s with %s, want the overview", res.Request.URL, res.Status)
	}
}

func passwordOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	login, _, ok := strings.Cut(rest, "@")
	_, password, _ := strings.Cut(login, ":")
	if !ok {
		return ""
	}
	return password
}

func TestRestartFindsEverythingAgain(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	dir := t.TempDir()
	p := startDev(t, dir, "--no-demo")
	key := p.facts.APIKey
	p.putDevice("kept", "apns")
	sent := strings.TrimSpace(p.run("send", "--to", "device:kept", "--title", "before"))
	p.waitDone(sent)
	waits := client.Notification{
		ID: "later", To: client.Audience{Device: "kept"}, Title: "after", DeliverAt: time.Now().Add(8 * time.Second).UTC(),
	}
	if status := p.call(http.MethodPost, "/v1/notifications", waits, nil); status != http.StatusAccepted {
		t.Fatalf("scheduled notification: status %d", status)
	}
	p.stop()
	if err := orphans(dir); err != nil {
		t.Fatal(err)
	}

	p = startDev(t, dir, "--no-demo")
	if p.facts.APIKey != key {
		t.Errorf("key %s after the restart, %s before", p.facts.APIKey, key)
	}
	if status := p.call(http.MethodGet, "/v1/devices/kept", nil, nil); status != http.StatusOK {
		t.Errorf("device after the restart: status %d", status)
	}
	if story := p.run("explain", sent); !strings.Contains(story, "attempt 1 by apns") {
		t.Errorf("explain after the restart says %q", story)
	}
	p.waitDone("later")
}

func TestSecondHeraldOnAFolderIsRefused(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	second := launch(t, p.dir, "dev", "--data", p.dir, "--listen", "127.0.0.1:0")
	<-second.done
	want := fmt.Sprintf("another herald (process %d) runs on %s", p.cmd.Process.Pid, p.dir)
	if code := second.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(second.out.String(), want) {
		t.Errorf("the second one ended with %d and %q, want 1 and %q", code, second.out, want)
	}
	if status := p.call(http.MethodGet, "/readyz", nil, nil); status != http.StatusOK {
		t.Errorf("the first one is not well after that: status %d", status)
	}
}

func TestDoctorLooksAtTheHeraldOfAFolder(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	out := p.run("doctor")
	for _, want := range []string{"ok    redis file", "ok    database", fmt.Sprintf("ok    credentials %d sets", len(sandbox.Vendors)), "ok    sealing",
		"ok    apns        app demo: it knows the key", "ok    fcm         app demo: it validates a message", "ok    sms         app demo: it knows the account",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor says\n%s\nwant %q in it", out, want)
		}
	}
	if p.facts.ClickHouse != "" && !strings.Contains(out, "ok    schema") {
		t.Errorf("doctor says\n%s\nwant a word about the schema", out)
	}
}

func TestPortThatIsAskedForAndTakenIsAFault(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	taken := strings.TrimPrefix(p.facts.URL, "http://")
	second := launch(t, "", "dev", "--data", t.TempDir(), "--listen", taken)
	<-second.done
	if code := second.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(second.out.String(), taken+" is taken") {
		t.Errorf("ended with %d and %q, want 1 and a word about %s", code, second.out, taken)
	}
}

func TestStartAfterKillJustWorks(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	dir := t.TempDir()
	p := startDev(t, dir, "--no-demo")
	p.putDevice("kept", "apns")
	old := []int{childPid(dir, "redis")}
	if p.facts.ClickHouse != "" {
		old = append(old, childPid(dir, "clickhouse"))
	}
	p.kill()

	p = startDev(t, dir, "--no-demo")
	for _, pid := range old {
		if pid == 0 || alive(pid) {
			t.Errorf("process %d of the killed Herald still runs", pid)
		}
	}
	p.waitDone(strings.TrimSpace(p.run("send", "--to", "device:kept", "--title", "again")))
	p.stop()
	if err := orphans(dir); err != nil {
		t.Error(err)
	}
}

func TestKilledHeraldLeavesNoOrphans(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	p.kill()
	eventually(t, 30*time.Second, "its children end", func() error { return orphans(p.dir) })
}

func TestClickHouseAwayLosesNothingAndSlowsNothing(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	if p.facts.ClickHouse == "" {
		need.Missing(t, "no embedded ClickHouse; scripts/chdb.sh installs it")
	}
	p.putDevice("d1", "apns")
	// A server that hangs is worse than one that refuses.
	pid := childPid(p.dir, "clickhouse")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const many = 200
	began := time.Now()
	for i := range many {
		n := client.Notification{ID: fmt.Sprintf("away-%d", i), To: client.Audience{Device: "d1"}, Title: "while it is away"}
		if status := p.call(http.MethodPost, "/v1/notifications", n, nil); status != http.StatusAccepted {
			t.Fatalf("notification %d: status %d", i, status)
		}
	}
	for i := range many {
		p.waitDone(fmt.Sprintf("away-%d", i))
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%d notifications took %v without ClickHouse", many, took)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil { // and then it dies
		t.Fatal(err)
	}
	for _, i := range []int{0, many / 2, many - 1} {
		eventually(t, 60*time.Second, "ClickHouse hears of what happened meanwhile", func() error {
			out, err := p.try("explain", fmt.Sprintf("away-%d", i), "--wait", "1s")
			if err != nil || !strings.Contains(out, "attempt 1 by apns") {
				return fmt.Errorf("%w: %s", errors.Join(err), out)
			}
			return nil
		})
	}
}

func TestNoSecretIsToldAnywhere(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo", "--verbose")
	const planted = "pl4nted-secret-7f3a"
	credentials := map[string]any{
		"endpoint": "http://127.0.0.1:9", "account": "AC1", "secret": planted, "from": "+15550100", "price_per_segment": 0.01,
	}
	if status := p.call(http.MethodPut, "/v1/apps/demo/providers/sms", credentials, nil); status >= 300 {
		t.Fatalf("credentials: status %d", status)
	}
	broken := map[string]any{"endpoint": planted, "account": "", "secret": planted}
	p.call(http.MethodPut, "/v1/apps/demo/providers/sms", broken, nil)
	p.call(http.MethodPut, "/v1/apps/demo/providers/apns", map[string]any{"key": planted}, nil)
	p.putDevice("sms-1", "sms")
	p.waitOutcome(strings.TrimSpace(p.run("send", "--to", "device:sms-1", "--title", "x", "--roads", "sms", "--ttl", "20s")))
	_, _ = call(t.Context(), p.facts.URL, "hk_aaaaaaaa_"+planted+"000000000000000000000000", http.MethodGet, "/v1/devices/sms-1", nil, nil)
	token := strings.TrimSpace(p.run("token", "sms-1"))

	said := p.out.String() + read(t, filepath.Join(p.dir, logFile)) + p.run("explain") + p.text("/metrics") + p.text("/v1/apps/demo/providers/sms")
	said = strings.ReplaceAll(said, p.facts.Dashboard, "")
	banner := strings.Replace(said, p.facts.APIKey, "", 1) // once, in the banner
	for what, secret := range map[string]string{
		"a provider's credentials": planted, "the API key": p.facts.APIKey, "a device token": token,
		"Redis' password": passwordOf(p.facts.Redis), "ClickHouse's password": passwordOf(p.facts.ClickHouse),
		"the sealing key": strings.TrimSpace(read(t, filepath.Join(p.dir, sealingFile))),
	} {
		if secret != "" && strings.Contains(banner, secret) {
			at := strings.Index(banner, secret)
			t.Errorf("%s is told: …%s…", what, banner[max(0, at-200):min(len(banner), at+len(secret)+20)])
		}
	}
}

func TestWithoutServersItStillRuns(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no redis-server
	t.Setenv("HERALD_CHDB_LIB", filepath.Join(t.TempDir(), "none"))
	p := startDev(t, t.TempDir(), "--no-demo")
	for _, want := range []string{"the queue lives in this process", "no ClickHouse: every attempt and receipt is kept in the spool"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("the banner does not say %q:\n%s", want, p.out)
		}
	}
	if p.facts.ClickHouse != "" {
		t.Errorf("clickhouse = %q, want none", p.facts.ClickHouse)
	}
	id := strings.TrimSpace(p.run("send", "--to", "device:phone-1", "--title", "Hi"))
	p.waitDone(id)
	if out, err := p.try("explain", id); err == nil || !strings.Contains(out, "ClickHouse") {
		t.Errorf("explain without a record says %q, want a word about ClickHouse", out)
	}
	p.stop()
}
