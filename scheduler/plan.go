package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	// planned bounds the devices whose roads a plan counts; a larger audience is
	// judged by its first ones.
	planned = 10_000
	// shown is how many devices of a plan show their whole journey.
	shown = 5
)

// Plan tells what would come of n if it were sent now, and sends nothing.
func (d *Door) Plan(ctx context.Context, n *push.Notification) (push.Plan, error) {
	app, err := d.parts.Apps.App(ctx, n.App)
	if err != nil {
		return push.Plan{}, fmt.Errorf("scheduler: plan: app %s: %w", n.App, err)
	}
	p := planner{door: d, n: n, policy: app.Policy, first: make(map[string]int), carriers: make(map[string]*push.Delivery)}
	if ids := named(n.To); len(ids) > 0 {
		for chunk := range slices.Chunk(ids, pageSize) {
			if err := p.add(ctx, chunk); err != nil {
				return push.Plan{}, err
			}
		}
		return p.finish(ctx)
	}
	var after string
	for {
		ids, err := d.parts.Devices.Page(ctx, n.App, n.To, after, pageSize)
		if err != nil {
			return push.Plan{}, fmt.Errorf("scheduler: plan: audience: %w", err)
		}
		if err := p.add(ctx, ids); err != nil {
			return push.Plan{}, err
		}
		if len(ids) < pageSize {
			return p.finish(ctx)
		}
		after = ids[len(ids)-1]
	}
}

// planner gathers a plan.
type planner struct {
	door     *Door
	n        *push.Notification
	policy   push.Policy
	plan     push.Plan
	first    map[string]int            // devices by first road
	carriers map[string]*push.Delivery // a delivery for each provider in use
}

// add counts devices, and looks at the roads to the first of them.
func (p *planner) add(ctx context.Context, ids []string) error {
	before := p.plan.Devices
	p.plan.Devices += len(ids)
	ids = ids[:max(0, min(len(ids), planned-before))]
	if len(ids) == 0 {
		return nil
	}
	devices, err := p.door.parts.Devices.Devices(ctx, p.n.App, ids)
	if err != nil {
		return fmt.Errorf("scheduler: plan: devices: %w", err)
	}
	online, err := p.door.parts.Presence.Online(ctx, p.n.App, ids)
	if err != nil {
		return fmt.Errorf("scheduler: plan: presence: %w", err)
	}
	for i, dev := range devices {
		if dev == nil {
			dev = &push.Device{App: p.n.App, ID: ids[i]} // it has no roads
		}
		p.look(dev, roads(p.door.parts.Picker, p.n, dev, p.policy, online[i], asked{
			delivery: push.DeliveryID(p.n.ID, 0, i), now: time.Now(), words: len(p.plan.Sample) < shown,
		}))
	}
	return nil
}

// look notes the roads to one device.
func (p *planner) look(dev *push.Device, all []road) {
	first := ""
	for _, r := range all {
		if r.Skipped != "" {
			continue
		}
		if first == "" {
			first = r.Provider
		}
		if p.carriers[r.Provider] == nil {
			a, _ := dev.Address(r.Provider)
			p.carriers[r.Provider] = &push.Delivery{
				Notification: p.n, ID: push.DeliveryID(p.n.ID, 0, 0), Device: dev.ID, Address: a,
			}
		}
	}
	p.first[first]++
	if len(p.plan.Sample) == shown {
		return
	}
	planned := push.PlannedDelivery{Device: dev.ID, Roads: make([]push.PlannedStep, len(all))}
	for i, r := range all {
		planned.Roads[i] = push.PlannedStep{Provider: r.Provider, Why: r.Why, Skipped: r.Skipped}
		if planned.Decision == nil {
			planned.Decision = r.Decision
		}
	}
	p.plan.Sample = append(p.plan.Sample, planned)
}

// finish weighs the notification and puts the counts in order.
func (p *planner) finish(ctx context.Context) (push.Plan, error) {
	for provider, n := range p.first {
		p.plan.Roads = append(p.plan.Roads, push.PlannedRoad{Provider: provider, Devices: n})
	}
	slices.SortFunc(p.plan.Roads, func(a, b push.PlannedRoad) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), cmp.Compare(a.Provider, b.Provider))
	})
	for provider, d := range p.carriers {
		row := push.PlannedPayload{Provider: provider}
		weight, err := p.door.parts.Sender.Weigh(ctx, p.n.App, provider, d)
		var fault *push.Error
		switch {
		case errors.As(err, &fault):
			row.Fault = fault.Error()
		case err != nil:
			return push.Plan{}, fmt.Errorf("scheduler: plan: weigh for %s: %w", provider, err)
		}
		row.Bytes, row.Limit, row.Shortened = weight.Bytes, weight.Limit, weight.Shortened
		row.Segments, row.CostMicros = weight.Segments, weight.CostMicros
		p.plan.Payloads = append(p.plan.Payloads, row)
	}
	slices.SortFunc(p.plan.Payloads, func(a, b push.PlannedPayload) int { return cmp.Compare(a.Provider, b.Provider) })
	return p.plan, nil
}
