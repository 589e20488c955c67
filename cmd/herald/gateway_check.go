package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/herald-push/herald/gateway"
)

// gatewayCmd holds declarations of businesses against what passed.
type gatewayCmd struct {
	Check gatewayCheckCmd `cmd:"" help:"Check a declaration, and replay recorded exchanges against it: what would differ?"`
}

type gatewayCheckCmd struct {
	Declaration string `arg:"" type:"existingfile" help:"YAML file with the declaration."`
	Exchanges   string `type:"existingfile" help:"File with recorded exchanges, one JSON object a line, as the service's state shows them."`
}

// Run ends with 1 if there are faults or differences.
func (c gatewayCheckCmd) Run(ctx context.Context, std streams) error {
	text, err := os.ReadFile(c.Declaration)
	if err != nil {
		return err
	}
	d, err := gateway.ParseYAML(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Declaration, err)
	}
	rules := gateway.Rules{AllowPrivate: true, Trusted: true}
	if err := gateway.Check(d, rules); err != nil {
		return fmt.Errorf("%s: %w", c.Declaration, err)
	}
	if c.Exchanges == "" {
		fmt.Fprintf(std.out, "%s: service %s is well declared\n", c.Declaration, d.Service)
		return nil
	}
	recorded, err := os.ReadFile(c.Exchanges)
	if err != nil {
		return err
	}
	return checkExchanges(ctx, std.out, d, rules, recorded)
}

func checkExchanges(ctx context.Context, out io.Writer, d gateway.Declaration, rules gateway.Rules, recorded []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(recorded))
	lines.Buffer(nil, 4<<20)
	replayed, different := 0, 0
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var was gateway.Exchange
		if err := json.Unmarshal(lines.Bytes(), &was); err != nil {
			return fmt.Errorf("exchange on line %d: %w", n, err)
		}
		is, err := gateway.Replay(ctx, d, rules, was)
		if err != nil {
			return fmt.Errorf("exchange on line %d: %w", n, err)
		}
		replayed++
		diff := differences(&was, is)
		if len(diff) == 0 {
			continue
		}
		different++
		fmt.Fprintf(out, "line %d, %s.%s version %d:\n", n, was.Service, was.Operation, was.Version)
		for _, one := range diff {
			fmt.Fprintf(out, "  %s\n    was %s\n    is  %s\n", one.Path, one.Was, one.Is)
		}
		if is.Detail != "" {
			fmt.Fprintf(out, "  %s\n", is.Detail)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d exchanges replayed, %d differ\n", replayed, different)
	if different > 0 {
		return &exitError{1, errors.New("the declaration answers otherwise than what was recorded")}
	}
	return nil
}

// differences are those that clients and businesses would see.
func differences(was, is *gateway.Exchange) []gateway.Difference {
	about := func(x *gateway.Exchange) []byte {
		seen := map[string]any{"error": x.Error, "next": x.Next}
		if len(x.Output) > 0 {
			seen["output"] = x.Output
		}
		if len(was.Requests) > 0 {
			seen["requests"] = x.Requests
		}
		raw, _ := json.Marshal(seen) // it is made of JSON
		return raw
	}
	return gateway.Compare(about(was), about(is))
}
