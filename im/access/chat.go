package access

import (
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// ChatTopic is where devices talk.
const ChatTopic = "im"

// Chat takes what devices say on [ChatTopic].
type Chat interface {
	// User tells whose device it is; empty for nobody's. It is asked at the
	// start of each session.
	User(ctx context.Context, app, device string) (user string, err error)
	// Say returns once what was said is durable. An error is either a refusal,
	// which the device has been told on its inbox, or, if retry is set, Herald's
	// own trouble: the device is to say it again.
	Say(ctx context.Context, who im.Session, payload []byte) (retry bool, err error)
}

// sayLimit bounds the work on one thing that was said.
const sayLimit = 10 * time.Second

// Talk lets devices talk. It is called before the first connection.
func (a *Access) Talk(c Chat) { a.chat = c }

// talks is what devices said and was not dealt with yet, by session; the first
// of each is under way. A session that says nothing costs nothing here.
type talks struct {
	mu   sync.Mutex
	said map[*session][]longconn.Publication
}

// say deals with what a device said, one after the other, so that it is said
// in the order in which it came.
func (a *Access) say(s *session, p longconn.Publication) {
	a.talks.mu.Lock()
	if a.talks.said == nil {
		a.talks.said = map[*session][]longconn.Publication{}
	}
	a.talks.said[s] = append(a.talks.said[s], p)
	first := len(a.talks.said[s]) == 1
	a.talks.mu.Unlock()
	if first {
		a.spawn(func() { a.sayAll(s) })
	}
}

func (a *Access) sayAll(s *session) {
	for p, ok := a.talks.next(s, false); ok; p, ok = a.talks.next(s, true) {
		p.Ack(a.sayOne(s, p.Payload))
	}
}

// next is what to deal with next of a session, with done after the first.
func (t *talks) next(s *session, done bool) (p longconn.Publication, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	said := t.said[s]
	if done {
		said = said[1:]
	}
	if len(said) == 0 {
		delete(t.said, s)
		return p, false
	}
	t.said[s] = said
	return said[0], true
}

func (a *Access) sayOne(s *session, payload []byte) mqtt.Reason {
	ctx, cancel := context.WithTimeout(a.life, sayLimit)
	defer cancel()
	retry, err := a.chat.Say(ctx, s.Session(), payload)
	switch {
	case err == nil:
		return mqtt.Success
	case retry:
		a.log.Warn("access: what a device said was not kept", "device", s.Key(), "err", err)
		return mqtt.QuotaExceeded // also what makes a 3.1.1 client come again
	default:
		return mqtt.Unspecified
	}
}
