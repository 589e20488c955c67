package web

import (
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// desk is what the API says of the things that operators and admins look at.
func desk(path, planted string) string {
	const at = `"2026-03-01T12:00:00Z"`
	const state = `{"online":true,"last_seen":` + at + `,"roads":[{"provider":"apns","attempts":12,"delivered":11,"failed":0,"p50_ms":120.5,"last_proof":` + at + `},
		{"provider":"sms","attempts":3,"delivered":0,"failed":3,"last_error":"unreachable"}],"ranked":[{"provider":"apns","why":"92 % of 12 delivered"},{"provider":"sms","skipped":"costs money"}],
		"inbox":[{"delivery":"order-1.0.0","bytes":420,"sent_at":` + at + `}],"recent":[{"notification":"order-1","class":"transactional","stage":"delivered","provider":"apns","accepted_at":` + at + `}]}`
	answers := map[string]string{
		"/v1/devices": `{"devices":[{"id":"phone-1","user":"ann","platform":"ios","maker":"Apple","model":"iPhone","os":"18.6","country":"DE","updated_at":` + at + `,
			"addresses":[{"provider":"apns","token":"abcdefabcdef"},{"provider":"sms","token":"+491701234567"}]},{"id":"tablet-9` + planted + `","platform":"android","updated_at":` + at + `}],"next":"tablet-9"}`,
		"/v1/devices/phone-1": `{"id":"phone-1","user":"ann","platform":"ios","maker":"Apple","os":"18.6","app_version":"4.2","country":"DE","carrier":"26201","locale":"de","timezone":"Europe/Berlin","tags":["vip"],
			"addresses":[{"provider":"apns","token":"abcdefabcdef","environment":"sandbox"},{"provider":"sms","token":"+491701234567"}],"created_at":` + at + `,"updated_at":` + at + `}`,
		"/v1/devices/phone-1/state":                 state,
		"/v1/devices/tablet-9" + planted + "/state": `{"last_seen":` + at + `}`,
		"/v1/users/ann":                             `{"timezone":"Europe/Berlin","quiet_hours":{"from":"22:00","to":"07:00","action":"hold"}}`,
		"/v1/users/ann:erase":                       `{"user":"ann","state":"done","asked_at":` + at + `,"ended_at":` + at + `,"stores":[{"store":"sql","what":"devices","found":2,"left":0}]}`,
		"/v1/queues":                                `{"queues":[{"queue":"critical","pending":3,"oldest_seconds":0.4},{"queue":"default","pending":120,"active":8,"retry":2,"archived":1,"oldest_seconds":95,"per_second":410.2,"processed_today":99,"failed_today":1}]}`,
		"/v1/queues/default/tasks":                  `{"tasks":[{"id":"t1","queue":"default","state":"archived","kind":"deliver","size":256,"retried":40,"most_retries":40,"error":"redis: nil` + planted + `","failed_at":` + at + `}]}`,
		"/v1/queues/default/tasks/t1":               `{"id":"t1","queue":"default","state":"archived","kind":"deliver","size":256,"retried":40,"most_retries":40,"error":"redis: nil","failed_at":` + at + `,"payload":{"notification":"order-1"}}`,
		"/v1/nodes":                                 `{"nodes":[{"id":"n1","since":` + at + `,"sessions":1200,"connects_per_second":4.2,"sent_per_second":310.5,"acknowledged_per_second":300,"unacknowledged":12,"oldest_unacknowledged_secs":3.2,"closed":{"left":9}},{"id":"n2","since":` + at + `,"sessions":3,"draining":true}]}`,
		"/v1/audit":                                 `{"changes":[{"id":"c1","at":` + at + `,"who":"ann@example.com","via":"person","from":"127.0.0.1","action":"lane.put","target":"/v1/lanes/apns","status":200,"before":{"state":"open"},"after":{"state":"off","reason":"asked to` + planted + `"}}]}`,
		"/v1/notifications":                         `{"notifications":[{"id":"autumn-sale` + planted + `","state":"sending","class":"marketing","accepted_at":` + at + `,"audience":20000,"counts":{"deliveries":20000,"accepted":1200,"delivered":1100},"outcomes":{"delivered":1100,"waiting":18900}}]}`,
		"/v1/apps/demo":                             `{"name":"Demo shop","policy":{"sms_classes":["otp"],"timezone":"Europe/Berlin","quiet_hours":{"from":"22:00","to":"07:00","action":"hold"}}}`,
		"/v1/apps/demo/keys":                        `{"keys":[{"id":"k1","name":"the shop` + planted + `","scopes":["send","read"],"created_at":` + at + `}]}`,
		"/v1/apps/demo/providers":                   `{"providers":[{"provider":"apns","given":true,"version":3,"updated_at":` + at + `},{"provider":"fcm","given":false}]}`,
		"/v1/templates":                             `{"templates":[{"id":"welcome","default_locale":"en","locales":{"en":{},"de":{}},"version":2,"updated_at":` + at + `}]}`,
		"/v1/webhooks":                              `{"webhooks":[{"id":"wh_1","url":"https://shop.example.com/herald","description":"orders` + planted + `","events":["*"],"enabled":true}]}`,
		"/v1/webhooks/wh_1":                         `{"id":"wh_1","url":"https://shop.example.com/herald","events":["*"],"enabled":true}`,
		"/v1/webhooks/wh_1/deliveries":              `{"deliveries":[{"event":"evt_1","type":"address.dead","state":"dead","created_at":` + at + `,"tries":14,"last_at":` + at + `,"status":503,"error":"it answered 503` + planted + `","took_ms":31},{"event":"evt_2","type":"delivery.delivered","state":"pending","created_at":` + at + `,"next_at":` + at + `}]}`,
		"/v1/apps/demo/members":                     `{"members":[{"app":"demo","email":"ann@example.com","role":"operator","updated_at":` + at + `},{"app":"*","email":"bob@example.com","role":"admin","updated_at":` + at + `}]}`,
	}
	return answers[path]
}

// deskPages are the pages of operators and admins, and what each must show.
func deskPages() map[string][]string {
	return map[string][]string{
		"/notifications":                     {"autumn-sale", "sending"},
		"/devices":                           {"phone-1", "iPhone", "apns, sms", `href="/users/ann?app=demo"`},
		"/devices/phone-1":                   {"connected now", "last error: unreachable", "92 % of 12 delivered", "order-1.0.0", "Europe/Berlin"},
		"/users/ann":                         {"connected now", "phone-1", "order-1.0.0", "22:00 to 07:00", "Erase ann", "done 2026-03-01", "tablet-9"},
		"/queues":                            {"critical", "redis: nil", "deliver"},
		"/queues/default/tasks/t1":           {"order-1", "redis: nil"},
		"/live":                              {"n1", "1,203", "drain"},
		"/audit":                             {"ann@example.com", "lane.put", "<ins>off</ins>"},
		"/settings":                          {"Demo shop", "A new app", "Europe/Berlin"},
		"/settings?tab=keys":                 {"hk_k1_…", "send, read"},
		"/settings?tab=credentials":          {"in force", "Roll back"},
		"/settings?tab=templates":            {"welcome", "de, en"},
		"/settings?tab=webhooks":             {"https://shop.example.com/herald", `href="/settings/webhooks/wh_1?app=demo"`},
		"/settings?tab=members":              {"bob@example.com", "all apps"},
		"/settings/webhooks/wh_1":            {"evt_1", "it answered 503", "Replay all dead letters"},
		"/settings/webhooks/wh_1?state=dead": {"evt_1"},
	}
}

func TestPagesOfOperatorsShowWhatTheAPISays(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	for path, words := range deskPages() {
		t.Run(path, func(t *testing.T) {
			res, page := v.get(path)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s\n%s", res.Status, page)
			}
			for _, w := range words {
				if !strings.Contains(page, w) {
					t.Errorf("%q is missing", w)
				}
			}
			for _, secret := range []string{"abcdefabcdef", "+491701234567"} {
				if strings.Contains(page, secret) {
					t.Errorf("it shows the address %s", secret)
				}
			}
		})
	}
}

func TestListsOfOperatorsAreFilesToo(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	for _, path := range []string{"/notifications", "/devices", "/queues", "/live", "/audit", "/settings/webhooks/wh_1"} {
		res, text := v.get(path + "?format=csv")
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if res.StatusCode != http.StatusOK || err != nil || len(rows) < 2 || len(rows[0]) < 5 {
			t.Errorf("%s as a file: %s, %d rows, %v", path, res.Status, len(rows), err)
		}
	}
}

func TestPagesOfOperatorsAreTheirsAlone(t *testing.T) {
	h := open(t, &fake{lively: true})
	reader := h.withKey(t, "hk_read")
	for path, want := range map[string]int{
		"/notifications": 200, "/devices": 200, "/users/ann": 200, "/queues": 200, "/live": 200,
		"/audit": 403, "/settings": 403, "/settings/webhooks/wh_1": 403, "/queues/default/tasks/t1": 403, "/users/nobody-at-all": 404,
	} {
		if res, _ := reader.get(path); res.StatusCode != want {
			t.Errorf("a reader's %s: %s, want %d", path, res.Status, want)
		}
	}
	_, page := reader.get("/notifications")
	for _, path := range []string{"/settings", "/audit"} {
		if strings.Contains(page, `href="`+path) {
			t.Errorf("a reader's menu leads to %s", path)
		}
	}
	for what, do := range changes {
		if do.need <= Viewer { // changes nothing
			continue
		}
		if res, _ := reader.post("/act", url.Values{"csrf": {csrfOf(page)}, "do": {what}, "id": {"x"}, "queue": {"default"}}); res.StatusCode != http.StatusForbidden {
			t.Errorf("a reader's %s: %s, want 403", what, res.Status)
		}
	}
	admin := h.withKey(t, "hk_admin") // of one app
	_, page = admin.get("/settings")
	if strings.Contains(page, "A new app") {
		t.Error("the admin of one app is offered to make another")
	}
	for path, form := range map[string]url.Values{"/apps": {"csrf": {csrfOf(page)}, "id": {"new"}}} {
		if res, _ := admin.post(path, form); res.StatusCode != http.StatusForbidden {
			t.Errorf("POST %s by the admin of one app: %s, want 403", path, res.Status)
		}
	}
}

func TestChangesAreAskedOfTheAPI(t *testing.T) {
	tests := map[string]struct {
		form url.Values
		want string // after "operator admin in demo: "
	}{
		"pause":                  {url.Values{"do": {"notification.pause"}, "id": {"n/1"}}, `POST /v1/notifications/n/1:pause `},
		"rate":                   {url.Values{"do": {"notification.rate"}, "id": {"n"}, "rate_per_minute": {"90"}}, `POST /v1/notifications/n:rate {"rate_per_minute":90}`},
		"rate that is no number": {url.Values{"do": {"notification.rate"}, "id": {"n"}, "rate_per_minute": {"fast"}}, `POST /v1/notifications/n:rate {"rate_per_minute":"fast"}`},
		"erase a user":           {url.Values{"do": {"user.erase"}, "id": {"ann"}}, `POST /v1/users/ann:erase `},
		"drop a task":            {url.Values{"do": {"task.drop"}, "queue": {"bulk"}, "id": {"t1"}}, `DELETE /v1/queues/bulk/tasks/t1 `},
		"retry all tasks":        {url.Values{"do": {"tasks.retry"}, "queue": {"bulk"}}, `POST /v1/queues/bulk/tasks:retry `},
		"drain":                  {url.Values{"do": {"node.drain"}, "id": {"n1"}}, `POST /v1/nodes/n1:drain `},
		"revoke a key":           {url.Values{"do": {"key.revoke"}, "id": {"k1"}}, `DELETE /v1/apps/demo/keys/k1 `},
		"a policy":               {url.Values{"do": {"app.put"}, "name": {"Shop"}, "sms_budget": {"2.5"}}, `PUT /v1/apps/demo {"name":"Shop","policy":{"locale":"","sms_budget_micros_per_day":2500000,"sms_classes":[],"timezone":""}}`},
		"credentials":            {url.Values{"do": {"credentials.put"}, "provider": {"apns"}, "canary": {"required"}, "credentials": {`{"key":"x"}`}}, `PUT /v1/apps/demo/providers/apns {"key":"x"}`},
		"replay dead letters":    {url.Values{"do": {"webhook.replay"}, "id": {"wh_1"}, "state": {"dead"}}, `POST /v1/webhooks/wh_1:replay {"event":"","state":"dead"}`},
		"replay one event":       {url.Values{"do": {"webhook.replay"}, "id": {"wh_1"}, "event": {"evt_1"}}, `POST /v1/webhooks/wh_1:replay {"event":"evt_1","state":""}`},
		"a member":               {url.Values{"do": {"member.put"}, "id": {" ann@example.com "}, "role": {"viewer"}}, `PUT /v1/apps/demo/members/ann@example.com {"role":"viewer"}`},
	}
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	_, page := v.get("/devices")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.form.Set("csrf", csrfOf(page))
			res, body := v.post("/act?app=demo", tt.form)
			if res.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s\n%s", res.Status, body)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if got, want := h.asked[len(h.asked)-1], "operator admin in demo: "+tt.want; got != want {
				t.Errorf("asked %q, want %q", got, want)
			}
		})
	}
	if res, _ := v.post("/act?app=demo", url.Values{"csrf": {csrfOf(page)}, "do": {"nonsense"}}); res.StatusCode != http.StatusNotFound {
		t.Errorf("a change that there is not: %s", res.Status)
	}
}

func TestAnAppIsMadeOnce(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	_, page := v.get("/settings")
	for name, tt := range map[string]struct {
		id   string
		want int
	}{
		"a new one":               {"spring-shop", http.StatusSeeOther},
		"one that is there":       {"demo", http.StatusUnprocessableEntity},
		"capitals":                {"Shop", http.StatusUnprocessableEntity},
		"nothing":                 {"", http.StatusUnprocessableEntity},
		"a path":                  {"../x", http.StatusUnprocessableEntity},
		"all apps":                {"*", http.StatusUnprocessableEntity},
		"longer than is good":     {strings.Repeat("a", 65), http.StatusUnprocessableEntity},
		"what begins with a dash": {"-x", http.StatusUnprocessableEntity},
	} {
		if res, body := v.post("/apps", url.Values{"csrf": {csrfOf(page)}, "id": {tt.id}}); res.StatusCode != tt.want {
			t.Errorf("%s: %s, want %d\n%s", name, res.Status, tt.want, body)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	made := 0
	for _, a := range h.asked {
		if strings.Contains(a, "PUT /v1/apps/") {
			made++
			if a != `operator admin in spring-shop: PUT /v1/apps/spring-shop {"name":"spring-shop","policy":{}}` {
				t.Errorf("asked %q", a)
			}
		}
	}
	if made != 1 {
		t.Errorf("%d apps were made, want 1", made)
	}
}

func TestTheAuditIsSearchedByTime(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	for given, want := range map[string]string{
		"2026-03-01T12:30":     "2026-03-01T12:30:00Z",
		"2026-03-01T12:30:15":  "2026-03-01T12:30:15Z",
		"2026-03-01T12:30:00Z": "2026-03-01T12:30:00Z",
		"never":                "never", // the API says what is wrong with it
	} {
		res, page := v.get("/audit?" + url.Values{"since": {given}, "until": {"2026-04-01T00:00"}}.Encode())
		h.mu.Lock()
		query := h.queries["/v1/audit"]
		h.mu.Unlock()
		if res.StatusCode != http.StatusOK || query.Get("since") != want || query.Get("until") != "2026-04-01T00:00:00Z" {
			t.Errorf("from %s: %s, the API was asked %v", given, res.Status, query)
		}
		if !strings.Contains(page, `name="since" value="`+given+`"`) {
			t.Errorf("what was typed, %s, is gone from the form", given)
		}
	}
}

// ledger keeps visits as the store does, for several processes.
type ledger struct {
	mu   sync.Mutex
	came []string
	gone map[string]bool
	away bool
}

func (l *ledger) Came(_ context.Context, who Identity, by, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return ErrAway
	}
	l.came = append(l.came, who.Name+" by "+by)
	return nil
}

func (l *ledger) Left(_ context.Context, _ Identity, session string, until time.Time, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone[session] = time.Now().Before(until)
	return nil
}

func (l *ledger) Gone(_ context.Context, session string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone[session], nil
}

func TestSigningOutHoldsInEveryProcess(t *testing.T) {
	book := &ledger{gone: map[string]bool{}}
	keep := func(c *Config) { c.Visits = book }
	one, two := open(t, &fake{lively: true}, keep), open(t, &fake{lively: true}, keep)
	v := one.operator(t)
	_, page := v.get("/")
	here, err := url.Parse(one.url)
	if err != nil {
		t.Fatal(err)
	}
	there, err := url.Parse(two.url)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := two.stranger(t)
	elsewhere.http.Jar.SetCookies(there, v.http.Jar.Cookies(here))
	if res, _ := elsewhere.get("/"); res.StatusCode != http.StatusOK {
		t.Fatalf("another process before: %s", res.Status)
	}
	if res, _ := v.post("/logout", url.Values{"csrf": {csrfOf(page)}}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign out: %s", res.Status)
	}
	if res, _ := elsewhere.get("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("another process after: %s, want the way to sign in", res.Status)
	}
	if len(book.came) != 1 || book.came[0] != "operator by link" {
		t.Errorf("written down: %v", book.came)
	}
	book.away = true
	stranger := one.stranger(t)
	res, body := stranger.get(strings.TrimPrefix(one.link(), one.url))
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "The store does not answer") {
		t.Errorf("a sign-in that cannot be written down: %s", res.Status)
	}
	if res, _ := stranger.get("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("it lets in all the same: %s", res.Status)
	}
}

func TestProfilesAreForAdminsOfAllApps(t *testing.T) {
	h := open(t, &fake{lively: true}, func(c *Config) {
		c.Profiles = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a profile")) })
	})
	for name, tt := range map[string]struct {
		v    *visitor
		want int
	}{
		"a stranger": {h.stranger(t), 303}, "a reader": {h.withKey(t, "hk_read"), 403},
		"the admin of one app": {h.withKey(t, "hk_admin"), 403}, "the admin of all": {h.operator(t), 200},
	} {
		if res, body := tt.v.get("/debug/pprof/heap"); res.StatusCode != tt.want || (tt.want == 200) != (body == "a profile") {
			t.Errorf("%s: %s %q, want %d", name, res.Status, body, tt.want)
		}
	}
}
