package longconn

import (
	"net"
	"sync"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// netConn is a connection of the goroutine transport. One goroutine reads for
// as long as the connection lives; a caller that causes bytes to be written
// starts a second one for as long as there are some. So an idle connection has
// one, and no caller waits for a slow peer.
type netConn struct {
	server *Server
	nc     net.Conn

	mu      sync.Mutex // guards all below
	eng     engine
	key     string
	tag     any
	timer   *time.Timer // nil while there is no deadline
	pumping bool        // someone is passing on events
	writing bool        // someone is writing
	broken  bool        // a write failed
	ended   bool        // the reader is gone
	writers sync.WaitGroup
}

// serve reads until the connection ends, whoever ended it.
func (c *netConn) serve() {
	c.do(func() {})
	buf := make([]byte, 512) // inbound traffic is acknowledgements: 4 bytes each
	for {
		n, err := c.nc.Read(buf)
		c.mu.Lock()
		c.eng.feed(time.Now(), buf[:n])
		if err != nil {
			c.eng.close(Lost)
		}
		c.arm()
		write := c.mustWrite()
		c.mu.Unlock()
		c.pump()
		if write {
			c.writeOut()
		}
		if err != nil {
			break
		}
	}
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.nc.Close()
	c.writers.Wait()
}

// do calls the engine and carries out what comes of it, without blocking.
func (c *netConn) do(call func()) {
	c.mu.Lock()
	call()
	c.arm()
	write := !c.ended && c.mustWrite()
	if write {
		c.writers.Add(1)
	}
	c.mu.Unlock()
	c.pump()
	if write {
		go func() {
			defer c.writers.Done()
			c.writeOut()
		}()
	}
}

// arm starts the timer, which then follows the deadline by itself: a packet
// moves the deadline, and the timer learns of it when it fires.
func (c *netConn) arm() {
	switch deadline := c.eng.deadline(); {
	case c.eng.state == closed && c.timer != nil:
		c.timer.Stop()
	case deadline.IsZero() || c.timer != nil && c.eng.state != open:
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(deadline), c.tick)
	case !c.eng.clocked:
		c.eng.clocked = true // from handshake to keep alive: the deadline may now be nearer
		c.timer.Reset(time.Until(deadline))
	}
}

func (c *netConn) tick() {
	c.do(func() {
		deadline := c.eng.deadline()
		if deadline.IsZero() {
			return
		}
		if left := time.Until(deadline); left > 0 {
			c.timer.Reset(left)
			return
		}
		c.eng.expire()
	})
}

// pump passes events on to the handler, in order, one caller at a time. A call
// that finds another at work leaves its events to that one, so a handler may
// call back.
func (c *netConn) pump() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pumping {
		return
	}
	c.pumping = true
	for len(c.eng.events) > 0 {
		events := c.eng.events
		c.eng.events = nil
		c.mu.Unlock()
		for i := range events {
			c.pass(&events[i])
		}
		c.mu.Lock()
	}
	c.pumping = false
}

func (c *netConn) pass(ev *event) {
	h := c.server.handler
	switch ev.kind {
	case evConnect:
		ev.hello.Remote = c.nc.RemoteAddr().String()
		h.Connect(c, *ev.hello)
	case evAcked:
		h.Acked(c, ev.id)
	case evPublished:
		c.server.stats.published.Add(1)
		h.Published(c, Publication{Topic: ev.pub.topic, Payload: ev.pub.payload, Ack: c.acker(ev.pub.packet)})
	case evReady:
		h.Ready(c)
	case evReport:
		ev.done(ev.err)
	case evClosed:
		c.server.hub.release(c.key, c)
		c.server.stats.accepted.Add(-1)
		h.Closed(c, c.eng.cause)
	}
}

func (c *netConn) acker(packet uint16) func(mqtt.Reason) {
	if packet == 0 {
		return func(mqtt.Reason) {}
	}
	return func(r mqtt.Reason) { c.do(func() { c.eng.ack(packet, r) }) }
}

// mustWrite makes the caller the one who writes, if there is something to write
// or to close and nobody is at it.
func (c *netConn) mustWrite() bool {
	if c.writing || len(c.eng.out) == 0 && c.eng.state != closed {
		return false
	}
	c.writing = true
	return true
}

// writeOut writes until nothing is left, and hangs up once the engine is
// closed; then writing stays set, for there is nothing more to be done.
func (c *netConn) writeOut() {
	c.mu.Lock()
	for len(c.eng.out) > 0 {
		out, sent, broken := c.eng.out, c.eng.sent, c.broken
		c.eng.out, c.eng.sent = nil, nil
		c.mu.Unlock()
		err := ErrGone
		if !broken {
			err = c.write(out)
		}
		putBuffer(out)
		for _, done := range sent {
			done(err)
		}
		c.mu.Lock()
		if err != nil {
			c.broken = true
			c.eng.close(Lost)
		}
	}
	hangUp, broken := c.eng.state == closed, c.broken
	c.writing = hangUp
	c.mu.Unlock()
	c.pump()
	if hangUp {
		c.hangUp(broken)
	}
}

func (c *netConn) write(out []byte) error {
	c.nc.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout)) //nolint:errcheck // shows at Write
	n, err := c.nc.Write(out)
	c.server.stats.bytesOut.Add(uint64(n))
	if err != nil {
		return ErrBroken
	}
	return nil
}

// hangUp lets the reader end. Where it can it closes our half only and gives
// the peer a second to read our last words: to close with input unread would
// make the kernel discard them.
func (c *netConn) hangUp(broken bool) {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if broken || !ok || half.CloseWrite() != nil {
		c.nc.Close()
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the peer's close ends it too
}

// Accept implements [Conn].
func (c *netConn) Accept(w Welcome) (ok bool) {
	var loser Conn
	c.do(func() {
		if c.eng.state != waiting {
			return
		}
		if loser, ok = c.server.hub.claim(w.Key, c, c.eng.number); !ok {
			c.eng.close(TakenOver)
			return
		}
		c.key, c.tag = w.Key, w.Tag
		c.server.stats.accepted.Add(1)
		c.eng.accept(time.Now(), w)
	})
	if loser != nil {
		loser.Close(TakenOver)
	}
	return ok
}

// Refuse implements [Conn].
func (c *netConn) Refuse(reason mqtt.Reason) { c.do(func() { c.eng.refuse(reason) }) }

// Deliver implements [Conn].
func (c *netConn) Deliver(m Message, done func(error)) {
	c.do(func() { c.eng.deliver(time.Now(), m, done) })
}

// Close implements [Conn].
func (c *netConn) Close(cause Cause) { c.do(func() { c.eng.close(cause) }) }

// Tag implements [Conn].
func (c *netConn) Tag() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tag
}

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

// cut closes at once, without farewell.
func (c *netConn) cut() {
	if forced, ok := c.nc.(interface{ cut() error }); ok {
		forced.cut() //nolint:errcheck // nothing is left to lose
		return
	}
	c.nc.Close()
}
