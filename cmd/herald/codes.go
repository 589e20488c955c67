package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/client"
)

// codesCmd shows a table of codes. The built-in one needs no running Herald.
type codesCmd struct {
	remoteFlags
	formatFlag
	Provider string `arg:"" help:"The provider, such as fcm."`
	BuiltIn  bool   `help:"Show the built-in table alone, without asking a Herald for what the app corrects."`
}

func (c *codesCmd) Run(ctx context.Context, std streams) error {
	table, err := c.table(ctx)
	if err != nil {
		return err
	}
	rows := make([][]string, 0, len(table.Codes)+len(table.Corrections))
	for _, n := range table.Corrections {
		row := client.Code{Status: n.Status, Code: n.Code, Kind: n.Kind, RetryAfterSeconds: n.RetryAfterSeconds, Scope: n.Scope, Means: n.Means}
		rows = append(rows, codeCells(row, fmt.Sprintf("key %s, %s", n.By, n.At.Local().Format(time.DateTime))))
	}
	for _, row := range table.Codes {
		by := "built in"
		if slices.ContainsFunc(table.Corrections, func(n client.Correction) bool { return slices.Contains(n.BuiltIn, row) }) {
			by = "built in, corrected above"
		}
		rows = append(rows, codeCells(row, by))
	}
	if err := c.print(std.out, table, []string{"STATUS", "CODE", "KIND", "RETRY AFTER", "BINDS", "MEANS", "SAYS"}, rows); err != nil {
		return err
	}
	if c.Format == "table" {
		_, err = fmt.Fprintf(std.out, "\nSource, as of %s: %s\n", table.Date, table.Source)
	}
	return err
}

func (c *codesCmd) table(ctx context.Context) (client.Codes, error) {
	var table client.Codes
	raw, ok := codes()[c.Provider]
	if !ok {
		return table, fmt.Errorf("no provider %q has a table of codes; there are %s", c.Provider,
			strings.Join(slices.Sorted(maps.Keys(codes())), ", "))
	}
	if c.BuiltIn {
		return table, json.Unmarshal(raw, &table)
	}
	herald, err := c.open()
	if err != nil {
		return table, fmt.Errorf("%w; --built-in asks nobody", err)
	}
	table, err = herald.Codes(ctx, c.Provider)
	return table, c.explainError(err)
}

func codeCells(c client.Code, says string) []string {
	status, after := "any", "-"
	if c.Status != 0 {
		status = strconv.Itoa(c.Status)
	}
	if c.RetryAfterSeconds != 0 {
		after = (time.Duration(c.RetryAfterSeconds) * time.Second).String()
	}
	code := c.Code
	if code == "" {
		code = "any"
	}
	return []string{status, code, c.Kind, after, orDash(c.Scope), orDash(c.Means), says}
}

// correctCodeCmd corrects a table for the app whose key it is.
type correctCodeCmd struct {
	remoteFlags
	Provider   string        `arg:"" help:"The provider, such as fcm."`
	Code       string        `arg:"" help:"The service's own word as the table writes it, or a status such as http-503."`
	Kind       string        `xor:"what" required:"" help:"What it means: ${kinds}."`
	RetryAfter time.Duration `help:"How long to wait, such as 90s."`
	Binds      string        `enum:",origin,token" default:"" help:"What it binds, if less than the provider: origin or token."`
	Means      string        `help:"In words, for people. Default: the table's."`
	Remove     bool          `xor:"what" required:"" help:"Go by the built-in table again."`
}

func (c *correctCodeCmd) Run(ctx context.Context, std streams) error {
	herald, err := c.open()
	if err != nil {
		return err
	}
	if c.Remove {
		if err := herald.DropCorrection(ctx, c.Provider, c.Code); err != nil {
			return c.explainError(err)
		}
		_, err = fmt.Fprintf(std.out, "%s of %s means what the table says again, within seconds\n", c.Code, c.Provider)
		return err
	}
	n, err := herald.CorrectCode(ctx, c.Provider, c.Code, client.Correction{
		Kind: c.Kind, RetryAfterSeconds: int(c.RetryAfter.Seconds()), Scope: c.Binds, Means: c.Means,
	})
	if err != nil {
		return c.explainError(err)
	}
	was := "which the table does not know"
	if len(n.BuiltIn) > 0 {
		was = "in place of " + n.BuiltIn[0].Kind
	}
	_, err = fmt.Fprintf(std.out, "%s of %s means %s (%s) within seconds, for what this app sends\n", c.Code, c.Provider, n.Kind, was)
	return err
}
