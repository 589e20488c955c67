package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

const (
	// deathWindow is how long addresses are counted together.
	deathWindow = 10 * time.Minute
	// fewDeaths in a window are believed whatever the others say, and manyDeaths
	// are an alarm if they are more than the addresses that live.
	fewDeaths  = 4
	manyDeaths = 20
	// deathMemory is how much what was counted before weighs, in addresses: what
	// lived in a busy hour does not excuse that all die now.
	deathMemory = 50
)

// deaths sees to addresses that providers say are dead. Where most of an app's
// addresses die at once they are not dead: the app sends to the wrong
// environment or project, or with another app's credentials. To forget them
// would lose every device of the app, so from then on they are kept.
type deaths struct {
	devices Devices
	tell    func(ctx context.Context, ds []push.Death) // nil if nobody wants to know
	log     *slog.Logger
	now     func() time.Time

	mu    sync.Mutex
	tolls map[redisstore.LaneName]*toll
}

// toll counts the addresses of an app at a provider.
type toll struct {
	since       time.Time
	lives, dead int
	alarm       bool // until more live than are dead, or an operator says so
}

func newDeaths(parts Parts) *deaths {
	return &deaths{
		devices: parts.Devices, tell: parts.Deaths, log: parts.Log, now: time.Now,
		tolls: make(map[redisstore.LaneName]*toll),
	}
}

// count notes what an answer said of addresses. It returns why the lane is to be
// closed, "" if it is not.
func (d *deaths) count(ctx context.Context, app, provider string, lives, dead int) (alarm string) {
	if lives == 0 && dead == 0 {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.of(app, provider)
	t.add(lives, dead)
	switch {
	case t.lives >= t.dead:
		t.alarm = false
		return ""
	case dead == 0 || !t.alarm && t.dead < manyDeaths:
		return ""
	}
	alarm = fmt.Sprintf("%d of the last %d addresses are dead: is it the right environment, project or app? They are kept", t.dead, t.lives+t.dead)
	if !t.alarm {
		t.alarm = true
		d.log.ErrorContext(ctx, "too many dead addresses to be true; they are kept", "app", app, "provider", provider,
			"dead", t.dead, "living", t.lives)
	}
	return alarm
}

// add counts addresses, beside what is remembered of those before.
func (t *toll) add(lives, dead int) {
	if before := t.lives + t.dead; before > deathMemory {
		t.lives = t.lives * deathMemory / before
		t.dead = deathMemory - t.lives
	}
	t.lives += lives
	t.dead += dead
}

// of finds a toll, and begins a new window when the old one is over. Callers
// hold mu.
func (d *deaths) of(app, provider string) *toll {
	name := redisstore.LaneName{App: app, Provider: provider}
	t := d.tolls[name]
	if t == nil {
		t = new(toll)
		d.tolls[name] = t
	}
	if now := d.now(); now.Sub(t.since) > deathWindow {
		t.since, t.lives, t.dead = now, 0, 0
	}
	return t
}

// believes tells whether an address that is said to be dead may be forgotten.
func (d *deaths) believes(app, provider string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.of(app, provider)
	return !t.alarm && (t.dead <= fewDeaths || t.dead <= t.lives)
}

// forgive has an app's addresses at a provider counted anew: an operator has
// seen to it, or the credentials are others.
func (d *deaths) forgive(app, provider string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.tolls, redisstore.LaneName{App: app, Provider: provider})
}

// bury decides what becomes of dead addresses, forgets those that are to be
// forgotten, and tells of all. registered says when the device was last
// registered. An address that could not be forgotten is found dead again.
func (d *deaths) bury(ctx context.Context, all []push.Death, registered func(i int) time.Time) {
	for i := range all {
		death := &all[i]
		switch {
		case !death.Since.IsZero() && registered(i).After(death.Since):
			death.Fate, death.Why = push.Renewed, "the device has registered since"
		case !d.believes(death.App, death.Address.Provider):
			death.Fate, death.Why = push.Suspected, "most of the app's addresses are said to be dead"
		default:
			death.Fate = push.Forgotten
			if err := d.devices.Forget(ctx, death.App, death.Device, death.Address); err != nil {
				d.log.WarnContext(ctx, "dead address not forgotten", "device", death.Device, "provider", death.Address.Provider, "err", err)
			}
		}
	}
	if d.tell != nil && len(all) > 0 {
		d.tell(ctx, all)
	}
}

// suspect closes the lane because of what its answers say of addresses. After a
// window one request tries whether they are right again.
func (l *lane) suspect(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close(deathWindow, why)
	l.dismiss()
}
