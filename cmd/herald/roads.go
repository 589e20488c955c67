package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/live"
)

// declared is what every road says of itself, by name.
func declared() []providers.About {
	all := []providers.About{live.About()}
	for _, s := range services("", providers.OwnEngine, nil) {
		all = append(all, s.About)
	}
	slices.SortFunc(all, func(a, b providers.About) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// overrides are the roads that a notification may say something to alone.
func overrides() map[string]api.CheckOverrides {
	checks := make(map[string]api.CheckOverrides)
	for _, a := range declared() {
		if a.CheckOverrides != nil {
			checks[a.Name] = a.CheckOverrides
		}
	}
	return checks
}

// unseen are the roads that a notification may tell to show nothing.
func unseen() map[string]api.Unseen {
	asks := make(map[string]api.Unseen)
	for _, a := range declared() {
		if a.Unseen != nil {
			asks[a.Name] = a.Unseen
		}
	}
	return asks
}

// codes are the error tables of the roads that have one.
func codes() map[string]json.RawMessage {
	tables := make(map[string]json.RawMessage)
	for _, a := range declared() {
		if a.Codes != nil {
			tables[a.Name] = a.Codes
		}
	}
	return tables
}

// roadsCmd tells what each road can do, and what its service's answers mean.
type roadsCmd struct {
	List    roadsListCmd   `cmd:"" default:"withargs" help:"Show what each road can do (the default)."`
	Codes   codesCmd       `cmd:"" help:"Show what each answer of a service means to Herald."`
	Correct correctCodeCmd `cmd:"" help:"Say what an answer means when this app sends, in place of the table."`
}

type roadsListCmd struct {
	formatFlag
	Features bool `help:"Show what each can do, in place of its limits."`
}

func (c *roadsListCmd) Run(std streams) error {
	heads, rows := limitRows(declared())
	if c.Features {
		heads, rows = featureRows(declared())
	}
	return c.print(std.out, declared(), heads, rows)
}

// limitRows has a row for each road.
func limitRows(all []providers.About) (heads []string, rows [][]string) {
	for _, a := range all {
		rows = append(rows, []string{a.Name, a.Service, a.Payload, strconv.Itoa(a.Batch), a.Kept, a.Replaces, a.Proof})
	}
	return []string{"provider", "service", "payload", "in a request", "kept", "replaced by", "proof of arrival"}, rows
}

// featureRows has a row for each feature and a column for each road.
func featureRows(all []providers.About) (heads []string, rows [][]string) {
	heads = []string{""}
	for _, a := range all {
		heads = append(heads, a.Name)
	}
	for _, f := range providers.Features {
		row := []string{string(f)}
		for _, a := range all {
			row = append(row, a.Can[f].String())
		}
		rows = append(rows, row)
	}
	return heads, rows
}

// markdown writes a table as documents have it.
func markdown(heads []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(heads)
	b.WriteString(strings.Repeat("|---", len(heads)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return b.String()
}
