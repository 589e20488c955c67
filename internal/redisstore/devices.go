package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

const (
	// deviceLife is how long a cached device is believed.
	deviceLife = 10 * time.Minute
	// changing is how long a change of a device keeps it out of the cache, so
	// that a reader who saw the source before the change cannot store what it
	// saw after it.
	changing = 5 * time.Second
)

// Source is where devices really live.
type Source interface {
	// Devices returns the devices in the order of ids, nil for the unknown.
	Devices(ctx context.Context, app string, ids []string) ([]*push.Device, error)
	// Page returns up to limit ids of the audience after one, in their order.
	Page(ctx context.Context, app string, to push.Audience, after string, limit int) ([]string, error)
	// Count is how many devices an audience has at the moment.
	Count(ctx context.Context, app string, to push.Audience) (int, error)
	// Forget removes an address that the provider said is dead, if the device
	// still has just that.
	Forget(ctx context.Context, app, device string, a push.Address) error
	// Owners returns the devices that have addresses at a provider, in the order
	// of their tokens; "" where there is none.
	Owners(ctx context.Context, app, provider string, tokens []string) ([]string, error)
}

// Devices is a cache in front of a [Source]. A Redis that is away makes it
// slow, not wrong. It is safe for concurrent use.
type Devices struct {
	rdb    redis.UniversalClient
	source Source
}

// NewDevices caches the devices of source in rdb.
func NewDevices(rdb redis.UniversalClient, source Source) *Devices {
	return &Devices{rdb: rdb, source: source}
}

// Devices returns the devices in the order of ids, nil for the unknown: one
// round trip to Redis, and one question to the source for all that Redis lacks.
func (d *Devices) Devices(ctx context.Context, app string, ids []string) ([]*push.Device, error) {
	found := make([]*push.Device, len(ids))
	var missing []string
	var places []int
	cached := d.read(ctx, app, ids)
	for i, id := range ids {
		if found[i] = decodeDevice(cached[i]); found[i] == nil {
			missing, places = append(missing, id), append(places, i)
		}
	}
	if len(missing) == 0 {
		prove(found, cached)
		return found, nil
	}
	fresh, err := d.source.Devices(ctx, app, missing)
	if err != nil {
		return nil, fmt.Errorf("redisstore: look up %d devices: %w", len(missing), err)
	}
	for i, dev := range fresh {
		found[places[i]] = dev
	}
	d.write(ctx, app, fresh)
	prove(found, cached)
	return found, nil
}

// prove gives the devices their evidence.
func prove(devices []*push.Device, texts []string) {
	for i, dev := range devices {
		if dev != nil {
			dev.Evidence = texts[len(devices)+i]
		}
	}
}

// Page asks the source.
func (d *Devices) Page(ctx context.Context, app string, to push.Audience, after string, limit int) ([]string, error) {
	ids, err := d.source.Page(ctx, app, to, after, limit)
	if err != nil {
		return nil, fmt.Errorf("redisstore: page of devices: %w", err)
	}
	return ids, nil
}

// Owners asks the source.
func (d *Devices) Owners(ctx context.Context, app, provider string, tokens []string) ([]string, error) {
	owners, err := d.source.Owners(ctx, app, provider, tokens)
	if err != nil {
		return nil, fmt.Errorf("redisstore: owners of addresses: %w", err)
	}
	return owners, nil
}

// Count asks the source.
func (d *Devices) Count(ctx context.Context, app string, to push.Audience) (int, error) {
	n, err := d.source.Count(ctx, app, to)
	if err != nil {
		return 0, fmt.Errorf("redisstore: count devices: %w", err)
	}
	return n, nil
}

// Forget removes a dead address from the source and the cache.
func (d *Devices) Forget(ctx context.Context, app, device string, a push.Address) error {
	if err := d.source.Forget(ctx, app, device, a); err != nil {
		return fmt.Errorf("redisstore: forget address: %w", err)
	}
	return d.Changed(ctx, app, device)
}

// Changed must be called after a device was written or deleted in the source.
func (d *Devices) Changed(ctx context.Context, app string, ids ...string) error {
	pipe := d.rdb.Pipeline()
	for _, id := range ids {
		pipe.Set(ctx, deviceKey(app, id), "", changing)
		pipe.Set(ctx, ownerKey(app, id), "", changing)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: drop cached devices: %w", away(err))
	}
	return nil
}

// read returns what Redis has of the devices and, after all of them, of their
// evidence: "" for what it lacks or is too far away to say.
func (d *Devices) read(ctx context.Context, app string, ids []string) []string {
	keys := make([]string, 2*len(ids))
	for i, id := range ids {
		keys[i], keys[len(ids)+i] = deviceKey(app, id), evidenceKey(app, id)
	}
	texts, err := getAll(ctx, d.rdb, keys)
	if err != nil {
		return make([]string, len(keys))
	}
	return texts
}

// getAll reads strings in one round trip, "" for those that are not there.
func getAll(ctx context.Context, rdb redis.UniversalClient, keys []string) ([]string, error) {
	texts := make([]string, len(keys))
	if _, ok := rdb.(*redis.ClusterClient); ok {
		pipe := rdb.Pipeline()
		for _, key := range keys {
			pipe.Get(ctx, key)
		}
		cmds, err := pipe.Exec(ctx)
		for i, cmd := range cmds {
			texts[i] = cmd.(*redis.StringCmd).Val()
		}
		if errors.Is(err, redis.Nil) { // a miss is an error here
			err = nil
		}
		return texts, err
	}
	found, err := rdb.MGet(ctx, keys...).Result()
	for i, v := range found {
		texts[i], _ = v.(string)
	}
	return texts, err
}

// write offers devices to the cache. It may fail: the next reader offers again.
func (d *Devices) write(ctx context.Context, app string, devices []*push.Device) {
	pipe := d.rdb.Pipeline()
	for _, dev := range devices {
		if dev != nil {
			pipe.SetNX(ctx, deviceKey(app, dev.ID), encodeDevice(dev), deviceLife)
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
}
