package places

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/push"
)

// changesAtOnce is how many changes are read at a time.
const changesAtOnce = 2000

// refresh reads now and then what other processes have changed.
func (p *Places) refresh(ctx context.Context) {
	tick := time.NewTicker(p.cfg.Refresh)
	defer tick.Stop()
	for {
		if err := p.Load(ctx); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "fences and places are as they were: the database did not answer", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Load brings the fences and places of all apps up to date.
func (p *Places) Load(ctx context.Context) error {
	revisions, err := p.parts.Store.PlaceRevisions(ctx)
	if err != nil {
		return fmt.Errorf("places: %w", err)
	}
	for app, revision := range revisions {
		a := p.area(app)
		a.loading.Lock()
		behind := a.revision < revision
		a.loading.Unlock()
		if !behind {
			continue
		}
		if err := p.Changed(ctx, app); err != nil {
			return err
		}
	}
	return nil
}

// Changed takes in what has changed of an app's fences and places.
func (p *Places) Changed(ctx context.Context, app string) error {
	a := p.area(app)
	a.loading.Lock()
	defer a.loading.Unlock()
	return p.catchUp(ctx, app, a)
}

// ready makes sure that an app's fences and places have been read once.
func (p *Places) ready(ctx context.Context, app string) (*area, error) {
	a := p.area(app)
	a.loading.Lock()
	defer a.loading.Unlock()
	if a.loaded {
		return a, nil
	}
	return a, p.catchUp(ctx, app, a)
}

// catchUp reads changes until there are no more. The caller holds a.loading.
func (p *Places) catchUp(ctx context.Context, app string, a *area) error {
	for {
		changes, err := p.parts.Store.PlaceChanges(ctx, app, a.revision, changesAtOnce)
		if err != nil {
			return fmt.Errorf("places: %w", err)
		}
		for _, c := range changes {
			a.apply(c)
			a.revision = c.Revision
		}
		if len(changes) < changesAtOnce {
			a.loaded = true
			return nil
		}
	}
}

func (a *area) apply(c push.MapChange) {
	switch {
	case c.Fence != nil:
		a.fences.put(newFence(*c.Fence))
	case c.Place != nil:
		a.places.put(newNamedPlace(*c.Place))
	case c.GoneFence != "":
		a.fences.remove(c.GoneFence)
	case c.GonePlace != "":
		a.places.remove(c.GonePlace)
	}
}

// Fences counts the fences of an app that are in force here.
func (p *Places) Fences(app string) int { return p.area(app).fences.len() }
