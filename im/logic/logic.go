// Package logic decides what may be said, by whom and to whom, and sees to it
// that it is heard: by the connected devices at once, and by a ring over
// another road where no device takes it in time.
//
// A message is durable and numbered before anyone hears of it; see im/data.
// Everything else that a process may lose by dying, the members' devices get
// again by asking what has changed since their cursor, and the rings are kept
// beside the messages.
package logic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
)

// Messages keeps what was said.
type Messages interface {
	Append(ctx context.Context, d *im.Draft) (im.Said, error)
	History(ctx context.Context, app, conversation string, after, before uint64, limit int) ([]im.ChatMessage, error)
	Following(ctx context.Context, app, conversation string, after uint64, limit int) ([]im.ChatMessage, error)
	React(ctx context.Context, app, conversation string, seq uint64, user, emoji string, on bool) error
	EraseUser(ctx context.Context, app, user string) (emptied int64, err error)
	// Forget removes what was said before a time in up to limit conversations
	// after one; next is the last of them, empty when there are no more.
	Forget(ctx context.Context, app string, before time.Time, after string, limit int) (next string, forgotten int64, err error)
}

// Conversations keeps where things are said.
type Conversations interface {
	CreateConversation(ctx context.Context, c *im.Conversation, members []im.Member) error
	SetConversation(ctx context.Context, c *im.Conversation) error
	// Conversation's member is nil if the user is none.
	Conversation(ctx context.Context, app, id, user string) (*im.Conversation, *im.Member, error)
}

// Members keeps who is in a conversation.
type Members interface {
	Members(ctx context.Context, app, conversation, after string, limit int) ([]im.Member, error)
	PutMembers(ctx context.Context, app, conversation string, members []im.Member) (total int, err error)
	RemoveMembers(ctx context.Context, app, conversation string, users []string) (total int, err error)
	SetMember(ctx context.Context, app, conversation string, m *im.Member) error
}

// Cursors keeps how far users have come.
type Cursors interface {
	Changes(ctx context.Context, app, user string, after uint64, limit int) (changes []im.Change, next uint64, more bool, err error)
	Advance(ctx context.Context, cursors ...im.Cursor) error
	Unread(ctx context.Context, app, user string) (uint64, error)
}

// Rings keeps whom to tell by another road.
type Rings interface {
	Due(ctx context.Context, lease time.Duration, limit int) ([]im.Ring, error)
	Rung(ctx context.Context, rings []im.Ring, again time.Duration) error
	RingNow(ctx context.Context, app, conversation string, users []string) error
}

// Friends keeps how users stand to each other.
type Friends interface {
	Befriend(ctx context.Context, app, user, friend, text string, decide func(now im.FriendState) (mine, theirs im.FriendState, err error)) error
	Remark(ctx context.Context, app, user, friend, remark string) error
	Friends(ctx context.Context, app, user, after string, limit int) ([]im.Friend, error)
	Block(ctx context.Context, app, user, blocked string, on bool) error
	Blocked(ctx context.Context, app, user, after string, limit int) ([]string, error)
}

// Live reaches the devices of users that are connected now.
type Live interface {
	// Hand sends a frame to each connected device of the users, after those that
	// were handed over before. missed, which may be nil, hears soon, once and
	// from anywhere, of whom no device was written to; not after an error.
	Hand(ctx context.Context, app string, users []string, frame im.Message, missed func(users []string)) error
	// Online tells which of the users have a connected device.
	Online(ctx context.Context, app string, users []string) ([]bool, error)
}

// Bell passes rings on to the road that Herald chooses. To be asked twice for
// the same ring rings once.
type Bell interface {
	Ring(ctx context.Context, ring im.Ring, last *im.ChatMessage, c *im.Conversation) error
}

// Screen sees every message of a user before it is said. It may change the
// body, or refuse with an [*im.Refusal].
type Screen interface {
	Screen(ctx context.Context, d *im.Draft) error
}

// Witness hears of every message once it is durable, now and then twice.
type Witness interface {
	Said(ctx context.Context, m *im.ChatMessage)
}

// Parts are what a [Logic] stands on. All are needed but Screen and Witness.
type Parts struct {
	Messages      Messages
	Conversations Conversations
	Members       Members
	Cursors       Cursors
	Rings         Rings
	Friends       Friends
	Live          Live
	Bell          Bell
	Screen        Screen
	Witness       Witness
	Log           *slog.Logger
}

// Config shapes a [Logic]. Start from [DefaultConfig].
type Config struct {
	// RingAfter is how long a member's devices have to take a message before
	// another road rings. Default 5s.
	RingAfter time.Duration `yaml:"ring_after"`
	// ChangeWithin is how long a message may be edited or recalled by its
	// sender. Default 2m.
	ChangeWithin time.Duration `yaml:"change_within"`
	// FriendsOnly lets only friends write to each other. Default false: whoever
	// is not blocked may.
	FriendsOnly bool `yaml:"friends_only"`
	// MaxMembers bounds a group. Default 10,000.
	MaxMembers int `yaml:"max_members"`
	// Rate is how many messages a second a user may say in the long run, Burst
	// how many at once. Defaults 10 and 40.
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
}

// DefaultConfig is what an empty section of the config file means.
func DefaultConfig() Config {
	return Config{RingAfter: 5 * time.Second, ChangeWithin: 2 * time.Minute, MaxMembers: 10_000, Rate: 10, Burst: 40}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.RingAfter < time.Second {
		errs = append(errs, fmt.Errorf("im.chat.ring_after: %v is less than 1s", c.RingAfter))
	}
	if c.ChangeWithin < 0 {
		errs = append(errs, fmt.Errorf("im.chat.change_within: %v is negative", c.ChangeWithin))
	}
	if c.MaxMembers < 2 {
		errs = append(errs, fmt.Errorf("im.chat.max_members: %d is less than 2", c.MaxMembers))
	}
	if c.Rate <= 0 || c.Burst < 1 {
		errs = append(errs, fmt.Errorf("im.chat.rate: %v messages a second and %d at once let nobody speak", c.Rate, c.Burst))
	}
	return errors.Join(errs...)
}

// Logic is the floor between the connections and the data. It is safe for
// concurrent use, and keeps nothing that another process would miss.
type Logic struct {
	cfg    Config
	parts  Parts
	log    *slog.Logger
	now    func() time.Time
	limits *limits
	halls  []chan *said
	acks   *acks
	crowds crowds
	alone  chan alone // who had no device for what was said
	nudges []nudge    // of the one who rings
}

// alone are hearers of a message who have no device that is connected.
type alone struct {
	app, conversation string
	users             []string
}

// said is a message on its way to those who hear it.
type said struct {
	im.Said
	service bool
}

// The halls carry what was said to its hearers, each the conversations that
// fall to it, one message after the other.
const (
	halls      = 32
	hallSpace  = 1024
	aloneSpace = 4096
)

// New makes a logic floor.
func New(cfg Config, parts Parts) *Logic {
	l := &Logic{cfg: cfg, parts: parts, log: parts.Log, now: time.Now, limits: newLimits(cfg), halls: make([]chan *said, halls), alone: make(chan alone, aloneSpace)}
	for i := range l.halls {
		l.halls[i] = make(chan *said, hallSpace)
	}
	l.acks = newAcks(parts.Cursors, l.log)
	return l
}

// Run carries messages to those who are connected, takes in what their devices
// acknowledge, and rings for the others, until ctx ends. What was said and not
// carried by then the devices fetch when they connect again.
func (l *Logic) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, hall := range l.halls {
		group.Go(func() { l.carryAll(ctx, hall) })
	}
	group.Go(func() { l.acks.run(ctx) })
	group.Go(func() { l.ringAll(ctx) })
	group.Go(func() { l.ringAlone(ctx) })
	group.Wait()
	return nil
}

// refuse says why not.
func refuse(code, field, format string, args ...any) error {
	return &im.Refusal{Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// frame is what devices read on their inbox beside notifications:
// docs/protocol.md.
type frame struct {
	ID   string `json:"id"`
	Type string `json:"type"` // message, cursor, typing, reaction, friends
	// Message is what was said, for "message".
	Message *im.ChatMessage `json:"message,omitempty"`
	// The others tell of a conversation.
	Conversation string `json:"conversation,omitempty"`
	User         string `json:"user,omitempty"`
	Seq          uint64 `json:"seq,omitempty"`
	Received     uint64 `json:"received,omitempty"`
	Read         uint64 `json:"read,omitempty"`
}

func (f *frame) message(expires time.Time) (im.Message, error) {
	payload, err := json.Marshal(f)
	if err != nil {
		return im.Message{}, fmt.Errorf("im/logic: frame: %w", err)
	}
	return im.Message{ID: f.ID, Payload: payload, Expires: expires}, nil
}
