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
	one := l
	one.Maker = "xiaomi"
	step := 15 * time.Minute // as the pages draw a day
	if days > 1 {
		step = max(time.Hour, (time.Duration(days) * 24 * time.Hour / 84).Truncate(time.Hour)) // two hours of a week
	}
	questions := []struct {
		name string
		ask  func() error
	}{
		{"overview: choices", func() error { _, err := s.Choices(ctx, l); return err }},
		{"overview: by class", func() error { _, err := s.ByClass(ctx, l); return err }},
		{"overview: by class, the window before", func() error { _, err := s.ByClass(ctx, l.Before(l.To.Sub(l.From))); return err }},
		{"overview: movers", func() error { _, err := s.Movers(ctx, l, l.To.Sub(l.From), 8); return err }},
		{"overview: flow", func() error { _, err := s.Flow(ctx, l, step); return err }},
		{"overview: flow of one maker", func() error { _, err := s.Flow(ctx, one, step); return err }},
		{"overview: paid twice", func() error { _, err := s.PaidTwice(ctx, app, l.From, l.To); return err }},
		{"overview: recent", func() error { _, err := s.Recent(ctx, app, l.To.Add(-24*time.Hour), 12); return err }},
		{"providers: table", func() error { _, _, err := s.ReportProviders(ctx, l); return err }},
		{"providers: kinds of error", func() error { _, err := s.Kinds(ctx, l, step); return err }},
		{"providers: heat", func() error { _, err := s.Heat(ctx, l, step); return err }},
		{"choice: picks", func() error { _, err := s.Picks(ctx, l, step); return err }},
		{"choice: uplift", func() error { _, err := s.Uplifts(ctx, l); return err }},
		{"choice: reasons", func() error { _, err := s.LastPicks(ctx, l, 12); return err }},
		{"choice: what if", func() error { _, err := s.Replay(ctx, app, l.From, l.To, Replayed{Name: "best"}); return err }},
		{"journeys: ways", func() error { _, err := s.Ways(ctx, l, 200); return err }},
		{"journeys: time spent", func() error { _, err := s.Spent(ctx, l); return err }},
		{"journeys: late", func() error { _, err := s.Late(ctx, l); return err }},
		{"journeys: text messages", func() error { _, err := s.Texts(ctx, l); return err }},
		{"report: funnel", func() error { _, _, err := s.ReportFunnel(ctx, l); return err }},
		{"report: latency", func() error { _, _, err := s.ReportLatency(ctx, l); return err }},
		{"report: lost", func() error { _, _, err := s.ReportLost(ctx, l, 20); return err }},
		{"report: cost", func() error { _, _, err := s.ReportCost(ctx, l); return err }},
		{"report: errors", func() error { _, _, err := s.ReportErrors(ctx, l, 20); return err }},
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
		if err := s.merge(ctx); err != nil {
			return nil, err
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

// merge merges what can be merged, a partition at a time, since a statement
// about a whole table takes longer than anybody waits for an answer.
func (s *Store) merge(ctx context.Context) error {
	type partition struct {
		Table string `ch:"table"`
		ID    string `ch:"partition_id"`
	}
	all, err := rows[partition](ctx, s, "partitions", `
		SELECT table, partition_id FROM system.parts
		WHERE active AND database = currentDatabase() GROUP BY table, partition_id HAVING count() > 1 ORDER BY table, partition_id`)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := s.conn.Exec(ctx, "OPTIMIZE TABLE "+p.Table+" PARTITION ID '"+p.ID+"' FINAL"); err != nil {
			return failed("merge "+p.Table, err)
		}
	}
	return nil
}
