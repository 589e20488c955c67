package main

import (
	"context"
	"iter"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/webhooks"
)

// undertaker makes it known that addresses are dead, and what became of them.
type undertaker struct {
	log  *slog.Logger
	apps interface { // that are told
		Bury(ctx context.Context, ds []push.Death) error
	}
	seen *prometheus.CounterVec
}

func newUndertaker(log *slog.Logger, reg prometheus.Registerer, apps *webhooks.Hooks, providers iter.Seq[string]) *undertaker {
	u := &undertaker{log: log, apps: apps, seen: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "herald_dead_addresses_total",
		Help: "Addresses that a provider said are dead, by what became of them: forgotten, renewed (registered since) or kept (too many at once to be true).",
	}, []string{"provider", "fate"})}
	reg.MustRegister(u.seen)
	for provider := range providers {
		for _, fate := range [...]push.Fate{push.Forgotten, push.Renewed, push.Suspected} {
			u.seen.WithLabelValues(provider, string(fate)) // an alert looks for a rise from 0
		}
	}
	return u
}

// tell writes deaths down; an address itself is a secret.
func (u *undertaker) tell(ctx context.Context, ds []push.Death) {
	if err := u.apps.Bury(ctx, ds); err != nil {
		u.log.ErrorContext(ctx, "apps are not told of dead addresses", "addresses", len(ds), "err", err)
	}
	for i := range ds {
		d := &ds[i]
		u.seen.WithLabelValues(d.Address.Provider, string(d.Fate)).Inc()
		u.log.InfoContext(ctx, "dead address", "app", d.App, "device", d.Device, "provider", d.Address.Provider,
			"fate", d.Fate, "why", d.Why, "code", d.Code, "source", d.Source, "delivery", d.Delivery)
	}
}
