package main

import (
	"context"
	"fmt"

	"github.com/herald-push/herald/analytics"
)

// replayCmd asks the record what another policy would have brought.
type replayCmd struct {
	recordFlags
	Policy []string `default:"logged,best,random" help:"Policies: logged (what was done), best (always the highest score), random, and order."`
	Order  []string `placeholder:"ROAD" help:"The order of the policy order, such as live,apns,fcm."`
}

func (r *replayCmd) Run(ctx context.Context, std streams) error {
	from, to, err := r.window()
	if err != nil {
		return err
	}
	record, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	policies := r.Policy
	if len(r.Order) > 0 {
		policies = append(policies, "order")
	}
	var all []analytics.Replay
	var rows [][]string
	for _, name := range policies {
		got, err := record.Replay(ctx, r.App, from, to, analytics.Replayed{Name: name, Order: r.Order})
		if err != nil {
			return err
		}
		all = append(all, got)
		rows = append(rows, []string{
			name, fmt.Sprint(got.Decisions), fmt.Sprintf("%.0f", got.Effective),
			estimate(got.SNIPS), estimate(got.DR), estimate(got.IPS),
		})
	}
	return r.print(std.out, all, []string{"POLICY", "DECISIONS", "WORTH", "PROVEN (SNIPS)", "PROVEN (DR)", "PROVEN (IPS)"}, rows)
}

// estimate prints a share with its bounds.
func estimate(e analytics.Estimate) string {
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*e.Value, 100*e.Low, 100*e.High)
}
