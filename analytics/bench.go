package analytics

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// QueryTime is how long a dashboard's query took, of several runs.
type QueryTime struct {
	Name  string  `json:"name"`
	Days  int     `json:"days"`
	Runs  int     `json:"runs"`
	P50Ms float64 `json:"p50_ms"`
	P95Ms float64 `json:"p95_ms"`
}

// TableSize is what a table takes on disk.
type TableSize struct {
	Table string  `ch:"table" json:"table"`
	Rows  uint64  `ch:"rows" json:"rows"`
	Bytes uint64  `ch:"bytes" json:"bytes"`
	Each  float64 `ch:"-" json:"bytes_per_event"`
}

// Bench times the dashboards' queries, runs times each, over days until the
// time given.
func (s *Store) Bench(ctx context.Context, app string, until time.Time, days, runs int) ([]QueryTime, error) {
	l := Lens{App: app, From: until.AddDate(0, 0, -days), To: until}
	step := max(time.Hour*time.Duration(days)*24/120, time.Minute)
	questions := []struct {
		name string
		ask  func() error
	}{
		{"funnel", func() error { _, _, err := s.ReportFunnel(ctx, l); return err }},
		{"providers", func() error { _, _, err := s.ReportProviders(ctx, l); return err }},
		{"latency", func() error { _, _, err := s.ReportLatency(ctx, l); return err }},
		{"lost", func() error { _, _, err := s.ReportLost(ctx, l, 20); return err }},
		{"cost", func() error { _, _, err := s.ReportCost(ctx, l); return err }},
		{"errors", func() error { _, _, err := s.ReportErrors(ctx, l, 20); return err }},
		{"flow by arrival", func() error { _, err := s.Flow(ctx, l, step); return err }},
	}
	var all []QueryTime
	for _, q := range questions {
		took := make([]float64, runs)
		for i := range took {
			began := time.Now()
			if err := q.ask(); err != nil {
				return all, fmt.Errorf("analytics: bench %s: %w", q.name, err)
			}
			took[i] = millis(time.Since(began))
		}
		slices.Sort(took)
		all = append(all, QueryTime{q.name, days, runs, took[runs/2], took[min(runs-1, runs*95/100)]})
	}
	return all, nil
}

// Sizes is what each table takes on disk, the largest first, after merging what
// can be merged if merge says so. Bytes per event are of all receipts.
func (s *Store) Sizes(ctx context.Context, merge bool) ([]TableSize, error) {
	if merge {
		for _, table := range []string{"receipts", "receipts_sample", "activity_minute", "activity_hour", "cohort_minute", "cohort_hour", "road_hour", "outcome_hour"} {
			if err := s.conn.Exec(ctx, "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
				return nil, failed("merge "+table, err)
			}
		}
	}
	found, err := rows[TableSize](ctx, s, "sizes", `
		SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts
		WHERE active AND database = currentDatabase() GROUP BY table ORDER BY bytes DESC`)
	events := uint64(1)
	for _, t := range found {
		if t.Table == "receipts" {
			events = max(t.Rows, 1)
		}
	}
	for i := range found {
		found[i].Each = float64(found[i].Bytes) / float64(events)
	}
	return found, err
}
