package longconn

import (
	"strconv"
	"sync"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// engine is the protocol of one connection. Whoever drives it holds it alone
// during a call, writes what has gathered in out, reports to sent once that is
// written, and passes on events in order. Once state is closed and out is
// written, the connection is to be closed.
//
// It is small because there are many: all that an idle connection does not need
// hangs off work, sess or ext.
type engine struct {
	srv  *services
	work *work    // nil while there is nothing to do
	sess *session // nil while there is nothing to remember
	ext  *extras  // nil for a client without will, aliases or authentication

	serial    uint64 // of this CONNECT
	heard     int64  // Unix ns: begin of the connection; once open, of the last packet
	until     uint32 // Unix s: when the token runs out; 0 means never
	keepAlive uint16 // s, as agreed; 0 means none
	quiet     uint16 // s, the longest silence that ended
	window    uint16
	version   byte
	state     state
	cause     Cause // once closed
	accepted  bool
	busy      bool // over the connection cap: to be turned away
	clocked   bool // the driver's timer knows of the keep alive
}

// services are what all engines of a process share.
type services struct {
	cfg    *Config
	stats  *Stats
	hub    *Hub
	serial func() uint64 // numbers the CONNECTs of the process
	gate   *gate
}

type state byte

const (
	fresh   state = iota // no CONNECT yet
	waiting              // CONNECT is with the handler
	open
	closed
)

// work is what an engine has in hand.
type work struct {
	out    []byte        // to be written
	sent   []func(error) // to be called once out is written
	events []event       // to be passed on, outside of any lock
	in     []byte        // the part of a packet that has arrived
	hello  *greeting     // from CONNECT to its answer
}

// greeting is what CONNECT said, as far as its answer needs it.
type greeting struct {
	keepAlive     uint16
	clean         bool
	sessionExpiry bool
	expiry        uint32
	hello         *Hello   // while the token is awaited
	early         []parcel // to be delivered once the client is in
}

// extras are what few connections have.
type extras struct {
	will      *will
	leave     uint32            // Unix s: when to move to another server; 0 means never
	expiry    uint32            // s that the session outlives the connection
	maxPacket uint32            // the client's; 0 means none
	method    string            // of authentication
	renewing  bool              // a new token is with the handler
	in        []string          // topics by alias less one, as the client names them
	out       map[string]uint16 // aliases that the client knows
	aliases   uint16            // how many it takes
	silent    bool              // wants no reason strings
}

type eventKind byte

const (
	evConnect eventKind = iota
	evRefresh
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
	token []byte      // evRefresh
	pub   *inbound    // evPublished
	done  func(error) // evReport
	err   error       // evReport
}

// inbound is a publication of the client on its way to the handler.
type inbound struct {
	topic      string
	payload    []byte
	properties *mqtt.Properties
	packet     uint16 // 0 with QoS 0
	will       bool
}

func newEngine(srv *services, now time.Time) engine {
	return engine{srv: srv, heard: now.UnixNano(), window: uint16(srv.cfg.Window)}
}

var works = sync.Pool{New: func() any { return new(work) }}

// w is the work in hand.
func (e *engine) w() *work {
	if e.work == nil {
		e.work = works.Get().(*work)
	}
	return e.work
}

// rest gives the work back if none is left; drivers call it when they are done.
func (e *engine) rest() {
	if w := e.work; w != nil && w.out == nil && len(w.sent) == 0 && len(w.events) == 0 && w.in == nil && w.hello == nil {
		w.sent, w.events = nil, nil
		e.work = nil
		works.Put(w)
	}
}

// x is the extras.
func (e *engine) x() *extras {
	if e.ext == nil {
		e.ext = &extras{}
	}
	return e.ext
}

// expiry is how many seconds the session outlives the connection.
func (e *engine) expiry() uint32 {
	if e.ext == nil {
		return 0
	}
	return e.ext.expiry
}

// leave is when to move to another server, in Unix seconds; 0 means never.
func (e *engine) leave() uint32 {
	if e.ext == nil {
		return 0
	}
	return e.ext.leave
}

func (e *engine) emit(ev event) { w := e.w(); w.events = append(w.events, ev) }

// report tells the fate of a message that was not, or need not be, written.
func (e *engine) report(done func(error), err error) {
	if done != nil {
		e.emit(event{kind: evReport, done: done, err: err})
	}
}

// pending reports whether there is something to write.
func (e *engine) pending() bool { return e.work != nil && len(e.work.out) > 0 }

// feed takes bytes from the client.
func (e *engine) feed(now time.Time, p []byte) {
	e.srv.stats.bytesIn.Add(uint64(len(p)))
	if e.work != nil && len(e.work.in) > 0 {
		e.srv.gate.hold(len(p))
		e.work.in = append(e.work.in, p...)
		p = e.work.in
	}
	for e.state == fresh || e.state == open || e.state == waiting && e.awaitsToken() {
		h, body, n, err := mqtt.Split(p, e.srv.cfg.MaxPacket)
		if err == nil && n > 0 {
			e.hear(now)
			e.srv.stats.packetsIn.Add(1)
			err = e.packet(now, h, body)
		}
		if err != nil {
			e.fail(err)
		}
		if n == 0 || err != nil {
			break
		}
		p = p[n:]
	}
	e.keepRest(p)
}

// keepRest keeps what is not a whole packet yet.
func (e *engine) keepRest(p []byte) {
	switch {
	case e.state == closed || len(p) == 0:
		e.keepBytes(nil)
	case len(p) > e.srv.cfg.MaxPacket: // only while the handler thinks
		e.close(Slow)
	case len(p) > 1<<10 && e.srv.gate.crowded():
		e.close(Crowded)
	default:
		e.keepBytes(p)
	}
	if e.work != nil && len(e.work.out) > maxUnread(e.srv.cfg) {
		e.close(Slow)
	}
}

func (e *engine) keepBytes(p []byte) {
	if e.work == nil && len(p) == 0 {
		return
	}
	w := e.w()
	e.srv.gate.hold(len(p) - len(w.in))
	if len(p) == 0 {
		w.in = nil
		return
	}
	w.in = append(w.in[:0], p...)
}

// hear notes that the client is alive.
func (e *engine) hear(now time.Time) {
	if e.state != open {
		return
	}
	n := now.UnixNano()
	if silence := (n - e.heard) / int64(time.Second); silence > int64(e.quiet) {
		e.quiet = uint16(min(silence, 1<<16-1))
	}
	e.heard = n
}

// maxUnread bounds what may wait to be written. A full window fits; a client
// that goes on asking without reading the answers does not.
func maxUnread(cfg *Config) int { return (cfg.Window + 1) * cfg.MaxPacket }

// packet handles one packet. Its error is a *mqtt.Fault.
func (e *engine) packet(now time.Time, h mqtt.Header, body []byte) error {
	switch {
	case e.state == fresh && h.Type != mqtt.CONNECT:
		return protocolError("first packet is not CONNECT") // [MQTT-3.1.0-1]
	case e.state == fresh:
		return e.connect(body)
	case e.state == waiting && h.Type != mqtt.AUTH && h.Type != mqtt.DISCONNECT:
		return protocolError("packet amid authentication") // [MQTT-3.1.2-33]
	}
	switch h.Type {
	case mqtt.PUBLISH:
		return e.publish(h, body)
	case mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP:
		return e.answered(now, h, body)
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
		e.sess = e.sess.ifWorthKeeping()
		e.write(mqtt.AppendPing(e.buffer(), mqtt.PINGRESP))
		return nil
	case mqtt.DISCONNECT:
		return e.disconnect(body)
	case mqtt.AUTH:
		return e.auth(body)
	default:
		return protocolError("packet that a client may not send now") // a second CONNECT too [MQTT-3.1.0-2]
	}
}

func protocolError(detail string) error {
	return &mqtt.Fault{Reason: mqtt.ProtocolError, Detail: detail}
}

// disconnect ends the connection as the client wishes.
func (e *engine) disconnect(body []byte) error {
	reason, p, err := mqtt.DecodeDisconnect(body, e.version)
	if err != nil {
		return err
	}
	if p.Has(mqtt.PropSessionExpiry) {
		if e.expiry() == 0 && p.SessionExpiry != 0 {
			return protocolError("a session of no length cannot be given one at its end")
		}
		e.x().expiry = min(p.SessionExpiry, e.srv.maxExpiry())
	}
	if reason == mqtt.Success && e.ext != nil {
		e.ext.will = nil // [MQTT-3.14.4-3]
	}
	e.end(Disconnected)
	return nil
}

// fail answers a fault of the client and closes.
func (e *engine) fail(err error) {
	reason := faultReason(err)
	switch {
	case e.state == open:
		e.write(mqtt.AppendDisconnect(e.buffer(), e.version, reason, mqtt.Properties{}))
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
	switch {
	case e.state == waiting && cause != Lost:
		e.write(mqtt.AppendConnack(e.buffer(), e.version, mqtt.Connack{Reason: mqtt.ServerUnavailable, Properties: e.hints(cause)}))
	case e.state == open && cause != Lost:
		e.write(mqtt.AppendDisconnect(e.buffer(), e.version, cause.reason(), e.hints(cause)))
	}
	e.end(cause)
}

// RetryAfter is the user property by which a server that sends a client away
// tells it how many seconds to wait at least before it comes again.
const RetryAfter = "retry-after"

// hints are what a client that is sent away is told for its next attempt.
func (e *engine) hints(cause Cause) (p mqtt.Properties) {
	switch cause {
	case Moved, Shutdown:
		p.ServerReference = e.srv.cfg.Redirect
	case Crowded, Refused, Slow:
	default:
		return p
	}
	p.User = []mqtt.Pair{{Name: RetryAfter, Value: strconv.Itoa(e.srv.gate.retryAfter())}}
	if e.ext != nil && e.ext.maxPacket != 0 && e.ext.maxPacket < 64 { // [MQTT-3.14.2-3]
		return mqtt.Properties{}
	}
	return p
}

// end is the last step of every way out.
func (e *engine) end(cause Cause) {
	if e.state == closed {
		return
	}
	e.state, e.cause = closed, cause
	e.keepBytes(nil)
	if e.work != nil && e.work.hello != nil {
		for _, p := range e.work.hello.early {
			e.report(p.done, ErrGone)
		}
		e.work.hello = nil
	}
	if e.sess != nil {
		e.abandon()
	}
	if !e.accepted {
		return
	}
	if w := e.dueWill(); w != nil {
		e.emit(event{kind: evPublished, pub: &inbound{topic: w.topic, payload: w.payload, properties: w.properties, will: true}})
	}
	e.emit(event{kind: evClosed})
}

// deadline is when the client must have been heard or shown a new token; zero
// means never.
func (e *engine) deadline() time.Time {
	if e.state == closed {
		return time.Time{}
	}
	began := time.Unix(0, e.heard)
	if e.state != open {
		return began.Add(e.srv.cfg.HandshakeTimeout)
	}
	var deadline time.Time
	if e.keepAlive != 0 {
		deadline = began.Add(time.Duration(e.keepAlive) * time.Second * 3 / 2) // [MQTT-3.1.2-24]
	}
	for _, at := range [...]uint32{e.until, e.leave()} {
		if t := time.Unix(int64(at), 0); at != 0 && (deadline.IsZero() || t.Before(deadline)) {
			deadline = t
		}
	}
	return deadline
}

// expire closes the connection once its deadline has passed.
func (e *engine) expire(now time.Time) {
	switch {
	case e.state != open:
		e.close(Handshake)
	case e.until != 0 && now.Unix() >= int64(e.until):
		e.close(Expired)
	case e.leave() != 0 && now.Unix() >= int64(e.leave()):
		e.close(Moved)
	default:
		e.close(Silent)
	}
}

// buffer returns out, ready to append to; [engine.write] puts it back.
func (e *engine) buffer() []byte {
	w := e.w()
	if w.out == nil {
		w.out = getBuffer()
	}
	return w.out
}

func (e *engine) write(out []byte) { e.work.out = out }

// buffers are lent to connections that have something to write.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func getBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

// putBuffer takes a buffer back, unless one large message made it large.
func putBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= 16<<10 {
		b = b[:0]
		buffers.Put(&b)
	}
}
