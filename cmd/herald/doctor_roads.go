package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

const (
	// askedAtOnce bounds the vendors that are asked at the same time.
	askedAtOnce = 8
	// endsSoon is how long before their end credentials are worth a word.
	endsSoon = 30 * 24 * time.Hour
)

// examineRoads looks at every app's credentials for every road: whether they
// can be used, how long, and whether the vendor takes them. Each has the time
// that a server may take. A database that is not there has been told already.
func (d *doctorCmd) examineRoads(ctx context.Context, c Config) []finding {
	keys, err := c.Sealing.open()
	if c.Database.URL == "" || err != nil {
		return nil
	}
	store, err := sqlstore.Open(ctx, c.Database.URL, keys, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil
	}
	defer store.Close()
	versions, err := store.CredentialVersions(ctx)
	if err != nil {
		return nil
	}
	set := providers.NewSet(store, openers(c.PublicURL, c.Egress, nil), nil)
	// Apple minds tokens that are signed too often, so those of the workers serve.
	if rdb, err := redisstore.Connect(c.Redis.URL); err == nil {
		defer rdb.Close()
		set.ShareTokens(redisstore.NewTokens(rdb, keys))
	}

	type road struct{ app, provider string }
	var roads []road
	for _, app := range slices.Sorted(maps.Keys(versions)) {
		for _, provider := range slices.Sorted(maps.Keys(versions[app])) {
			roads = append(roads, road{app, provider})
		}
	}
	findings := make([]finding, len(roads))
	var group errgroup.Group
	group.SetLimit(askedAtOnce)
	for i, r := range roads {
		group.Go(func() error {
			bounded, cancel := context.WithTimeout(ctx, d.Wait)
			defer cancel()
			health, err := set.Examine(bounded, r.app, r.provider, d.Ask)
			findings[i] = healthFinding(r.app, r.provider, health, err, time.Now())
			return nil
		})
	}
	_ = group.Wait() // each has its own finding
	return findings
}

// healthFinding says what was found of an app's credentials for a road.
func healthFinding(app, provider string, h providers.Health, err error, now time.Time) finding {
	f := finding{about: provider}
	var fault *push.Error
	switch {
	case errors.As(err, &fault) && errors.Is(fault.Kind, push.ErrCredentials):
		f.err = fmt.Errorf("app %s: %w", app, err)
		f.todo = fmt.Sprintf("PUT /v1/apps/%s/providers/%s with credentials that the vendor knows", app, provider)
	case err != nil:
		f.err, f.mild = fmt.Errorf("app %s: the vendor could not be asked: %w", app, err), true
		f.todo = "look at the way there: name, firewall, proxy, certificate"
	case !h.Ends.IsZero() && h.Ends.Sub(now) < endsSoon:
		f.err, f.mild = fmt.Errorf("app %s: the certificate ends on %s", app, h.Ends.UTC().Format(time.DateOnly)), true
		f.todo = "have a new one made, or take a .p8 key, which does not end"
	case h.Asked:
		f.said = fmt.Sprintf("app %s: %s", app, h.Said)
	default:
		f.said = fmt.Sprintf("app %s: can be used; the vendor was not asked", app)
	}
	if f.err == nil && !h.Ends.IsZero() {
		f.said += ", until " + h.Ends.UTC().Format(time.DateOnly)
	}
	return f
}
