package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/herald-push/herald/analytics"
)

// spoolCmd looks into a process's spool, which may be running or not.
type spoolCmd struct {
	formatFlag
	Data string `default:"./data" type:"path" help:"Data folder of the process, its setting data."`
	Dir  string `type:"path" placeholder:"DIR" help:"The spool itself, where it is not in --data."`
}

func (s *spoolCmd) Run(std streams) error {
	dir := s.Dir
	if dir == "" {
		dir = filepath.Join(s.Data, "spool")
	}
	report, err := analytics.InspectSpool(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no spool in %s: name the data folder of a Herald with --data, or its spool with --dir", dir)
	}
	if err != nil {
		return err
	}
	if s.Format == "table" {
		if len(report.Segments) == 0 {
			fmt.Fprintln(std.out, "The spool is empty: ClickHouse has everything.")
			return nil
		}
		age := "none"
		if !report.Oldest.IsZero() {
			age = time.Since(report.Oldest).Round(time.Second).String()
		}
		fmt.Fprintf(std.out, "%d events in %d segments wait for ClickHouse, %s; the oldest has waited %s\n\n",
			report.Events, len(report.Segments), size(report.Bytes), age)
	}
	var rows [][]string
	for _, g := range report.Segments {
		note := g.Fault
		if g.Torn > 0 {
			note = fmt.Sprintf("%d bytes torn at its end, of a write that nobody was told was done", g.Torn)
		}
		first := ""
		if !g.First.IsZero() {
			first = g.First.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{
			g.Name, g.Born.Local().Format(time.DateTime), time.Since(g.Born).Round(time.Second).String(),
			size(g.Bytes), strconv.Itoa(g.Events), first, note,
		})
	}
	if report.Segments == nil {
		report.Segments = []analytics.SegmentInfo{}
	}
	return s.print(std.out, report.Segments, []string{"SEGMENT", "BEGUN", "AGE", "SIZE", "EVENTS", "OLDEST EVENT", "NOTE"}, rows)
}

// size prints bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
