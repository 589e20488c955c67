package longconn

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// connect checks a CONNECT and passes it on to the handler.
func (e *engine) connect(body []byte) error {
	c, err := mqtt.DecodeConnect(body)
	e.version = c.Version
	if err != nil {
		return err
	}
	if limit := c.Properties.MaximumPacketSize; limit != 0 {
		e.x().maxPacket = limit
	}
	switch {
	case c.Properties.Has(mqtt.PropAuthMethod) && c.Properties.AuthMethod != TokenAuth:
		return e.turnAway(mqtt.BadAuthMethod) // [MQTT-4.12.0-1]
	case c.Properties.Has(mqtt.PropAuthData) && !c.Properties.Has(mqtt.PropAuthMethod):
		return protocolError("authentication data without a method")
	case c.Will != nil && c.Will.Retain && c.Version == mqtt.V5:
		return e.turnAway(mqtt.RetainNotSupported) // [MQTT-3.2.2-13]
	case c.ClientID == "" && !c.Clean && c.Version == mqtt.V311:
		return e.turnAway(mqtt.BadClientID) // 3.1.1 [MQTT-3.1.3-8]
	case e.busy || !e.srv.gate.admit():
		return e.turnAway(mqtt.ServerBusy)
	}
	e.greet(c)
	if e.ext != nil && e.ext.method != "" && c.Properties.AuthData == nil {
		p := mqtt.Properties{AuthMethod: TokenAuth}
		e.write(mqtt.AppendAuth(e.buffer(), mqtt.ContinueAuth, p)) // [MQTT-4.12.0-2]
		return nil
	}
	e.ask()
	return nil
}

// greet files what CONNECT said.
func (e *engine) greet(c mqtt.Connect) {
	p := &c.Properties
	if p.Has(mqtt.PropReceiveMaximum) {
		e.window = min(e.window, p.ReceiveMaximum)
	}
	if c.Will != nil {
		e.x().will = newWill(c.Will)
	}
	if p.TopicAliasMaximum > 0 {
		e.x().aliases = min(p.TopicAliasMaximum, topicAliases)
	}
	if p.Has(mqtt.PropRequestProblem) && p.RequestProblem == 0 {
		e.x().silent = true
	}
	hello := &Hello{
		ClientID: c.ClientID,
		Username: c.Username,
		Password: append([]byte(nil), c.Password...),
		Version:  c.Version,
		User:     p.User,
	}
	if p.Has(mqtt.PropAuthMethod) {
		e.x().method = p.AuthMethod
		hello.Method = p.AuthMethod
		hello.Password = append([]byte(nil), p.AuthData...)
	}
	g := &greeting{keepAlive: c.KeepAlive, clean: c.Clean, hello: hello}
	g.expiry, g.sessionExpiry = p.SessionExpiry, p.Has(mqtt.PropSessionExpiry)
	if c.Version == mqtt.V311 && !c.Clean {
		g.expiry = 1<<32 - 1 // 3.1.1: for as long as the server likes
	}
	e.w().hello = g
	e.state, e.serial = waiting, e.srv.serial()
	hello.Serial = e.serial
}

// ask passes the client's wish on to the handler.
func (e *engine) ask() {
	g := e.w().hello
	hello := g.hello
	g.hello = nil
	e.emit(event{kind: evConnect, hello: hello})
}

// awaitsToken reports whether the client was asked for its token by AUTH.
func (e *engine) awaitsToken() bool {
	return e.work != nil && e.work.hello != nil && e.work.hello.hello != nil
}

// auth takes a token: of a client that was asked for it, or a new one.
func (e *engine) auth(body []byte) error {
	if e.version != mqtt.V5 || e.ext == nil || e.ext.method == "" {
		return protocolError("AUTH without a method") // [MQTT-4.12.0-7]
	}
	reason, p, err := mqtt.DecodeAuth(body)
	switch {
	case err != nil:
		return err
	case p.AuthMethod != e.ext.method:
		return protocolError("AUTH with another method") // [MQTT-4.12.1-1]
	case e.state == waiting && reason == mqtt.ContinueAuth:
		e.work.hello.hello.Password = append([]byte(nil), p.AuthData...)
		e.ask()
	case e.state == open && reason == mqtt.Reauthenticate && !e.ext.renewing:
		e.ext.renewing = true
		e.emit(event{kind: evRefresh, token: append([]byte(nil), p.AuthData...)})
	default:
		return protocolError("AUTH out of turn")
	}
	return nil
}

// refreshed answers a new token.
func (e *engine) refreshed(reason mqtt.Reason, until time.Time) {
	if e.state != open {
		return
	}
	if reason >= mqtt.Unspecified {
		e.write(mqtt.AppendDisconnect(e.buffer(), e.version, reason, mqtt.Properties{})) // [MQTT-4.12.1-2]
		e.end(Expired)
		return
	}
	e.stayUntil(until)
	if e.ext != nil && e.ext.renewing {
		e.ext.renewing = false
		e.write(mqtt.AppendAuth(e.buffer(), mqtt.Success, mqtt.Properties{AuthMethod: e.ext.method}))
	}
}

func (e *engine) stayUntil(until time.Time) {
	e.until, e.clocked = 0, false
	if !until.IsZero() {
		e.until = uint32(until.Unix())
	}
}

func (e *engine) turnAway(reason mqtt.Reason) error {
	ack := mqtt.Connack{Reason: reason}
	if reason == mqtt.ServerBusy || reason == mqtt.ServerUnavailable {
		ack.Properties = e.hints(Refused)
	}
	e.write(mqtt.AppendConnack(e.buffer(), e.version, ack))
	e.end(Refused)
	return nil
}

// accept answers CONNECT with success and goes on with what is left of an
// earlier connection's session, if the client wants it. false means that it is
// too late.
func (e *engine) accept(now time.Time, w Welcome, left *parked) bool {
	if e.state != waiting || e.work == nil || e.work.hello == nil {
		return false
	}
	g := e.work.hello
	ack := mqtt.Connack{}
	if left != nil && !g.clean {
		ack.SessionPresent = true
		left.will = nil // in time [MQTT-3.1.2-26]
		e.sess = left.sess
		if e.sess == nil {
			e.sess = newSession()
		}
	}
	expiry := min(g.expiry, e.srv.maxExpiry())
	if expiry != 0 {
		e.x().expiry = expiry
	}
	if g.sessionExpiry && expiry != g.expiry {
		ack.SessionExpiry = &expiry
	}
	ack.Properties = mqtt.Properties{
		ReceiveMaximum:    receiveMaximum,
		MaximumPacketSize: uint32(e.srv.cfg.MaxPacket),
		TopicAliasMaximum: topicAliases,
		AssignedClientID:  w.AssignedClientID,
	}
	if e.ext != nil {
		ack.Properties.AuthMethod = e.ext.method // [MQTT-4.12.0-5]
	}
	e.keepAlive = g.keepAlive
	if limit := e.keepAliveLimit(w); e.version == mqtt.V5 && (e.keepAlive == 0 || e.keepAlive > limit) {
		e.keepAlive, ack.Properties.ServerKeepAlive = limit, limit
	}
	e.stayUntil(w.Until)
	if at := e.srv.lifeEnd(now); at != 0 {
		e.x().leave = at
	}
	e.write(mqtt.AppendConnack(e.buffer(), e.version, ack))
	e.state, e.work.hello, e.heard, e.accepted = open, nil, now.UnixNano(), true
	if e.sess != nil {
		e.resume(now)
	}
	for _, p := range g.early {
		e.deliver(now, p.Message, p.done)
	}
	e.feed(now, nil) // what came while the handler thought
	return true
}

func (e *engine) keepAliveLimit(w Welcome) uint16 {
	limit := e.srv.cfg.MaxKeepAlive
	if w.KeepAlive > 0 && w.KeepAlive < limit {
		limit = max(w.KeepAlive, time.Second)
	}
	return uint16(limit / time.Second)
}

// lifeEnd is when a connection that begins now is to move on, so that the load
// spreads again after nodes were added: the same for no two of them.
func (s *services) lifeEnd(now time.Time) uint32 {
	if s.cfg.MaxAge == 0 {
		return 0
	}
	dither := 0.9 + 0.2*rand.Float64() //nolint:gosec // spreads load, guards nothing
	return uint32(now.Add(time.Duration(float64(s.cfg.MaxAge) * dither)).Unix())
}

func (s *services) maxExpiry() uint32 { return uint32(s.cfg.SessionExpiry / time.Second) }

// refuse answers CONNECT with a reason not to come in.
func (e *engine) refuse(reason mqtt.Reason) {
	if e.state == waiting {
		_ = e.turnAway(reason)
	}
}

func faultReason(err error) mqtt.Reason {
	if fault, ok := errors.AsType[*mqtt.Fault](err); ok {
		return fault.Reason
	}
	return mqtt.Unspecified
}

// acceptLate does what is left of an acceptance whose client has gone: the
// session that it was to go on with waits for the next connection.
func (e *engine) acceptLate(left *parked) {
	if e.accepted {
		return
	}
	e.accepted = true
	if left != nil {
		e.sess, e.x().expiry = left.sess, left.expiry
		e.ext.will, left.will = left.will, nil
	}
	e.emit(event{kind: evClosed})
}
