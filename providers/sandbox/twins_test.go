package sandbox_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// silentVendors report to nobody what became of a message.
var silentVendors = []string{"apns", "fcm", "webpush", "http"}

// twin is a played vendor with a provider that speaks to it, whatever way its
// answers and receipts take.
type twin struct {
	*testing.T

	vendor   string
	ids      *atomic.Int64 // of the vendor's deliveries so far: some take an id once
	s        *sandbox.Sandbox
	p        providers.Provider
	receipts chan push.Receipt
}

// meet has a new provider speak to a vendor, and hear its receipts.
func meet(t *testing.T, s *sandbox.Sandbox, vendor string, ids *atomic.Int64) *twin {
	t.Helper()
	tw := &twin{T: t, vendor: vendor, ids: ids, s: s}
	if vendor == "smpp" || vendor == "xmpp" {
		c := connect(t, s, vendor, nil)
		tw.p, tw.receipts = c.Provider, c.reports
		return tw
	}
	tw.receipts = make(chan push.Receipt, 1024)
	herald := httptest.NewServer(http.HandlerFunc(tw.hear))
	t.Cleanup(herald.Close)
	address := herald.URL + "/v1/callbacks/" + vendor
	tw.p = open(t, s, vendor, address)
	if vendor == "huawei" || vendor == "honor" { // they are told once, in their console
		if status, _ := ask(t, s, http.MethodPut, vendor, "/console/receipts", "", `{"address":"`+address+`?app=demo"}`); status != http.StatusNoContent {
			t.Fatalf("the console answers %d", status)
		}
	}
	return tw
}

// hear takes a vendor's report.
func (tw *twin) hear(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rs, err := tw.p.(providers.Callbacker).Callback(r, body)
	if err != nil {
		tw.Errorf("Callback() error = %v", err)
	}
	if a, ok := tw.p.(providers.Answerer); ok {
		_, _ = w.Write(a.CallbackAnswer())
	}
	for _, rec := range rs {
		tw.receipts <- rec
	}
}

// during changes the vendor's manners for as long as f takes.
func (tw *twin) during(settings sandbox.Settings, f func()) {
	tw.Helper()
	set(tw.T, tw.s, tw.vendor, settings)
	defer set(tw.T, tw.s, tw.vendor, sandbox.Settings{})
	f()
}

// send makes an attempt and returns the kind of its failure; "" for none.
func (tw *twin) send(id string) string {
	_, err := tw.p.Send(tw.Context(), delivery(tw.vendor, id))
	return push.KindName(err)
}

// take makes an attempt that must be taken, and returns its id. XMPP says nothing
// to what it takes.
func (tw *twin) take() string {
	tw.Helper()
	id, before := tw.next(), tw.s.Counts(tw.vendor).Accepted
	if kind := tw.send(id); kind != "" {
		tw.Errorf("a message is %s", kind)
	}
	await(tw.T, "it is taken", func() bool { return tw.s.Counts(tw.vendor).Accepted > before })
	return id
}

// refused makes an attempt that should not be taken, and returns the kind of the
// failure. What XMPP refuses comes back as a receipt.
func (tw *twin) refused() string {
	tw.Helper()
	id := tw.next()
	if kind := tw.send(id); kind != "" || tw.vendor != "xmpp" {
		return kind
	}
	return tw.await(id, push.Failed).Kind
}

func (tw *twin) next() string { return fmt.Sprintf("n%d.0.0", tw.ids.Add(1)) }

// await waits for the receipt of a stage; of any message with id "".
func (tw *twin) await(id string, stage push.Stage) push.Receipt {
	tw.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case r := <-tw.receipts:
			if (id == "" || r.Delivery == id) && r.Stage == stage {
				return r
			}
		case <-late:
			tw.Fatalf("no receipt says %s of %s", stage, id)
		}
	}
}

// refusals counts what the vendor has refused.
func (tw *twin) refusals() (n int64) {
	for _, of := range tw.s.Counts(tw.vendor).Refused {
		n += of
	}
	return n
}

// Every setting and every kind of rule does at every vendor what it says.
func TestTwinsKeepTheirManners(t *testing.T) {
	manners := map[string]func(*twin){
		"slow":                     slowAnswers,
		"refuses some":             refusals,
		"a quota of a day":         quotaOfADay,
		"a rate":                   rateOfASecond,
		"loses messages":           losesMessages,
		"takes them and is silent": silentOutage,
		"a script":                 scriptedRefusal,
		"late and lost receipts":   receiptsLateAndLost,
	}
	s := start(t, sandbox.Config{})
	for _, vendor := range sandbox.Vendors {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			var ids atomic.Int64
			kept := meet(t, s, vendor, &ids)
			for name, holds := range manners {
				t.Run(name, func(t *testing.T) {
					tw := *kept
					if tw.T = t; slices.Contains(overHTTP(), vendor) { // it may hold back after a refusal
						tw = *meet(t, s, vendor, &ids)
					}
					holds(&tw)
				})
			}
		})
	}
}

func slowAnswers(tw *twin) {
	const wait = 50 * time.Millisecond
	tw.during(sandbox.Settings{LatencyMs: 50, LatencySpread: sandbox.Fixed}, func() {
		began := time.Now()
		tw.take()
		if took := time.Since(began); took < wait {
			tw.Errorf("it took %v, want at least %v", took, wait)
		}
	})
}

func refusals(tw *twin) {
	tw.during(sandbox.Settings{ErrorRate: 1}, func() {
		if kind := tw.refused(); kind != "unavailable" {
			tw.Errorf("its own fault is %q, want unavailable", kind)
		}
	})
	tw.take() // and afterwards all is well
}

func quotaOfADay(tw *twin) {
	before := tw.s.Counts(tw.vendor).Accepted
	tw.during(sandbox.Settings{QuotaPerDay: int(before) + 2}, func() {
		refused := tw.refusals()
		tw.take()
		tw.take()
		kind := tw.refused()
		if !slices.Contains([]string{"quota", "throttled", "policy"}, kind) || tw.refusals() != refused+1 {
			tw.Errorf("one more is %q, and %d are refused", kind, tw.refusals()-refused)
		}
	})
}

func rateOfASecond(tw *twin) {
	tw.during(sandbox.Settings{RatePerS: 1}, func() {
		throttled := false
		for late := time.Now().Add(30 * time.Second); !throttled && time.Now().Before(late); {
			refused := tw.refusals()
			before := tw.s.Counts(tw.vendor).Accepted + refused
			kinds := make([]string, 4) // at once: on a slow machine one after the other may be slow enough
			var group sync.WaitGroup
			for i := range kinds {
				id := tw.next()
				group.Go(func() { kinds[i] = tw.send(id) })
			}
			group.Wait()
			if tw.vendor == "xmpp" { // which says nothing until it has looked at all of them
				await(tw.T, "it has looked at them", func() bool {
					return tw.s.Counts(tw.vendor).Accepted+tw.refusals() == before+int64(len(kinds))
				})
				if tw.refusals() > refused {
					kinds[0] = tw.await("", push.Failed).Kind
				}
			}
			throttled = slices.Contains(kinds, "throttled")
		}
		if !throttled {
			tw.Error("the rate binds nobody")
		}
	})
}

func losesMessages(tw *twin) { isLost(tw, sandbox.Settings{Loss: 1}) }
func silentOutage(tw *twin)  { isLost(tw, sandbox.Settings{Outage: sandbox.Silent}) }

// isLost checks that a message is taken and that no device hears.
func isLost(tw *twin, settings sandbox.Settings) {
	before := tw.s.Counts(tw.vendor)
	tw.during(settings, func() {
		tw.take()
		await(tw.T, "it is lost", func() bool { return tw.s.Counts(tw.vendor).Lost == before.Lost+1 })
		if n := tw.s.Counts(tw.vendor); n.Accepted != before.Accepted+1 || n.Shown != before.Shown {
			tw.Errorf("counts = %+v, before %+v", n, before)
		}
	})
}

// aWord is a word of each vendor for a request, and what it means.
var aWord = map[string]struct{ word, kind string }{
	"apns": {"InternalServerError", "unavailable"}, "fcm": {"INTERNAL", "unavailable"}, "sms": {"20500", "unavailable"},
	"huawei": {"81000001", "unavailable"}, "honor": {"500", "unavailable"}, "xiaomi": {"10002", "unavailable"},
	"webpush": {"InternalServerError", "unavailable"}, "oppo": {"13", "throttled"}, "http": {"1000", "unavailable"},
	"vivo": {"10072", "throttled"}, "meizu": {"1001", "unavailable"}, "smpp": {"0x08", "unavailable"},
	"xmpp": {"internal-server-error", "unavailable"},
}

func scriptedRefusal(tw *twin) {
	says := aWord[tw.vendor]
	rule := fmt.Sprintf(`{"match":{"contains":%q},"skip":1,"times":1,"do":{"code":%q}}`, "on its way", says.word)
	if tw.vendor == "webpush" { // which is encrypted
		rule = strings.Replace(rule, `"contains":"on its way"`, `"path":"/push/"`, 1)
	}
	script(tw.T, tw.s, tw.vendor, rule)
	defer script(tw.T, tw.s, tw.vendor, "")
	tw.take()
	if kind := tw.refused(); kind != says.kind {
		tw.Errorf("the second is %q, want %s", kind, says.kind)
	}
	tw.take()
	if _, told := call(tw.T, tw.s, "GET", "/sandbox/"+tw.vendor+"/faults", "", ""); !strings.Contains(told, `"played":1`) {
		tw.Errorf("the script says %s, want that it played once", told)
	}
}

func receiptsLateAndLost(tw *twin) {
	if slices.Contains(silentVendors, tw.vendor) {
		tw.Skip("it has none")
	}
	const wait = 100 * time.Millisecond
	lost := tw.s.Counts(tw.vendor).CallbacksLost
	tw.during(sandbox.Settings{ReceiptLoss: 1}, func() {
		tw.take()
		await(tw.T, "its receipt is lost", func() bool { return tw.s.Counts(tw.vendor).CallbacksLost > lost })
	})
	tw.during(sandbox.Settings{ReceiptDelayMs: 100, ReceiptSpread: sandbox.Fixed}, func() {
		began := time.Now()
		tw.await(tw.take(), push.Delivered)
		if took := time.Since(began); took < wait {
			tw.Errorf("it came after %v, want at least %v", took, wait)
		}
	})
}
