package longconn

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// topicAliases is how many topics either side may number on a connection.
const topicAliases = 8

// remembered is how many acknowledged messages a connection remembers: as many
// as an inbox may hold, so that draining one again repeats nothing.
const remembered = 256

// deliver sends m, or lets it wait, or refuses it.
func (e *engine) deliver(now time.Time, m Message, done func(error)) {
	if e.state == waiting && e.work != nil && e.work.hello != nil && len(e.work.hello.early) < e.srv.cfg.Queue+e.srv.cfg.Window {
		// Accepted, but what is left of an earlier session is not here yet.
		e.work.hello.early = append(e.work.hello.early, parcel{m, done})
		return
	}
	if e.state != open || e.sess != nil && e.sess.muted && m.Topic == "" {
		e.report(done, ErrGone)
		return
	}
	if m.Lossy {
		e.deliverLossy(now, m, done)
		return
	}
	s := e.s()
	switch {
	case s.knows(m.ID):
		e.srv.stats.repeated.Add(1)
		e.report(done, nil)
	case expired(now, m):
		e.report(done, ErrExpired)
	case !e.fits(m):
		e.report(done, ErrTooLarge)
	case len(s.queue) == 0 && s.sent() < int(e.window):
		e.send(now, parcel{m, done})
	case s.collapse(e, parcel{m, done}):
	case len(s.queue) < e.srv.cfg.Queue && s.bytes+len(m.Payload) <= e.srv.cfg.QueueBytes && !e.srv.gate.crowded():
		s.queue = append(s.queue, parcel{m, done})
		s.bytes += len(m.Payload)
		e.srv.gate.hold(len(m.Payload))
	default:
		s.starved = true
		e.srv.stats.full.Add(1)
		e.report(done, ErrFull)
	}
}

// deliverLossy sends without proof, to a client that keeps up.
func (e *engine) deliverLossy(now time.Time, m Message, done func(error)) {
	switch {
	case expired(now, m):
		e.report(done, ErrExpired)
	case !e.fits(m):
		e.report(done, ErrTooLarge)
	case e.work != nil && len(e.work.out) > max(64<<10, e.srv.cfg.QueueBytes):
		e.srv.stats.full.Add(1)
		e.report(done, ErrFull)
	default:
		e.writeMessage(now, m, 0, 0, false)
		if done != nil {
			e.work.sent = append(e.work.sent, done)
		}
		e.srv.stats.delivered.Add(1)
	}
}

func expired(now time.Time, m Message) bool { return !m.Expires.IsZero() && !now.Before(m.Expires) }

// fits compares the packet with our limit and the client's [MQTT-3.1.2-27].
func (e *engine) fits(m Message) bool {
	size := 5 + 2 + len(e.topic(m)) + 2 + len(m.Payload) // header, topic, identifier
	if e.version == mqtt.V5 {
		size += 1 + 5 // properties' length, expiry
		if e.ext != nil && e.ext.aliases > 0 {
			size += 3
		}
		if e.sess != nil && e.sess.subID != 0 {
			size += 5
		}
		if m.Properties != nil {
			size += mqtt.SizePublish(mqtt.V5, mqtt.Publish{Properties: *m.Properties})
		}
	}
	return size <= e.srv.cfg.MaxPacket && (e.ext == nil || e.ext.maxPacket == 0 || uint32(size) <= e.ext.maxPacket)
}

func (e *engine) topic(m Message) string {
	if m.Topic == "" {
		return e.srv.cfg.Inbox
	}
	return m.Topic
}

// send writes m into the window.
func (e *engine) send(now time.Time, p parcel) {
	s := e.sess
	for s.inWindow(s.next) >= 0 {
		s.skip()
	}
	f := flight{Message: p.Message, packet: s.next, qos: s.grant}
	s.skip()
	e.writeMessage(now, f.Message, f.packet, f.qos, false)
	if p.done != nil {
		e.work.sent = append(e.work.sent, p.done)
	}
	s.inflight = append(s.inflight, f)
	e.srv.stats.delivered.Add(1)
}

// writeMessage writes a PUBLISH.
func (e *engine) writeMessage(now time.Time, m Message, packet uint16, qos byte, dup bool) {
	out := mqtt.Publish{Topic: e.topic(m), Payload: m.Payload, ID: packet, QoS: qos, Dup: dup}
	if e.version == mqtt.V5 {
		if m.Properties != nil {
			out.Properties = *m.Properties
		}
		if !m.Expires.IsZero() {
			// Rounded up: 0 would be read as "no expiry" by nobody but a hasty client.
			left := (m.Expires.Sub(now) + time.Second - 1) / time.Second
			out.Properties.MessageExpiry = uint32(min(max(left, 1), 1<<32-1)) // [MQTT-3.3.2-6]
		}
		if e.sess != nil && m.Topic == "" {
			out.Properties.SubscriptionID = e.sess.subID // [MQTT-3.3.4-3]
		}
		if e.ext != nil && e.ext.aliases > 0 {
			out.Topic, out.Properties.TopicAlias = e.ext.alias(out.Topic)
		}
	}
	e.write(mqtt.AppendPublish(e.buffer(), e.version, out))
}

// alias shortens a topic that the client knows by number, or numbers it.
func (x *extras) alias(topic string) (string, uint16) {
	if n, ok := x.out[topic]; ok {
		return "", n
	}
	if len(x.out) >= int(x.aliases) { // [MQTT-3.1.2-29]
		return topic, 0
	}
	if x.out == nil {
		x.out = map[string]uint16{}
	}
	n := uint16(len(x.out) + 1)
	x.out[topic] = n
	return topic, n
}

// skip moves to the next packet identifier; 0 is not one.
func (s *session) skip() {
	if s.next++; s.next == 0 {
		s.next = 1
	}
}

func (s *session) inWindow(packet uint16) int {
	return slices.IndexFunc(s.inflight, func(f flight) bool { return f.packet == packet })
}

// sent is how much of the window is used.
func (s *session) sent() int {
	n := len(s.inflight)
	for i := range s.inflight {
		if s.inflight[i].unsent {
			n--
		}
	}
	return n
}

// answered takes the client's answer to a PUBLISH or PUBREL of ours.
func (e *engine) answered(now time.Time, h mqtt.Header, body []byte) error {
	packet, reason, err := mqtt.DecodeAck(h, body, e.version)
	if err != nil {
		return err
	}
	i := -1
	if e.sess != nil {
		i = e.sess.inWindow(packet)
	}
	if i < 0 {
		if h.Type == mqtt.PUBREC { // of a session that is gone here
			e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBREL, packet, mqtt.PacketIDNotFound))
		}
		return nil // a stray acknowledgement proves nothing and harms nobody
	}
	f := &e.sess.inflight[i]
	if want := f.expects(); h.Type != want && (h.Type != mqtt.PUBREC || !f.released) {
		return protocolError("answer of another quality of service")
	}
	if h.Type == mqtt.PUBREC && reason < mqtt.Unspecified {
		if !f.released {
			f.released = true
			e.prove(f.ID)
			f.Payload, f.Properties = nil, nil // it will not be sent again [MQTT-4.3.3-6]
		}
		e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBREL, packet, mqtt.Success))
		return nil
	}
	switch {
	case h.Type == mqtt.PUBCOMP:
	case reason < mqtt.Unspecified:
		e.prove(f.ID)
	default:
		e.srv.stats.rejected.Add(1) // the client has it and does not want it: no proof, no repetition [MQTT-4.4.0-2]
		e.sess.remember(f.ID)
	}
	e.sess.inflight = slices.Delete(e.sess.inflight, i, i+1)
	e.refill(now)
	return nil
}

// expects is the packet that moves a flight on.
func (f *flight) expects() mqtt.Type {
	switch {
	case f.qos == 1:
		return mqtt.PUBACK
	case f.released:
		return mqtt.PUBCOMP
	default:
		return mqtt.PUBREC
	}
}

// prove notes that the client has a message.
func (e *engine) prove(id string) {
	e.sess.remember(id)
	e.srv.stats.acked.Add(1)
	e.emit(event{kind: evAcked, id: id})
}

// refill uses the room in the window: first for what an earlier connection left
// behind, then for what waits.
func (e *engine) refill(now time.Time) {
	s := e.sess
	room := int(e.window) - s.sent()
	for i := 0; i < len(s.inflight) && room > 0; i++ {
		f := &s.inflight[i]
		if !f.unsent {
			continue
		}
		if !e.fits(f.Message) { // as if it had been sent [MQTT-3.1.2-28]
			s.inflight = slices.Delete(s.inflight, i, i+1)
			i--
			continue
		}
		f.unsent = false
		e.writeMessage(now, f.Message, f.packet, f.qos, true) // [MQTT-3.3.1-1]
		room--
	}
	n := 0
	for ; n < len(s.queue) && room > 0; n++ {
		p := s.queue[n]
		s.bytes -= len(p.Payload)
		e.srv.gate.hold(-len(p.Payload))
		if expired(now, p.Message) {
			e.report(p.done, ErrExpired)
			continue
		}
		e.send(now, p)
		room--
	}
	s.queue = slices.Delete(s.queue, 0, n)
	if len(s.inflight) == 0 {
		s.inflight, s.queue = nil, nil // idle again: give the memory back
	}
	if s.starved && len(s.queue) <= e.srv.cfg.Queue/2 {
		s.starved = false
		e.emit(event{kind: evReady})
	}
}

// collapse puts p in the place of the waiting message that it supersedes.
func (s *session) collapse(e *engine, p parcel) bool {
	if p.Collapse == "" {
		return false
	}
	i := slices.IndexFunc(s.queue, func(q parcel) bool { return q.Collapse == p.Collapse })
	if i < 0 {
		return false
	}
	old := s.queue[i]
	more := len(p.Payload) - len(old.Payload)
	s.bytes += more
	e.srv.gate.hold(more)
	e.srv.stats.collapsed.Add(1)
	s.queue = append(slices.Delete(s.queue, i, i+1), p)
	e.report(old.done, ErrReplaced)
	return true
}

// knows reports whether the message is waiting, in flight or acknowledged here.
func (s *session) knows(id string) bool {
	return slices.ContainsFunc(s.inflight, func(f flight) bool { return f.ID == id }) ||
		slices.ContainsFunc(s.queue, func(p parcel) bool { return p.ID == id }) ||
		len(s.acked) > 0 && slices.Contains(s.acked, hash(id))
}

// remember notes an acknowledged ID. Eight bytes each: of two that collide, one
// in 2^56 comparisons, the later would be left in the inbox.
func (s *session) remember(id string) {
	if len(s.acked) < remembered {
		s.acked = append(s.acked, hash(id))
		return
	}
	s.acked[s.oldest] = hash(id)
	s.oldest = (s.oldest + 1) % remembered
}

// abandon reports what never left the queue.
func (e *engine) abandon() {
	for _, p := range e.sess.queue {
		e.srv.gate.hold(-len(p.Payload))
		e.report(p.done, ErrGone)
	}
	e.sess.queue, e.sess.bytes = nil, 0
}

// seed makes the hashes of this process its own, so that nobody outside can
// choose IDs that collide.
var seed = maphash.MakeSeed()

func hash(s string) uint64 { return maphash.String(seed, s) }
