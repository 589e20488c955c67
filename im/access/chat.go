package access

import (
	"context"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// ChatTopic is where devices talk.
const ChatTopic = "im"

// Chat takes what devices say on [ChatTopic].
type Chat interface {
	// Say returns once what was said is durable. An error is either a refusal,
	// which the device has been told on its inbox, or, if retry is set, Herald's
	// own trouble: the device is to say it again.
	Say(ctx context.Context, app, device string, payload []byte) (retry bool, err error)
}

// sayLimit bounds the work on one thing that was said.
const sayLimit = 10 * time.Second

// Talk lets devices talk. It is called before the first connection.
func (a *Access) Talk(c Chat) { a.chat = c }

// say deals with what a device said, one after the other, so that it is said
// in the order in which it came.
func (a *Access) say(s *session, p longconn.Publication) {
	s.mu.Lock()
	s.said = append(s.said, p)
	first := len(s.said) == 1
	s.mu.Unlock()
	if first {
		a.spawn(func() { a.sayAll(s) })
	}
}

func (a *Access) sayAll(s *session) {
	for {
		s.mu.Lock()
		p := s.said[0]
		s.mu.Unlock()

		p.Ack(a.sayOne(s, p.Payload))

		s.mu.Lock()
		s.said = s.said[1:]
		if len(s.said) == 0 {
			s.said = nil // an idle connection holds no memory for this
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

func (a *Access) sayOne(s *session, payload []byte) mqtt.Reason {
	ctx, cancel := context.WithTimeout(a.life, sayLimit)
	defer cancel()
	retry, err := a.chat.Say(ctx, s.App, s.Device, payload)
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
