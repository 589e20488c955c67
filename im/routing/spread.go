package routing

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
)

// spreadSize is how many devices of one node a message is handed to in one item.
const spreadSize = 2000

// Spread hands a message to every connected device of the users, wherever they
// are: the registry knows the devices, and each node gets the message once, with
// the list of its own. It returns once the message is on its way, so that what
// is spread one after the other comes in that order. missed, which may be nil,
// hears once, after at most [Config.Wait], of whom no device took it; after an
// error it does not.
func (r *Router) Spread(ctx context.Context, app string, users []string, m im.Message, missed func(users []string)) error {
	found, err := r.registry.Users(ctx, app, users)
	if err != nil {
		return fmt.Errorf("routing: find %d users: %w", len(users), err)
	}
	s := &spreading{users: users, heard: make([]bool, len(users)), left: 1, missed: missed}
	if missed != nil {
		s.mu.Lock()
		s.timer = time.AfterFunc(r.cfg.Wait, s.end)
		s.mu.Unlock()
	}
	away := map[string][]target{}
	for i, devices := range found {
		for _, d := range devices {
			t := target{user: i, device: d.Device, place: d.Place}
			if !r.own(d.Place) {
				away[d.Node] = append(away[d.Node], t)
			} else if r.local != nil {
				s.expect()
				r.local.Deliver(app, d.Device, m, func(err error) {
					r.took(s, app, t, err)
					s.answered()
				})
			}
		}
	}
	for node, targets := range away {
		for len(targets) > 0 {
			n := min(spreadSize, len(targets))
			r.spreadTo(s, node, app, m, targets[:n])
			targets = targets[n:]
		}
	}
	s.answered() // all are asked
	return nil
}

// target is one device that a message is spread to, and whose.
type target struct {
	user   int // place in the list
	device string
	place  im.Place
}

// took notes what became of one device. An entry that proved wrong goes.
func (r *Router) took(s *spreading, app string, t target, err error) {
	switch err {
	case nil:
		s.hear(t.user)
	case im.ErrNotHere: //nolint:errorlint // the very value: what wraps it speaks of a node
		r.forget(Entry{Device: Device{app, t.device}, Place: t.place, User: s.users[t.user]})
	}
}

// spreadTo hands a message to devices of another node.
func (r *Router) spreadTo(s *spreading, node, app string, m im.Message, targets []target) {
	devices := make([]string, len(targets))
	for i, t := range targets {
		devices[i] = t.device
	}
	s.expect()
	seq := r.expect(func(each []byte, err error) {
		defer s.answered()
		if err != nil || len(each) != len(targets) {
			return
		}
		for i, o := range each {
			r.took(s, app, targets[i], outcomes[min(int(o), len(outcomes)-1)])
		}
	})
	r.post(node, func(b []byte) []byte { return appendSpread(b, seq, app, m, devices) }, seq)
	time.AfterFunc(r.cfg.Wait, func() { r.resolve(seq, nil, im.ErrUnknown) })
}

// spreading is one message on its way to the devices of many users.
type spreading struct {
	users  []string
	missed func([]string)
	timer  *time.Timer // nil if nobody wants to know

	mu    sync.Mutex
	heard []bool // by user
	left  int    // answers to come
	ended bool
}

func (s *spreading) expect() {
	s.mu.Lock()
	s.left++
	s.mu.Unlock()
}

func (s *spreading) hear(user int) {
	s.mu.Lock()
	s.heard[user] = true
	s.mu.Unlock()
}

func (s *spreading) answered() {
	s.mu.Lock()
	s.left--
	all := s.left == 0
	s.mu.Unlock()
	if all {
		s.end()
	}
}

// end tells who was missed, once.
func (s *spreading) end() {
	s.mu.Lock()
	again := s.ended
	s.ended = true
	if s.timer != nil {
		s.timer.Stop()
	}
	var missed []string
	for i, heard := range s.heard {
		if !heard {
			missed = append(missed, s.users[i])
		}
	}
	s.mu.Unlock()
	if again || s.missed == nil {
		return
	}
	s.missed(missed)
}

// receiveSpread hands a message to devices of this node and answers once for
// all: when each is dealt with, or shortly before the asker's patience ends.
func (r *Router) receiveSpread(c *cursor, sender string) {
	seq, app, m, n := c.number(), c.text(), c.message(), c.number()
	if n > spreadSize {
		c.bad = true
	}
	var devices []string
	for range n {
		if c.bad {
			return
		}
		devices = append(devices, c.text())
	}
	if c.bad {
		return
	}
	a := &answers{each: make([]byte, len(devices)), left: len(devices)}
	for i := range a.each {
		a.each[i] = byte(outcomeNumber(im.ErrUnknown))
	}
	a.send = func(each []byte) {
		r.post(sender, func(b []byte) []byte { return appendResults(b, seq, each) }, 0)
	}
	if len(devices) == 0 || r.local == nil {
		a.end()
		return
	}
	a.mu.Lock()
	a.timer = time.AfterFunc(r.cfg.Wait*3/4, a.end)
	a.mu.Unlock()
	for i, device := range devices {
		r.local.Deliver(app, device, m, func(err error) { a.note(i, err) })
	}
}

// answers gathers what became of the devices of one item.
type answers struct {
	send  func(each []byte)
	timer *time.Timer

	mu    sync.Mutex
	each  []byte
	left  int
	ended bool
}

func (a *answers) note(i int, err error) {
	a.mu.Lock()
	if !a.ended {
		a.each[i] = byte(outcomeNumber(err))
	}
	a.left--
	all := a.left == 0
	a.mu.Unlock()
	if all {
		a.end()
	}
}

// end sends the answer, once.
func (a *answers) end() {
	a.mu.Lock()
	again := a.ended
	a.ended = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	if again {
		return
	}
	a.send(a.each)
}

// OnlineUsers reports for each user of an app whether a device of theirs is
// connected anywhere.
func (r *Router) OnlineUsers(ctx context.Context, app string, users []string) ([]bool, error) {
	found, err := r.registry.Users(ctx, app, users)
	if err != nil {
		return nil, fmt.Errorf("routing: find %d users: %w", len(users), err)
	}
	online := make([]bool, len(users))
	for i, devices := range found {
		for _, d := range devices {
			online[i] = online[i] || !r.own(d.Place) || r.local != nil && r.local.Here(app, d.Device)
		}
	}
	return online, nil
}

// Dismiss ends the session of a device that has become another user's, wherever
// it is.
func (r *Router) Dismiss(ctx context.Context, app, device string) error {
	d := Device{app, device}
	place, err := r.find(ctx, d)
	switch {
	case err != nil:
		return fmt.Errorf("routing: dismiss %s: %w", im.Key(app, device), err)
	case place.Node == "":
	case r.own(place) && r.local != nil:
		r.local.Dismiss(im.Session{App: app, Device: device, Serial: place.Serial})
	default:
		r.post(place.Node, func(b []byte) []byte { return appendClosing(b, itemDismiss, d, place) }, 0)
	}
	return nil
}
