package places

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

const (
	// ringers is how many crossings are told of at once.
	ringers = 4
	// sweepEvery is how often crossings are looked for that nobody has told of,
	// because a process has died or the queue was away.
	sweepEvery = 5 * time.Second
	// sweepAfter is how long after it was written down a crossing is nobody's.
	sweepAfter = 5 * time.Second
	// ringLife is how long it is worth telling of a crossing.
	ringLife = time.Hour
)

// ringSoon hands a crossing to those who tell. If they have too much to do the
// sweep finds it.
func (p *Places) ringSoon(c crossing) {
	select {
	case p.rings <- c:
	default:
	}
}

func (p *Places) ringAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-p.rings:
			if err := p.ring(ctx, c); err != nil && ctx.Err() == nil {
				p.log.WarnContext(ctx, "a crossing is told of later", "app", c.app, "fence", c.Fence, "err", err)
			}
		}
	}
}

// ring starts the notification of a crossing and takes it off the outbox. The
// notification's id is the same whoever starts it, so that it is sent once.
func (p *Places) ring(ctx context.Context, c crossing) error {
	a, err := p.ready(ctx, c.app)
	if err != nil {
		return err
	}
	at := time.UnixMilli(c.At).UTC()
	late := p.now().Sub(time.UnixMilli(c.Kept)) > ringLife
	if f := a.fences.get(c.Fence); f != nil && !late {
		if err := p.parts.Bell.Ring(ctx, c.id, c.Device, c.What, at, &f.Fence); err != nil {
			if errors.Is(err, push.ErrAway) || ctx.Err() != nil {
				return err
			}
			// Such as a template that is no more: it will not be better later.
			p.log.WarnContext(ctx, "a crossing could not be told of", "app", c.app, "fence", c.Fence, "err", err)
		}
	}
	key := shardKey(c.app, shardOf(c.Device)) + keyOutbox
	if err := p.parts.Redis.HDel(ctx, key, c.id).Err(); err != nil {
		return fmt.Errorf("places: outbox: %w", away(err))
	}
	return nil
}

// sweep tells of what others have left.
func (p *Places) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for _, app := range p.fenced() {
			if err := p.sweepApp(ctx, app); err != nil && ctx.Err() == nil {
				p.log.WarnContext(ctx, "crossings that were left cannot be looked for", "app", app, "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// fenced are the apps that have fences.
func (p *Places) fenced() (apps []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for app, a := range p.apps {
		if a.fences.len() > 0 {
			apps = append(apps, app)
		}
	}
	return apps
}

func (p *Places) sweepApp(ctx context.Context, app string) error {
	pipe := p.parts.Redis.Pipeline()
	var cmds [shards]*redis.MapStringStringCmd
	for shard := range shards {
		cmds[shard] = pipe.HGetAll(ctx, shardKey(app, shard)+keyOutbox)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("places: outbox: %w", away(err))
	}
	for shard, cmd := range cmds {
		for id, text := range cmd.Val() {
			c := crossing{id: id, app: app}
			if err := json.Unmarshal([]byte(text), &c); err != nil {
				p.log.ErrorContext(ctx, "a crossing cannot be read", "app", app, "err", err)
				_ = p.parts.Redis.HDel(ctx, shardKey(app, shard)+keyOutbox, id).Err() // the next sweep tries again
				continue
			}
			if p.now().Sub(time.UnixMilli(c.Kept)) < sweepAfter {
				continue
			}
			if err := p.ring(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}
