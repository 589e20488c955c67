package logic

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
)

// Acked notes that a device of a user took the frame of that id.
func (l *Logic) Acked(app, user, id string) {
	if conversation, seq, ok := ParseMessageID(id); ok && user != "" {
		l.acks.add(im.Cursor{App: app, User: user, Conversation: conversation, Received: seq})
	}
}

// IsChat tells whether an id names a frame of chat.
func IsChat(id string) bool { return strings.HasPrefix(id, "im:") || strings.HasPrefix(id, passing) }

// ParseMessageID undoes [im.ChatMessage.MessageID].
func ParseMessageID(id string) (conversation string, seq uint64, ok bool) {
	rest, ok := strings.CutPrefix(id, "im:")
	i := strings.LastIndexByte(rest, ':')
	if !ok || i < 1 {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(rest[i+1:], 10, 64)
	return rest[:i], seq, err == nil
}

// acks gathers what devices took, so that a busy conversation costs one write
// and not one for each message and member.
type acks struct {
	cursors Cursors
	log     *slog.Logger
	wake    chan struct{}

	mu      sync.Mutex
	waiting map[im.Cursor]uint64 // of cursors without their numbers
}

// ackPause is how long an acknowledgement waits for company. It is far below
// the time after which a ring would come.
const ackPause = 100 * time.Millisecond

func newAcks(c Cursors, log *slog.Logger) *acks {
	return &acks{cursors: c, log: log, wake: make(chan struct{}, 1), waiting: map[im.Cursor]uint64{}}
}

func (a *acks) add(c im.Cursor) {
	seq := c.Received
	c.Received = 0
	a.mu.Lock()
	a.waiting[c] = max(a.waiting[c], seq)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, and then what is left.
func (a *acks) run(ctx context.Context) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), handLimit)
			defer cancel()
			a.flush(last)
			return
		}
		pause := time.NewTimer(ackPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
		a.flush(ctx)
	}
}

// flush writes what waits. What cannot be written is dropped: it costs a ring
// that was not needed, and the device's next acknowledgement covers it.
func (a *acks) flush(ctx context.Context) {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting = make(map[im.Cursor]uint64, len(waiting))
	a.mu.Unlock()
	batch := make([]im.Cursor, 0, len(waiting))
	for c, seq := range waiting {
		c.Received = seq
		batch = append(batch, c)
	}
	if err := a.cursors.Advance(ctx, batch...); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "acknowledgements of chat were not kept", "cursors", len(batch), "err", err)
	}
}

// Mark moves a user's cursors on: what was received, and what was read. Members
// of small conversations are told what was read.
func (l *Logic) Mark(ctx context.Context, who im.Actor, conversation string, received, read uint64) error {
	if _, err := l.member(ctx, who, conversation); err != nil {
		return err
	}
	err := l.parts.Cursors.Advance(ctx, im.Cursor{App: who.App, User: who.User, Conversation: conversation, Received: received, Read: read})
	if err != nil || read == 0 {
		return err
	}
	// The user's other devices hear it too, and stop ringing.
	return l.tell(ctx, who.App, conversation, "", frame{Type: "cursor", User: who.User, Received: max(received, read), Read: read})
}

// Typing tells the other members of a small conversation that a user is about
// to say something. It is told once a second at most.
func (l *Logic) Typing(ctx context.Context, who im.Actor, conversation string) error {
	if _, err := l.member(ctx, who, conversation); err != nil {
		return err
	}
	if !l.limits.typing(who, conversation) {
		return nil
	}
	return l.tell(ctx, who.App, conversation, who.User, frame{Type: "typing", User: who.User})
}

// Changes tells which conversations have moved for a user since a cursor.
func (l *Logic) Changes(ctx context.Context, who im.Actor, after uint64, limit int) (changes []im.Change, next uint64, more bool, err error) {
	return l.parts.Cursors.Changes(ctx, who.App, who.User, after, limit)
}

// Unread is the number on the app's badge.
func (l *Logic) Unread(ctx context.Context, who im.Actor) (uint64, error) {
	return l.parts.Cursors.Unread(ctx, who.App, who.User)
}

// History returns messages with the numbers in (after, before): the earliest of
// them if only after is given, else the latest. A member sees nothing from
// before they came, a service everything.
func (l *Logic) History(ctx context.Context, who im.Actor, conversation string, after, before uint64, limit int) ([]im.ChatMessage, error) {
	if !who.Service {
		me, err := l.member(ctx, who, conversation)
		if err != nil {
			return nil, err
		}
		after = max(after, me.Joined)
	} else if _, _, err := l.parts.Conversations.Conversation(ctx, who.App, conversation, ""); err != nil {
		return nil, err
	}
	if after > 0 && before == 0 {
		return l.parts.Messages.Following(ctx, who.App, conversation, after, limit)
	}
	return l.parts.Messages.History(ctx, who.App, conversation, after, before, limit)
}

// React puts an emoji to a message or takes it away.
func (l *Logic) React(ctx context.Context, who im.Actor, conversation string, seq uint64, emoji string, on bool) error {
	if emoji == "" || len(emoji) > 32 {
		return refuse("invalid", "emoji", "has 1 to 32 bytes")
	}
	me, err := l.member(ctx, who, conversation)
	if err != nil {
		return err
	}
	if seq <= me.Joined {
		return refuse("not_found", "seq", "there is no such message")
	}
	if err := l.parts.Messages.React(ctx, who.App, conversation, seq, who.User, emoji, on); err != nil {
		return err
	}
	return l.tell(ctx, who.App, conversation, "", frame{Type: "reaction", User: who.User, Seq: seq})
}

// member is the user's part in a conversation. Whoever has none is told that
// there is no such conversation.
func (l *Logic) member(ctx context.Context, who im.Actor, conversation string) (*im.Member, error) {
	_, me, err := l.parts.Conversations.Conversation(ctx, who.App, conversation, who.User)
	if err == nil && (me == nil || me.Role == im.Asking) {
		err = refuse("not_found", "conversation", "there is no such conversation")
	}
	return me, err
}
