package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// ruling is what the rules of the caller, the app and the user say about a
// delivery now. Its zero value lets it go.
type ruling struct {
	until time.Time  // it is held until then
	stage push.Stage // Suppressed or Expired: it ends; "" otherwise
	why   string     // of the end
}

func (u *ruling) lets() bool { return u.until.IsZero() && u.stage == "" }

func (u *ruling) suppress(format string, args ...any) {
	u.stage, u.why = push.Suppressed, fmt.Sprintf(format, args...)
}

// rule asks the rules about deliveries, one after the other because each may
// spare the next its question: the local time, the collapse key, the digest,
// the quiet hours, and last the caps, which count what is then sent. It parts
// those that may go from those that are held or end here.
//
// A notification that none of them concerns costs nothing. OTP and call are
// bound by none that protects people's peace.
func (r *round) rule(ctx context.Context, ds []*delivery) (free, bound []*delivery, err error) {
	candidates := make([]*delivery, 0, len(ds))
	for _, d := range ds {
		if d.device != nil && d.parcel.ending == "" {
			candidates = append(candidates, d)
		}
	}
	r.speak(candidates)
	if err := r.findUsers(ctx, candidates); err != nil {
		return nil, nil, err
	}
	for _, rule := range []func(context.Context, []*delivery) error{
		r.ruleClock, r.ruleCollapse, r.ruleDigest, r.ruleQuiet, r.ruleCaps,
	} {
		if err := rule(ctx, candidates); err != nil {
			return nil, nil, err
		}
		candidates = keep(candidates, func(d *delivery) bool { return d.ruled.lets() })
	}
	for _, d := range ds {
		if d.ruled.lets() {
			free = append(free, d)
		} else {
			bound = append(bound, d)
		}
	}
	return free, bound, nil
}

func keep(ds []*delivery, is func(*delivery) bool) []*delivery {
	kept := make([]*delivery, 0, len(ds))
	for _, d := range ds {
		if is(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

// first tells whether nothing was tried for the delivery yet.
func (d *delivery) first() bool { return d.seen.Attempt == 0 && d.seen.Stage == "" }

// zone is where the delivery's device lives: its own time zone, or else its
// user's, the app's, UTC.
func (d *delivery) zone() *time.Location {
	for _, name := range [...]string{d.device.Timezone, d.user.Timezone, d.parcel.app.Policy.Timezone} {
		if name == "" {
			continue
		}
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	return time.UTC
}

// findUsers reads what the users have said, where it could matter.
func (r *round) findUsers(ctx context.Context, ds []*delivery) error {
	if r.w.users == nil {
		return nil
	}
	for app, of := range byApp(ds) {
		var ids []string
		for _, d := range of {
			if d.device.User != "" && (d.Class.Bound() || d.DeliverAtLocal != "") {
				ids = append(ids, d.device.User)
			}
		}
		if len(ids) == 0 {
			continue
		}
		users, err := r.w.users.users(ctx, app, ids)
		if err != nil {
			return fmt.Errorf("scheduler: users of app %s: %w: %w", app, push.ErrAway, err)
		}
		for _, d := range of {
			d.user = users[d.device.User]
		}
	}
	return nil
}

// ruleClock holds what is to come at a local time, and lets what comes then
// have its time to live from there.
func (r *round) ruleClock(_ context.Context, ds []*delivery) error {
	for _, d := range ds {
		due, over, ok := d.Clock(d.zone())
		switch {
		case !ok:
		case !r.now.Before(over):
			d.ruled.stage, d.ruled.why = push.Expired, "its local time and its time to live have passed"
		case r.now.Before(due):
			d.ruled.until = due
		default:
			r.wear(d, form{due: due.UnixMilli()}, func(n *push.Notification) { n.DeliverAt, n.ExpiresAt = due, over })
		}
	}
	return nil
}

// ruleCollapse ends what a newer notification has replaced, and takes older
// ones back that still wait.
func (r *round) ruleCollapse(ctx context.Context, ds []*delivery) error {
	var rivals []redisstore.Rival
	var of []*delivery
	for _, d := range ds {
		if d.CollapseKey != "" {
			rivals = append(rivals, redisstore.Rival{Notification: d.parcel.n, Device: d.Device, Delivery: d.ID})
			of = append(of, d)
		}
	}
	if len(rivals) == 0 {
		return nil
	}
	standings, err := r.w.newest.Register(ctx, rivals)
	if err != nil {
		return fmt.Errorf("scheduler: collapse: %w", err)
	}
	for i, s := range standings {
		if s.By != "" {
			of[i].ruled.suppress("replaced by %s", s.By)
		}
		if s.Replaces != "" {
			if err := r.replace(ctx, of[i].App, s.Replaces, of[i].Notification.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace takes an older delivery back if it still waits for something.
func (r *round) replace(ctx context.Context, app, old, by string) error {
	id, chunk, index, ok := push.ParseDeliveryID(old)
	if !ok {
		return nil
	}
	parcels, err := r.w.open(ctx, r.urgency, []job{{App: app, ID: id, Chunk: chunk, Indexes: []int{index}}})
	if err != nil {
		return err
	}
	older := &round{w: r.w, kind: taskDeliver, urgency: r.urgency, owner: r.owner, now: r.now, parcels: parcels, room: r.room}
	var ds []*delivery
	var letters []redisstore.Letter
	for _, p := range parcels {
		for _, s := range p.slots {
			if s.Cell.Stage != "" || s.Cell.Hold.Kind == redisstore.Claimed {
				continue // a provider has it, or is being given it
			}
			d := newDelivery(p, s)
			d.ruled.suppress("replaced by %s", by)
			ds = append(ds, d)
			letters = append(letters, redisstore.Letter{App: app, Device: d.Device, Delivery: d.ID})
		}
	}
	if len(ds) == 0 {
		return nil
	}
	if err := r.w.inbox.Drop(ctx, letters); err != nil {
		return fmt.Errorf("scheduler: replace: %w", err)
	}
	return older.obey(ctx, ds)
}

// ruleQuiet holds, drops or hushes what quiet hours bind.
func (r *round) ruleQuiet(_ context.Context, ds []*delivery) error {
	for _, d := range ds {
		hours, action := d.quietHours()
		if hours == nil {
			continue
		}
		end, quiet := hours.End(r.now, d.zone())
		if !quiet {
			continue
		}
		switch action {
		case push.QuietDrop:
			d.ruled.suppress("quiet hours: %s to %s in %s", hours.From, hours.To, d.zone())
		case push.QuietSilent:
			r.wear(d, form{silent: true}, func(n *push.Notification) { n.Silent = true })
		default:
			d.ruled.until = end
		}
	}
	return nil
}

// quietHours are those that bind a delivery, if any do, with what becomes of
// it: the user's window before the app's, the caller's wish before the app's.
func (d *delivery) quietHours() (*push.QuietHours, push.QuietAction) {
	if !d.Class.Bound() {
		return nil, ""
	}
	var rules push.QuietHours // whom they bind, and how, is the app's to say
	window := d.user.QuietHours
	if policy := d.parcel.app.Policy.QuietHours; policy != nil {
		rules = *policy
		if window == nil {
			window = policy
		}
	}
	if window == nil || !rules.Bind(d.Class) {
		return nil, ""
	}
	switch {
	case d.QuietHours != "":
		return window, d.QuietHours
	case rules.Action != "":
		return window, rules.Action
	default:
		return window, push.QuietHold
	}
}

// ruleCaps ends what would be one too many for its user. What was tried before
// has been counted.
func (r *round) ruleCaps(ctx context.Context, ds []*delivery) error {
	var ticks []redisstore.Tick
	var of []*delivery
	for _, d := range ds {
		if !d.first() {
			continue
		}
		var caps []push.Cap
		for _, c := range d.parcel.app.Policy.Caps {
			if c.Binds(d.Class) {
				caps = append(caps, c)
			}
		}
		if len(caps) > 0 {
			ticks = append(ticks, redisstore.Tick{
				App: d.App, Who: redisstore.Who(d.device), Notification: d.Notification.ID, Class: d.Class, Caps: caps,
			})
			of = append(of, d)
		}
	}
	if len(ticks) == 0 {
		return nil
	}
	broken, err := r.w.caps.Count(ctx, r.now, ticks)
	if err != nil {
		return fmt.Errorf("scheduler: caps: %w", err)
	}
	for i, c := range broken {
		if c != nil {
			of[i].ruled.suppress("frequency cap: %d of class %s in %s reached", c.Limit, of[i].Class, c.Window())
		}
	}
	return nil
}

// obey does what the rules say: it ends deliveries, or puts them off. A crash
// at any point leaves them to be ruled again.
func (r *round) obey(ctx context.Context, ds []*delivery) error {
	ds, err := r.claim(ctx, ds)
	if err != nil || len(ds) == 0 {
		return err
	}
	results := make([]*result, 0, len(ds))
	for _, d := range ds {
		res := &result{delivery: d}
		d.cell.Hold = redisstore.Hold{}
		switch {
		case !d.ruled.until.IsZero():
			res.retryAt = earlier(r.spread(d), d.ExpiresAt)
			d.cell.Hold = redisstore.Hold{Kind: redisstore.Retry, At: res.retryAt.UnixMilli()}
		case d.cell.Stage == "":
			res.receipts = append(res.receipts, d.verdict(d.ruled.stage, d.ruled.why))
		}
		results = append(results, res)
	}
	if err := r.hold(ctx, ds); err != nil {
		return err
	}
	return r.settle(ctx, results)
}

// hold sets the timers of deliveries that are put off, one for each moment.
func (r *round) hold(ctx context.Context, ds []*delivery) error {
	moments := make(map[int64]*work)
	for _, d := range ds {
		if d.ruled.until.IsZero() {
			continue
		}
		at := d.cell.Hold.At
		if moments[at] == nil {
			moments[at] = &work{Try: r.work.Try}
		}
		moments[at].add(d)
	}
	var entries []redisstore.DueEntry
	for at, w := range moments {
		for _, j := range w.Jobs {
			entries = append(entries, redisstore.DueEntry{At: time.UnixMilli(at), Text: dueText(held, w.Try, w.Parks, j)})
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return r.w.persist(ctx, func() error { return r.w.timers.put(ctx, r.urgency, entries) })
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
