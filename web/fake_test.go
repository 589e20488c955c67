package web

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fake is every source that the pages have, with numbers that grow at each
// reading. Its zero value has no events.
type fake struct {
	links   *Links
	lively  bool
	away    atomic.Bool
	reads   atomic.Int64
	held    chan struct{} // numbers come when it is closed; nil holds none
	planted string        // goes into every name and text

	mu         sync.Mutex
	registered []string
	asked      []string // of the API
	queries    map[string]url.Values
	saved      []SavedQuery
	members    map[string]Role // people of demo by their address
}

// hold keeps who asks for numbers waiting.
func (f *fake) hold() {
	if f.held != nil {
		<-f.held
	}
}

func (f *fake) Link(_ context.Context, token string) (Identity, error) { return f.links.Spend(token) }

func (f *fake) Key(_ context.Context, key string) (Identity, error) {
	switch key {
	case "hk_admin":
		return Identity{Kind: "key", Subject: "admin", Name: "key admin"}, nil
	case "hk_read":
		return Identity{Kind: "key", Subject: "read", Name: "key read"}, nil
	case "hk_analyst":
		return Identity{Kind: "key", Subject: "analyst", Name: "key analyst"}, nil
	default:
		return Identity{}, ErrDenied
	}
}

func (f *fake) Roles(_ context.Context, who Identity) (Roles, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if role, ok := f.members[who.Subject]; ok {
		return Roles{"demo": role}, nil
	}
	switch who.Kind + " " + who.Subject {
	case "link ":
		return Roles{AllApps: Admin}, nil
	case "key admin":
		return Roles{"demo": Admin}, nil
	case "key read":
		return Roles{"demo": Viewer}, nil
	case "key analyst":
		return Roles{"demo": Analyst}, nil
	}
	return nil, nil
}

func (f *fake) Apps(context.Context) ([]App, error) {
	return []App{{"demo", "Demo shop" + f.planted}, {"bank", "Bank"}}, nil
}

func (f *fake) Lanes(_ context.Context, app string) ([]Lane, error) {
	if f.away.Load() {
		return nil, ErrAway
	}
	if !f.lively || app == "bank" {
		return nil, nil
	}
	at := time.Date(2026, 3, 1, 14, 20, 0, 0, time.UTC)
	return []Lane{
		{Provider: "apns" + f.planted, State: "open", InFlight: 212, Limit: 512, PerSecond: 8412.5},
		{Provider: "huawei", State: "open", Why: "marketing: the day's quota is used up" + f.planted, InFlight: 41, Limit: 128, Waiting: 7, PerSecond: 640, Bound: 6000, Quotas: []LaneQuota{
			{Name: "marketing_per_device", PerDevice: true, Limit: 2, Used: 18_211, Refused: 902, RenewsAt: at.Add(2 * time.Hour)},
		}},
		{Provider: "oppo", State: "open", InFlight: 12, Limit: 64, PerSecond: 120, Bound: 5000, Quotas: []LaneQuota{
			{Name: "public" + f.planted, Limit: 100_000, Used: 91_400, EndsAt: at, RenewsAt: at.Add(2 * time.Hour)},
		}},
		{Provider: "vivo", State: "closed", Why: "10 requests in a row failed: unavailable", Until: at, Limit: 32},
		{Provider: "xiaomi", State: "off", Why: "the vendor asked us to", Limit: 64},
	}, nil
}

func (f *fake) Choices(_ context.Context, app string, _, _ time.Time) (Choices, error) {
	f.hold()
	if f.away.Load() {
		return Choices{}, ErrAway
	}
	if !f.lively || app == "bank" {
		return Choices{}, nil
	}
	return Choices{
		Classes: []string{"call", "chat", "marketing", "otp", "transactional"}, Providers: []string{"apns", "fcm", "live" + f.planted, "sms"},
		Platforms: []string{"android", "ios"}, Makers: []string{"Apple", "OPPO", "Samsung", "Xiaomi" + f.planted}, Countries: []string{"BR", "DE", "ID", "IN", "US"},
	}, nil
}

func (f *fake) Basis(_ context.Context, l Lens) (uint64, error) {
	if f.away.Load() {
		return 0, ErrAway
	}
	if l.To.Sub(l.From) > 24*time.Hour {
		return 64, nil
	}
	return 1, nil
}

func (f *fake) Overview(_ context.Context, l Lens) (Overview, error) {
	f.hold()
	if f.away.Load() {
		return Overview{}, ErrAway
	}
	n := uint64(f.reads.Add(1))
	if !f.lively || l.App == "bank" {
		return Overview{}, nil
	}
	from, to, step := l.From, l.To, l.Step
	grown := n * 37
	o := Overview{
		Totals: Totals{
			Counts: Counts{
				Notifications: 1204 + n, Deliveries: 48210 + grown, Accepted: 47805 + grown, Delivered: 46011 + grown,
				Displayed: 31877 + grown/2, Clicked: 6408 + grown/9, Failed: 312 + n, Unknown: 41, Expired: 12, PaidTwice: 23,
			},
			P50Millis: 184 + float64(n%7), P95Millis: 912 + float64(n%31), CostMicros: 4_271_500 + int64(n)*7500,
		},
		Before: Totals{Counts: Counts{Notifications: 1180, Deliveries: 46902, Delivered: 45960, Failed: 190}, P50Millis: 179, P95Millis: 702, CostMicros: 4_610_000},
		Versus: "the same time last week",
		Classes: []ClassTotals{
			{"call", Totals{Counts: Counts{Deliveries: 1210, Accepted: 1204, Delivered: 1190, Failed: 6}, P95Millis: 410}},
			{"chat", Totals{Counts: Counts{Deliveries: 9120, Accepted: 9100, Delivered: 8960, Clicked: 3011, Failed: 20}, P95Millis: 480}},
			{"marketing", Totals{Counts: Counts{Deliveries: 30110, Accepted: 29800, Delivered: 28301, Clicked: 1902, Failed: 240}, P95Millis: 1900}},
			{"otp" + f.planted, Totals{Counts: Counts{Deliveries: 2240, Accepted: 2238, Delivered: 2231, Failed: 2}, P95Millis: 702, CostMicros: 4_271_500}},
		},
		Movers: []Mover{
			{"fcm" + f.planted, "Xiaomi", "ID", 1841, 2010, 1102, 1890, -629.2, "unavailable: 31.2 % of attempts, was 0.4 %" + f.planted},
			{"apns", "Apple", "BR", 980, 1002, 961, 902, 78.4, "taken, never proven: 1.9 % of attempts, was 9.8 %"},
		},
		Providers: []Provider{
			{"live" + f.planted, 21930 + grown, 21930 + grown, 21418 + grown, 0, 3, 21, 64, 0},
			{"apns", 14102, 14011, 13610, 91, 12, 212, 740, 0},
			{"fcm", 11480, 11297, 10622, 183, 26, 264, 1310, 0},
			{"sms", 571, 567, 361, 4, 0, 2840, 8120, 4_271_500 + int64(n)*7500},
		},
	}
	for at := from.Truncate(step); at.Before(to); at = at.Add(step) {
		x := float64(at.Unix()) / step.Seconds()
		wave := 1 + 0.22*math.Sin(x/6) + 0.09*math.Sin(x*1.7) + 0.05*math.Sin(x*3.1)
		each := 3200 * wave * min(step, to.Sub(at)).Minutes()
		o.Series = append(o.Series, Point{
			At: at, Accepted: uint64(each), Delivered: uint64(each * .962), Displayed: uint64(each * .66),
			Clicked: uint64(each * .13), Failed: uint64(each * .012 * (1 + math.Max(0, math.Sin(x/3)))),
			P50Millis: 180 * (0.8 + wave/5), P95Millis: 830 * (0.6 + wave/2.4 + 0.2*math.Max(0, math.Sin(x/4.3))),
		})
	}
	return o, nil
}

func (f *fake) Roads(_ context.Context, l Lens) (Roads, error) {
	f.hold()
	if f.away.Load() {
		return Roads{}, ErrAway
	}
	n := uint64(f.reads.Add(1))
	if !f.lively || l.App == "bank" {
		return Roads{}, nil
	}
	r := Roads{Providers: []Provider{
		{"apns", 14102 + n, 14011, 13610, 91, 12, 212, 740, 0},
		{"fcm" + f.planted, 11480, 10297, 9122, 1183, 26, 264, 1310, 0},
		{"live", 21930, 21930, 21418, 0, 3, 21, 64, 0},
		{"sms", 571, 567, 361, 4, 0, 2840, 8120, 4_271_500},
		{"vivo", 212, 202, 180, 10, 0, 400, 2120, 0},
	}}
	if l.Maker != "" {
		r.Everybody = []Provider{{"apns", 44102, 44011, 43610, 91, 12, 212, 740, 0}, {"fcm", 31480, 31297, 30622, 183, 26, 264, 1310, 0}}
	}
	for at := l.From.Truncate(l.Step).Add(l.Step); at.Before(l.To); at = at.Add(l.Step) {
		x := float64(at.Unix()) / l.Step.Seconds()
		r.Kinds = append(r.Kinds,
			KindPoint{at, "throttled", uint64(20 + 18*math.Sin(x/3))}, KindPoint{at, "unavailable" + f.planted, uint64(8 + 8*math.Sin(x/2))}, KindPoint{at, "unregistered", 3})
		for b := range HeatBuckets {
			if v := 900 * math.Exp(-math.Pow(float64(b)-4-math.Sin(x/5), 2)/3); v > 1 {
				r.Heat = append(r.Heat, HeatCell{at, b, uint64(v)})
			}
		}
	}
	return r, nil
}

func (f *fake) Choice(_ context.Context, l Lens) (Choice, error) {
	f.hold()
	if f.away.Load() {
		return Choice{}, ErrAway
	}
	if !f.lively || l.App == "bank" {
		return Choice{}, nil
	}
	c := Choice{
		Uplifts: []Uplift{
			{"chat", 8120, 7714, 902, 812, Estimate{0.0498, 0.0301, 0.0695}},
			{"marketing" + f.planted, 24_880, 22_601, 0, 0, Estimate{}},
		},
		WhatIf: []WhatIf{
			{"logged", 33_000, 33_000, Estimate{0.948, 0.945, 0.951}, Estimate{0.948, 0.945, 0.951}, Estimate{0.948, 0.945, 0.951}},
			{"best", 33_000, 29_118.4, Estimate{0.951, 0.947, 0.955}, Estimate{0.952, 0.949, 0.955}, Estimate{0.952, 0.949, 0.955}},
			{"order", 33_000, 8114.2, Estimate{0.903, 0.881, 0.925}, Estimate{0.899, 0.89, 0.908}, Estimate{0.901, 0.893, 0.909}},
			{"random", 33_000, 61.7, Estimate{0.7, 0.41, 0.99}, Estimate{0.72, 0.52, 0.92}, Estimate{0.74, 0.6, 0.88}},
		},
		Last: []Pick{
			{"order-8812-shipped", "phone-1", "transactional", "live", "auto", "live 98 % of 212 delivered for Xiaomi in CN over 7 days, the device is connected; fcm 61 % of 40; taken with probability 99 %" + f.planted, 0.99, 0.97, 0, 0.4, false, l.To.Add(-3 * time.Second)},
			{"autumn-sale", "phone-9" + f.planted, "marketing", "fcm", "auto", "fcm 81 % of 91; taken with probability 2 % to learn", 0.02, 0.61, 0.25, 0, true, l.To.Add(-9 * time.Second)},
		},
		Selection: Selection{
			Rules: []SelectionRule{{"chat", "ab", []string{"live", "fcm" + f.planted}, 0.9}, {"", "auto", nil, 0}},
			Sides: []Side{{"chat", "auto", 8120, 7714, ""}, {"chat", "static", 902, 812, ""}, {"otp", "auto", 410, 300, "brings less than the static order" + f.planted}},
		},
	}
	for at := l.From.Truncate(l.Step).Add(l.Step); at.Before(l.To); at = at.Add(l.Step) {
		x := float64(at.Unix()) / l.Step.Seconds()
		for i, road := range []string{"apns", "fcm" + f.planted, "live", "oppo", "xiaomi"} {
			n := uint64(400 + 220*math.Sin(x/4+float64(2*i)))
			c.Picks = append(c.Picks, PickPoint{at, road, n, n / 50})
		}
	}
	return c, nil
}

func (f *fake) Journeys(_ context.Context, l Lens) (Journeys, error) {
	f.hold()
	if f.away.Load() {
		return Journeys{}, ErrAway
	}
	if !f.lively || l.App == "bank" {
		return Journeys{}, nil
	}
	return Journeys{
		Ways: []Way{
			{[]string{"live"}, "delivered", "live", 21418}, {[]string{"apns"}, "delivered", "apns", 13102}, {[]string{"fcm" + f.planted}, "delivered", "fcm", 9122},
			{[]string{"live", "apns"}, "delivered", "apns", 1840}, {[]string{"live", "fcm" + f.planted}, "delivered", "fcm", 1210}, {[]string{"apns"}, "accepted", "", 702},
			{[]string{"fcm" + f.planted}, "accepted", "", 611}, {[]string{"fcm" + f.planted, "sms"}, "delivered", "sms", 361}, {[]string{"apns", "sms"}, "delivered", "apns", 122},
			{[]string{"live", "fcm" + f.planted, "sms"}, "accepted", "", 88}, {[]string{"fcm" + f.planted, "apns"}, "failed", "", 41}, {nil, "expired", "", 12},
		},
		Spent: []Spent{
			{"live", 21418, []float64{6, 2, 1, 21}, []float64{20, 3, 2, 64}}, {"apns", 14942, []float64{8, 310, 61, 142}, []float64{24, 1600, 140, 610}},
			{"fcm" + f.planted, 10332, []float64{7, 402, 88, 201}, []float64{22, 2010, 190, 1100}}, {"sms", 361, []float64{7, 5900, 140, 2210}, []float64{31, 8200, 220, 6300}},
		},
		Late:  []Late{{"apns", 122, 2100, 9800, 915_000}, {"fcm" + f.planted, 61, 3300, 14_000, 412_000}},
		Texts: []Texts{{"otp" + f.planted, 571, 361, 4_271_500, 1640, 12_300_000}, {"transactional", 40, 31, 300_000, 8112, 60_840_000}},
	}, nil
}

func (f *fake) Sources(context.Context) ([]Source, error) {
	if f.away.Load() {
		return nil, ErrAway
	}
	return []Source{
		{"receipts", "One row for each piece of evidence about a delivery." + f.planted, []Column{{"app", "LowCardinality(String)"}, {"since_ms", "Float64"}}},
		{"flow_minute", "What arrived in each minute.", []Column{{"minute", "DateTime('UTC')"}}},
	}, nil
}

// Ask answers a series over time, bars, one row, or none, by what the question
// speaks of.
func (f *fake) Ask(_ context.Context, app, sql string) (Answer, error) {
	switch {
	case f.away.Load():
		return Answer{}, ErrAway
	case strings.Contains(sql, "system"):
		return Answer{}, &Wrong{"sql: system is not among the tables" + f.planted}
	case strings.Contains(sql, "nothing"):
		return Answer{Columns: []Column{{"n", "UInt64"}}}, nil
	case strings.Contains(sql, "minute"):
		a := Answer{Columns: []Column{{"minute", "DateTime"}, {"provider", "String"}, {"proofs", "UInt64"}}, Took: 12 * time.Millisecond}
		for i := range 120 {
			a.Rows = append(a.Rows, []any{time.Unix(1_760_000_000+int64(i)*60, 0).UTC(), "apns" + f.planted, uint64(40 + i%13)},
				[]any{time.Unix(1_760_000_000+int64(i)*60, 0).UTC(), "fcm", uint64(70 - i%29)})
		}
		return a, nil
	default:
		return Answer{
			Columns: []Column{{"maker", "String"}, {"provider", "String"}, {"deliveries", "UInt64"}, {"delivered_percent", "Float64"}}, Cut: true, Took: 31 * time.Millisecond,
			Rows: [][]any{{"Apple", "apns", uint64(4120), 98.1}, {"Xiaomi" + f.planted, "fcm", uint64(1710), 71.4}, {"=1+1", "live", uint64(911), nil}},
		}, nil
	}
}

func (f *fake) Saved(context.Context, string) ([]SavedQuery, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]SavedQuery{{"Slow in Brazil" + f.planted, "SELECT 1", "ann@example.com", time.Now().Add(-time.Hour)}}, f.saved...), nil
}

func (f *fake) Save(_ context.Context, by Actor, q SavedQuery) error {
	if q.Name == "taken" {
		return &Wrong{"name: is taken"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	q.Author, q.UpdatedAt = by.Who.Name, time.Now()
	f.saved = append(f.saved, q)
	return nil
}

func (f *fake) Forget(_ context.Context, _ Actor, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.saved = slices.DeleteFunc(f.saved, func(q SavedQuery) bool { return q.Name == name })
	return nil
}

// api plays the API: it keeps what was asked, and refuses reasons that say no.
func (f *fake) api(a Actor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		if f.queries == nil {
			f.queries = map[string]url.Values{}
		}
		f.queries[r.URL.Path] = r.URL.Query()
		f.asked = append(f.asked, fmt.Sprintf("%s %s in %s: %s %s %s", a.Who.Name, a.Role, a.App, r.Method, r.URL.Path, body))
		f.mu.Unlock()
		if strings.Contains(string(body), "no reason") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"detail":"1 fault","faults":[{"field":"reason","detail":"<b>must</b> be better"}]}`)
			return
		}
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/users/nobody") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if answer := desk(r.URL.Path, f.planted); r.Method == http.MethodGet && answer != "" {
			if r.URL.Query().Get("user") == "nobody-at-all" {
				answer = `{"devices":[]}`
			}
			_, _ = io.WriteString(w, answer)
			return
		}
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"kill":false,"rules":[{"mode":"static","order":["sms"]}],"sides":[]}`)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	})
}

func (f *fake) Recent(_ context.Context, app string, limit int) ([]Notification, error) {
	if !f.lively || app == "bank" {
		return nil, nil
	}
	names := []struct{ id, class, title string }{
		{"order-8812-shipped", "transactional", "Shipped"},
		{"login-code-55102", "otp", ""},
		{"autumn-sale", "marketing", "Everything warm, 20 % off"},
		{"chat-7-1190", "chat", "Ada"},
		{"order-8809-delivered", "transactional", "Delivered"},
		{"call-3310", "call", "Grace is calling"},
		{"login-code-55101", "otp", ""},
		{"weekly-digest-41", "marketing", "Your week"},
	}
	var list []Notification
	for i, n := range names[:min(limit, len(names))] {
		c := Counts{Deliveries: uint64(1 + i%2), Accepted: 1, Delivered: 1}
		state := "done"
		if n.class == "marketing" {
			c = Counts{Deliveries: 20000, Accepted: 19890, Delivered: 18004 + uint64(f.reads.Load())*11, Failed: 110}
			state = "sending"
		}
		list = append(list, Notification{
			ID: n.id + f.planted, Class: n.class, State: state, Title: n.title + f.planted, Counts: c,
			AcceptedAt: time.Now().Add(-time.Duration(i*i*7+1) * time.Second),
		})
	}
	return list, nil
}

func (f *fake) Notification(_ context.Context, app, id string) (Notification, error) {
	if app != "demo" || strings.HasPrefix(id, "none") {
		return Notification{}, ErrNotFound
	}
	return Notification{
		ID: id, Class: "transactional", State: "done", Title: "Shipped" + f.planted,
		AcceptedAt: time.Now().Add(-time.Minute), ExpiresAt: time.Now().Add(time.Hour),
		Counts: Counts{Deliveries: 3, Accepted: 3, Delivered: 2, Displayed: 1, Clicked: 1, Failed: 1},
	}, nil
}

func (f *fake) Deliveries(ctx context.Context, app, id, after string, _ int) ([]Delivery, string, error) {
	if after != "" {
		return nil, "", nil
	}
	var list []Delivery
	for _, device := range []string{"phone-1", "phone-2", "tablet-9"} {
		d, err := f.Delivery(ctx, app, id, device+f.planted)
		if err != nil {
			return nil, "", err
		}
		list = append(list, d)
	}
	list[2].Stage = "failed"
	return list, "2", nil
}

func (f *fake) Delivery(_ context.Context, _, id, device string) (Delivery, error) {
	if strings.HasPrefix(device, "none") {
		return Delivery{}, ErrNotFound
	}
	at := time.Now().Add(-time.Minute)
	ms := func(n int) time.Time { return at.Add(time.Duration(n) * time.Millisecond) }
	return Delivery{
		ID: id + ".0.0", Device: device, Stage: "clicked", AcceptedAt: at,
		Attempts: []Attempt{
			{Number: 1, Provider: "live", Stage: "unknown", Kind: "unknown", Detail: "no PUBACK in time" + f.planted, Why: "connected to node a1", At: ms(3), TookMillis: 1.2},
			{Number: 2, Provider: "fcm", Stage: "accepted", Why: "fcm 94 % of 212 delivered for xiaomi in CN over 7 days" + f.planted, At: ms(5012), TookMillis: 61},
		},
		Receipts: []Proof{
			{Stage: "delivered", Source: "app_report", Provider: "fcm", At: ms(5240), AfterMs: 5240},
			{Stage: "displayed", Source: "app_report", Provider: "fcm", At: ms(5610), AfterMs: 5610},
			{Stage: "clicked", Source: "app_report", Provider: "fcm", At: ms(9102), AfterMs: 9102},
		},
	}, nil
}

func (f *fake) Register(_ context.Context, app, _, device string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registered = append(f.registered, app+"/"+device)
	return nil
}

func (f *fake) Mint(_ context.Context, _, device string) (string, time.Time, error) {
	return "jwt-of-" + device, time.Now().Add(time.Hour), nil
}

// status is a healthy set of stores, or one without ClickHouse where nothing is lively.
func (f *fake) status(context.Context) Status {
	if !f.lively {
		return Status{Spool: 1204, SpoolBytes: 431_000, Lag: 90 * time.Second, Redis: "redis-server child, append-only file"}
	}
	return Status{Spool: 214, SpoolBytes: 81_300, Lag: 2 * time.Second, ClickHouse: "embedded 26.5", Redis: "redis-server child, append-only file"}
}

// house is a running site with its sources.
type house struct {
	*fake
	url  string
	done chan struct{}
}

// open starts a site; change may alter its configuration.
func open(t *testing.T, f *fake, change ...func(*Config)) *house {
	t.Helper()
	f.links = NewLinks(time.Now)
	done := make(chan struct{})
	c := Config{
		Key: []byte(strings.Repeat("k3y!", 8)), WebSocket: "ws://127.0.0.1:9/mqtt", Refresh: 200 * time.Millisecond, Patience: time.Minute,
		Login: f, Apps: f, Numbers: f, Notifications: f, Devices: f, Tokens: f, Status: f.status, Lanes: f, API: f.api, Explorer: f, Done: done,
	}
	for _, ch := range change {
		ch(&c)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(done) })
	return &house{fake: f, url: srv.URL, done: done}
}

func (h *house) link() string {
	return h.url + "/login?token=" + h.links.Make(Identity{Kind: "link", Name: "operator"}, time.Minute)
}

// visitor is a browser without a screen: it keeps cookies and follows nothing.
type visitor struct {
	t    *testing.T
	h    *house
	http *http.Client
}

func (h *house) stranger(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, h, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// operator has come by a login link, reader and admin by keys.
func (h *house) operator(t *testing.T) *visitor {
	t.Helper()
	v := h.stranger(t)
	if res, _ := v.get(strings.TrimPrefix(h.link(), h.url)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("login by link: %s", res.Status)
	}
	return v
}

func (h *house) withKey(t *testing.T, key string) *visitor {
	t.Helper()
	v := h.stranger(t)
	_, page := v.get("/login")
	if res, _ := v.post("/login", url.Values{"key": {key}, "csrf": {csrfOf(page)}}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("login by key: %s", res.Status)
	}
	return v
}

func (v *visitor) get(path string) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.h.url+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.do(req)
}

func (v *visitor) post(path string, form url.Values, headers ...string) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.h.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return v.do(req)
}

func (v *visitor) do(req *http.Request) (*http.Response, string) {
	v.t.Helper()
	res, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res, string(body)
}

var csrfField = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)

func csrfOf(page string) string {
	if m := csrfField.FindStringSubmatch(page); m != nil {
		return m[1]
	}
	return ""
}

// fakeSandbox plays the control API of providers/sandbox and keeps what it was asked.
type fakeSandbox struct {
	mu    sync.Mutex
	asked []string
}

func (s *fakeSandbox) start(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.URL
}

func (s *fakeSandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodGet {
		s.mu.Lock()
		s.asked = append(s.asked, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body))
		s.mu.Unlock()
	}
	switch {
	case r.Header.Get("Content-Type") != "application/json":
		w.WriteHeader(http.StatusUnsupportedMediaType)
	case r.URL.Path == "/control/vendors":
		_, _ = io.WriteString(w, `{"vendors":[
			{"name":"apns","url":"https://127.0.0.1:1","settings":{"latency_ms":120,"jitter_ms":40,"error_rate":0.025,"error":"","outage":"none","retry_after_s":0,"rate_per_s":0,"loss":0},"counts":{"requests":14102,"accepted":14011,"refused":{"InternalServerError":80,"Unregistered":11},"shown":13610,"lost":0}},
			{"name":"fcm","url":"https://127.0.0.1:2","settings":{"latency_ms":0,"error_rate":0,"outage":"hang"}},
			{"name":"sms","url":"http://127.0.0.1:3","settings":{"outage":"none","receipt_delay_ms":0,"receipt_loss":0}}]}`)
	case strings.HasSuffix(r.URL.Path, "/dead"):
		_, _ = io.WriteString(w, `{"dead":[{"token":"dead-token-7","since":"2026-01-01T00:00:00Z"}]}`)
	case strings.HasSuffix(r.URL.Path, "/requests"):
		_, _ = io.WriteString(w, `{"requests":[
			{"id":9,"proto":"HTTP/2.0","method":"POST","path":"/3/device/`+strings.Repeat("ab", 32)+`","headers":{"Apns-Topic":"com.example.demo","Authorization":"bearer [hidden]"},"body":"{\"aps\":{\"alert\":\"Shipped <script>\"}}","status":429,"answer":"{\"reason\":\"TooManyRequests\"}","took_ms":41.5,"fault":"{\"code\":\"TooManyRequests\"}"},
			{"id":8,"method":"POST","path":"/3/device/x","status":0,"took_ms":10000},
			{"id":7,"method":"POST","path":"/3/device/x","status":200,"took_ms":0.4}]}`)
	case strings.HasSuffix(r.URL.Path, "/faults") && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "apns"):
		_, _ = io.WriteString(w, `{"rules":[{"match":{"token":"abab"},"skip":2,"do":{"code":"TooManyRequests"},"played":3},{"match":{},"do":{"hang":true},"played":0}]}`)
	case strings.HasSuffix(r.URL.Path, "/faults"):
		_, _ = io.WriteString(w, `{"rules":[]}`)
	case strings.Contains(string(body), `"outage":"nonsense"`):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"outage: <b>nonsense</b> is not one"}`)
	case strings.HasSuffix(r.URL.Path, "/settings"):
		_, _ = io.WriteString(w, `{}`)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
