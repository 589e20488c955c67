// Package figures is what the benchmarks measure, as people and programs read it.
package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// Figure is one line of a file such as build/bench.json. Value is the median of Runs.
type Figure struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Runs      int     `json:"runs"`
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
	Peer      string  `json:"peer,omitempty"`
	PeerValue float64 `json:"peer_value,omitempty"`
}

// Of makes a figure of what the runs measured.
func Of(name, unit string, values []float64) Figure {
	sorted := slices.Sorted(slices.Values(values))
	return Figure{
		Name: name, Unit: unit, Runs: len(sorted),
		Value: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1],
	}
}

// Against names the peer that was measured beside it, or is on record.
func (f Figure) Against(peer string, value float64) Figure {
	f.Peer, f.PeerValue = peer, value
	return f
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Table prints the figures for people.
func Table(w io.Writer, figures []Figure) error {
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "figure\tmedian\tunit\tmin\tmax\truns\tpeer\t")
	for _, f := range figures {
		peer := ""
		if f.Peer != "" {
			peer = fmt.Sprintf("%s: %s", f.Peer, short(f.PeerValue))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t\n", f.Name, short(f.Value), f.Unit, short(f.Min), short(f.Max), f.Runs, peer)
	}
	return tw.Flush()
}

func short(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// Save writes the figures for programs.
func Save(path string, figures []Figure) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}
