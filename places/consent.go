package places

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// Consent is what a device's person has agreed to; [push.ErrNotFound] if there
// is no such device.
func (p *Places) Consent(ctx context.Context, app, device string) (push.Consent, error) {
	all, err := p.parts.Store.Consents(ctx, app, []string{device})
	if err != nil {
		return push.Consent{}, fmt.Errorf("places: %w", err)
	}
	if all[0].Mode == "" {
		return push.Consent{}, fmt.Errorf("places: device: %w", push.ErrNotFound)
	}
	return all[0], nil
}

// PutConsent writes down what a device's person agrees to. It counts at once,
// for reports that are under way too. Whoever agrees to less is forgotten to
// that extent: with the mode off all that is known of where the device is.
func (p *Places) PutConsent(ctx context.Context, c *push.Consent) error {
	if err := p.parts.Store.PutConsent(ctx, c); err != nil {
		return fmt.Errorf("places: %w", err)
	}
	for range tries {
		found, err := p.index.records(ctx, c.App, []string{c.Device})
		if err != nil {
			return err
		}
		// A new record, and no position until the next report: one that was kept
		// exactly must not stay once less is agreed to.
		r := record{mode: c.Mode, nearby: c.Nearby}
		if old, ok := decodeRecord(found[0]); ok && c.Mode != push.PlaceOff {
			r.fences = old.fences
		}
		now := p.now().UTC()
		taken, err := p.index.write(ctx, []change{{app: c.App, device: c.Device, old: found[0], new: r.encode(), at: now}}, now)
		if err != nil {
			return err
		}
		if taken[0] {
			return nil
		}
	}
	return fmt.Errorf("places: consent: too many report the device at once: %w", push.ErrAway)
}

// Forget removes where devices are and how they stand with fences, and returns
// of how many there was something.
func (p *Places) Forget(ctx context.Context, app string, devices ...string) (int, error) {
	return p.index.forget(ctx, app, devices)
}

// Forget is [Places.Forget] for those who have only Redis.
func Forget(ctx context.Context, rdb redis.UniversalClient, app string, devices []string) (int, error) {
	return newIndex(rdb, 0, time.Now).forget(ctx, app, devices)
}

// Known counts the devices of which Redis has a position or a consent.
func Known(ctx context.Context, rdb redis.UniversalClient, app string, devices []string) (int, error) {
	return newIndex(rdb, 0, time.Now).known(ctx, app, devices)
}

// Position is where a device is as far as Redis knows; [push.ErrNotFound].
func (p *Places) Position(ctx context.Context, app, device string) (push.Location, error) {
	at, ok, err := p.index.position(ctx, app, device)
	if err == nil && !ok {
		err = fmt.Errorf("places: position of a device: %w", push.ErrNotFound)
	}
	return push.Location{Lat: at.lat, Lon: at.lon}, err
}
