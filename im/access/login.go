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
	app, device, until, reason := a.identify(ctx, hello)
	if reason != mqtt.Success {
		a.stats.refused.Add(1)
		c.Refuse(reason)
		return
	}
	user, reason := a.ownerOf(ctx, app, device)
	if reason != mqtt.Success {
		a.stats.refused.Add(1)
		c.Refuse(reason)
		return
	}
	s := newSession(app, device, user, hello.Serial)
	welcome := longconn.Welcome{Key: s.Key(), Tag: s, Until: until}
	if imposes(hello) {
		s.net = a.networks.of(hello)
		welcome.KeepAlive = a.networks.offer(s.net)
	}
	if hello.ClientID == "" {
		welcome.AssignedClientID = device
	}
	if !a.announce(ctx, s) {
		a.log.Debug("access: session not known to other nodes before it is let in", "device", s.Key())
	}
	if !c.Accept(welcome) {
		a.presence.Unregister(s.Session())
		return
	}
	a.stats.in.Add(1)
	if err := a.presence.Register(ctx, s.Session()); err != nil {
		a.stats.unregistered.Add(1)
		a.log.Warn("access: session not known to other nodes yet", "device", s.Key(), "err", err)
	}
	if s.closed() {
		a.presence.Unregister(s.Session()) // its end may have come before its registration
		return
	}
	a.drain(s, c)
}

// announce makes a person's device known before it is let in. What others say
// to a person is kept for the device to ask for, and not put into an inbox: were
// it known only after it has asked, what is said in between would wait for the
// next message. Whoever looks for it meanwhile finds nobody, and may take the
// entry for stale; so it is made known again once it is in.
func (a *Access) announce(ctx context.Context, s *session) bool {
	if s.User() == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, announcing)
	defer cancel()
	return a.presence.Register(ctx, s.Session()) == nil
}

// announcing is how long a device waits to be let in for others to know it.
const announcing = 2 * time.Second

// verify checks a token and tells when it runs out; zero means never.
func (a *Access) verify(ctx context.Context, token []byte) (app, device string, until time.Time, err error) {
	if t, ok := a.tokens.(Expiring); ok {
		return t.VerifyUntil(ctx, string(token))
	}
	app, device, err = a.tokens.Verify(ctx, string(token))
	return app, device, time.Time{}, err
}

// Refresh implements [longconn.Handler]: the new token must be of the device
// that is in.
func (a *Access) Refresh(c longconn.Conn, token []byte) { a.renew(c, token, func(mqtt.Reason) {}) }

// renew lets a session stay for as long as a new token lasts. A token that is
// not good ends it; a store that is away changes nothing.
func (a *Access) renew(c longconn.Conn, token []byte, answer func(mqtt.Reason)) {
	s := sessionOf(c)
	a.spawn(func() {
		ctx, cancel := context.WithTimeout(a.life, a.cfg.LoginTimeout)
		defer cancel()
		app, device, until, err := a.verify(ctx, token)
		switch {
		case err != nil && (a.cfg.Away(err) || ctx.Err() != nil):
			answer(mqtt.QuotaExceeded) // also what makes a 3.1.1 client come again
			c.Refreshed(mqtt.ServerUnavailable, time.Time{})
		case err != nil || app != s.App() || device != s.Device():
			a.log.Info("access: new token refused", "device", s.Key(), "err", err)
			answer(mqtt.NotAuthorized)
			c.Refreshed(mqtt.NotAuthorized, time.Time{})
		default:
			c.Refreshed(mqtt.Success, until)
			answer(mqtt.Success)
		}
	})
}

// identify finds out who it is and until when, or the reason to turn it away.
func (a *Access) identify(ctx context.Context, hello longconn.Hello) (app, device string, until time.Time, reason mqtt.Reason) {
	app, device, until, err := a.verify(ctx, hello.Password)
	switch {
	case err != nil && (a.cfg.Away(err) || ctx.Err() != nil):
		a.log.Warn("access: token not checked", "remote", hello.Remote, "err", err)
		return "", "", until, mqtt.ServerUnavailable
	case err != nil:
		a.log.Info("access: token refused", "remote", hello.Remote, "client", hello.ClientID, "err", err)
		return "", "", until, mqtt.BadCredentials
	case !names(hello, app, device):
		a.log.Info("access: user name is not the token's", "remote", hello.Remote, "client", hello.ClientID)
		return "", "", until, mqtt.BadCredentials
	case hello.ClientID != "" && hello.ClientID != device:
		a.log.Info("access: client id is not the token's device", "remote", hello.Remote, "client", hello.ClientID)
		return "", "", until, mqtt.BadClientID
	}
	return app, device, until, mqtt.Success
}

// ownerOf finds whose device it is, or the reason to turn it away for now.
func (a *Access) ownerOf(ctx context.Context, app, device string) (string, mqtt.Reason) {
	if a.chat == nil {
		return "", mqtt.Success
	}
	user, err := a.chat.User(ctx, app, device)
	if err != nil {
		a.log.Warn("access: nobody knows whose device it is", "device", im.Key(app, device), "err", err)
		return "", mqtt.ServerUnavailable
	}
	return user, mqtt.Success
}

// names reports whether a user name is "app/device" or "device". Who shows a
// token by the method for it needs none: the token says it all.
func names(hello longconn.Hello, app, device string) bool {
	if hello.Username == "" && hello.Method == longconn.TokenAuth {
		return true
	}
	before, after, both := strings.Cut(hello.Username, "/")
	return hello.Username == device || both && before == app && after == device
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
		a.log.Warn("access: inbox not read", "device", s.Key(), "err", err)
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
		c.Deliver(wire(m), func(err error) {
			switch {
			case err == nil:
				a.stats.drained.Add(1)
			case errors.Is(err, longconn.ErrTooLarge):
				a.log.Info("access: message in the inbox is too large for the device", "device", s.Key(), "id", m.ID)
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
