package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// Connect implements [longconn.Handler].
func (a *Access) Connect(c longconn.Conn, hello longconn.Hello) {
	a.spawn(func() {
		select {
		case a.logins <- struct{}{}:
			defer func() { <-a.logins }()
			a.login(c, hello)
		case <-a.life.Done():
		}
	})
}

// login lets a device in, makes it known, and only then looks into its inbox:
// whoever did not find the session had put the message there before.
func (a *Access) login(c longconn.Conn, hello longconn.Hello) {
	ctx, cancel := context.WithTimeout(a.life, a.cfg.LoginTimeout)
	defer cancel()
	app, device, reason := a.identify(ctx, hello)
	if reason != mqtt.Success {
		a.stats.refused.Add(1)
		c.Refuse(reason)
		return
	}
	s := newSession(app, device, hello.Serial)
	welcome := longconn.Welcome{Key: s.key, Tag: s}
	if hello.ClientID == "" {
		welcome.AssignedClientID = device
	}
	if !c.Accept(welcome) {
		return
	}
	a.stats.in.Add(1)
	if err := a.presence.Register(ctx, s.Session()); err != nil {
		a.stats.unregistered.Add(1)
		a.log.Warn("access: session not known to other nodes yet", "device", s.key, "err", err)
	}
	if s.closed() {
		a.presence.Unregister(s.Session()) // its end may have come before its registration
		return
	}
	a.drain(s, c)
}

// Refresh implements [longconn.Handler]: the new token must be of the device
// that is in.
func (a *Access) Refresh(c longconn.Conn, token []byte) {
	s := sessionOf(c)
	a.spawn(func() {
		c.Refreshed(a.recheck(s, token), time.Time{})
	})
}

// recheck finds out whether a token lets a session stay.
func (a *Access) recheck(s *session, token []byte) mqtt.Reason {
	ctx, cancel := context.WithTimeout(a.life, a.cfg.LoginTimeout)
	defer cancel()
	app, device, err := a.tokens.Verify(ctx, string(token))
	switch {
	case err != nil && (a.cfg.Away(err) || ctx.Err() != nil):
		return mqtt.Success // its time is not up yet, and it is not its fault
	case err != nil || app != s.App() || device != s.Device():
		a.log.Info("access: new token refused", "device", s.key, "err", err)
		return mqtt.NotAuthorized
	}
	return mqtt.Success
}

// identify finds out who it is, or the reason to turn it away.
func (a *Access) identify(ctx context.Context, hello longconn.Hello) (app, device string, reason mqtt.Reason) {
	app, device, err := a.tokens.Verify(ctx, string(hello.Password))
	switch {
	case err != nil && (a.cfg.Away(err) || ctx.Err() != nil):
		a.log.Warn("access: token not checked", "remote", hello.Remote, "err", err)
		return "", "", mqtt.ServerUnavailable
	case err != nil:
		a.log.Info("access: token refused", "remote", hello.Remote, "client", hello.ClientID, "err", err)
		return "", "", mqtt.BadCredentials
	case !names(hello.Username, app, device):
		a.log.Info("access: user name is not the token's", "remote", hello.Remote, "client", hello.ClientID)
		return "", "", mqtt.BadCredentials
	case hello.ClientID != "" && hello.ClientID != device:
		a.log.Info("access: client id is not the token's device", "remote", hello.Remote, "client", hello.ClientID)
		return "", "", mqtt.BadClientID
	}
	return app, device, mqtt.Success
}

// names reports whether a user name is "app/device" or "device".
func names(user, app, device string) bool {
	before, after, both := strings.Cut(user, "/")
	return user == device || both && before == app && after == device
}

// drain hands over what lies in the session's inbox. The connection drops what
// it knows already, so draining twice repeats nothing.
func (a *Access) drain(s *session, c longconn.Conn) {
	if !s.beginDrain() {
		return
	}
	a.spawn(func() {
		for more := true; more; {
			a.drainOnce(s, c)
			more = s.endDrain() && a.life.Err() == nil
		}
	})
}

// drainOnce tries until the inbox could be read or the session has ended.
func (a *Access) drainOnce(s *session, c longconn.Conn) {
	const first, longest = 100 * time.Millisecond, 5 * time.Second
	for pause := first; !s.closed() && a.life.Err() == nil; pause = min(2*pause, longest) {
		messages, err := a.pending(s)
		if err == nil {
			a.handOver(s, c, messages)
			return
		}
		a.log.Warn("access: inbox not read", "device", s.key, "err", err)
		wait(a.life, pause)
	}
}

// pending reads the inbox, after the proofs that would empty it have had their
// chance: what the device acknowledged on its last connection a moment ago is
// not to come again.
func (a *Access) pending(s *session) ([]im.Message, error) {
	ctx, cancel := context.WithTimeout(a.life, a.cfg.LoginTimeout)
	defer cancel()
	a.proofs.settle(ctx)
	return a.inbox.Pending(ctx, s.App(), s.Device())
}

func (a *Access) handOver(s *session, c longconn.Conn, messages []im.Message) {
	now := time.Now()
	for _, m := range messages {
		if !m.Expires.IsZero() && !now.Before(m.Expires) {
			continue
		}
		c.Deliver(longconn.Message{ID: m.ID, Payload: m.Payload, Expires: m.Expires}, func(err error) {
			switch {
			case err == nil:
				a.stats.drained.Add(1)
			case errors.Is(err, longconn.ErrTooLarge):
				a.log.Info("access: message in the inbox is too large for the device", "device", s.key, "id", m.ID)
			}
		})
	}
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
