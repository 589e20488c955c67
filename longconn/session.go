package longconn

import (
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// session is what a connection remembers of its messages. The part of it that
// is about delivery outlives the connection, if the client wishes.
type session struct {
	inflight []flight // in order of sending
	queue    []parcel
	bytes    int      // payload bytes in queue
	acked    []uint64 // hashes of the latest acknowledged IDs, a ring
	oldest   int      // in acked
	next     uint16   // packet identifier
	starved  bool     // something was refused since the last Ready
	muted    bool     // inbox unsubscribed
	grant    byte     // QoS of the inbox
	subID    uint32   // identifier of its subscription; 0 if it has none

	// waiting are publications in order of arrival, as the answers must be
	// [MQTT-4.6.0-2].
	waiting []answer
	// released are QoS 2 publications taken and acknowledged with PUBREC, whose
	// PUBREL has not come.
	released []uint16
}

func newSession() *session { return &session{next: 1, grant: 1} }

// s is the session's state.
func (e *engine) s() *session {
	if e.sess == nil {
		e.sess = newSession()
	}
	return e.sess
}

// flight is a message that was sent and not acknowledged.
type flight struct {
	Message

	packet   uint16
	qos      byte
	released bool // PUBREC came: PUBREL was sent
	unsent   bool // not sent yet on this connection
}

// parcel is a message waiting for the window.
type parcel struct {
	Message

	done func(error)
}

// idle reports whether nothing is under way.
func (s *session) idle() bool {
	return len(s.inflight)+len(s.queue)+len(s.waiting)+len(s.released) == 0
}

// ifWorthKeeping is s, or nil if it says no more than a new one would, but for
// the memory of what was acknowledged, which a client that has been quiet long
// enough to ping is no longer asked about.
func (s *session) ifWorthKeeping() *session {
	if s == nil || !s.idle() || s.starved || s.muted || s.grant != 1 || s.subID != 0 {
		return s
	}
	return nil
}

// parked is a session without a connection.
type parked struct {
	sess   *session // nil if nothing was under way
	will   *will
	expiry uint32 // s
	owner  Conn   // the connection it was left by
	said   func(Conn, Publication)
}

// park returns what is to outlive the connection, which has ended; nil if
// nothing is.
func (e *engine) park(c Conn, said func(Conn, Publication)) *parked {
	p := &parked{sess: e.sess, expiry: e.expiry(), owner: c, said: said}
	if e.ext != nil {
		p.will, e.ext.will = e.ext.will, nil
	}
	e.sess = nil
	if p.expiry == 0 {
		return nil
	}
	if s := p.sess; s != nil {
		// What the handler has not answered is not ours: the client sends it again.
		s.waiting, s.queue, s.bytes, s.starved = nil, nil, 0, false
		s.acked, s.oldest = nil, 0
		p.sess = s.ifWorthKeeping()
	}
	return p
}

// dueWill takes the will if it is to be published at the end of the connection
// and not later [MQTT-3.1.2-8].
func (e *engine) dueWill() *will {
	if e.ext == nil || e.ext.will == nil || e.ext.will.delay > 0 && e.expiry() > 0 {
		return nil
	}
	w := e.ext.will
	e.ext.will = nil
	return w
}

// publishWill passes the will on, once.
func (p *parked) publishWill() {
	if p == nil || p.will == nil {
		return
	}
	w := p.will
	p.will = nil
	p.said(p.owner, Publication{Topic: w.topic, Payload: w.payload, Properties: w.properties, Will: true, Ack: func(mqtt.Reason) {}})
}

// weight is roughly the memory that the session keeps in use.
func (p *parked) weight() int {
	n := 64
	if p.sess != nil {
		n += 192
		for _, f := range p.sess.inflight {
			n += 128 + len(f.Payload)
		}
	}
	if p.will != nil {
		n += 64 + len(p.will.payload)
	}
	return n
}

// will is what a client left to be published should it vanish.
type will struct {
	topic      string
	payload    []byte
	properties *mqtt.Properties
	delay      uint32 // s
}

func newWill(w *mqtt.Will) *will {
	out := &will{topic: w.Topic, payload: append([]byte(nil), w.Payload...), delay: w.Properties.WillDelay}
	out.properties = ownProperties(&w.Properties)
	return out
}

// ownProperties copies what a handler may want to know out of a packet.
func ownProperties(p *mqtt.Properties) *mqtt.Properties {
	if !p.Any() {
		return nil
	}
	own := *p
	own.Correlation = append([]byte(nil), p.Correlation...)
	return &own
}

// resume sends again what the last connection left unacknowledged, in order,
// as far as the window of this one allows [MQTT-4.4.0-1] [MQTT-4.6.0-1].
func (e *engine) resume(now time.Time) {
	s := e.sess
	for i := range s.inflight {
		f := &s.inflight[i]
		if f.released {
			e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBREL, f.packet, mqtt.Success))
			f.unsent = false
			continue
		}
		f.unsent = true
	}
	e.refill(now)
}
