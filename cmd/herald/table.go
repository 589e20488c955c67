package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// formatFlag is how a command prints rows.
type formatFlag struct {
	Format string `enum:"table,csv,json,parquet" default:"table" help:"How to print: table, csv, json or parquet."`
}

// print writes rows under their heads; value is what json shows instead.
func (f formatFlag) print(w io.Writer, value any, heads []string, rows [][]string) error {
	switch f.Format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(value)
	case "parquet":
		return writeParquet(w, value)
	case "csv":
		c := csv.NewWriter(w)
		return c.WriteAll(append([][]string{heads}, rows...))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heads}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
