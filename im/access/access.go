// Package access turns connections into sessions: it checks who comes in, makes
// the session known, hands over what waited in the inbox, and passes on what
// the device proves and reports.
//
// A device's MQTT client id is the device, its user name "app/device" or
// "device", its password the device's token. It reads its messages on the topic
// "inbox", reports on "receipts" with {"id","event","at"}, talks on "im", and asks
// businesses on "services/{service}/{operation}".
package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// Topics that devices publish on.
const (
	ReceiptsTopic = "receipts" // what became of messages
	TokenTopic    = "token"    // a new token, from those that have no AUTH
	// ... and [ChatTopic] and [PresenceTopic].
)

// Tokens checks the token that a device came with.
type Tokens interface {
	Verify(ctx context.Context, token string) (app, device string, err error)
}

// Expiring is what [Tokens] may be besides: it tells when a token runs out. The
// device must then have shown a newer one, or is disconnected.
type Expiring interface {
	VerifyUntil(ctx context.Context, token string) (app, device string, until time.Time, err error)
}

// Presence makes sessions known to the other nodes. From the return of Register
// on they find the device here.
type Presence interface {
	Register(ctx context.Context, s im.Session) error
	Unregister(s im.Session)
}

// Inbox is what waits for a device, oldest first. A message must be in it
// before anyone asks whether the device is online: then either that question
// finds the session, or the session finds the message.
type Inbox interface {
	Pending(ctx context.Context, app, device string) ([]im.Message, error)
}

// Receipts records evidence from devices. The answer has an error for each
// receipt, or is nil if all were recorded.
type Receipts interface {
	Receive(ctx context.Context, receipts []im.Receipt) []error
}

// Config shapes an [Access]. Start from [DefaultConfig].
type Config struct {
	// LoginTimeout bounds the check of a token and the look into the inbox.
	// Default 5s.
	LoginTimeout time.Duration `yaml:"login_timeout"`
	// Logins is how many devices are let in at a time; the others wait their
	// turn. Default 256.
	Logins int `yaml:"logins"`
	// Linger is how long a proof may wait for company on its way to the record.
	// Default 2ms.
	Linger time.Duration `yaml:"linger"`
	// Batch is how many proofs are recorded at a time. Default 1,024.
	Batch int `yaml:"batch"`
	// MaxProofs is how many may wait while they cannot be recorded; more are
	// dropped, and their messages come again on the next connection. Default
	// 200,000, some 40 MB.
	MaxProofs int `yaml:"max_proofs"`
	// Grace is how long the last proofs may take at the end. Default 3s.
	Grace time.Duration `yaml:"grace"`
	// PresenceEvery is how often it is looked who has come and gone of those whom
	// devices watch. Default 2s.
	PresenceEvery time.Duration `yaml:"presence_every"`
	// Heartbeat shapes the search for the keep alive of each network.
	Heartbeat Heartbeat `yaml:"heartbeat"`
	// Away reports whether an error means that a store is not there at the
	// moment. Such a login is told to come again, such a proof is kept.
	Away func(error) bool `yaml:"-"`
}

// DefaultConfig is what an empty section of the config file means.
func DefaultConfig() Config {
	return Config{
		LoginTimeout:  5 * time.Second,
		Logins:        256,
		Linger:        2 * time.Millisecond,
		Batch:         1024,
		MaxProofs:     200_000,
		Grace:         3 * time.Second,
		PresenceEvery: 2 * time.Second,
		Heartbeat:     defaultHeartbeat(),
		Away:          func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
	}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	err := c.Heartbeat.validate()
	if c.PresenceEvery < time.Millisecond {
		err = errors.Join(err, fmt.Errorf("access.presence_every: %v is less than 1ms", c.PresenceEvery))
	}
	return err
}

// Access implements [longconn.Handler] for the connections of a node and is
// what routing knows of them.
type Access struct {
	cfg      Config
	hub      *longconn.Hub
	tokens   Tokens
	presence Presence
	inbox    Inbox
	chat     Chat // nil where nobody talks
	log      *slog.Logger
	proofs   *proofs
	logins   chan struct{} // a token for each login at work
	stats    counters
	talks    talks
	watches  watches
	calls    calls
	networks networks

	positions Positions // nil where nobody asks where devices are

	life  context.Context // of the work below; ends with Run
	end   context.CancelFunc
	mu    sync.Mutex
	ended bool
	tasks sync.WaitGroup
}

type counters struct{ in, refused, unregistered, drained atomic.Uint64 }

// Snapshot counts what happened since the start.
type Snapshot struct {
	In             uint64 // logins that succeeded
	Refused        uint64 // logins turned away
	Unregistered   uint64 // sessions that could not be made known at once
	Drained        uint64 // messages handed over from inboxes
	ProofsRecorded uint64
	ProofsDropped  uint64 // refused by the record, or for want of memory
	ProofsWaiting  int
}

// New returns the access to the connections in hub, which is shared with the
// servers that have this as their handler.
func New(cfg Config, hub *longconn.Hub, tokens Tokens, presence Presence, inbox Inbox, receipts Receipts, log *slog.Logger) *Access {
	life, end := context.WithCancel(context.Background())
	return &Access{
		cfg: cfg, hub: hub, tokens: tokens, presence: presence, inbox: inbox, log: log,
		proofs:   newProofs(cfg, receipts, log),
		logins:   make(chan struct{}, cfg.Logins),
		networks: networks{cfg: cfg.Heartbeat},
		life:     life, end: end,
	}
}

// Run records proofs until ctx ends, and then what is left of them. It must
// outlive the servers whose handler this is.
func (a *Access) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { a.watchAll(ctx) })
	a.proofs.run(ctx)
	watching.Wait()
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.end()
	a.tasks.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Grace)
	defer cancel()
	a.proofs.finish(last)
	return nil
}

// Stats counts what happened since the start.
func (a *Access) Stats() Snapshot {
	recorded, dropped, waiting := a.proofs.counts()
	return Snapshot{
		In: a.stats.in.Load(), Refused: a.stats.refused.Load(),
		Unregistered: a.stats.unregistered.Load(), Drained: a.stats.drained.Load(),
		ProofsRecorded: recorded, ProofsDropped: dropped, ProofsWaiting: waiting,
	}
}

// spawn does work that may block, unless the end has come.
func (a *Access) spawn(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.tasks.Go(f)
	}
}

// session is the tag of a connection that was let in. There are many: it is
// kept small.
type session struct {
	text   string   // app/device and, behind a zero byte, the user, if there is one
	net    *network // nil if it cannot be told a keep alive
	serial uint64
	since  int64         // Unix ms
	state  atomic.Uint32 // of the bits below
	app    uint16        // bytes of the app
	key    uint16        // bytes of app/device
}

const (
	isClosed   = 1 << iota
	isDraining // someone is at the inbox
	drainAgain // once more when done
)

func newSession(app, device, user string, serial uint64) *session {
	text := im.Key(app, device)
	s := &session{text: text, serial: serial, since: time.Now().UnixMilli(), app: uint16(len(app)), key: uint16(len(text))}
	if user != "" {
		s.text += "\x00" + user
	}
	return s
}

// These share the text's memory.
func (s *session) App() string    { return s.text[:s.app] }
func (s *session) Device() string { return s.text[s.app+1 : s.key] }
func (s *session) Key() string    { return s.text[:s.key] }

func (s *session) User() string {
	if len(s.text) == int(s.key) {
		return ""
	}
	return s.text[s.key+1:]
}

// Session is what the other floors know of it.
func (s *session) Session() im.Session {
	return im.Session{App: s.App(), Device: s.Device(), User: s.User(), Serial: s.serial, Since: time.UnixMilli(s.since).UTC()}
}

func (s *session) closed() bool { return s.state.Load()&isClosed != 0 }

// beginDrain reports whether the caller is to look into the inbox; else whoever
// is at it will look again.
func (s *session) beginDrain() bool {
	for {
		old := s.state.Load()
		if old&isDraining == 0 {
			if s.state.CompareAndSwap(old, old|isDraining) {
				return true
			}
		} else if s.state.CompareAndSwap(old, old|drainAgain) {
			return false
		}
	}
}

// endDrain reports whether to look again.
func (s *session) endDrain() (again bool) {
	for {
		old := s.state.Load()
		again = old&drainAgain != 0 && old&isClosed == 0
		next := old &^ drainAgain
		if !again {
			next &^= isDraining
		}
		if s.state.CompareAndSwap(old, next) {
			return again
		}
	}
}

func sessionOf(c longconn.Conn) *session {
	s, _ := c.Tag().(*session)
	return s
}

// Acked implements [longconn.Handler].
func (a *Access) Acked(c longconn.Conn, id string) {
	s, now := sessionOf(c), time.Now().UTC()
	a.proofs.add(proof{Receipt: im.Receipt{
		App: s.App(), Device: s.Device(), User: s.User(), ID: id, Event: im.Delivered, Ack: true, At: now, ReceivedAt: now,
	}})
}

// Published implements [longconn.Handler]. The device's own copy is
// acknowledged once its report is recorded.
func (a *Access) Published(c longconn.Conn, p longconn.Publication) {
	s := sessionOf(c)
	switch {
	case p.Topic == ChatTopic && a.chat != nil:
		a.say(s, p)
		return
	case p.Topic == PresenceTopic && !p.Will:
		p.Ack(a.watch(c, s, p.Payload))
		return
	case strings.HasPrefix(p.Topic, CallTopic+"/") && a.calls.by != nil && !p.Will:
		a.call(c, s, p)
		return
	case (p.Topic == CancelTopic || strings.HasPrefix(p.Topic, CancelTopic+"/")) && !p.Will:
		a.cancel(s, p)
		return
	case p.Topic == PositionsTopic && a.positions != nil && !p.Will:
		a.track(s, p)
		return
	case p.Topic == TokenTopic && !p.Will:
		a.renew(c, p.Payload, p.Ack)
		return
	case p.Topic != ReceiptsTopic:
		p.Ack(mqtt.NotAuthorized)
		return
	}
	receipt, err := parseReport(p.Payload, time.Now().UTC())
	if err != nil {
		a.log.Debug("access: report not understood", "device", s.Key(), "err", err)
		p.Ack(mqtt.PayloadInvalid)
		return
	}
	receipt.App, receipt.Device, receipt.User = s.App(), s.Device(), s.User()
	ok := a.proofs.add(proof{Receipt: receipt, done: func(err error) {
		if err != nil {
			p.Ack(mqtt.Unspecified)
			return
		}
		p.Ack(mqtt.Success)
	}})
	if !ok {
		p.Ack(mqtt.QuotaExceeded)
	}
}

// Ready implements [longconn.Handler].
func (a *Access) Ready(c longconn.Conn) { a.drain(sessionOf(c), c) }

// Closed implements [longconn.Handler].
func (a *Access) Closed(c longconn.Conn, cause longconn.Cause) {
	s := sessionOf(c)
	s.state.Or(isClosed)
	a.watches.unwatch(s)
	a.calls.gone(s)
	a.presence.Unregister(s.Session())
	if s.net != nil {
		now := time.Now()
		a.networks.learn(s.net, c.Quiet(), now.Sub(time.UnixMilli(s.since)), cause, now)
	}
	a.log.Debug("access: session ended", "device", s.Key(), "cause", cause.String())
}

// Here reports whether the device is connected to this node.
func (a *Access) Here(app, device string) bool {
	_, ok := a.hub.Get(im.Key(app, device))
	return ok
}

// Deliver hands a message to a device of this node; see routing.Local.
func (a *Access) Deliver(app, device string, m im.Message, done func(error)) {
	c, ok := a.hub.Get(im.Key(app, device))
	if !ok {
		done(im.ErrNotHere)
		return
	}
	c.Deliver(wire(m), func(err error) {
		done(translate(err))
	})
}

// wire is a message as connections carry it.
func wire(m im.Message) longconn.Message {
	return longconn.Message{ID: m.ID, Payload: m.Payload, Expires: m.Expires, Collapse: m.Collapse}
}

// translate puts a connection's word into im's.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, longconn.ErrGone):
		return im.ErrNotHere
	case errors.Is(err, longconn.ErrFull):
		return im.ErrFull
	case errors.Is(err, longconn.ErrExpired), errors.Is(err, longconn.ErrReplaced):
		return im.ErrExpired
	case errors.Is(err, longconn.ErrTooLarge):
		return im.ErrTooLarge
	default:
		return im.ErrUnknown
	}
}

// Displace closes a session whose device connected to another node.
func (a *Access) Displace(gone im.Session) { a.close(gone, longconn.TakenOver) }

// Dismiss closes a session whose device has become another user's: it has to
// show anew who it is.
func (a *Access) Dismiss(gone im.Session) { a.close(gone, longconn.Expired) }

func (a *Access) close(gone im.Session, cause longconn.Cause) {
	c, ok := a.hub.Get(gone.Key())
	if !ok {
		return
	}
	if s := sessionOf(c); s != nil && s.serial == gone.Serial {
		c.Close(cause)
	}
}

// Restored hands over what came while the other nodes did not know the session.
func (a *Access) Restored(back im.Session) {
	if c, ok := a.hub.Get(back.Key()); ok {
		if s := sessionOf(c); s != nil {
			a.drain(s, c)
		}
	}
}

// Each calls f with the sessions of this node until f returns false.
func (a *Access) Each(f func(im.Session) bool) {
	a.hub.Each(func(_ string, c longconn.Conn) bool {
		s := sessionOf(c)
		return s == nil || f(s.Session())
	})
}
