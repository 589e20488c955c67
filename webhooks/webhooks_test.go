package webhooks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/push"
)

func TestReceiptsBecomeEvents(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stage  push.Stage
		source push.Source
		want   []string
	}{
		"taken by the vendor":                {push.Accepted, push.VendorReply, nil},
		"acknowledged by the device":         {push.Delivered, push.DeviceAck, []string{push.EventDelivered}},
		"seen":                               {push.Displayed, push.AppReport, []string{push.EventDelivered, push.EventDisplayed}},
		"opened without a word before":       {push.Clicked, push.AppReport, []string{push.EventDelivered, push.EventClicked}},
		"a vendor refused, others are left":  {push.Failed, push.VendorReply, []string{push.EventAttemptFailed}},
		"a vendor said later that it failed": {push.Failed, push.VendorCallback, []string{push.EventAttemptFailed}},
		"no road is left":                    {push.Failed, push.Herald, []string{push.EventFailed}},
		"its time passed":                    {push.Expired, push.Herald, []string{push.EventExpired}},
		"taken back":                         {push.Cancelled, push.Herald, []string{push.EventCancelled}},
		"quiet hours":                        {push.Suppressed, push.Herald, []string{push.EventSuppressed}},
		"an answer never came":               {push.Unknown, push.VendorReply, nil},
		"nobody will ever know":              {push.Unknown, push.Herald, []string{push.EventUnknown}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := receipt("n1.0.0", tt.stage, tt.source)
			var got []string
			for _, kind := range meanings(&r) {
				if kind != "" {
					got = append(got, kind)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("events = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEndpointHearsOnceOfEachHappening(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, house *house) {
		hooks := house.open()
		app := startApp(t, nil)
		w, _ := house.create(hooks, app.URL, func(w *push.Webhook) { w.Events = []string{push.EventDelivered, push.EventAddressDead} })
		house.run(hooks)
		for range 3 { // evidence comes again and again
			err := hooks.Record(t.Context(),
				receipt("n1.0.0", push.Delivered, push.DeviceAck), receipt("n1.0.0", push.Clicked, push.AppReport),
				receipt("n1.0.1", push.Displayed, push.AppReport), receipt("n1.0.2", push.Failed, push.Herald))
			if err != nil {
				t.Fatal(err)
			}
			if err := hooks.Bury(t.Context(), []push.Death{{
				App: "demo", Device: "d9", Address: push.Address{Provider: "fcm", Token: "s3cret"}, Source: push.VendorReply,
				Code: "404", Fate: push.Forgotten, Delivery: "n1.0.9",
			}}); err != nil {
				t.Fatal(err)
			}
		}
		other := receipt("n2.0.0", push.Delivered, push.DeviceAck)
		other.App = "other"
		if err := hooks.Record(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		wait(t, "three events are delivered", func() bool { return inState(t, hooks, w, push.WebhookDelivered) == 3 })
		wait(t, "the outbox is empty", func() bool {
			n, err := house.redis.XLen(t.Context(), "herald:{hooks}/out").Result()
			return err == nil && n == 0
		})
		heard := app.heard()
		if len(heard) != 3 {
			t.Fatalf("the app heard %d calls, want 3", len(heard))
		}
		for _, c := range heard {
			if e := c.event(t); e.ID != c.header.Get("Webhook-Id") || e.Timestamp.IsZero() || !slices.Contains(w.Events, e.Type) {
				t.Errorf("event %+v does not fit its call %v", e, c.header)
			}
			if strings.Contains(string(c.body), "s3cret") {
				t.Errorf("the address is in the event: %s", c.body)
			}
		}
		i := slices.IndexFunc(heard, func(c call) bool { return strings.Contains(string(c.body), "n1.0.0") })
		if i < 0 {
			t.Fatal("nothing of n1.0.0 was heard")
		}
		var data deliveryData
		if err := json.Unmarshal(heard[i].event(t).Data, &data); err != nil || data.Device != "d1" || data.AfterMs != 840 || data.Provider != "apns" {
			t.Errorf("data = %+v, %v", data, err)
		}
	})
}

// An event that was emitted survives the end of every process at every point.
func TestNothingIsLostWhereverAProcessDies(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, house *house) {
		app := startApp(t, nil)
		first := house.open()
		w, _ := house.create(first, app.URL)
		emit := func(hooks *Hooks, from, to int) {
			for i := from; i < to; i++ {
				if err := hooks.Record(t.Context(), receipt(fmt.Sprintf("n1.0.%d", i), push.Delivered, push.DeviceAck)); err != nil {
					t.Fatal(err)
				}
			}
		}
		// It dies before anything was done with them.
		emit(first, 0, 5)
		// It dies after it took them and before they are in SQL.
		ids, entries, err := first.outbox.Take(t.Context())
		for err == nil && len(entries) == 0 { // a Redis that is slow
			ids, entries, err = first.outbox.Take(t.Context())
		}
		if err != nil || len(entries) != 5 {
			t.Fatalf("Take() = %d entries, %v; want 5", len(entries), err)
		}
		// It dies after they are in SQL and before the outbox knows.
		if _, err := first.fanOut(t.Context(), entries[:3]); err != nil {
			t.Fatal(err)
		}
		// It dies with one in hand.
		if ms, err := first.claim(t.Context(), w.ID, 1); err != nil || len(ms) != 1 {
			t.Fatalf("claim() = %v, %v", ms, err)
		}
		emit(first, 5, 8)
		// What was taken is somebody else's after a while, which need not pass here.
		house.abandon(ids)
		house.advance(leaseTime + time.Second)
		second := house.open()
		house.run(second)
		wait(t, "all eight are delivered", func() bool { return inState(t, second, w, push.WebhookDelivered) == 8 })
		if n := len(app.heard()); n != 8 {
			t.Errorf("the app heard %d calls, want 8", n)
		}
	})
}

func TestSQLThatIsAwayDelaysAndLosesNothing(t *testing.T) {
	t.Parallel()
	house := sqlite(t)
	app := startApp(t, nil)
	hooks := house.open()
	w, _ := house.create(hooks, app.URL)
	broken := house.open()
	if err := broken.db.Close(); err != nil {
		t.Fatal(err)
	}
	end := house.run(broken)
	if err := broken.Record(t.Context(), receipt("n1.0.0", push.Delivered, push.DeviceAck)); err != nil {
		t.Fatalf("Record() = %v though the outbox is there", err)
	}
	wait(t, "the process that lacks SQL says so", func() bool { return strings.Contains(house.log.String(), "wait in the outbox") })
	end()
	pending, err := house.redis.XPendingExt(t.Context(), pendingAll()).Result()
	if err != nil || len(pending) != 1 {
		t.Fatalf("pending = %v, %v; want the one entry", pending, err)
	}
	house.abandon([]string{pending[0].ID})
	house.run(hooks)
	wait(t, "it is delivered by another", func() bool { return inState(t, hooks, w, push.WebhookDelivered) == 1 })
}

func TestFailuresAreTriedAgainUntilTheyAreDead(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, house *house) {
		hooks := house.open()
		app := startApp(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusInternalServerError) })
		w, _ := house.create(hooks, app.URL)
		house.run(hooks)
		if err := hooks.Record(t.Context(), receipt("n1.0.0", push.Delivered, push.DeviceAck)); err != nil {
			t.Fatal(err)
		}
		tried := func(n int) func() bool {
			return func() bool {
				all := deliveries(t, hooks, w, push.WebhookQuery{})
				return len(all) == 1 && all[0].Tries == n
			}
		}
		wait(t, "a first try", tried(1))
		d := deliveries(t, hooks, w, push.WebhookQuery{})[0]
		if d.State != push.WebhookPending || d.Status != 500 || d.Error != "500 Internal Server Error" || d.NextAt.IsZero() {
			t.Errorf("after a failure it is %+v", d)
		}
		house.advance(7 * time.Second)
		wait(t, "a second try", tried(2))
		if got, err := hooks.Webhook(t.Context(), "demo", w.ID); err != nil || got.FailingSince.IsZero() || !got.Enabled {
			t.Errorf("Webhook() = %+v, %v; want one that is failing", got, err)
		}
		house.advance(71 * time.Hour)
		wait(t, "a third try", tried(3))
		house.advance(time.Hour)
		wait(t, "it is dead", func() bool { return inState(t, hooks, w, push.WebhookDead) == 1 })

		app.answers(nil)
		if n, err := hooks.ReplayWebhook(t.Context(), "demo", w.ID, push.WebhookQuery{State: push.WebhookDead}); err != nil || n != 1 {
			t.Fatalf("ReplayWebhook() = %d, %v; want 1", n, err)
		}
		house.advance(2 * time.Minute) // the endpoint's rest
		wait(t, "it is delivered", func() bool { return inState(t, hooks, w, push.WebhookDelivered) == 1 })
		wait(t, "it is well again", func() bool {
			got, err := hooks.Webhook(t.Context(), "demo", w.ID)
			return err == nil && got.FailingSince.IsZero()
		})
		ids := map[string]bool{}
		for _, c := range app.heard() {
			ids[c.header.Get("Webhook-Id")] = true
		}
		if len(ids) != 1 {
			t.Errorf("one event came under %d ids", len(ids))
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	house := sqlite(t)
	hooks := house.open()
	app := startApp(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	w, _ := house.create(hooks, app.URL)
	house.run(hooks)
	if err := hooks.Record(t.Context(), receipt("n1.0.0", push.Delivered, push.DeviceAck)); err != nil {
		t.Fatal(err)
	}
	wait(t, "a refusal", func() bool {
		all := deliveries(t, hooks, w, push.WebhookQuery{})
		return len(all) == 1 && all[0].Tries == 1
	})
	if d := deliveries(t, hooks, w, push.WebhookQuery{})[0]; d.NextAt.Sub(d.LastAt) < time.Hour {
		t.Errorf("the next try comes %v after the first, want an hour", d.NextAt.Sub(d.LastAt))
	}
	house.advance(61 * time.Minute)
	wait(t, "it is delivered", func() bool { return inState(t, hooks, w, push.WebhookDelivered) == 1 })
}

func TestEndpointsAreDisabled(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		after  time.Duration
		why    string
	}{
		"that are gone":                 {http.StatusGone, 0, "it answered 410 Gone"},
		"that have failed for days":     {http.StatusBadGateway, 97 * time.Hour, "every call has failed since"},
		"that lead elsewhere, for days": {http.StatusFound, 97 * time.Hour, "302: redirects are not followed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			house := sqlite(t)
			house.cfg.GiveUp = 200 * time.Hour
			hooks := house.open()
			app := startApp(t, func(w http.ResponseWriter, _ int) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
			})
			w, _ := house.create(hooks, app.URL+"/?token=s3cret")
			house.run(hooks)
			if err := hooks.Record(t.Context(), receipt("n1.0.0", push.Delivered, push.DeviceAck)); err != nil {
				t.Fatal(err)
			}
			wait(t, "a first failure", func() bool {
				all := deliveries(t, hooks, w, push.WebhookQuery{})
				return len(all) == 1 && all[0].Tries == 1
			})
			if tt.after > 0 {
				wait(t, "the process knows that it fails", func() bool {
					e := hooks.known.Load().byID[w.ID]
					return e != nil && !e.FailingSince.IsZero()
				})
				house.advance(tt.after)
			}
			var got push.Webhook
			wait(t, "it is disabled", func() bool {
				var err error
				if got, err = hooks.Webhook(t.Context(), "demo", w.ID); err != nil {
					t.Fatal(err)
				}
				return !got.Enabled
			})
			if !strings.Contains(got.DisabledWhy, tt.why) {
				t.Errorf("DisabledWhy = %q, want %q", got.DisabledWhy, tt.why)
			}
			wait(t, "the log says so", func() bool { return strings.Contains(house.log.String(), "webhook disabled") })
			if log := house.log.String(); strings.Contains(log, "s3cret") || strings.Contains(log, "whsec_") {
				t.Errorf("the log holds a secret: %s", log)
			}
			// What was on its way goes on when it is enabled.
			app.answers(nil)
			got.Enabled = true
			if err := hooks.ChangeWebhook(t.Context(), &got); err != nil {
				t.Fatal(err)
			}
			house.advance(7 * time.Hour)
			wait(t, "it is delivered", func() bool { return inState(t, hooks, w, push.WebhookDelivered) == 1 })
		})
	}
}

func TestBatchesCarrySeveralEvents(t *testing.T) {
	t.Parallel()
	house := sqlite(t)
	hooks := house.open()
	app := startApp(t, nil)
	w, _ := house.create(hooks, app.URL, func(w *push.Webhook) { w.Batch = 10 })
	var rs []push.Receipt
	for i := range 25 {
		rs = append(rs, receipt(fmt.Sprintf("n1.0.%d", i), push.Delivered, push.DeviceAck))
	}
	if err := hooks.Record(t.Context(), rs...); err != nil {
		t.Fatal(err)
	}
	house.run(hooks)
	wait(t, "all are delivered", func() bool { return inState(t, hooks, w, push.WebhookDelivered) == 25 })
	seen := map[string]bool{}
	for _, c := range app.heard() {
		e := c.event(t)
		if e.Type != push.EventBatch || e.ID != c.header.Get("Webhook-Id") {
			t.Errorf("a call carries %s %s under %s", e.Type, e.ID, c.header.Get("Webhook-Id"))
		}
		var data struct{ Events []struct{ ID string } }
		if err := json.Unmarshal(e.Data, &data); err != nil || len(data.Events) > 10 {
			t.Errorf("a batch has %d events, %v", len(data.Events), err)
		}
		for _, one := range data.Events {
			seen[one.ID] = true
		}
	}
	if len(seen) != 25 || len(app.heard()) != 3 {
		t.Errorf("%d events came in %d calls, want 25 in 3", len(seen), len(app.heard()))
	}
}

// The app's own library takes the calls, before, during and after a rotation.
func TestCallsAreSignedAsTheStandardSays(t *testing.T) {
	t.Parallel()
	program := need.Program(t, "node", "apt-get install nodejs npm")
	need.File(t, "testdata/npm/node_modules/standardwebhooks/package.json", "cd webhooks/testdata/npm && npm ci")
	verify := verifier(t, program)
	house := sqlite(t)
	hooks := house.open()
	app := startApp(t, nil)
	w, old := house.create(hooks, app.URL)
	test := func() call {
		t.Helper()
		if try, err := hooks.TestWebhook(t.Context(), "demo", w.ID); err != nil || !try.OK || try.Status != http.StatusNoContent {
			t.Fatalf("TestWebhook() = %+v, %v", try, err)
		}
		heard := app.heard()
		return heard[len(heard)-1]
	}
	takes := func(name, secret string, c call, want bool) {
		t.Helper()
		if got := verify(secret, c); (got == "") != want {
			t.Errorf("%s: the library says %q, want it taken: %v", name, got, want)
		}
	}
	before := test()
	takes("before", old, before, true)
	takes("another's secret", newSecret(), before, false)
	forged := before
	forged.body = []byte(strings.Replace(string(before.body), "test", "fest", 1))
	takes("another body", old, forged, false)

	secret, rotated, err := hooks.RotateWebhook(t.Context(), "demo", w.ID, time.Hour)
	if err != nil || secret == old || time.Until(rotated.OldSecretUntil) < 59*time.Minute {
		t.Fatalf("RotateWebhook() = %+v, %v", rotated, err)
	}
	during := test()
	takes("during, old", old, during, true)
	takes("during, new", secret, during, true)

	// A second rotation without an overlap ends both.
	last, _, err := hooks.RotateWebhook(t.Context(), "demo", w.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	after := test()
	takes("after, first", old, after, false)
	takes("after, second", secret, after, false)
	takes("after, last", last, after, true)
}

// verifier starts the app's library; it returns its error for a call, "" if it
// takes it.
func verifier(t *testing.T, program string) func(secret string, c call) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "testdata/verify.js")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it ends with its input, or with the test
	})
	lines := bufio.NewScanner(out)
	return func(secret string, c call) string {
		t.Helper()
		headers := map[string]string{}
		for k := range c.header {
			headers[strings.ToLower(k)] = c.header.Get(k)
		}
		line, err := json.Marshal(map[string]any{"secret": secret, "headers": headers, "body": string(c.body)})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(in, string(line))
		if !lines.Scan() {
			t.Fatalf("the library ended: %v", lines.Err())
		}
		var said struct {
			Error string
			Event *push.Event
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatal(err)
		}
		if said.Error == "" && said.Event.ID != c.header.Get("Webhook-Id") {
			t.Errorf("the library read %+v", said.Event)
		}
		return said.Error
	}
}

func TestNoCallGoesNextDoor(t *testing.T) {
	t.Parallel()
	house := sqlite(t)
	app := startApp(t, nil)
	loose := house.open()
	house.cfg.AllowPrivate = false
	strict := house.open()
	_, port, _ := strings.Cut(strings.TrimPrefix(app.URL, "http://"), ":")
	// It was made when that was allowed, and its name leads here.
	w, _ := house.create(loose, "http://localhost:"+port)
	try, err := strict.TestWebhook(t.Context(), "demo", w.ID)
	if err != nil || try.OK || try.Error != "the endpoint's address is not public" {
		t.Errorf("TestWebhook() = %+v, %v; want a refusal to connect", try, err)
	}
	if n := len(app.heard()); n != 0 {
		t.Errorf("the app heard %d calls", n)
	}
}

func TestFaultsNameTheirFields(t *testing.T) {
	t.Parallel()
	house := sqlite(t)
	house.cfg.AllowPrivate = false
	hooks := house.open()
	tests := map[string]struct {
		change func(w *push.Webhook)
		want   []string
	}{
		"nothing at all":           {func(w *push.Webhook) { *w = push.Webhook{App: "demo"} }, []string{"url", "events", "batch"}},
		"no scheme":                {func(w *push.Webhook) { w.URL = "example.com/hook" }, []string{"url"}},
		"without TLS":              {func(w *push.Webhook) { w.URL = "http://example.com" }, []string{"url"}},
		"a file":                   {func(w *push.Webhook) { w.URL = "file:///etc/passwd" }, []string{"url"}},
		"a user in the URL":        {func(w *push.Webhook) { w.URL = "https://me:pw@example.com" }, []string{"url"}},
		"a fragment":               {func(w *push.Webhook) { w.URL = "https://example.com/#x" }, []string{"url"}},
		"the machine itself":       {func(w *push.Webhook) { w.URL = "https://127.0.0.1/" }, []string{"url"}},
		"the cloud's metadata":     {func(w *push.Webhook) { w.URL = "https://169.254.169.254/latest" }, []string{"url"}},
		"the same in IPv6":         {func(w *push.Webhook) { w.URL = "https://[::ffff:10.0.0.1]/" }, []string{"url"}},
		"too long":                 {func(w *push.Webhook) { w.URL = "https://example.com/" + strings.Repeat("x", 2100) }, []string{"url"}},
		"an unknown type":          {func(w *push.Webhook) { w.Events = []string{push.EventFailed, "delivery.exploded"} }, []string{"events[1]"}},
		"a type twice":             {func(w *push.Webhook) { w.Events = []string{push.EventFailed, push.EventFailed} }, []string{"events[1]"}},
		"all and one":              {func(w *push.Webhook) { w.Events = []string{"*", push.EventFailed} }, []string{"events[0]"}},
		"a batch too large":        {func(w *push.Webhook) { w.Batch = 101 }, []string{"batch"}},
		"a description with lines": {func(w *push.Webhook) { w.Description = "a\nb" }, []string{"description"}},
		"a zero byte":              {func(w *push.Webhook) { w.Description = "a\x00b" }, []string{"description"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := push.Webhook{App: "demo", URL: "https://example.com/hook", Events: []string{"*"}, Batch: 1, Enabled: true}
			tt.change(&w)
			_, err := hooks.CreateWebhook(t.Context(), &w)
			var invalid *push.Invalid
			if !errors.As(err, &invalid) {
				t.Fatalf("CreateWebhook() = %v, want faults", err)
			}
			var fields []string
			for _, f := range invalid.Faults {
				fields = append(fields, f.Field)
			}
			if !slices.Equal(fields, tt.want) {
				t.Errorf("faults of %v, want %v", fields, tt.want)
			}
		})
	}
	w, _ := house.create(hooks, "https://example.com/hook")
	for name, do := range map[string]func() error{
		"an overlap of years": func() error {
			_, _, err := hooks.RotateWebhook(t.Context(), "demo", w.ID, 40*24*time.Hour)
			return err
		},
		"a cursor of one's own": func() error {
			_, _, err := hooks.WebhookDeliveries(t.Context(), "demo", w.ID, push.WebhookQuery{After: "x", Limit: 1})
			return err
		},
	} {
		if err := do(); !errors.As(err, new(*push.Invalid)) {
			t.Errorf("%s: %v, want a fault", name, err)
		}
	}
}

func TestOtherAppsEndpointsAreNotThere(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, house *house) {
		hooks := house.open()
		w, _ := house.create(hooks, "https://example.com/hook")
		for _, id := range []string{w.ID, "wh_none", "a\x00b"} {
			other := push.Webhook{App: "other", ID: id, URL: w.URL, Events: w.Events, Batch: 1}
			for name, do := range map[string]func() error{
				"read":   func() error { _, err := hooks.Webhook(t.Context(), "other", id); return err },
				"change": func() error { return hooks.ChangeWebhook(t.Context(), &other) },
				"delete": func() error { return hooks.DeleteWebhook(t.Context(), "other", id) },
				"rotate": func() error { _, _, err := hooks.RotateWebhook(t.Context(), "other", id, 0); return err },
				"test":   func() error { _, err := hooks.TestWebhook(t.Context(), "other", id); return err },
				"list": func() error {
					_, _, err := hooks.WebhookDeliveries(t.Context(), "other", id, push.WebhookQuery{Limit: 1})
					return err
				},
				"replay": func() error { _, err := hooks.ReplayWebhook(t.Context(), "other", id, push.WebhookQuery{}); return err },
			} {
				if err := do(); !errors.Is(err, push.ErrNotFound) {
					t.Errorf("%s %q: %v, want not found", name, id, err)
				}
			}
		}
		if all, err := hooks.Webhooks(t.Context(), "demo"); err != nil || len(all) != 1 || all[0].ID != w.ID {
			t.Errorf("Webhooks() = %v, %v", all, err)
		}
		if err := hooks.DeleteWebhook(t.Context(), "demo", w.ID); err != nil || hooks.Any("demo") {
			t.Errorf("DeleteWebhook() = %v; any left: %v", err, hooks.Any("demo"))
		}
	})
}

func TestEndpointsAreAsked(t *testing.T) {
	t.Parallel()
	house := sqlite(t)
	hooks := house.open()
	app := startApp(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			fmt.Fprint(w, `{"allow":false,"reason":"a bad word"}`)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	house.create(hooks, app.URL) // "*" is told, and not asked
	question := push.Event{ID: "evt_1", App: "demo", Type: push.EventChatBeforeSend, At: time.Now(), Data: map[string]string{"text": "hm"}}
	if hooks.Wants("demo", push.EventChatBeforeSend) {
		t.Error("who hears of all is asked too")
	}
	if answers, err := hooks.Ask(t.Context(), question); err != nil || len(answers) != 0 {
		t.Errorf("Ask() = %s, %v; want nobody", answers, err)
	}
	house.create(hooks, app.URL, func(w *push.Webhook) { w.Events = []string{push.EventChatBeforeSend} })
	if answers, err := hooks.Ask(t.Context(), question); err != nil || len(answers) != 1 || string(answers[0]) != `{"allow":false,"reason":"a bad word"}` {
		t.Errorf("Ask() = %s, %v", answers, err)
	}
	if _, err := hooks.Ask(t.Context(), question); !errors.Is(err, push.ErrAway) {
		t.Errorf("Ask() = %v of one that fails", err)
	}
}

// An app without webhooks pays nothing for those of others.
func TestAppsWithoutWebhooksPayNothing(t *testing.T) {
	house := sqlite(t)
	hooks := house.open()
	house.create(hooks, "https://example.com/hook", func(w *push.Webhook) { w.App = "other" })
	rs := []push.Receipt{receipt("n1.0.0", push.Delivered, push.DeviceAck), receipt("n1.0.1", push.Failed, push.Herald)}
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		if err := hooks.Record(ctx, rs...); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("recording for an app without webhooks allocates %v times", n)
	}
}
