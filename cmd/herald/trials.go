package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

// trials goes back to the credentials before those that a service refuses, and
// makes it known.
type trials struct {
	store     *sqlstore.Store
	changed   func(app, provider string)
	log       *slog.Logger
	retracted *prometheus.CounterVec
}

func newTrials(s *sqlstore.Store, changed func(app, provider string), log *slog.Logger, reg prometheus.Registerer, providers iter.Seq[string]) *trials {
	t := &trials{store: s, changed: changed, log: log, retracted: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "herald_credentials_retracted_total",
		Help: "New credentials that a provider refused with the first messages, so that those before them are in force again.",
	}, []string{"provider"})}
	reg.MustRegister(t.retracted)
	for provider := range providers {
		t.retracted.WithLabelValues(provider) // an alert looks for a rise from 0
	}
	return t
}

// OnTrial implements [providers.Trials].
func (t *trials) OnTrial(ctx context.Context, app, provider string, version int64) (bool, error) {
	return t.store.OnTrial(ctx, app, provider, version)
}

// Proven implements [providers.Trials].
func (t *trials) Proven(ctx context.Context, app, provider string, version int64) error {
	return t.store.ProveCredentials(ctx, app, provider, version)
}

// Retract implements [providers.Trials].
func (t *trials) Retract(ctx context.Context, app, provider string, version int64, why string) error {
	back, err := t.store.RetractCredentials(ctx, app, provider, version, why)
	switch {
	case errors.Is(err, push.ErrNotFound):
		return err // another process was faster, or somebody gave others
	case err != nil:
		t.log.ErrorContext(ctx, "new credentials are refused and could not be retracted", "app", app, "provider", provider, "err", err)
		return err
	}
	t.retracted.WithLabelValues(provider).Inc()
	t.log.ErrorContext(ctx, "new credentials were retracted: those before them are in force again", "app", app,
		"provider", provider, "why", why, "refused_version", version, "version", back.Version)
	t.changed(app, provider)
	return nil
}

// lanes are the scheduler's, with what befell their credentials.
type lanes struct {
	scheduler interface {
		Lanes(ctx context.Context, app string) ([]push.Lane, error)
		SwitchLane(ctx context.Context, app, provider, reason string) error
	}
	store *sqlstore.Store
}

// Lanes implements [api.Lanes].
func (l lanes) Lanes(ctx context.Context, app string) ([]push.Lane, error) {
	all, err := l.scheduler.Lanes(ctx, app)
	if err != nil || len(all) == 0 {
		return all, err
	}
	given, err := l.store.ListCredentials(ctx, app)
	if err != nil {
		return nil, err
	}
	notes := make(map[string]string, len(given))
	for _, c := range given {
		if c.RetractedWhy != "" {
			notes[c.Provider] = "earlier credentials are in force again: " + c.RetractedWhy
		}
	}
	for i := range all {
		all[i].Note = notes[all[i].Provider]
	}
	return all, nil
}

// SwitchLane implements [api.Lanes].
func (l lanes) SwitchLane(ctx context.Context, app, provider, reason string) error {
	return l.scheduler.SwitchLane(ctx, app, provider, reason)
}
