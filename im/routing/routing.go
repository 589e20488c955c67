// Package routing knows on which node a device is connected and carries
// messages there.
//
// Presence is one entry per device, written by compare-and-set so that the late
// end of an old session cannot erase a newer one, and one lease per node: an
// entry counts only while its node's process renews the lease, so a node that
// dies takes its sessions with it without anyone deleting them.
//
// A message for a device of this node goes straight to its connection. One for
// another node travels in a batch of frames through that node's channel, and
// comes back with a result of its own.
package routing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/im"
)

// Local is the connections of this node. None of its methods block.
type Local interface {
	// Here reports whether the device is connected to this node.
	Here(app, device string) bool
	// Deliver hands a message to the device and reports once: nil when it is
	// written, an error of package im otherwise. done may be called from
	// anywhere and does not block.
	Deliver(app, device string, m im.Message, done func(error))
	// Displace closes the session because the device connected elsewhere.
	Displace(s im.Session)
	// Dismiss closes the session because the device has become another user's:
	// it has to come in anew.
	Dismiss(s im.Session)
	// Restored says that the session was unknown to the other nodes for a
	// while: its inbox may hold what they could not hand over.
	Restored(s im.Session)
	// Each calls f with every session until f returns false.
	Each(f func(im.Session) bool)
}

// Registry keeps the entries and the leases. Its answers are in the order of
// the questions. [Memory] and [Redis] implement it.
type Registry interface {
	// Enter records where devices are, in order.
	Enter(ctx context.Context, entries []Entry) ([]Outcome, error)
	// Leave removes entries, each only if it still is of that session.
	Leave(ctx context.Context, entries []Entry) error
	// Find returns where devices are; nowhere is the zero place. An entry whose
	// node has no lease counts as nowhere.
	Find(ctx context.Context, devices []Device) ([]im.Place, error)
	// Users returns where the users' devices are, by the same rule.
	Users(ctx context.Context, app string, users []string) ([][]Located, error)
	// Renew extends a node's lease. lost means that there was none.
	Renew(ctx context.Context, node, boot string, lease time.Duration) (lost bool, err error)
	// Retire ends a node's lease.
	Retire(ctx context.Context, node, boot string) error
	// Describe tells the others how a node is.
	Describe(ctx context.Context, n Node) error
	// Nodes returns how the nodes were that described themselves within a time.
	Nodes(ctx context.Context, within time.Duration) ([]Node, error)
}

// Link carries frames between nodes.
type Link interface {
	// Send puts a frame on a node's channel; heard is false if nobody listens.
	Send(ctx context.Context, node string, frame []byte) (heard bool, err error)
	// Listen calls receive with each frame for the node until ctx ends. The
	// frame is receive's to keep.
	Listen(ctx context.Context, node string, receive func(frame []byte)) error
}

// Device names a device.
type Device struct{ App, Device string }

// Entry is a device's place. Restore asks not to push aside the entry of
// another node.
type Entry struct {
	Device
	im.Place
	User    string // whose device it is; empty for nobody's
	Restore bool
}

// Located is a user's device and where it is.
type Located struct {
	Device string
	im.Place
}

// Node is how a node with connections is.
type Node struct {
	Name     string    `json:"node"`
	Sessions int       `json:"sessions"`
	Draining bool      `json:"draining"` // its clients are being sent away, and nobody comes in
	Seen     time.Time `json:"seen"`
}

// Outcome is what became of an entry.
type Outcome struct {
	Result Result
	Before im.Place // what was recorded before; zero if nothing
}

// Result is the kind of an [Outcome].
type Result int

// The results of [Registry.Enter].
const (
	Stale   Result = iota // not recorded: this node has a newer session of the device
	Entered               // recorded
	Known                 // recorded before already, by this very session
	Held                  // not recorded: Restore was set and another node holds the device
)

// Config shapes a [Router]. Start from [DefaultConfig].
type Config struct {
	// Node names this node among those that run; it has no spaces. Default: made
	// up at start.
	Node string `yaml:"node"`
	// Lease is how long a node that stopped renewing counts as alive. It is
	// renewed three times as often. Default 15s.
	Lease time.Duration `yaml:"lease"`
	// Wait is how long a delivery may wait for its connection's window or for
	// another node's answer before it counts as unknown. Default 2s.
	Wait time.Duration `yaml:"wait"`
	// Sweep is how often all sessions are recorded anew, which repairs what was
	// lost unnoticed. Entries expire after three sweeps. Default 30m.
	Sweep time.Duration `yaml:"sweep"`
	// Pace bounds how many sessions a second are recorded anew. Default 5,000.
	Pace int `yaml:"pace"`
}

// DefaultConfig is what an empty section of the config file means.
func DefaultConfig() Config {
	return Config{
		Node:  "node-" + strconv.FormatUint(rand.Uint64(), 36),
		Lease: 15 * time.Second,
		Wait:  2 * time.Second,
		Sweep: 30 * time.Minute,
		Pace:  5_000,
	}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.Node == "" || !printable(c.Node) {
		errs = append(errs, fmt.Errorf("routing.node: %q is empty or has spaces", c.Node))
	}
	for key, d := range map[string]time.Duration{"lease": c.Lease, "wait": c.Wait, "sweep": c.Sweep} {
		if d < time.Millisecond {
			errs = append(errs, fmt.Errorf("routing.%s: %s is less than 1ms", key, d))
		}
	}
	if c.Pace < 1 {
		errs = append(errs, fmt.Errorf("routing.pace: %d is less than 1", c.Pace))
	}
	return errors.Join(errs...)
}

func printable(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return true
}

// Router finds devices and hands messages to them.
type Router struct {
	cfg      Config
	boot     string
	registry Registry
	link     Link
	local    Local // nil on a node without connections
	drain    func(rate int)
	state    func() (sessions int, draining bool)
	log      *slog.Logger

	changes chan change
	lookups chan lookup
	dirty   atomic.Bool // a change was not recorded: sweep when possible

	mu      sync.Mutex
	seq     uint64
	pending map[uint64]report // deliveries on their way, by sequence
	peers   map[string]*peer
	ended   bool
	senders sync.WaitGroup
}

// New returns a router for a node. A node that holds connections calls
// [Router.Host] before [Router.Run].
func New(cfg Config, registry Registry, link Link, log *slog.Logger) *Router {
	return &Router{
		cfg:      cfg,
		boot:     strconv.FormatUint(rand.Uint64(), 36),
		registry: registry,
		link:     link,
		log:      log,
		changes:  make(chan change, 4096),
		lookups:  make(chan lookup, 1024),
		// Another process of the same name may still get answers to its own.
		seq:     rand.Uint64() >> 8,
		pending: map[uint64]report{},
		peers:   map[string]*peer{},
	}
}

// Host tells the router of the connections of this node.
func (r *Router) Host(local Local) { r.local = local }

// Drains tells the router how to send this node's clients away, so many a
// second, or with 0 to let them in again, and how the node is. drain does not
// block.
func (r *Router) Drains(drain func(rate int), state func() (sessions int, draining bool)) {
	r.drain, r.state = drain, state
}

// Drain asks a node to send its clients away, so many a second, or with 0 to let
// them in again. heard is false if there is no such node.
func Drain(ctx context.Context, link Link, node string, rate int) (heard bool, err error) {
	frame := binary.AppendUvarint(append(appendHeader(nil, "operator"), itemDrain), uint64(max(rate, 0)))
	return link.Send(ctx, node, frame)
}

// Node is this node's name.
func (r *Router) Node() string { return r.cfg.Node }

// Run keeps the lease, records sessions and receives frames until ctx ends;
// then it gives the lease up, which ends the presence of all that is left.
func (r *Router) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { r.recordChanges(ctx) })
	parts.Go(func() { r.answerLookups(ctx) })
	parts.Go(func() { r.listen(ctx) })
	if r.local != nil {
		parts.Go(func() { r.keepLease(ctx) })
	}
	parts.Wait()
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.senders.Wait()
	if r.local == nil {
		return nil
	}
	farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Wait)
	defer cancel()
	if err := r.registry.Retire(farewell, r.cfg.Node, r.boot); err != nil {
		r.log.Warn("routing: lease not given up; it runs out by itself", "err", err)
	}
	return nil
}

// listen receives frames, beginning again after a pause when the link fails.
func (r *Router) listen(ctx context.Context) {
	const pause = 200 * time.Millisecond
	for ctx.Err() == nil {
		if err := r.link.Listen(ctx, r.cfg.Node, r.receive); err != nil && ctx.Err() == nil {
			r.log.Warn("routing: channel lost", "err", err)
			sleep(ctx, pause)
		}
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
