package longconn

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// downlink is the messages of one connection: those in the window, those
// waiting for it, and a memory of those acknowledged.
type downlink struct {
	inflight []flight // in order of sending
	queue    []parcel
	bytes    int      // payload bytes in queue
	acked    []uint64 // hashes of the latest acknowledged IDs, a ring
	oldest   int      // in acked
	next     uint16   // packet identifier
	starved  bool     // something was refused since the last Ready
}

// flight is a message that was sent and not acknowledged.
type flight struct {
	packet uint16
	id     string
}

// parcel is a message waiting for the window.
type parcel struct {
	Message
	done func(error)
}

// remembered is how many acknowledged messages a connection remembers: as many
// as an inbox may hold, so that draining one again repeats nothing.
const remembered = 256

// deliver sends m, or lets it wait, or refuses it.
func (e *engine) deliver(now time.Time, m Message, done func(error)) {
	if e.state != open || e.muted {
		e.report(done, ErrGone)
		return
	}
	if e.down == nil {
		e.down = &downlink{next: 1}
	}
	d := e.down
	switch {
	case d.knows(m.ID):
		e.stats.repeated.Add(1)
		e.report(done, nil)
	case expired(now, m):
		e.report(done, ErrExpired)
	case !e.fits(m):
		e.report(done, ErrTooLarge)
	case len(d.queue) == 0 && len(d.inflight) < int(e.window):
		e.send(now, parcel{m, done})
	case len(d.queue) < e.cfg.Queue && d.bytes+len(m.Payload) <= e.cfg.QueueBytes:
		d.queue = append(d.queue, parcel{m, done})
		d.bytes += len(m.Payload)
	default:
		d.starved = true
		e.stats.full.Add(1)
		e.report(done, ErrFull)
	}
}

func expired(now time.Time, m Message) bool { return !m.Expires.IsZero() && !now.Before(m.Expires) }

// fits compares the packet with our limit and the client's [MQTT-3.1.2-24].
func (e *engine) fits(m Message) bool {
	const overhead = 5 + 2 + 2 + 6 // header, topic length, packet identifier, properties
	size := overhead + len(e.cfg.Inbox) + len(m.Payload)
	return size <= e.cfg.MaxPacket && (e.maxPacket == 0 || uint32(size) <= e.maxPacket)
}

// send writes m into the window.
func (e *engine) send(now time.Time, p parcel) {
	d := e.down
	for d.inWindow(d.next) >= 0 {
		d.skip()
	}
	out := mqtt.Publish{Topic: e.cfg.Inbox, Payload: p.Payload, ID: d.next, QoS: 1}
	if !p.Expires.IsZero() {
		// Rounded up: 0 would be read as "no expiry" by nobody but a hasty client.
		out.Properties.MessageExpiry = uint32(min((p.Expires.Sub(now)+time.Second-1)/time.Second, 1<<32-1))
	}
	e.write(mqtt.AppendPublish(e.buffer(), e.version, out))
	e.sent = append(e.sent, p.done)
	d.inflight = append(d.inflight, flight{d.next, p.ID})
	d.skip()
	e.stats.delivered.Add(1)
}

// skip moves to the next packet identifier; 0 is not one.
func (d *downlink) skip() {
	if d.next++; d.next == 0 {
		d.next = 1
	}
}

func (d *downlink) inWindow(packet uint16) int {
	return slices.IndexFunc(d.inflight, func(f flight) bool { return f.packet == packet })
}

// puback frees a place in the window and fills it from the queue.
func (e *engine) puback(now time.Time, h mqtt.Header, body []byte) error {
	packet, reason, err := mqtt.DecodeAck(h, body, e.version)
	if err != nil || e.down == nil {
		return err
	}
	d := e.down
	i := d.inWindow(packet)
	if i < 0 {
		return nil // a stray acknowledgement proves nothing and harms nobody
	}
	id := d.inflight[i].id
	d.inflight = slices.Delete(d.inflight, i, i+1)
	d.remember(id)
	if reason < mqtt.Unspecified {
		e.stats.acked.Add(1)
		e.events = append(e.events, event{kind: evAcked, id: id})
	} else {
		e.stats.rejected.Add(1) // the client has it and does not want it: no proof, no repetition
	}
	e.refill(now)
	return nil
}

func (e *engine) refill(now time.Time) {
	d := e.down
	n := 0
	for ; n < len(d.queue) && len(d.inflight) < int(e.window); n++ {
		p := d.queue[n]
		d.bytes -= len(p.Payload)
		if expired(now, p.Message) {
			e.report(p.done, ErrExpired)
			continue
		}
		e.send(now, p)
	}
	d.queue = slices.Delete(d.queue, 0, n)
	if len(d.inflight) == 0 {
		d.inflight, d.queue = nil, nil // idle again: give the memory back
	}
	if d.starved && len(d.queue) <= e.cfg.Queue/2 {
		d.starved = false
		e.events = append(e.events, event{kind: evReady})
	}
}

// knows reports whether the message is waiting, in flight or acknowledged here.
func (d *downlink) knows(id string) bool {
	return slices.ContainsFunc(d.inflight, func(f flight) bool { return f.id == id }) ||
		slices.ContainsFunc(d.queue, func(p parcel) bool { return p.ID == id }) ||
		len(d.acked) > 0 && slices.Contains(d.acked, hash(id))
}

// remember notes an acknowledged ID. Eight bytes each: of two that collide, one
// in 2^56 comparisons, the later would be left in the inbox.
func (d *downlink) remember(id string) {
	if len(d.acked) < remembered {
		d.acked = append(d.acked, hash(id))
		return
	}
	d.acked[d.oldest] = hash(id)
	d.oldest = (d.oldest + 1) % remembered
}

// abandon reports what never left the queue.
func (e *engine) abandon() {
	for _, p := range e.down.queue {
		e.report(p.done, ErrGone)
	}
	e.down.queue, e.down.bytes = nil, 0
}

// seed makes the hashes of this process its own, so that nobody outside can
// choose IDs that collide.
var seed = maphash.MakeSeed()

func hash(s string) uint64 { return maphash.String(seed, s) }
