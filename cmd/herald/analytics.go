package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/analytics"
)

// analyticsCmd asks ClickHouse.
type analyticsCmd struct {
	Funnel    funnelCmd    `cmd:"" help:"Deliveries by the rungs they reached, by provider and together."`
	Providers providersCmd `cmd:"" help:"Attempts, outcomes, latency and cost of each provider."`
	Latency   latencyCmd   `cmd:"" help:"Time from acceptance to the first proof, by provider and class."`
	Lost      lostCmd      `cmd:"" help:"Where deliveries ended that nothing proves to have arrived."`
	Cost      costCmd      `cmd:"" help:"What cost something, and what it brought."`
	Errors    errorsCmd    `cmd:"" help:"The most frequent failures, in the providers' words."`
	Trace     traceCmd     `cmd:"" help:"The deliveries of one notification."`
	Spool     spoolCmd     `cmd:"" help:"What waits on disk for ClickHouse, and since when."`
	Seed      seedCmd      `cmd:"" help:"Fill the record with invented events, to try pages and queries under load."`

	Bench analyticsBenchCmd `cmd:"" help:"Time the dashboards' queries, and weigh the tables."`
}

// placeFlags find the record.
type placeFlags struct {
	ClickHouse string `name:"clickhouse" env:"CLICKHOUSE_URL" placeholder:"URL" help:"ClickHouse of the Herald in question. Default: that of the herald dev on --data."`
	Data       string `default:"./data" type:"path" help:"Data folder of herald dev."`
}

func (r placeFlags) open(ctx context.Context) (*analytics.Store, error) {
	if r.ClickHouse == "" {
		f, err := readFacts(r.Data)
		if err != nil {
			return nil, err
		}
		if f.ClickHouse == "" {
			return nil, errors.New("that Herald has no ClickHouse: its events wait in the spool. Run scripts/chdb.sh and start it again")
		}
		r.ClickHouse = f.ClickHouse
	}
	return analytics.Open(ctx, r.ClickHouse)
}

// recordFlags find the record and say which part of it is asked about.
type recordFlags struct {
	formatFlag
	placeFlags
	App   string `default:"demo" help:"The app."`
	Since string `default:"1h" placeholder:"TIME" aliases:"last" help:"From when on: a span back from --until (90m, 24h, 7d), a day (2026-05-01), or RFC 3339. Notifications count by when the API accepted them."`
	Until string `default:"now" placeholder:"TIME" help:"Up to when: now, a span ago, a day, or RFC 3339."`
}

// window is the time asked about.
func (r recordFlags) window() (from, to time.Time, err error) {
	now := time.Now()
	if to, err = moment("--until", r.Until, now); err != nil {
		return from, to, err
	}
	if from, err = moment("--since", r.Since, to); err != nil {
		return from, to, err
	}
	if !from.Before(to) {
		return from, to, fmt.Errorf("--since: %s is not before --until", r.Since)
	}
	return from, to, nil
}

// moment reads a time, or a span before base.
func moment(flag, text string, base time.Time) (time.Time, error) {
	if text == "now" || text == "" {
		return base, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 3660 {
			return base.AddDate(0, 0, -n), nil
		}
	}
	if span, err := time.ParseDuration(text); err == nil && span >= 0 {
		return base.Add(-span), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q is neither a span such as 24h or 7d, nor a day such as 2026-05-01, nor a time such as 2026-05-01T08:00:00Z", flag, text)
}

// lensFlags narrow what is asked about further.
type lensFlags struct {
	recordFlags
	Class    string `placeholder:"CLASS" enum:",otp,transactional,chat,call,marketing" default:"" help:"Only this class: otp, transactional, chat, call or marketing."`
	Provider string `placeholder:"ROAD" help:"Only this provider."`
	Campaign string `placeholder:"NAME" help:"Only what is part of this campaign."`
}

// ask opens the record, asks it, and prints the rows; what is no rows is said
// in words on standard error, so that a pipe gets nothing but rows.
func ask[T any](ctx context.Context, std streams, f lensFlags, heads []string, cells func(T) []string,
	report func(*analytics.Store, analytics.Lens) ([]T, analytics.Basis, error),
) error {
	from, to, err := f.window()
	if err != nil {
		return err
	}
	record, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	lens := analytics.Lens{App: f.App, From: from, To: to, Class: f.Class, Provider: f.Provider, Campaign: f.Campaign}
	found, basis, err := report(record, lens)
	if err != nil {
		return err
	}
	if len(found) == 0 && f.Format == "table" {
		fmt.Fprintf(std.err, "Nothing of app %s from %s to %s%s. --since 7d looks further back, --app elsewhere.\n",
			f.App, from.Local().Format(time.DateTime), to.Local().Format(time.DateTime), f.narrowed())
		return nil
	}
	if basis.Scale > 1 {
		fmt.Fprintf(std.err, "An estimate: counted from one delivery in %d and multiplied.\n", basis.Scale)
	}
	rows := make([][]string, len(found))
	for i := range found {
		rows[i] = cells(found[i])
	}
	if found == nil {
		found = []T{} // JSON says [], not null
	}
	return f.print(std.out, found, heads, rows)
}

// narrowed tells how the lens is narrowed.
func (f lensFlags) narrowed() string {
	words := ""
	for _, w := range [][2]string{{"class", f.Class}, {"provider", f.Provider}, {"campaign", f.Campaign}} {
		if w[1] != "" {
			words += " with " + w[0] + " " + w[1]
		}
	}
	return words
}

type funnelCmd struct{ lensFlags }

func (f *funnelCmd) Run(ctx context.Context, std streams) error {
	return ask(ctx, std, f.lensFlags, []string{
		"PROVIDER", "DELIVERIES", "ACCEPTED", "HANDED OVER", "DELIVERED", "DISPLAYED", "CLICKED", "FAILED", "UNKNOWN", "EXPIRED",
	}, func(r analytics.FunnelRow) []string {
		name := r.Provider
		if name == "" {
			name = "all"
		}
		return append([]string{name}, numbersOf(
			r.Deliveries, r.Accepted, r.HandedOver, r.Delivered, r.Displayed, r.Clicked, r.Failed, r.Unknown, r.Expired)...)
	}, func(s *analytics.Store, l analytics.Lens) ([]analytics.FunnelRow, analytics.Basis, error) {
		return s.ReportFunnel(ctx, l)
	})
}

type providersCmd struct{ lensFlags }

func (p *providersCmd) Run(ctx context.Context, std streams) error {
	return ask(ctx, std, p.lensFlags, []string{
		"PROVIDER", "ATTEMPTS", "ACCEPTED", "FAILED", "UNKNOWN", "DELIVERED", "P50 MS", "P95 MS", "COST",
	}, func(r analytics.ProviderRow) []string {
		row := append([]string{r.Provider}, numbersOf(r.Attempts, r.Accepted, r.Failed, r.Unknown, r.Delivered)...)
		return append(row, millis(r.P50Ms), millis(r.P95Ms), money(r.CostMicros))
	}, func(s *analytics.Store, l analytics.Lens) ([]analytics.ProviderRow, analytics.Basis, error) {
		return s.ReportProviders(ctx, l)
	})
}

type latencyCmd struct{ lensFlags }

func (l *latencyCmd) Run(ctx context.Context, std streams) error {
	return ask(ctx, std, l.lensFlags, []string{
		"PROVIDER", "CLASS", "DELIVERED", "P50 MS", "P90 MS", "P95 MS", "P99 MS", "REQUEST P95 MS",
	}, func(r analytics.DelayRow) []string {
		return []string{
			r.Provider, r.Class, strconv.FormatUint(r.Delivered, 10),
			millis(r.P50Ms), millis(r.P90Ms), millis(r.P95Ms), millis(r.P99Ms), millis(r.TookP95Ms),
		}
	}, func(s *analytics.Store, l analytics.Lens) ([]analytics.DelayRow, analytics.Basis, error) {
		return s.ReportLatency(ctx, l)
	})
}

type lostCmd struct {
	lensFlags
	Limit int `default:"20" help:"How many rows."`
}

func (c *lostCmd) Run(ctx context.Context, std streams) error {
	return ask(ctx, std, c.lensFlags, []string{"LAST ROAD", "ENDED", "KIND", "CODE", "DELIVERIES", "SHARE"},
		func(r analytics.LostRow) []string {
			return []string{r.Provider, r.End, r.Kind, r.Code, strconv.FormatUint(r.Deliveries, 10), fmt.Sprintf("%.2f %%", 100*r.Share)}
		}, func(s *analytics.Store, l analytics.Lens) ([]analytics.LostRow, analytics.Basis, error) {
			return s.ReportLost(ctx, l, max(c.Limit, 1))
		})
}

type costCmd struct{ lensFlags }

func (c *costCmd) Run(ctx context.Context, std streams) error {
	return ask(ctx, std, c.lensFlags, []string{"PROVIDER", "CLASS", "CAMPAIGN", "PAID", "COST", "DELIVERED", "COST EACH"},
		func(r analytics.CostRow) []string {
			return []string{
				r.Provider, r.Class, r.Campaign, strconv.FormatUint(r.Paid, 10), money(r.CostMicros),
				strconv.FormatUint(r.Delivered, 10), money(int64(r.EachMicros)),
			}
		}, func(s *analytics.Store, l analytics.Lens) ([]analytics.CostRow, analytics.Basis, error) {
			return s.ReportCost(ctx, l)
		})
}

type errorsCmd struct {
	lensFlags
	Limit int `default:"20" help:"How many."`
}

func (e *errorsCmd) Run(ctx context.Context, std streams) error {
	return ask(ctx, std, e.lensFlags, []string{"PROVIDER", "KIND", "CODE", "TIMES", "LAST", "DETAIL"},
		func(r analytics.ErrorRow) []string {
			return []string{
				r.Provider, r.Kind, r.Code, strconv.FormatUint(r.Receipts, 10), r.Last.Local().Format(time.DateTime), r.Detail,
			}
		}, func(s *analytics.Store, l analytics.Lens) ([]analytics.ErrorRow, analytics.Basis, error) {
			return s.ReportErrors(ctx, l, max(e.Limit, 1))
		})
}

type traceCmd struct {
	formatFlag
	placeFlags
	App          string `default:"demo" help:"The app."`
	Notification string `arg:"" help:"The notification's id."`
	Device       string `help:"Only this device."`
	Limit        int    `default:"100" help:"How many deliveries."`
}

// step is one line of a delivery's story.
type step struct {
	Device   string    `json:"device"`
	Delivery string    `json:"delivery"`
	At       time.Time `json:"at"`
	What     string    `json:"what"`
	Provider string    `json:"provider"`
	Stage    string    `json:"stage"`
	Why      string    `json:"why"`
}

func (t *traceCmd) Run(ctx context.Context, std streams) error {
	record, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	traces, _, err := record.Trace(ctx, t.App, t.Notification, t.Device, "", max(t.Limit, 1))
	if err != nil {
		return err
	}
	if len(traces) == 0 && t.Format == "table" {
		fmt.Fprintf(std.err, "No delivery of notification %s of app %s is on record.\n", t.Notification, t.App)
		return nil
	}
	var steps []step
	for _, trace := range traces {
		from := len(steps)
		for _, a := range trace.Attempts {
			steps = append(steps, step{trace.Device, trace.ID, a.At, "attempt " + strconv.Itoa(a.Number), a.Provider, string(a.Stage), a.Why})
		}
		for _, p := range trace.Receipts {
			steps = append(steps, step{trace.Device, trace.ID, p.ReceivedAt, string(p.Source), p.Provider, string(p.Stage), p.Detail})
		}
		slices.SortStableFunc(steps[from:], func(a, b step) int { return a.At.Compare(b.At) })
	}
	var rows [][]string
	for _, s := range steps {
		rows = append(rows, []string{s.Device, s.Delivery, s.At.Local().Format(time.StampMilli), s.What, s.Provider, s.Stage, s.Why})
	}
	var value any = traces
	if t.Format == "parquet" {
		value = steps // flat: a table of tables is nobody's idea of one
	}
	return t.print(std.out, value, []string{"DEVICE", "DELIVERY", "AT", "WHAT", "PROVIDER", "STAGE", "WHY"}, rows)
}

func numbersOf(ns ...uint64) []string {
	words := make([]string, len(ns))
	for i, n := range ns {
		words[i] = strconv.FormatUint(n, 10)
	}
	return words
}

func millis(ms float64) string { return strconv.FormatFloat(ms, 'f', 0, 64) }

func money(micros int64) string { return fmt.Sprintf("%.4f", float64(micros)/1e6) }
