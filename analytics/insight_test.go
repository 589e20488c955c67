package analytics

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

// told is one piece of evidence of a story.
type told struct {
	after    time.Duration
	attempt  int
	provider string
	stage    push.Stage
	source   push.Source
	micros   int64
}

// happen turns stories into receipts, each twice, since evidence may come twice.
// Story i is of device i.
func happen(class push.Class, begin time.Time, change func(i int, r *push.Receipt), stories ...[]told) []push.Receipt {
	var rs []push.Receipt
	for i, story := range stories {
		for _, e := range story {
			r := push.Receipt{
				App: "demo", Notification: "of-" + string(class), Delivery: push.DeliveryID("of-"+string(class)+begin.String(), 0, i), Device: fmt.Sprint("device-", i),
				Class: class, Provider: e.provider, Attempt: e.attempt, Stage: e.stage, Source: e.source, CostMicros: e.micros,
				At: begin.Add(e.after), ReceivedAt: begin.Add(e.after), SinceAccepted: e.after, Platform: "android", Maker: "Acme", Country: "DE",
			}
			if e.source == push.VendorReply {
				r.Took = 100 * time.Millisecond
			}
			if e.stage == push.Failed {
				r.Kind = "unavailable"
			}
			if change != nil {
				change(i, &r)
			}
			rs = append(rs, r, r)
		}
	}
	return rs
}

const second = time.Second

var (
	tried    = told{second, 1, "apns", push.Accepted, push.VendorReply, 0}
	texted   = told{10 * second, 2, "sms", push.Accepted, push.VendorReply, 7500}
	proven   = told{5 * second, 1, "apns", push.Delivered, push.AppReport, 0}
	late     = told{25 * second, 1, "apns", push.Delivered, push.AppReport, 0}
	arrived  = told{14 * second, 2, "sms", push.Delivered, push.VendorCallback, 0}
	refused  = told{second, 1, "apns", push.Failed, push.VendorReply, 0}
	lensDay  = Lens{App: "demo", From: dawn, To: dawn.Add(time.Hour)}
	stranger = Lens{App: "other", From: dawn, To: dawn.Add(time.Hour)}
)

func TestJourneysAreToldAsTheyWere(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	send(t, store, 5000, slices.Concat(
		happen(push.OTP, dawn.Add(time.Minute), nil,
			[]told{tried, proven}, []told{tried, proven}, []told{tried, texted, arrived}, []told{tried, texted, late}, []told{refused, texted}, []told{tried}),
		happen(push.Chat, dawn.Add(time.Minute), nil, []told{tried, proven}),
		happen(push.Marketing, dawn.Add(2*time.Hour), nil, []told{tried, proven}), // after the window
	))
	otp := lensDay
	otp.Class = "otp"

	ways, err := store.Ways(t.Context(), otp, 10)
	wantWays := []Way{
		{[]string{"apns"}, "delivered", "apns", 2},
		{[]string{"apns"}, "accepted", "", 1},
		{[]string{"apns", "sms"}, "accepted", "", 1},
		{[]string{"apns", "sms"}, "delivered", "apns", 1},
		{[]string{"apns", "sms"}, "delivered", "sms", 1},
	}
	if err != nil || !reflect.DeepEqual(ways, wantWays) {
		t.Errorf("Ways() = %+v, %v; want %+v", ways, err, wantWays)
	}
	lateRows, err := store.Late(t.Context(), otp)
	if want := []LateRow{{"apns", 1, 15_000, 15_000, 7500}}; err != nil || !reflect.DeepEqual(lateRows, want) {
		t.Errorf("Late() = %+v, %v; want %+v", lateRows, err, want)
	}
	texts, err := store.Texts(t.Context(), lensDay)
	if want := []TextRow{{"otp", 3, 1, 22_500, 2, 15_000, 7500}}; err != nil || !reflect.DeepEqual(texts, want) {
		t.Errorf("Texts() = %+v, %v; want %+v", texts, err, want)
	}
	spent, err := store.Spent(t.Context(), otp)
	if err != nil || len(spent) != 2 || spent[0].Deliveries != 3 || spent[1].Provider != "sms" {
		t.Fatalf("Spent() = %+v, %v", spent, err)
	}
	// The text message: 0.9 s until the first attempt, then 9 s of apns, 0.1 s of
	// request, 4 s to the device.
	if want := []float64{900, 9000, 100, 4000}; !reflect.DeepEqual(spent[1].Mean, want) {
		t.Errorf("parts of the text message's time %v, want %v", spent[1].Mean, want)
	}
	texter := otp
	texter.Provider = "sms"
	if only, err := store.Ways(t.Context(), texter, 10); err != nil || len(only) != 3 {
		t.Errorf("ways that tried sms: %+v, %v", only, err)
	}
	for name, err := range map[string]error{
		"ways":  nothing(store.Ways(t.Context(), stranger, 10)),
		"late":  nothing(store.Late(t.Context(), stranger)),
		"texts": nothing(store.Texts(t.Context(), stranger)),
		"spent": nothing(store.Spent(t.Context(), stranger)),
	} {
		if err != nil {
			t.Errorf("%s of another app: %v", name, err)
		}
	}
}

func nothing[T any](rows []T, err error) error {
	if err == nil && len(rows) > 0 {
		return fmt.Errorf("got %+v", rows)
	}
	return err
}

func TestClassesAddUpToAllAndToAHandWrittenCount(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(11, 500)
	send(t, store, 5000, slices.Concat(rs, happen(push.OTP, dawn.Add(time.Minute), nil, []told{tried, texted, arrived}, []told{refused})))
	l := Lens{App: "demo", From: dawn, To: dawn.Add(4 * time.Hour)}
	byClass, err := store.ByClass(t.Context(), l)
	if err != nil || len(byClass) != 3 || byClass[2].Class != "" {
		t.Fatalf("ByClass() = %+v, %v", byClass, err)
	}
	funnels, _, err := store.ReportFunnel(t.Context(), l)
	if err != nil || len(funnels) == 0 {
		t.Fatalf("ReportFunnel() = %+v, %v", funnels, err)
	}
	all := funnels[len(funnels)-1]
	if byClass[2].FunnelRow != all {
		t.Errorf("all classes are %+v, the funnel %+v, %v", byClass[2].FunnelRow, all, err)
	}
	if sum := byClass[0].Deliveries + byClass[1].Deliveries; sum != all.Deliveries {
		t.Errorf("classes add up to %d, not %d", sum, all.Deliveries)
	}
	var delivered uint64
	var cost int64
	const count = `SELECT uniqExactIf(delivery, stage IN ('delivered', 'displayed', 'clicked')), (SELECT sum(cost_micros) FROM receipts FINAL WHERE app = 'demo') FROM receipts WHERE app = 'demo'`
	if err := store.conn.QueryRow(t.Context(), count).Scan(&delivered, &cost); err != nil {
		t.Fatal(err)
	}
	if got := byClass[2]; got.Delivered != delivered || got.CostMicros != cost || got.P95Ms < got.P50Ms || got.P50Ms <= 0 {
		t.Errorf("all together %+v; by hand %d delivered for %d micros", got, delivered, cost)
	}
	l.Maker, l.Provider = "xiaomi", "fcm"
	narrow, err := store.ByClass(t.Context(), l)
	want := expectedFunnel(slices.DeleteFunc(slices.Clone(rs), func(r push.Receipt) bool { return r.Maker != "xiaomi" }), "fcm", l.From, l.To)
	want.Provider = ""
	if err != nil || len(narrow) != 2 || narrow[1].FunnelRow != want {
		t.Errorf("through a narrow lens %+v, %v; want %+v", narrow, err, want)
	}
	picks, err := store.Picks(t.Context(), l, time.Hour)
	if err != nil || len(picks) == 0 {
		t.Errorf("Picks() = %+v, %v", picks, err)
	}
	heat, err := store.Heat(t.Context(), l, time.Hour)
	if err != nil || len(heat) == 0 {
		t.Errorf("Heat() = %+v, %v", heat, err)
	}
	choices, err := store.Choices(t.Context(), Lens{App: "demo", From: dawn.Add(-time.Hour), To: dawn.Add(4 * time.Hour)})
	if err != nil || !slices.Equal(choices.Makers, []string{"Acme", "oppo", "xiaomi"}) || !slices.Equal(choices.Classes, []string{"chat", "otp"}) {
		t.Errorf("Choices() = %+v, %v", choices, err)
	}
}

func TestMoversSayWhoAndWhy(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	many := func(n int, story ...told) (all [][]told) {
		for range n {
			all = append(all, story)
		}
		return all
	}
	from := func(country string) func(int, *push.Receipt) {
		return func(_ int, r *push.Receipt) {
			r.Country, r.Delivery = country, country+r.Delivery
		}
	}
	before := dawn.Add(-time.Hour + time.Minute)
	now := dawn.Add(time.Minute)
	send(t, store, 5000, slices.Concat(
		happen(push.Chat, before, from("DE"), many(40, tried, proven)...),
		happen(push.Chat, now, from("DE"), append(many(20, tried, proven), many(20, refused)...)...), // half are refused now
		happen(push.Chat, before, from("FR"), many(40, tried, proven)...),
		happen(push.Chat, now, from("FR"), many(40, tried, proven)...), // as ever
		happen(push.Chat, before, from("BR"), many(40, tried)...),
		happen(push.Chat, now, from("BR"), many(40, tried, proven)...), // better
		happen(push.Chat, now, from("US"), many(40, refused)...),       // nothing to compare with
	))
	movers, err := store.Movers(t.Context(), lensDay, time.Hour, 10)
	if err != nil || len(movers) != 2 {
		t.Fatalf("Movers() = %+v, %v", movers, err)
	}
	if m := movers[0]; m.Country != "BR" || m.Change != 1 || m.Impact != 40 || !strings.Contains(m.Why, "taken, never proven: 0.0 % of attempts, was 100.0 %") {
		t.Errorf("first %+v", m)
	}
	if m := movers[1]; m.Country != "DE" || math.Abs(m.Change+0.5) > 1e-9 || !strings.Contains(m.Why, "unavailable: ") || !strings.Contains(m.Why, "was 0.0 %") {
		t.Errorf("second %+v", m)
	}
	if kinds, err := store.Kinds(t.Context(), lensDay, time.Hour); err != nil || len(kinds) != 1 || kinds[0].Kind != "unavailable" {
		t.Errorf("Kinds() = %+v, %v", kinds, err)
	}
	german := lensDay
	german.Country = "DE"
	seen, _, err := store.ReportProviders(t.Context(), german)
	if err != nil || len(seen) != 1 || seen[0].Attempts != 40 || seen[0].Failed != 20 || seen[0].Delivered != 20 {
		t.Errorf("ReportProviders() = %+v, %v", seen, err)
	}
}

func TestUpliftIsTheDifferenceOfTheTwoSides(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	var stories [][]told
	for i := range 200 {
		if i%2 == 0 && i%10 != 0 || i%2 == 1 && i%4 == 1 {
			stories = append(stories, []told{tried, proven}) // 80 of 100 even ones, 50 of 100 odd ones
		} else {
			stories = append(stories, []told{tried, texted, arrived}) // another road brought it
		}
	}
	send(t, store, 5000, happen(push.Chat, dawn.Add(time.Minute), func(i int, r *push.Receipt) {
		r.Why = "because"
		if r.Source == push.VendorReply {
			r.Decision = &push.Decision{Policy: []string{"auto", "static"}[i%2], Propensity: 1, Explored: i == 0}
		}
	}, stories...))
	got, err := store.Uplifts(t.Context(), lensDay)
	if err != nil || len(got) != 1 {
		t.Fatalf("Uplifts() = %+v, %v", got, err)
	}
	u := got[0]
	if u.Auto != 100 || u.AutoArrived != 80 || u.Static != 100 || u.StaticArrived != 50 || math.Abs(u.Difference.Value-0.3) > 1e-9 ||
		u.Difference.Low > 0.18 || u.Difference.Low < 0.17 || u.Difference.High < 0.42 {
		t.Errorf("uplift %+v", u)
	}
	picks, err := store.LastPicks(t.Context(), lensDay, 5)
	if err != nil || len(picks) != 5 || picks[0].Why != "because" || picks[0].Provider != "apns" {
		t.Errorf("LastPicks() = %+v, %v", picks, err)
	}
	points, err := store.Picks(t.Context(), lensDay, time.Hour)
	if err != nil || len(points) != 1 || points[0].Picked != 200 || points[0].Explored != 1 {
		t.Errorf("Picks() = %+v, %v", points, err)
	}
}
