package logic

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/herald-push/herald/im"
)

const (
	// never is a ring so late that something else will have rung or been read.
	never = 100 * 365 * 24 * time.Hour
	// fleeting is how long a frame is worth sending that nobody will miss.
	fleeting = 5 * time.Second
	// crowd is how many members of a large group are told at a time.
	crowd = 2000
	// handLimit bounds one handing over.
	handLimit = 10 * time.Second
)

// carry queues what was said for those who are connected. Where the queue is
// full it waits: whoever speaks faster than others can hear slows down.
func (l *Logic) carry(ctx context.Context, s *said) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.Conversation)) // never fails
	select {
	case l.halls[h.Sum32()%halls] <- s:
	case <-ctx.Done(): // it is said; the devices will fetch it
	}
}

func (l *Logic) carryAll(ctx context.Context, hall <-chan *said) {
	for {
		select {
		case s := <-hall:
			l.hand(ctx, s)
		case <-ctx.Done():
			return
		}
	}
}

// hand gives a message to its hearers' devices, and has the bell ring at once
// for those who have none that is connected.
func (l *Logic) hand(ctx context.Context, s *said) {
	ctx, cancel := context.WithTimeout(ctx, handLimit)
	defer cancel()
	f := frame{ID: s.MessageID(), Type: "message", Message: &s.ChatMessage}
	m, err := f.message(time.Time{})
	if err != nil {
		l.log.ErrorContext(ctx, "message not handed over", "conversation", s.Conversation, "err", err)
		return
	}
	if s.Hearers == nil {
		l.handCrowd(ctx, s, m)
		return
	}
	err = l.parts.Live.Hand(ctx, s.App, s.Hearers, m, func(missed []string) { l.leave(s, missed) })
	if err != nil {
		l.log.WarnContext(ctx, "message not handed over; its ring comes in time", "conversation", s.Conversation, "err", err)
	}
}

// leave notes who had no device for a message. When there is no room for the
// note, their ring comes in time.
func (l *Logic) leave(s *said, missed []string) {
	missed = slices.DeleteFunc(missed, func(user string) bool { return user == s.Sender })
	if len(missed) == 0 || s.Kind == im.KindSystem {
		return
	}
	select {
	case l.alone <- alone{s.App, s.Conversation, missed}:
	default:
	}
}

// ringAlone makes the bell ring at once for those who were left.
func (l *Logic) ringAlone(ctx context.Context) {
	for {
		select {
		case a := <-l.alone:
			if err := l.parts.Rings.RingNow(ctx, a.app, a.conversation, a.users); err != nil && ctx.Err() == nil {
				l.log.WarnContext(ctx, "nobody rings at once; the ring comes in time", "conversation", a.conversation, "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// handCrowd tells the members of a large group.
func (l *Logic) handCrowd(ctx context.Context, s *said, m im.Message) {
	users, err := l.crowds.of(ctx, l.parts.Members, s.App, s.Conversation, s.Roster)
	for page := range slices.Chunk(users, crowd) {
		if err = l.parts.Live.Hand(ctx, s.App, page, m, nil); err != nil {
			break
		}
	}
	if err != nil {
		l.log.WarnContext(ctx, "a large group was not told to its end", "conversation", s.Conversation, "err", err)
	}
}

// tell gives a frame that nobody will miss to the members of a small
// conversation but one.
func (l *Logic) tell(ctx context.Context, app, conversation, but string, f frame) error {
	page, err := l.parts.Members.Members(ctx, app, conversation, "", im.SmallGroup+1)
	if err != nil || len(page) > im.SmallGroup {
		return err
	}
	var users []string
	for _, m := range page {
		if m.User != but && m.Role != im.Asking {
			users = append(users, m.User)
		}
	}
	f.ID, f.Conversation = passing+newID(), conversation
	m, err := f.message(l.now().Add(fleeting))
	if err != nil || len(users) == 0 {
		return err
	}
	return l.parts.Live.Hand(ctx, app, users, m, nil)
}

// passing begins the ids of frames whose acknowledgement means nothing.
const passing = "im~"

// ringAll passes on the rings that are due.
func (l *Logic) ringAll(ctx context.Context) {
	const (
		pause = 500 * time.Millisecond
		lease = 30 * time.Second
		batch = 200
	)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		n := l.ringSome(ctx, lease, batch)
		l.nudge(ctx)
		if n == batch {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ringSome rings and returns how many were due.
func (l *Logic) ringSome(ctx context.Context, lease time.Duration, batch int) int {
	rings, err := l.parts.Rings.Due(ctx, lease, batch)
	if err != nil {
		if ctx.Err() == nil {
			l.log.WarnContext(ctx, "rings wait", "err", err)
		}
		return 0
	}
	done := rings[:0:0]
	for _, r := range rings {
		if err := l.ring(ctx, r); err != nil {
			l.log.WarnContext(ctx, "a ring waits", "conversation", r.Conversation, "err", err)
			continue // it is due again once the lease is over
		}
		done = append(done, r)
	}
	if err := l.parts.Rings.Rung(ctx, done, l.cfg.RingAfter); err != nil {
		l.log.WarnContext(ctx, "rings may be asked for again", "rings", len(done), "err", err)
	}
	return len(rings)
}

func (l *Logic) ring(ctx context.Context, r im.Ring) error {
	if r.Unread == 0 {
		return nil // read meanwhile
	}
	c, me, err := l.parts.Conversations.Conversation(ctx, r.App, r.Conversation, r.User)
	if err != nil || me == nil {
		return err
	}
	last, err := l.parts.Messages.History(ctx, r.App, r.Conversation, me.Read, 0, 1)
	if err != nil || len(last) == 0 {
		return err
	}
	if err := l.parts.Bell.Ring(ctx, r, &last[0], c); err != nil {
		return err
	}
	if len(l.nudges) < maxNudges {
		l.nudges = append(l.nudges, nudge{r, last[0], l.now(), 0})
	}
	return nil
}

// nudge is a message that was rung for. If a device of the user is connected all
// the same, it got lost on the way, and comes again.
type nudge struct {
	im.Ring

	last  im.ChatMessage
	at    time.Time
	tries int
}

const (
	maxNudges = 10_000
	mostTries = 5 // after 1, 2, 4, 8 and 16 seconds
)

// nudge brings what was rung for again to those who are connected and have not
// taken it. It is called by the one who rings.
func (l *Logic) nudge(ctx context.Context) {
	waiting := l.nudges[:0]
	for _, n := range l.nudges {
		if l.now().Before(n.at) {
			waiting = append(waiting, n)
			continue
		}
		if l.bring(ctx, &n) {
			n.at, n.tries = l.now().Add(time.Second<<n.tries), n.tries+1
			if n.tries < mostTries {
				waiting = append(waiting, n)
			}
		}
	}
	clear(l.nudges[len(waiting):])
	l.nudges = waiting
}

// bring hands a message over again; false means that there is nobody to take it,
// or that it was taken.
func (l *Logic) bring(ctx context.Context, n *nudge) bool {
	ctx, cancel := context.WithTimeout(ctx, handLimit)
	defer cancel()
	online, err := l.parts.Live.Online(ctx, n.App, []string{n.User})
	if err != nil {
		return true // the store is away: later
	}
	if !online[0] {
		return false // whoever connects asks
	}
	_, me, err := l.parts.Conversations.Conversation(ctx, n.App, n.Conversation, n.User)
	if err != nil {
		return errors.Is(err, im.ErrAway)
	}
	if me == nil || me.Received >= n.last.Seq {
		return false
	}
	f := frame{ID: n.last.MessageID(), Type: "message", Message: &n.last}
	m, err := f.message(time.Time{})
	if err == nil {
		err = l.parts.Live.Hand(ctx, n.App, []string{n.User}, m, nil)
	}
	if err != nil {
		l.log.WarnContext(ctx, "a message is brought again later", "conversation", n.Conversation, "err", err)
	}
	return true
}
