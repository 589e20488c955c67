package scheduler

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// watchPause is how often workers tell each other how their lanes are: an
// operator's order holds everywhere within two of them.
const watchPause = time.Second

// watch keeps this worker's lanes in step with the other workers and with what
// operators want, until ctx ends. It gives back then what it has leased.
type watch struct {
	name   string // of the worker, made up anew each time it starts
	lanes  *lanes
	board  *redisstore.Lanes
	quotas *redisstore.Quotas
	deaths *deaths
	fresh  map[redisstore.LaneName]string // as last seen
}

func newWatch(parts Parts, ls *lanes, ds *deaths) *watch {
	return &watch{
		name: rand.Text(), lanes: ls, deaths: ds,
		board: redisstore.NewLanes(parts.Redis), quotas: redisstore.NewQuotas(parts.Redis),
	}
}

// run watches until ctx ends. What it misses while Redis is away it catches up
// with when it is back.
func (w *watch) run(ctx context.Context, fault func(error)) {
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	for {
		if err := w.once(ctx); err != nil && ctx.Err() == nil {
			fault(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.end(context.WithoutCancel(ctx))
			return
		}
	}
}

func (w *watch) once(ctx context.Context) error {
	mine := w.lanes.states()
	word, err := json.Marshal(mine)
	if err != nil {
		return fmt.Errorf("scheduler: lanes: %w", err)
	}
	orders, words, err := w.board.Publish(ctx, w.name, time.Now(), word)
	if err != nil {
		return err
	}
	w.obey(orders)
	w.share(ctx, mine, readWords(words))
	return w.report(ctx, false)
}

// obey does what operators want. A lane that is switched on again is open,
// whatever it was closed for.
func (w *watch) obey(o redisstore.LaneOrders) {
	w.lanes.each(func(name redisstore.LaneName, l *lane) {
		why := ""
		if s, ok := o.Off[name]; ok {
			why = "switched off: " + s.Reason
		}
		isOn := l.switchOff(why)
		if isOn || w.fresh != nil && w.fresh[name] != o.Fresh[name] {
			l.reopen()
			w.deaths.forgive(name.App, name.Provider)
		}
	})
	w.fresh = o.Fresh
}

// share divides what each provider documents by the workers that use its lane.
func (w *watch) share(ctx context.Context, mine []push.Lane, others [][]push.Lane) {
	users := make(map[redisstore.LaneName]int)
	for _, word := range others {
		for _, l := range word {
			users[redisstore.LaneName{App: l.App, Provider: l.Provider}] += l.Workers
		}
	}
	for _, l := range mine {
		name := redisstore.LaneName{App: l.App, Provider: l.Provider}
		if w.lanes.limits != nil {
			w.lanes.of(ctx, l.App, l.Provider).declare(w.lanes.limits(ctx, l.App, l.Provider), 1/float64(1+users[name]))
		}
	}
}

// report tells Redis what has been used of the quotas, and keeps what is leased.
func (w *watch) report(ctx context.Context, end bool) error {
	var leases []redisstore.Lease
	var of []*quota
	w.lanes.each(func(name redisstore.LaneName, l *lane) {
		for _, q := range l.allQuotas() {
			select {
			case q.busy <- struct{}{}:
			default: // somebody tells just now
				continue
			}
			if lease, ok := q.report(end); ok {
				lease.App, lease.Provider = name.App, name.Provider
				leases, of = append(leases, lease), append(of, q)
			} else {
				<-q.busy
			}
		}
	})
	if len(leases) == 0 {
		return nil
	}
	grants, err := w.quotas.Lease(ctx, time.Now(), w.name, leases)
	for i, q := range of {
		if err != nil {
			q.untell(leases[i])
		} else {
			q.granted(leases[i], grants[i], 0)
		}
		<-q.busy
	}
	return err
}

// end gives back what is leased. It is short: what cannot be given back comes
// back by itself.
func (w *watch) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = w.report(ctx, true)
	_ = w.board.Leave(ctx, w.name)
}

func (l *lane) allQuotas() []*quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.quotas
}

// readWords decodes what workers say; what another version of Herald says that
// cannot be read is left out.
func readWords(texts [][]byte) [][]push.Lane {
	words := make([][]push.Lane, 0, len(texts))
	for _, text := range texts {
		var word []push.Lane
		if json.Unmarshal(text, &word) == nil {
			words = append(words, word)
		}
	}
	return words
}

// Lanes tells how an app fares with each provider, over all workers.
func (d *Door) Lanes(ctx context.Context, app string) ([]push.Lane, error) {
	orders, texts, err := d.lanes.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("scheduler: lanes: %w", err)
	}
	all := merge(time.Now(), readWords(texts), orders.Off)
	own := []push.Lane{}
	for _, l := range all {
		if l.App == app {
			own = append(own, l)
		}
	}
	return own, nil
}

// SwitchLane keeps a lane off for a reason, or with "" no longer. All workers
// obey within two seconds.
func (d *Door) SwitchLane(ctx context.Context, app, provider, reason string) error {
	name := redisstore.LaneName{App: app, Provider: provider}
	if reason == "" {
		return d.lanes.SwitchOn(ctx, name)
	}
	return d.lanes.SwitchOff(ctx, name, push.LaneSwitch{Reason: reason, At: time.Now().UTC()})
}

// FreshenLane lets all workers try a lane anew, because the app's credentials
// for the provider have changed.
func (d *Door) FreshenLane(ctx context.Context, app, provider string) error {
	return d.lanes.Freshen(ctx, redisstore.LaneName{App: app, Provider: provider}, time.Now())
}
