package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/herald-push/herald/push"
)

// retention forgets what people said, app by app, when it is as old as the app's
// policy says. Several processes may do it at once: what is gone is gone.
type retention struct {
	apps interface {
		Apps(ctx context.Context) ([]push.App, error)
	}
	messages interface {
		Forget(ctx context.Context, app string, before time.Time, after string, limit int) (next string, forgotten int64, err error)
	}
	now func() time.Time
	log *slog.Logger
}

// retentionEvery is how often old messages are looked for.
const retentionEvery = time.Hour

// Run forgets until ctx ends.
func (r *retention) Run(ctx context.Context) error {
	tick := time.NewTicker(retentionEvery)
	defer tick.Stop()
	for {
		r.forget(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// forget looks through all apps once.
func (r *retention) forget(ctx context.Context) {
	apps, err := r.apps.Apps(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.log.WarnContext(ctx, "old messages are forgotten later", "err", err)
		}
		return
	}
	for _, app := range apps {
		if days := app.Policy.Chat.KeepDays; days > 0 {
			r.forgetOf(ctx, app.ID, r.now().AddDate(0, 0, -days))
		}
	}
}

func (r *retention) forgetOf(ctx context.Context, app string, before time.Time) {
	const page = 500 // conversations
	var all int64
	for after, more := "", true; more && ctx.Err() == nil; more = after != "" {
		next, n, err := r.messages.Forget(ctx, app, before, after, page)
		if all += n; err != nil {
			if ctx.Err() == nil {
				r.log.WarnContext(ctx, "old messages are forgotten later", "app", app, "err", err)
			}
			return
		}
		after = next
	}
	if all > 0 {
		r.log.InfoContext(ctx, "old messages were forgotten", "app", app, "messages", all, "before", before)
	}
}
