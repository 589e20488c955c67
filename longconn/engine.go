package longconn

import (
	"errors"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// engine is the protocol of one connection. Whoever drives it holds it alone
// during a call, writes what has gathered in out, reports to sent once that is
// written, and passes on events in order. Once state is closed and out is
// written, the connection is to be closed.
type engine struct {
	cfg    *Config
	stats  *Stats
	serial func() uint64 // numbers the CONNECTs of the process

	out    []byte        // to be written
	sent   []func(error) // to be called once out is written
	events []event       // to be passed on, outside of any lock
	in     []byte        // the part of a packet that has arrived

	number uint64    // of this CONNECT
	began  time.Time // of the connection; once open, of the last packet heard
	hello  *greeting // from CONNECT to its answer
	down   *downlink // nil until the first message
	up     *uplink   // nil until the first publication

	maxPacket uint32 // the client's
	keepAlive uint16 // seconds, as agreed; 0 means none
	window    uint16
	version   byte
	state     state
	cause     Cause // once closed
	accepted  bool
	busy      bool // over the connection cap: to be turned away
	muted     bool // inbox unsubscribed
	clocked   bool // the driver's timer knows of the keep alive
}

type state byte

const (
	fresh   state = iota // no CONNECT yet
	waiting              // CONNECT is with the handler
	open
	closed
)

// greeting is what CONNECT said, as far as CONNACK needs it.
type greeting struct {
	keepAlive     uint16
	sessionExpiry bool
}

type eventKind byte

const (
	evConnect eventKind = iota
	evAcked
	evPublished
	evReady
	evReport
	evClosed
)

// event is a call of [Handler] to be made, or the report on a message that was
// not sent.
type event struct {
	kind  eventKind
	id    string      // evAcked
	hello *Hello      // evConnect
	pub   *inbound    // evPublished
	done  func(error) // evReport
	err   error       // evReport
}

// report tells the fate of a message that was not, or need not be, written.
func (e *engine) report(done func(error), err error) {
	e.events = append(e.events, event{kind: evReport, done: done, err: err})
}

// inbound is a publication of the client on its way to the handler.
type inbound struct {
	topic   string
	payload []byte
	packet  uint16 // 0 with QoS 0
}

func newEngine(cfg *Config, stats *Stats, serial func() uint64, now time.Time) engine {
	return engine{cfg: cfg, stats: stats, serial: serial, began: now, window: uint16(cfg.Window)}
}

// feed takes bytes from the client.
func (e *engine) feed(now time.Time, p []byte) {
	e.stats.bytesIn.Add(uint64(len(p)))
	if len(e.in) > 0 {
		e.in = append(e.in, p...)
		p = e.in
	}
	for e.state == fresh || e.state == open {
		h, body, n, err := mqtt.Split(p, e.cfg.MaxPacket)
		if err == nil && n > 0 {
			if e.state == open {
				e.began = now
			}
			e.stats.packetsIn.Add(1)
			err = e.packet(now, h, body)
		}
		if err != nil {
			e.fail(err)
		}
		if n == 0 {
			break
		}
		p = p[n:]
	}
	switch {
	case e.state == closed || len(p) == 0:
		e.in = nil
	case len(p) > e.cfg.MaxPacket: // only while the handler thinks
		e.close(Slow)
	default:
		e.in = append(e.in[:0], p...)
	}
	if len(e.out) > maxUnread(e.cfg) {
		e.close(Slow)
	}
}

// maxUnread bounds what may wait to be written. A full window fits; a client
// that goes on asking without reading the answers does not.
func maxUnread(cfg *Config) int { return (cfg.Window + 1) * cfg.MaxPacket }

// packet handles one packet. Its error is a *mqtt.Fault.
func (e *engine) packet(now time.Time, h mqtt.Header, body []byte) error {
	if e.state == fresh {
		if h.Type != mqtt.CONNECT {
			return protocolError("first packet is not CONNECT") // [MQTT-3.1.0-1]
		}
		return e.connect(body)
	}
	switch h.Type {
	case mqtt.PUBLISH:
		return e.publish(h, body)
	case mqtt.PUBACK:
		return e.puback(now, h, body)
	case mqtt.PUBREL:
		return e.pubrel(h, body)
	case mqtt.SUBSCRIBE:
		return e.subscribe(body)
	case mqtt.UNSUBSCRIBE:
		return e.unsubscribe(body)
	case mqtt.PINGREQ:
		if len(body) != 0 {
			return &mqtt.Fault{Reason: mqtt.MalformedPacket, Detail: "PINGREQ with a body"}
		}
		e.write(mqtt.AppendPing(e.buffer(), mqtt.PINGRESP))
		return nil
	case mqtt.DISCONNECT:
		if _, _, err := mqtt.DecodeDisconnect(body, e.version); err != nil {
			return err
		}
		e.end(Disconnected)
		return nil
	default:
		return protocolError("packet that a client may not send now") // a second CONNECT too [MQTT-3.1.0-2]
	}
}

func protocolError(detail string) error {
	return &mqtt.Fault{Reason: mqtt.ProtocolError, Detail: detail}
}

// connect checks a CONNECT and passes it on to the handler.
func (e *engine) connect(body []byte) error {
	c, err := mqtt.DecodeConnect(body)
	e.version = c.Version
	if err != nil {
		return err
	}
	switch {
	case c.Properties.Has(mqtt.PropAuthMethod):
		return e.turnAway(mqtt.BadAuthMethod)
	case c.Will != nil && c.Will.Retain && c.Version == mqtt.V5:
		return e.turnAway(mqtt.RetainNotSupported) // [MQTT-3.2.2-13]
	case c.ClientID == "" && !c.Clean && c.Version == mqtt.V311:
		return e.turnAway(mqtt.BadClientID) // 3.1.1 [MQTT-3.1.3-8]
	case e.busy:
		return e.turnAway(mqtt.ServerBusy)
	}
	if c.Properties.Has(mqtt.PropReceiveMaximum) {
		e.window = min(e.window, c.Properties.ReceiveMaximum)
	}
	e.maxPacket = c.Properties.MaximumPacketSize
	e.hello = &greeting{keepAlive: c.KeepAlive, sessionExpiry: c.Properties.SessionExpiry != 0}
	e.state, e.number = waiting, e.serial()
	e.events = append(e.events, event{kind: evConnect, hello: &Hello{
		Serial:   e.number,
		ClientID: c.ClientID,
		Username: c.Username,
		Password: append([]byte(nil), c.Password...),
		Version:  c.Version,
	}})
	return nil
}

func (e *engine) turnAway(reason mqtt.Reason) error {
	e.write(mqtt.AppendConnack(e.buffer(), e.version, mqtt.Connack{Reason: reason}))
	e.end(Refused)
	return nil
}

// accept answers CONNECT with success; false means that it is too late.
func (e *engine) accept(now time.Time, w Welcome) bool {
	if e.state != waiting {
		return false
	}
	ack := mqtt.Connack{
		ReceiveMaximum:    receiveMaximum,
		MaximumPacketSize: uint32(e.cfg.MaxPacket),
		AssignedClientID:  w.AssignedClientID,
	}
	if e.hello.sessionExpiry {
		ack.SessionExpiry = new(uint32)
	}
	e.keepAlive = e.hello.keepAlive
	if limit := uint16(e.cfg.MaxKeepAlive / time.Second); e.version == mqtt.V5 && (e.keepAlive == 0 || e.keepAlive > limit) {
		e.keepAlive, ack.ServerKeepAlive = limit, limit
	}
	e.write(mqtt.AppendConnack(e.buffer(), e.version, ack))
	e.state, e.hello, e.began, e.accepted = open, nil, now, true
	e.feed(now, nil) // what came while the handler thought
	return true
}

// refuse answers CONNECT with a reason not to come in.
func (e *engine) refuse(reason mqtt.Reason) {
	if e.state == waiting {
		_ = e.turnAway(reason)
	}
}

// fail answers a fault of the client and closes.
func (e *engine) fail(err error) {
	reason := mqtt.Unspecified
	if fault, ok := errors.AsType[*mqtt.Fault](err); ok {
		reason = fault.Reason
	}
	switch {
	case e.state == open:
		e.write(mqtt.AppendDisconnect(e.buffer(), e.version, reason))
	case reason == mqtt.UnsupportedVersion && e.version < mqtt.V5:
		e.write(mqtt.AppendConnack(e.buffer(), mqtt.V311, mqtt.Connack{Reason: reason})) // 3.1.1 [MQTT-3.1.2-2]
	case e.version >= mqtt.V5:
		e.write(mqtt.AppendConnack(e.buffer(), mqtt.V5, mqtt.Connack{Reason: reason}))
	}
	e.end(Malformed)
}

// close ends the connection for a reason of our own.
func (e *engine) close(cause Cause) {
	if e.state == closed {
		return
	}
	if e.state == waiting {
		e.write(mqtt.AppendConnack(e.buffer(), e.version, mqtt.Connack{Reason: mqtt.ServerUnavailable}))
	}
	if e.state == open && cause != Lost {
		e.write(mqtt.AppendDisconnect(e.buffer(), e.version, cause.reason()))
	}
	e.end(cause)
}

// end is the last step of every way out.
func (e *engine) end(cause Cause) {
	if e.state == closed {
		return
	}
	e.state, e.cause, e.in = closed, cause, nil
	if e.down != nil {
		e.abandon()
	}
	if e.accepted {
		e.events = append(e.events, event{kind: evClosed})
	}
}

// deadline is when the client must have been heard; zero means never.
func (e *engine) deadline() time.Time {
	switch {
	case e.state == closed:
		return time.Time{}
	case e.state != open:
		return e.began.Add(e.cfg.HandshakeTimeout)
	case e.keepAlive == 0:
		return time.Time{}
	default:
		return e.began.Add(time.Duration(e.keepAlive) * time.Second * 3 / 2) // [MQTT-3.1.2-22]
	}
}

// expire closes the connection once its deadline has passed.
func (e *engine) expire() {
	if e.state == open {
		e.close(Silent)
		return
	}
	e.close(Handshake)
}

// buffer returns out, ready to append to; [engine.write] puts it back.
func (e *engine) buffer() []byte {
	if e.out == nil {
		return getBuffer()
	}
	return e.out
}

func (e *engine) write(out []byte) { e.out = out }
