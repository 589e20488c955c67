package selector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// world is a selector with a clock of its own and memories that can be lent to
// another.
type world struct {
	*Selector
	t      *testing.T
	clock  time.Time
	sent   int
	memory *memory
	peers  *peers
}

func newWorld(t *testing.T, parts Parts) *world {
	t.Helper()
	w := &world{t: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), memory: &memory{}, peers: &peers{}}
	if parts.Memory == nil {
		parts.Memory = w.memory
	}
	if parts.Peers == nil {
		parts.Peers = w.peers
	}
	parts.Log = slog.New(slog.DiscardHandler)
	w.Selector = New(DefaultConfig(), parts)
	w.now = func() time.Time { return w.clock }
	return w
}

// late plays an attempt whose receipt comes after its check, and is said again.
func (w *world) late(d *push.Device, provider, policy string) {
	w.t.Helper()
	w.send(d, provider, false, policy)
	w.pass(70 * time.Second)
	r := push.Receipt{Delivery: fmt.Sprintf("x.0.%d", w.sent), Provider: provider, Stage: push.Delivered, ReceivedAt: w.clock, Class: push.Chat, Attempt: 1}
	r.Describe(d)
	w.Observe(&r)
	r.Stage, r.Source = push.Displayed, push.AppReport
	w.Observe(&r)
	w.pass(time.Second)
}

type memory struct {
	sync.Mutex
	kept  map[push.DeviceKey]string
	spent map[string]int64
	err   error
	// meanwhile is what others do between reading and writing.
	meanwhile func(d push.DeviceKey)
}

func (m *memory) Evidence(_ context.Context, devices []push.DeviceKey) ([]string, error) {
	m.Lock()
	defer m.Unlock()
	all := make([]string, len(devices))
	for i, d := range devices {
		all[i] = m.kept[d]
	}
	return all, m.err
}

func (m *memory) KeepEvidence(_ context.Context, devices []push.DeviceKey, was, evidence []string) ([]string, error) {
	m.Lock()
	defer m.Unlock()
	if m.kept == nil {
		m.kept = map[push.DeviceKey]string{}
	}
	stands := make([]string, len(devices))
	for i, d := range devices {
		if m.meanwhile != nil {
			m.meanwhile(d)
		}
		if m.kept[d] == was[i] {
			m.kept[d] = evidence[i]
		}
		stands[i] = m.kept[d]
	}
	return stands, m.err
}

func (m *memory) Spend(_ context.Context, app, day string, micros int64) (int64, error) {
	m.Lock()
	defer m.Unlock()
	if m.spent == nil {
		m.spent = map[string]int64{}
	}
	m.spent[app+day] += micros
	return m.spent[app+day], m.err
}

type peers struct {
	news     [][]byte
	snapshot []byte
	at       string
}

func (p *peers) Tell(_ context.Context, news []byte) error {
	p.news = append(p.news, news)
	return nil
}

func (p *peers) Hear(_ context.Context, after string) ([][]byte, string, error) {
	from := 0
	_, _ = fmt.Sscan(after, &from) // "" is 0
	return p.news[from:], fmt.Sprint(len(p.news)), nil
}

func (p *peers) Snapshot(context.Context) ([]byte, string, error) { return p.snapshot, p.at, nil }

func (p *peers) KeepSnapshot(_ context.Context, snapshot []byte, at string, _ time.Duration) error {
	p.snapshot, p.at = snapshot, at
	return nil
}

type record struct {
	tallies []push.Tally
	roads   []push.RoadTally
	err     error
}

func (r *record) Tallies(context.Context, time.Time) ([]push.Tally, error)   { return r.tallies, r.err }
func (r *record) Roads(context.Context, time.Time) ([]push.RoadTally, error) { return r.roads, r.err }

func phone(id string) *push.Device {
	return &push.Device{App: "demo", ID: id, Platform: "android", Maker: "xiaomi", Country: "CN", Carrier: "cmcc", OS: "14.2"}
}

func ask(d *push.Device, roads ...string) *push.Question {
	return &push.Question{Device: d, Delivery: "n.0.0", Class: push.OTP, Left: time.Hour, Providers: roads}
}

// send plays one attempt: the provider takes it, and a receipt comes or not.
func (w *world) send(d *push.Device, provider string, arrives bool, policy string) {
	w.t.Helper()
	w.sent++
	r := push.Receipt{Delivery: fmt.Sprintf("x.0.%d", w.sent), Provider: provider, Stage: push.Accepted, ReceivedAt: w.clock, Class: push.Chat, Attempt: 1}
	r.Describe(d)
	r.Decision = &push.Decision{Policy: policy}
	w.Observe(&r)
	if arrives {
		r.Stage, r.Source, r.Decision = push.Delivered, push.VendorCallback, nil
		r.ReceivedAt = w.clock.Add(time.Second)
		w.Observe(&r)
	}
}

// pass lets time pass, learning every second.
func (w *world) pass(d time.Duration) {
	for end := w.clock.Add(d); w.clock.Before(end); {
		w.clock = w.clock.Add(time.Second)
		w.digest(w.t.Context())
	}
}

func providersOf(choices []push.Choice) []string {
	names := make([]string, len(choices))
	for i, c := range choices {
		names[i] = c.Provider
	}
	return names
}

func TestRankFollowsWhatArrives(t *testing.T) {
	w := newWorld(t, Parts{})
	for i := range 200 {
		w.send(phone(fmt.Sprint(i%20)), "fcm", i%10 < 9, "auto")
		w.send(phone(fmt.Sprint(i%20)), "xiaomi", i%10 < 3, "auto")
		w.pass(time.Second)
	}
	w.pass(70 * time.Second)
	got := w.Rank(ask(phone("new"), "xiaomi", "fcm"))
	if got[0].Provider != "fcm" || len(got) != 2 {
		t.Fatalf("Rank() = %+v, want fcm first of two", got)
	}
	for _, want := range []string{"fcm 90 % of 200 delivered for xiaomi android in CN over 7 days", "xiaomi 30 % of 200", "probability 100 %"} {
		if !strings.Contains(got[0].Why, want) {
			t.Errorf("why = %q, want %q in it", got[0].Why, want)
		}
	}
	d := got[0].Decision
	if d == nil || d.Policy != "auto" || d.Propensity != 1 || d.Explored || len(d.Roads) != 2 {
		t.Errorf("decision = %+v, want one of auto, certain, over two roads", d)
	}
}

func TestADeviceThatIsDifferentIsRemembered(t *testing.T) {
	w := newWorld(t, Parts{})
	odd := phone("odd")
	for i := range 40 {
		for k := range 10 {
			w.send(phone(fmt.Sprint(k)), "xiaomi", true, "auto")
			w.send(phone(fmt.Sprint(k)), "fcm", (i+k)%2 == 0, "auto")
		}
		if i < 12 {
			w.send(odd, "xiaomi", false, "auto")
			w.send(odd, "fcm", true, "auto")
		}
		w.pass(time.Second)
	}
	w.pass(70 * time.Second)
	odd.Evidence = w.memory.kept[push.DeviceKey{App: "demo", ID: "odd"}]
	if len(odd.Evidence) != 32 {
		t.Fatalf("%d bytes of evidence are kept, want 32", len(odd.Evidence))
	}
	if got := w.Rank(ask(phone("other"), "fcm", "xiaomi")); got[0].Provider != "xiaomi" {
		t.Errorf("others' first road is %s: %s", got[0].Provider, got[0].Why)
	}
	got := w.Rank(ask(odd, "fcm", "xiaomi"))
	if got[0].Provider != "fcm" || !strings.Contains(got[0].Why, "this device +") {
		t.Errorf("the odd one's first road is %s: %s", got[0].Provider, got[0].Why)
	}
}

func TestAProviderThatProvesNothingIsNotOneThatNeverDelivers(t *testing.T) {
	w := newWorld(t, Parts{})
	before := w.Rank(ask(phone("a"), "fcm"))[0].Score
	for range 100 {
		w.send(phone("a"), "fcm", false, "auto")
		w.pass(time.Second)
	}
	w.pass(70 * time.Second)
	got := w.Rank(ask(phone("b"), "fcm"))[0]
	if got.Score < before-0.01 || !strings.Contains(got.Why, "it proves no arrivals") {
		t.Errorf("after a hundred attempts without any receipt it is worth %.2f, before %.2f: %s", got.Score, before, got.Why)
	}
}

func TestAnOutageMovesTheChoiceAndSaysSo(t *testing.T) {
	w := newWorld(t, Parts{})
	day := func(seconds int, works bool) {
		for range seconds {
			for k := range 5 {
				w.send(phone(fmt.Sprint(k)), "xiaomi", works, "auto")
				w.send(phone(fmt.Sprint(k)), "fcm", k != 0, "auto")
			}
			w.pass(time.Second)
		}
	}
	day(120, true)
	if got := w.Rank(ask(phone("a"), "fcm", "xiaomi")); got[0].Provider != "xiaomi" {
		t.Fatalf("before the outage the first road is %s: %s", got[0].Provider, got[0].Why)
	}
	day(20, false)
	got := w.Rank(ask(phone("a"), "fcm", "xiaomi"))
	if got[0].Provider != "fcm" || !strings.Contains(got[0].Why, "xiaomi") || !strings.Contains(got[0].Why, "sick everywhere for") {
		t.Errorf("20 s into the outage the first road is %s: %s", got[0].Provider, got[0].Why)
	}
	day(30, true)
	if got := w.Rank(ask(phone("a"), "fcm", "xiaomi")); got[0].Provider != "xiaomi" {
		t.Errorf("30 s after the outage the first road is %s: %s", got[0].Provider, got[0].Why)
	}
}

func TestAnAppsWordIsAReceiptToo(t *testing.T) {
	w := newWorld(t, Parts{})
	for i := range 150 {
		for k := range 5 {
			w.sent++
			r := push.Receipt{Delivery: fmt.Sprintf("y.0.%d", w.sent), Provider: "fcm", Stage: push.Accepted, ReceivedAt: w.clock}
			r.Describe(phone(fmt.Sprint(k)))
			w.Observe(&r)
			r.Stage, r.Source, r.ReceivedAt = push.Delivered, push.AppReport, w.clock.Add(time.Second)
			if i%10 != 0 {
				w.Observe(&r)
			}
		}
		w.pass(time.Second)
	}
	if got := w.Rank(ask(phone("a"), "fcm"))[0]; got.Score < 0.8 || strings.Contains(got.Why, "sick") {
		t.Errorf("a road whose apps report is worth %.2f: %s", got.Score, got.Why)
	}
}

func TestDeadTokensAndBadMessagesDoNotBlameTheRoad(t *testing.T) {
	w := newWorld(t, Parts{})
	for _, kind := range []error{push.ErrUnregistered, push.ErrRejected} {
		for range 500 {
			r := &push.Receipt{Provider: "fcm", Stage: push.Failed, Kind: push.KindName(kind), ReceivedAt: w.clock}
			r.Describe(phone("a"))
			w.Observe(r)
		}
	}
	w.pass(time.Second)
	if got := w.Rank(ask(phone("a"), "fcm"))[0]; !strings.Contains(got.Why, "no record yet") || strings.Contains(got.Why, "sick") {
		t.Errorf("why = %q, want the road untouched", got.Why)
	}
}

func TestWhatIsTriedClosedOrDearComesLast(t *testing.T) {
	w := newWorld(t, Parts{})
	q := ask(phone("a"), "sms", "fcm", "xiaomi", "http")
	q.Tried = func(p string) bool { return p == "xiaomi" }
	q.Closed = func(p string) string {
		if p == "fcm" {
			return "the provider refuses the credentials"
		}
		return ""
	}
	got := w.Rank(q)
	if want := []string{"http", "sms", "xiaomi", "fcm"}; !slices.Equal(providersOf(got)[:2], want[:2]) || len(got) != 4 {
		t.Errorf("order = %v, want %v and the others after", providersOf(got), want[:2])
	}
	for _, c := range got {
		if c.Why == "" {
			t.Errorf("%s has no reason", c.Provider)
		}
	}
}

func TestTheSameQuestionGetsTheSameAnswer(t *testing.T) {
	w := newWorld(t, Parts{})
	q := ask(phone("a"), "http", "webpush", "xmpp")
	q.Class = push.Marketing
	first := map[string]int{}
	for i := range 300 {
		q.Delivery = fmt.Sprintf("n.0.%d", i)
		got := w.Rank(q)
		if again := w.Rank(q); !slices.Equal(providersOf(got), providersOf(again)) {
			t.Fatalf("delivery %s was answered %v and %v", q.Delivery, providersOf(got), providersOf(again))
		}
		first[got[0].Provider]++
	}
	if len(first) != 3 {
		t.Errorf("of three equal roads only %v were taken", slices.Collect(maps.Keys(first)))
	}
}

func TestModesDecideWhoDecides(t *testing.T) {
	order := []string{"http", "xiaomi"}
	tests := map[string]struct {
		selection push.Selection
		class     push.Class
		first     string
		policy    string
		why       string
	}{
		"nothing said":        {push.Selection{}, push.OTP, "xiaomi", "auto", "xiaomi"},
		"static for all":      {push.Selection{Rules: []push.SelectionRule{{Mode: push.ModeStatic, Order: order}}}, push.OTP, "http", "static", "a fixed order counts"},
		"static for another":  {push.Selection{Rules: []push.SelectionRule{{Class: push.Chat, Mode: push.ModeStatic, Order: order}}}, push.OTP, "xiaomi", "auto", "xiaomi"},
		"without an order":    {push.Selection{Rules: []push.SelectionRule{{Mode: push.ModeStatic}}}, push.OTP, "fcm", "static", "a fixed order counts"},
		"shadow":              {push.Selection{Rules: []push.SelectionRule{{Mode: push.ModeShadow, Order: order}}}, push.OTP, "http", "shadow", "the selector would take xiaomi"},
		"killed":              {push.Selection{Kill: true, Rules: []push.SelectionRule{{Mode: push.ModeAuto, Order: order}}}, push.OTP, "http", "static", "switched off"},
		"ab, nobody is drawn": {push.Selection{Rules: []push.SelectionRule{{Mode: push.ModeAB, Order: order, Share: 0}}}, push.OTP, "http", "static", "fixed side"},
		"ab, all are drawn":   {push.Selection{Rules: []push.SelectionRule{{Mode: push.ModeAB, Order: order, Share: 1}}}, push.OTP, "xiaomi", "auto", "xiaomi"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Parts{})
			q := ask(phone("a"), "fcm", "http", "xiaomi")
			q.Class, q.Policy.Selection = tt.class, tt.selection
			got := w.Rank(q)[0]
			if got.Provider != tt.first || got.Decision.Policy != tt.policy || !strings.Contains(got.Why, tt.why) {
				t.Errorf("first is %s by %s (%s), want %s by %s (… %s …)", got.Provider, got.Decision.Policy, got.Why, tt.first, tt.policy, tt.why)
			}
			if tt.policy == "shadow" && got.Decision.Wished != "xiaomi" {
				t.Errorf("wished = %q, want xiaomi recorded", got.Decision.Wished)
			}
		})
	}
}

func TestTheGuardrailEndsAnExperimentThatDoesWorse(t *testing.T) {
	w := newWorld(t, Parts{})
	fare := func(w *world) { // the fixed side does better
		for i := range 400 {
			w.send(phone(fmt.Sprint(i)), "xiaomi", i%10 < 5, "auto")
			w.send(phone(fmt.Sprint(i)), "fcm", i%10 < 9, "static")
		}
		w.pass(70 * time.Second)
	}
	app := push.App{ID: "demo"}
	choose := func(w *world, rule push.SelectionRule) push.Choice {
		q := ask(phone("a"), "fcm", "xiaomi")
		q.Class = push.Chat
		app.Policy.Selection.Rules = []push.SelectionRule{rule}
		q.Policy = app.Policy
		return w.Rank(q)[0]
	}
	ab := push.SelectionRule{Mode: push.ModeAB, Share: 1, Order: []string{"fcm"}}
	fell := func(w *world) bool {
		t.Helper()
		got := choose(w, ab)
		if said := strings.Contains(got.Why, "guardrail fell: "); said != (got.Decision.Policy == "static") {
			t.Errorf("by %s: %s", got.Decision.Policy, got.Why)
		}
		sides := w.Sides(app)
		said := len(sides) == 2 && sides[0].Guard != ""
		if said && !strings.Contains(got.Why, sides[0].Guard) {
			t.Errorf("the API says %q, the choice %q", sides[0].Guard, got.Why)
		}
		return said
	}
	fare(w)
	if fell(w) {
		t.Error("it fell by what was sent before there was an A/B")
	}
	w.late(phone("late"), "xiaomi", "auto")
	if sides := w.Sides(app); len(sides) != 1 || sides[0].Attempts != 1 || sides[0].Arrived != 1 {
		t.Errorf("sides = %+v, want one attempt of the selector's that is proven, once, though late", sides)
	}
	choose(w, push.SelectionRule{Mode: push.ModeAuto})
	choose(w, ab)
	fare(w)
	if !fell(w) || !strings.Contains(choose(w, ab).Why, "the selector delivered 50.0 % of 400, the fixed order 90.0 % of 400") {
		t.Errorf("it has not fallen: %s, %+v", choose(w, ab).Why, w.Sides(app))
	}
	other := newWorld(t, Parts{Peers: w.peers})
	if choose(other, ab).Decision.Policy != "auto" {
		t.Error("it has fallen on a worker that heard nothing")
	}
	w.share(t.Context())
	other.share(t.Context())
	if !fell(other) {
		t.Error("another worker does not learn of it")
	}
	choose(w, push.SelectionRule{Mode: push.ModeAuto})
	if w.Sides(app) != nil {
		t.Errorf("sides = %+v of no A/B", w.Sides(app))
	}
	if fell(w) {
		t.Error("an A/B that was switched off and on again does not begin anew")
	}
	fare(w)
	if !fell(w) {
		t.Error("the second A/B has no guardrail")
	}
	w.share(t.Context())
	other.share(t.Context())
	if sides := other.Sides(app); len(sides) != 2 || sides[0].Attempts != 400 {
		t.Errorf("sides on the other worker = %+v, want the second A/B's alone", sides)
	}
	ab.Order = []string{"fcm", "xiaomi"}
	if fell(w) {
		t.Error("it has fallen for an order that was never tried")
	}
}

func TestTheBudgetOfTextMessages(t *testing.T) {
	tests := map[string]struct {
		spent int64
		class push.Class
		want  string // in Skip; "" may be sent
	}{
		"nothing spent":                     {0, push.Marketing, ""},
		"as the day goes":                   {500_000, push.Marketing, ""},
		"ahead of the day, for an otp":      {900_000, push.OTP, ""},
		"ahead of the day, for marketing":   {900_000, push.Marketing, "not worth it for class marketing"},
		"used up, even for an otp":          {1_000_000, push.OTP, "used up"},
		"a little ahead of it, for chatter": {550_000, push.Chat, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Parts{})
			r := &push.Receipt{Provider: "sms", Stage: push.Accepted, CostMicros: tt.spent, ReceivedAt: w.clock, Delivery: "a.0.0"}
			r.Describe(phone("a"))
			w.Observe(r)
			w.pass(time.Second)
			w.share(t.Context())
			q := ask(phone("a"), "sms")
			q.Class, q.Policy.SMSBudget = tt.class, 1_000_000
			got := w.Rank(q)[0].Skip
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("skip = %q, want %q in it", got, tt.want)
			}
			if sum := w.memory.spent["demo2026-03-01"]; sum != tt.spent {
				t.Errorf("%d micros are told to the others, want %d", sum, tt.spent)
			}
		})
	}
}

func TestWorkersLearnFromEachOtherAndAfterARestart(t *testing.T) {
	one := newWorld(t, Parts{})
	two := newWorld(t, Parts{Memory: one.memory, Peers: one.peers})
	for i := range 100 {
		one.send(phone(fmt.Sprint(i%10)), "fcm", i%10 < 9, "auto")
		one.send(phone(fmt.Sprint(i%10)), "xiaomi", i%10 < 2, "auto")
		one.pass(time.Second)
	}
	one.pass(70 * time.Second)
	one.share(t.Context())
	two.share(t.Context())
	if got := two.Rank(ask(phone("x"), "xiaomi", "fcm"))[0]; got.Provider != "fcm" {
		t.Errorf("the other worker's first road is %s: %s", got.Provider, got.Why)
	}
	one.last(t.Context())
	later := newWorld(t, Parts{Memory: one.memory, Peers: one.peers})
	later.start(t.Context())
	got := later.Rank(ask(phone("x"), "xiaomi", "fcm"))
	want := one.Rank(ask(phone("x"), "xiaomi", "fcm"))
	if got[0].Provider != "fcm" || got[0].Score < want[0].Score-0.01 || got[0].Score > want[0].Score+0.01 {
		t.Errorf("after a restart fcm is worth %.3f, before %.3f", got[0].Score, want[0].Score)
	}
}

func TestAReceiptThatComesToAnotherProcessCounts(t *testing.T) {
	worker := newWorld(t, Parts{})
	door := newWorld(t, Parts{Memory: worker.memory, Peers: worker.peers})
	worker.send(phone("a"), "fcm", false, "auto")
	worker.pass(time.Second)
	r := &push.Receipt{Delivery: "x.0.1", Provider: "fcm", Stage: push.Delivered, Source: push.VendorCallback, ReceivedAt: door.clock}
	r.Describe(phone("a"))
	door.Observe(r)
	door.pass(time.Second)
	door.share(t.Context())
	worker.share(t.Context())
	worker.proving[proof{"demo", "fcm"}] = true
	worker.pass(70 * time.Second)
	if evidence := worker.memory.kept[push.DeviceKey{App: "demo", ID: "a"}]; len(evidence) != 32 {
		t.Errorf("the device's evidence has %d bytes, want what its receipt taught", len(evidence))
	}
	if !worker.waiting.tracks[attemptKey("x.0.1", "fcm")].Proven() {
		t.Error("the worker still waits for the receipt")
	}
}

func TestWithoutAMemoryTheRecordTeaches(t *testing.T) {
	hour := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	road := func(provider string, tried, delivered uint64) push.RoadTally {
		return push.RoadTally{
			App: "demo", Provider: provider, Platform: "android", Maker: "xiaomi", OS: "14", Country: "CN", Carrier: "cmcc",
			Hour: hour, Tried: tried, Delivered: delivered, Delays: map[float64]uint64{2: delivered},
		}
	}
	w := newWorld(t, Parts{Record: &record{roads: []push.RoadTally{
		road("fcm", 300, 280), road("xiaomi", 300, 40),
		{App: "demo", Provider: "fcm", Country: "CN", Clicked: 200, ClickedReceived: 190},
	}}})
	w.start(t.Context())
	got := w.Rank(ask(phone("x"), "xiaomi", "fcm"))
	if got[0].Provider != "fcm" || got[0].Score < 0.85 || got[1].Score > 0.4 {
		t.Errorf("Rank() = %+v, want fcm at about 0.95 and xiaomi at about 0.15", got)
	}
}

func TestTheSelectorDecidesOnWhatItHas(t *testing.T) {
	broken := errors.New("no route")
	w := newWorld(t, Parts{Record: &record{err: broken}, Memory: &memory{err: broken}})
	w.start(t.Context())
	for i := range 100 {
		w.send(phone(fmt.Sprint(i%10)), "fcm", true, "auto")
		w.send(phone(fmt.Sprint(i%10)), "xiaomi", i%10 < 2, "auto")
		w.pass(time.Second)
	}
	w.pass(70 * time.Second)
	w.Refresh(t.Context())
	got := w.Rank(ask(phone("x"), "xiaomi", "fcm"))[0]
	if got.Provider != "fcm" || !strings.Contains(got.Why, "of 100 ") {
		t.Errorf("first is %s: %s", got.Provider, got.Why)
	}
}

func TestPatienceIsLearnedFromHowReceiptsCome(t *testing.T) {
	w := newWorld(t, Parts{})
	d := phone("a")
	d.Addresses = []push.Address{{Provider: "fcm"}, {Provider: "xiaomi"}}
	n := &push.Notification{Class: push.OTP, ExpiresAt: w.clock.Add(time.Hour)}
	if got := w.Patience("fcm", d, n, true); got != 0 {
		t.Errorf("with nothing known the patience is %v, want no opinion", got)
	}
	for i := range 300 {
		w.send(phone(fmt.Sprint(i%10)), "fcm", i%10 < 9, "auto")
		w.send(phone(fmt.Sprint(i%10)), "xiaomi", i%10 < 9, "auto")
		w.pass(time.Second)
	}
	if got := w.Patience("fcm", d, n, true); got <= 0 || got > 20*time.Second {
		t.Errorf("where receipts come within a second an otp waits %v", got)
	}
	n.Class = push.Marketing
	if otp := w.Patience("fcm", d, n, true); otp != 0 && otp < 3*time.Second {
		t.Errorf("a campaign waits %v only", otp)
	}
	if got := w.Patience("fcm", d, n, false); got != 0 {
		t.Errorf("without a next road the patience is %v, want no opinion", got)
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := Config{Explore: 2, Floor: 1}.Validate()
	for _, key := range []string{"selector.window", "selector.half_life", "selector.refresh", "selector.exchange", "selector.check", "selector.explore", "selector.floor", "selector.waiting"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Validate() = %v, want %s named", err, key)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("DefaultConfig is invalid: %v", err)
	}
}

func BenchmarkRank(b *testing.B) {
	s := New(DefaultConfig(), Parts{Log: slog.New(slog.DiscardHandler)})
	q := ask(phone("a"), "fcm", "huawei", "honor", "xiaomi", "oppo", "vivo")
	b.ReportAllocs()
	for b.Loop() {
		s.Rank(q)
	}
}
