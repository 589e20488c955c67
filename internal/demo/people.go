package demo

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/providers/sandbox"
)

// shown is called when a vendor's device shows a message: the app on it says
// so, and then it is up to its person.
func (f *Fleet) shown(ctx context.Context, m sandbox.Message) {
	d, delivery := f.byToken[m.Token], m.Data["herald_id"]
	if d == nil || delivery == "" || d.knows(m.Data["herald_notification"]) || rand.Float64() > d.arrives {
		return
	}
	f.look(func() {
		if !pause(ctx, between(80*time.Millisecond, 1200*time.Millisecond)) || !f.report(ctx, d, delivery, client.Delivered) {
			return
		}
		f.react(ctx, func(event client.Stage) bool { return f.report(ctx, d, delivery, event) })
	})
}

// knows tells whether the app has seen a notification before, as an app does that
// drops what comes twice, and remembers it.
func (d *device) knows(notification string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.seen[:], notification) {
		return true
	}
	d.seen[d.next%len(d.seen)] = notification
	d.next++
	return false
}

// look lets a person look at a message, if there are not too many already.
func (f *Fleet) look(at func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	select {
	case f.busy <- struct{}{}:
		f.people.Go(func() {
			defer func() { <-f.busy }()
			at()
		})
	default:
	}
}

// react is what a person does with a message: most see it after a while, some
// open it.
func (f *Fleet) react(ctx context.Context, report func(client.Stage) bool) {
	const sees, opens = 0.7, 0.25
	if rand.Float64() > sees || !pause(ctx, between(time.Second, 25*time.Second)) || !report(client.Displayed) {
		return
	}
	if rand.Float64() > opens || !pause(ctx, between(time.Second, 15*time.Second)) {
		return
	}
	report(client.Clicked)
}

// report has the app on the device report, with the device's own token.
func (f *Fleet) report(ctx context.Context, d *device, delivery string, event client.Stage) bool {
	token, err := f.tokenOf(ctx, d)
	if err != nil {
		f.log.DebugContext(ctx, "demo: no token", "device", d.ID, "err", err)
		return false
	}
	app := &client.Client{URL: f.cfg.Client.URL, Key: token, HTTP: f.cfg.Client.HTTP}
	results, err := app.Receipts(ctx, []client.Receipt{{ID: delivery, Event: event, At: time.Now().UTC()}})
	if err != nil || len(results) != 1 || results[0].Problem != nil {
		f.log.DebugContext(ctx, "demo: report not taken", "device", d.ID, "delivery", delivery, "err", err)
		return false
	}
	return true
}

// tokenOf is the device's token, a new one when the old one is about to end.
func (f *Fleet) tokenOf(ctx context.Context, d *device) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Until(d.token.ExpiresAt) > time.Minute {
		return d.token.Token, nil
	}
	token, err := f.cfg.Client.DeviceToken(ctx, d.ID)
	if err != nil {
		return "", err
	}
	d.token = token
	return token.Token, nil
}
