package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/client"
)

// webhookCmd looks after the endpoints that the app is told at.
type webhookCmd struct {
	List       webhookListCmd       `cmd:"" default:"withargs" help:"List the webhooks and how they do (the default)."`
	Create     webhookCreateCmd     `cmd:"" help:"Have an endpoint told of events. Prints its secret, once."`
	Test       webhookTestCmd       `cmd:"" help:"Call a webhook now."`
	Deliveries webhookDeliveriesCmd `cmd:"" help:"List what went or is to go to a webhook, newest first."`
	Replay     webhookReplayCmd     `cmd:"" help:"Have a webhook hear again: of dead letters, or of what is selected."`
	Rotate     webhookRotateCmd     `cmd:"" help:"Give a webhook a new secret. Prints it, once."`
	On         webhookOnCmd         `cmd:"" help:"Call a webhook again."`
	Off        webhookOffCmd        `cmd:"" help:"Call a webhook no more."`
	Delete     webhookDeleteCmd     `cmd:"" help:"Forget a webhook, with everything on its way there."`
}

// webhookArg names a webhook.
type webhookArg struct {
	remoteFlags
	ID string `arg:"" help:"The webhook's id."`
}

type webhookListCmd struct {
	remoteFlags
	formatFlag
}

func (w *webhookListCmd) Run(ctx context.Context, std streams) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	all, err := herald.Webhooks(ctx)
	if err != nil {
		return w.explainError(err)
	}
	rows := make([][]string, len(all))
	for i, hook := range all {
		rows[i] = []string{hook.ID, hook.URL, strings.Join(hook.Events, ","), webhookState(hook), hook.Description}
	}
	return w.print(std.out, all, []string{"WEBHOOK", "URL", "EVENTS", "STATE", "DESCRIPTION"}, rows)
}

// webhookState says in words how an endpoint does.
func webhookState(w client.Webhook) string {
	switch {
	case w.Enabled != nil && !*w.Enabled:
		return "off: " + w.DisabledWhy
	case !w.FailingSince.IsZero():
		return "fails since " + w.FailingSince.UTC().Format(time.DateTime)
	default:
		return "on"
	}
}

type webhookCreateCmd struct {
	remoteFlags
	URL         string   `arg:"" help:"Where to call: https, at a public address."`
	Events      []string `default:"*" help:"Types of events, such as delivery.failed,address.dead. Default: all."`
	Description string   `help:"For others to read."`
	Batch       int      `default:"1" help:"How many events a call may carry."`
}

func (w *webhookCreateCmd) Run(ctx context.Context, std streams) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	made, err := herald.CreateWebhook(ctx, client.Webhook{URL: w.URL, Events: w.Events, Description: w.Description, Batch: w.Batch})
	if err != nil {
		return w.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "%s is there; its secret, which is shown this once:\n%s\ntry it: herald webhooks test %s\n", made.ID, made.Secret, made.ID)
	return err
}

type webhookTestCmd struct{ webhookArg }

func (w *webhookTestCmd) Run(ctx context.Context, std streams) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	try, err := herald.TestWebhook(ctx, w.ID)
	if err != nil {
		return w.explainError(err)
	}
	if !try.OK {
		return fmt.Errorf("the endpoint does not take the call: %s (after %d ms)", try.Error, try.TookMs)
	}
	_, err = fmt.Fprintf(std.out, "the endpoint answers %d after %d ms\n", try.Status, try.TookMs)
	return err
}

// webhookSelect selects deliveries.
type webhookSelect struct {
	State string    `enum:",pending,delivered,dead" default:"" help:"pending, delivered or dead."`
	Type  string    `help:"A type of event."`
	Event string    `help:"The id of one event."`
	From  time.Time `placeholder:"TIME" help:"Happened at or after it, such as 2026-03-01T08:00:00Z."`
	Until time.Time `placeholder:"TIME" help:"Happened before it."`
}

func (s webhookSelect) query() client.WebhookQuery {
	return client.WebhookQuery{State: s.State, Type: s.Type, Event: s.Event, From: s.From, Until: s.Until}
}

type webhookDeliveriesCmd struct {
	webhookArg
	webhookSelect
	formatFlag
	Limit int `default:"50" help:"How many at most, 1 to 1,000."`
}

func (w *webhookDeliveriesCmd) Run(ctx context.Context, std streams) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	q := w.query()
	q.Limit = w.Limit
	page, err := herald.WebhookDeliveries(ctx, w.ID, q)
	if err != nil {
		return w.explainError(err)
	}
	rows := make([][]string, len(page.Deliveries))
	for i, d := range page.Deliveries {
		next := ""
		if !d.NextAt.IsZero() {
			next = d.NextAt.UTC().Format(time.DateTime)
		}
		rows[i] = []string{d.Event, d.Type, d.State, d.CreatedAt.UTC().Format(time.DateTime), fmt.Sprint(d.Tries), next, d.Error}
	}
	return w.print(std.out, page.Deliveries, []string{"EVENT", "TYPE", "STATE", "SINCE (UTC)", "TRIES", "NEXT (UTC)", "ERROR"}, rows)
}

type webhookReplayCmd struct {
	webhookArg
	webhookSelect
}

func (w *webhookReplayCmd) Run(ctx context.Context, std streams) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	n, err := herald.ReplayWebhook(ctx, w.ID, w.query())
	if err != nil {
		return w.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "%d events are on their way again\n", n)
	return err
}

type webhookRotateCmd struct {
	webhookArg
	Overlap time.Duration `default:"24h" help:"How long the old secret signs too."`
}

func (w *webhookRotateCmd) Run(ctx context.Context, std streams) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	made, err := herald.RotateWebhook(ctx, w.ID, w.Overlap)
	if err != nil {
		return w.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "the new secret, which is shown this once:\n%s\n", made.Secret)
	return err
}

type webhookOnCmd struct{ webhookArg }

func (w *webhookOnCmd) Run(ctx context.Context, std streams) error {
	return w.enable(ctx, std, true, "")
}

type webhookOffCmd struct {
	webhookArg
	Reason string `help:"Why, for others to read."`
}

func (w *webhookOffCmd) Run(ctx context.Context, std streams) error {
	return w.enable(ctx, std, false, w.Reason)
}

func (w *webhookArg) enable(ctx context.Context, std streams, on bool, why string) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	hook, err := herald.Webhook(ctx, w.ID)
	if err == nil {
		hook.Enabled, hook.DisabledWhy = &on, why
		hook, err = herald.PutWebhook(ctx, hook)
	}
	if err != nil {
		return w.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "%s is %s\n", hook.ID, webhookState(hook))
	return err
}

type webhookDeleteCmd struct{ webhookArg }

func (w *webhookDeleteCmd) Run(ctx context.Context, std streams) error {
	herald, err := w.open()
	if err != nil {
		return err
	}
	if err := herald.DeleteWebhook(ctx, w.ID); err != nil {
		return w.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "webhook %s is gone\n", w.ID)
	return err
}
