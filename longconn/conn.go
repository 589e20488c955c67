package longconn

import (
	"net"
	"net/netip"
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
	addr   netip.Addr // of the client, as far as it is known

	mu      sync.Mutex // guards all below
	eng     engine
	key     string
	tag     any
	timer   *time.Timer // nil while there is no deadline
	pumping bool        // someone is passing on events
	writing bool        // someone is writing
	broken  bool        // a write failed
	ended   bool        // the reader is gone
	proven  bool        // counted as let in
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
		now := time.Now()
		if left := deadline.Sub(now); left > 0 {
			c.timer.Reset(left)
			return
		}
		c.eng.expire(now)
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
	for c.eng.work != nil && len(c.eng.work.events) > 0 {
		events := c.eng.work.events
		c.eng.work.events = nil
		c.mu.Unlock()
		for i := range events {
			c.pass(&events[i])
		}
		c.mu.Lock()
	}
	c.eng.rest()
	c.pumping = false
}

func (c *netConn) pass(ev *event) {
	if ev.kind == evConnect {
		ev.hello.Remote = c.nc.RemoteAddr().String()
	}
	if ev.kind == evClosed {
		c.server.srv.hub.release(c.key, c, c.server.srv, func() *parked {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.eng.park(c, c.server.handler.Published)
		})
	}
	c.server.pass(c, ev, c.eng.cause, c.acker)
}

func (c *netConn) acker(packet uint16) func(mqtt.Reason) {
	return func(r mqtt.Reason) { c.do(func() { c.eng.ack(packet, r) }) }
}

// mustWrite makes the caller the one who writes, if there is something to write
// or to close and nobody is at it.
func (c *netConn) mustWrite() bool {
	if c.writing || !c.eng.pending() && c.eng.state != closed {
		return false
	}
	c.writing = true
	return true
}

// writeOut writes until nothing is left, and hangs up once the engine is
// closed; then writing stays set, for there is nothing more to be done.
func (c *netConn) writeOut() {
	c.mu.Lock()
	for c.eng.pending() {
		w := c.eng.work
		out, sent, broken := w.out, w.sent, c.broken
		w.out, w.sent = nil, nil
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
	c.server.srv.stats.bytesOut.Add(uint64(n))
	c.server.srv.stats.writes.Add(1)
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
func (c *netConn) Accept(w Welcome) bool {
	c.mu.Lock()
	ok := c.eng.state == waiting && c.tag == nil
	if ok {
		c.key, c.tag = w.Key, w.Tag
	}
	c.mu.Unlock()
	return ok && admit(c, c.server.srv.hub, w)
}

func (c *netConn) number() uint64 { return c.eng.serial } // does not change any more

func (c *netConn) name() string { return c.key } // neither does this once it is claimed

func (c *netConn) welcome(w Welcome, left *parked) {
	c.do(func() {
		c.server.stats.accepted.Add(1)
		if !c.ended {
			c.server.srv.gate.proven(c.addr)
			c.proven = true
		}
		if !c.eng.accept(time.Now(), w, left) {
			c.eng.acceptLate(left)
		}
	})
	left.publishWill()
}

// surrender implements peer.
func (c *netConn) surrender(then func(*parked)) {
	var left *parked
	c.do(func() {
		c.eng.close(TakenOver)
		left = c.eng.park(c, c.server.handler.Published)
	})
	then(left)
}

// Refuse implements [Conn].
func (c *netConn) Refuse(reason mqtt.Reason) { c.do(func() { c.eng.refuse(reason) }) }

// Refreshed implements [Conn].
func (c *netConn) Refreshed(reason mqtt.Reason, until time.Time) {
	c.do(func() { c.eng.refreshed(reason, until) })
}

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

// Quiet implements [Conn].
func (c *netConn) Quiet() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.eng.quiet) * time.Second
}

// cut closes at once, without farewell.
func (c *netConn) cut() {
	if forced, ok := c.nc.(interface{ cut() error }); ok {
		forced.cut() //nolint:errcheck // nothing is left to lose
		return
	}
	c.nc.Close()
}
