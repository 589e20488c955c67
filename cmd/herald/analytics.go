package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/herald-push/herald/analytics"
)

// analyticsCmd asks ClickHouse.
type analyticsCmd struct {
	Funnel    funnelCmd    `cmd:"" help:"Deliveries by the rungs they reached, by provider and together."`
	Providers providersCmd `cmd:"" help:"Attempts, outcomes, latency and cost of each provider."`
	Latency   latencyCmd   `cmd:"" help:"Time from acceptance to proof, over time."`
	Errors    errorsCmd    `cmd:"" help:"The most frequent failures, in the providers' words."`
	Trace     traceCmd     `cmd:"" help:"The deliveries of one notification."`
}

// recordFlags find the record and say which part of it is asked about.
type recordFlags struct {
	formatFlag
	ClickHouse string        `name:"clickhouse" env:"CLICKHOUSE_URL" placeholder:"URL" help:"ClickHouse of the Herald in question. Default: that of the herald dev on --data."`
	Data       string        `default:"./data" type:"path" help:"Data folder of herald dev."`
	App        string        `default:"demo" help:"The app."`
	Last       time.Duration `default:"1h" help:"How far back to look."`
}

func (r recordFlags) open(ctx context.Context) (*analytics.Store, error) {
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

// window is the time asked about; it ends now.
func (r recordFlags) window() (from, to time.Time) {
	to = time.Now()
	return to.Add(-r.Last), to
}

type funnelCmd struct{ recordFlags }

func (f *funnelCmd) Run(ctx context.Context, std streams) error {
	record, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	from, to := f.window()
	all, err := record.FunnelByProvider(ctx, f.App, from, to)
	if err != nil {
		return err
	}
	total, err := record.Funnel(ctx, f.App, from, to)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, r := range append(all, total) {
		name := r.Provider
		if name == "" {
			name = "all"
		}
		rows = append(rows, append([]string{name}, numbersOf(
			r.Deliveries, r.Accepted, r.HandedOver, r.Delivered, r.Displayed, r.Clicked, r.Failed, r.Unknown, r.Expired)...))
	}
	return f.print(std.out, append(all, total), []string{
		"PROVIDER", "DELIVERIES", "ACCEPTED", "HANDED OVER", "DELIVERED", "DISPLAYED", "CLICKED", "FAILED", "UNKNOWN", "EXPIRED",
	}, rows)
}

type providersCmd struct{ recordFlags }

func (p *providersCmd) Run(ctx context.Context, std streams) error {
	record, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	from, to := p.window()
	all, err := record.Providers(ctx, p.App, from, to)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, r := range all {
		row := append([]string{r.Provider}, numbersOf(r.Attempts, r.Accepted, r.Failed, r.Unknown, r.Delivered)...)
		rows = append(rows, append(row, millis(r.P50Ms), millis(r.P95Ms), fmt.Sprintf("%.4f", float64(r.CostMicros)/1e6)))
	}
	return p.print(std.out, all, []string{
		"PROVIDER", "ATTEMPTS", "ACCEPTED", "FAILED", "UNKNOWN", "DELIVERED", "P50 MS", "P95 MS", "COST",
	}, rows)
}

type latencyCmd struct {
	recordFlags
	Step time.Duration `default:"5m" help:"Width of a step; a minute or more."`
}

func (l *latencyCmd) Run(ctx context.Context, std streams) error {
	record, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	from, to := l.window()
	points, err := record.Latency(ctx, l.App, from, to, l.Step)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, p := range points {
		rows = append(rows, []string{
			p.Start.Local().Format(time.DateTime), p.Provider, strconv.FormatUint(p.Delivered, 10), millis(p.P50Ms), millis(p.P95Ms),
		})
	}
	return l.print(std.out, points, []string{"FROM", "PROVIDER", "DELIVERED", "P50 MS", "P95 MS"}, rows)
}

type errorsCmd struct {
	recordFlags
	Limit int `default:"20" help:"How many."`
}

func (e *errorsCmd) Run(ctx context.Context, std streams) error {
	record, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	from, to := e.window()
	all, err := record.TopErrors(ctx, e.App, from, to, e.Limit)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, r := range all {
		rows = append(rows, []string{
			r.Provider, r.Kind, r.Code, strconv.FormatUint(r.Receipts, 10), r.Last.Local().Format(time.DateTime), r.Detail,
		})
	}
	return e.print(std.out, all, []string{"PROVIDER", "KIND", "CODE", "TIMES", "LAST", "DETAIL"}, rows)
}

type traceCmd struct {
	recordFlags
	Notification string `arg:"" help:"The notification's id."`
	Device       string `help:"Only this device."`
	Limit        int    `default:"100" help:"How many deliveries."`
}

func (t *traceCmd) Run(ctx context.Context, std streams) error {
	record, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	traces, _, err := record.Trace(ctx, t.App, t.Notification, t.Device, "", t.Limit)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, trace := range traces {
		for _, a := range trace.Attempts {
			rows = append(rows, []string{
				trace.Device, trace.ID, a.At.Local().Format(time.StampMilli), "attempt " + strconv.Itoa(a.Number),
				a.Provider, string(a.Stage), a.Why,
			})
		}
		for _, p := range trace.Receipts {
			rows = append(rows, []string{
				trace.Device, trace.ID, p.ReceivedAt.Local().Format(time.StampMilli), string(p.Source), p.Provider, string(p.Stage), p.Detail,
			})
		}
	}
	return t.print(std.out, traces, []string{"DEVICE", "DELIVERY", "AT", "WHAT", "PROVIDER", "STAGE", "WHY"}, rows)
}

func numbersOf(ns ...uint64) []string {
	words := make([]string, len(ns))
	for i, n := range ns {
		words[i] = strconv.FormatUint(n, 10)
	}
	return words
}

func millis(ms float64) string { return strconv.FormatFloat(ms, 'f', 0, 64) }
