package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/herald-push/herald/analytics"
)

// analyticsBenchCmd times the dashboards' queries over what is seeded.
type analyticsBenchCmd struct {
	placeFlags
	App   string    `default:"seed" help:"The app whose events are asked about."`
	Until time.Time `placeholder:"TIME" help:"The end of the window, RFC 3339. Default: now."`
	Days  []int     `default:"1,7,30" help:"Windows, in days back from --until."`
	Runs  int       `default:"20" help:"How often each query runs."`
	Merge bool      `help:"Merge all parts first; takes time and disk."`
	Out   string    `type:"path" placeholder:"FILE" help:"Write the figures there as JSON."`
}

func (b *analyticsBenchCmd) Run(ctx context.Context, std streams) error {
	record, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	until := b.Until
	if until.IsZero() {
		until = time.Now()
	}
	sizes, err := record.Sizes(ctx, b.Merge)
	if err != nil {
		return err
	}
	var queries []analytics.QueryTime
	for _, days := range b.Days {
		found, err := record.Bench(ctx, b.App, until, days, max(b.Runs, 1))
		if err != nil {
			return err
		}
		queries = append(queries, found...)
	}
	if b.Out != "" {
		text, err := json.MarshalIndent(map[string]any{"cpus": runtime.NumCPU(), "tables": sizes, "queries": queries}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(b.Out, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, t := range sizes {
		rows = append(rows, []string{t.Table, strconv.FormatUint(t.Rows, 10), size(int64(t.Bytes)), fmt.Sprintf("%.1f", t.Each)})
	}
	if err := (formatFlag{}).print(std.out, nil, []string{"TABLE", "ROWS", "ON DISK", "BYTES AN EVENT"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, q := range queries {
		rows = append(rows, []string{q.Name, strconv.Itoa(q.Days), millis(q.P50Ms), millis(q.P95Ms)})
	}
	fmt.Fprintln(std.out)
	return formatFlag{}.print(std.out, nil, []string{"QUERY", "DAYS", "P50 MS", "P95 MS"}, rows)
}
