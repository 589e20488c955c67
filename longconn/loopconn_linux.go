package longconn

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/herald-push/herald/longconn/mqtt"
)

// loopConn is a connection of a loop, which alone touches it, but for what the
// methods of [Conn] say.
type loopConn struct {
	loop  *loop
	eng   engine
	key   string
	tag   any
	front *front  // nil for a plain connection that was let in
	rest  *unsent // nil while the kernel takes everything
	fd    int32
	slot  int32  // in the loop
	gen   uint32 // tells it from others that have had its slot
	armed uint32 // tick of its alarm; 0 if none

	dirty     bool // to be settled in this round
	lingering bool // our last word is said
	broken    bool // nothing can be written any more
	eof       bool // nothing more will be read
	proven    bool // counted as let in
	gone      bool
}

// unsent is what the kernel had no room for.
type unsent struct {
	buf   []byte // from a pool
	off   int    // of what is left
	done  []func(error)
	since time.Time
}

// readable reads once: if there is more the loop comes back.
func (c *loopConn) readable() {
	if c.gone {
		return
	}
	n, err := unix.Read(int(c.fd), c.loop.buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
	case err != nil:
		c.eng.close(Lost)
		c.broken = true
	case n == 0:
		c.eng.close(Lost)
		c.eof = true
		c.watch()
	case c.lingering:
	default:
		c.input(c.loop.buf[:n])
	}
}

// input takes bytes from the socket.
func (c *loopConn) input(p []byte) {
	if c.front != nil {
		c.front.input(c, p)
		return
	}
	c.eng.feed(c.loop.now, p)
}

// settle passes on events, writes, and hangs up if it is the end.
func (c *loopConn) settle() {
	if c.gone {
		c.pump()
		c.eng.rest()
		return
	}
	c.pump()
	c.flush()
	c.pump()
	if c.eng.state == closed && (c.broken || c.rest == nil && !c.eng.pending()) {
		c.hangUp()
		c.pump()
	}
	c.eng.rest()
	if c.front != nil && c.eng.state == open && c.front.dispensable() {
		c.front = nil
	}
	c.arm()
}

// pump passes events on to the handler. A handler that calls back finds the
// work of the next round.
func (c *loopConn) pump() {
	for c.eng.work != nil && len(c.eng.work.events) > 0 {
		events := c.eng.work.events
		c.eng.work.events = nil
		for i := range events {
			c.pass(&events[i])
		}
	}
}

func (c *loopConn) pass(ev *event) {
	s := c.loop.set.s
	if ev.kind == evConnect && c.front != nil {
		ev.hello.Remote = c.front.from.String()
	}
	if ev.kind == evClosed {
		s.srv.hub.release(c.key, c, s.srv, func() *parked { return c.eng.park(c, s.handler.Published) })
	}
	s.pass(c, ev, c.eng.cause, c.acker)
}

func (c *loopConn) acker(packet uint16) func(mqtt.Reason) {
	return func(r mqtt.Reason) { c.call(func() { c.eng.ack(packet, r) }) }
}

// flush writes what has gathered, as far as the kernel takes it.
func (c *loopConn) flush() {
	for c.rest == nil && c.eng.pending() {
		w := c.eng.work
		out, sent := w.out, w.sent
		w.out, w.sent = nil, nil
		if c.broken {
			report(sent, ErrGone)
			putBuffer(out)
			continue
		}
		data := out
		if c.front != nil {
			data = c.front.wrap(c, out)
		}
		c.write(data, sent)
		putBuffer(out)
	}
	if c.broken && c.rest != nil {
		c.eng.srv.gate.hold(-len(c.rest.buf))
		report(c.rest.done, ErrBroken)
		c.rest = nil
	}
}

// write writes data, which is the caller's, and keeps what is left of it.
func (c *loopConn) write(data []byte, sent []func(error)) {
	if c.rest != nil {
		c.eng.srv.gate.hold(len(data))
		c.rest.buf = append(c.rest.buf, data...)
		c.rest.done = append(c.rest.done, sent...)
		return
	}
	n, err := c.tryWrite(data)
	switch {
	case err != nil:
		c.eng.close(Lost)
		c.broken = true
		report(sent, ErrBroken)
	case n == len(data):
		report(sent, nil)
	default:
		c.rest = &unsent{buf: append(getBuffer(), data[n:]...), done: sent, since: c.loop.now}
		c.eng.srv.gate.hold(len(data) - n)
		c.watch()
	}
}

// tryWrite writes what the kernel takes.
func (c *loopConn) tryWrite(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	stats := c.eng.srv.stats
	stats.writes.Add(1)
	n, err := unix.Write(int(c.fd), data)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	stats.bytesOut.Add(uint64(n))
	return n, nil
}

func report(sent []func(error), err error) {
	for _, done := range sent {
		done(err)
	}
}

// watch tells the kernel what is waited for.
func (c *loopConn) watch() {
	var events uint32
	if !c.eof {
		events = unix.EPOLLIN
	}
	if c.rest != nil {
		events |= unix.EPOLLOUT
	}
	if err := c.loop.watch(int(c.fd), events, unix.EPOLL_CTL_MOD, c.slot, c.gen); err != nil {
		c.eng.close(Lost)
		c.broken = true
	}
}

// writable goes on with what the kernel had no room for.
func (c *loopConn) writable() {
	r := c.rest
	if r == nil || c.gone {
		return
	}
	n, err := c.tryWrite(r.buf[r.off:])
	r.off += n
	switch {
	case err != nil:
		c.eng.close(Lost)
		c.broken = true
	case n > 0 && r.off < len(r.buf):
		r.since = c.loop.now
	case r.off == len(r.buf):
		c.eng.srv.gate.hold(-len(r.buf))
		report(r.done, nil)
		putBuffer(r.buf)
		c.rest = nil
		c.watch()
		if c.lingering && unix.Shutdown(int(c.fd), unix.SHUT_WR) != nil {
			c.broken = true
		}
	}
}

// hangUp says the last word and gives the peer a second to read it: to close
// with input unread would make the kernel discard what was written.
func (c *loopConn) hangUp() {
	if c.broken || c.eof || c.eng.cause == Lost {
		c.destroy(c.eng.cause)
		return
	}
	if c.lingering {
		return
	}
	c.lingering = true
	if c.front != nil {
		if last := c.front.farewell(c); len(last) > 0 {
			c.write(last, nil)
		}
	}
	if c.rest == nil && unix.Shutdown(int(c.fd), unix.SHUT_WR) != nil {
		c.destroy(c.eng.cause)
		return
	}
	c.armed = 0
	c.eng.heard = c.loop.now.UnixNano() // the second begins now
}

// deadline is when something must have happened.
func (c *loopConn) deadline() time.Time {
	switch {
	case c.gone:
		return time.Time{}
	case c.lingering:
		return time.Unix(0, c.eng.heard).Add(time.Second)
	}
	at := c.eng.deadline()
	if c.rest != nil {
		if by := c.rest.since.Add(c.eng.srv.cfg.WriteTimeout); at.IsZero() || by.Before(at) {
			at = by
		}
	}
	return at
}

// overdue does what is to be done when the deadline has passed.
func (c *loopConn) overdue() {
	switch {
	case c.lingering:
		c.broken = true
	case c.rest != nil && !c.loop.now.Before(c.rest.since.Add(c.eng.srv.cfg.WriteTimeout)):
		c.eng.close(Slow)
		c.broken = true
	default:
		c.eng.expire(c.loop.now)
	}
}

// arm sets the alarm, if there is none or it may be too late.
func (c *loopConn) arm() {
	if c.gone || c.armed != 0 && c.eng.clocked && c.rest == nil {
		return
	}
	at := c.deadline()
	if at.IsZero() {
		return
	}
	if c.armed == 0 || c.loop.wheel.at(at) < c.armed {
		c.armed = c.loop.wheel.add(c.slot, c.gen, at)
	}
	c.eng.clocked = c.eng.state == open
}

// destroy gives the socket up.
func (c *loopConn) destroy(cause Cause) {
	if c.gone {
		return
	}
	c.eng.end(cause)
	c.gone, c.broken = true, true
	c.flush()
	l, s := c.loop, c.loop.set.s
	l.moveOut(c)
	unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, int(c.fd), nil) //nolint:errcheck // it is closed in a moment
	l.done = append(l.done, int(c.fd))
	var addr netip.Addr
	if c.front != nil {
		addr = c.front.counted()
		c.front.free()
	}
	s.gone(addr, c.proven, c.eng.cause)
	c.pump()
	s.readers.Done()
}

// call asks the loop to do something with the connection.
func (c *loopConn) call(f func()) { c.loop.post(op{kind: opCall, conn: c, call: f}) }

// Accept implements [Conn]. It is called once; see [Handler.Connect].
func (c *loopConn) Accept(w Welcome) bool {
	c.key, c.tag = w.Key, w.Tag
	return admit(c, c.eng.srv.hub, w)
}

func (c *loopConn) number() uint64 { return c.eng.serial } // does not change any more

func (c *loopConn) name() string { return c.key } // neither does this once it is claimed

func (c *loopConn) welcome(w Welcome, left *parked) {
	c.call(func() {
		s := c.loop.set.s
		s.stats.accepted.Add(1)
		if c.front != nil && !c.gone {
			s.srv.gate.proven(c.front.counted())
			c.proven = true
		}
		if !c.eng.accept(c.loop.now, w, left) {
			c.eng.acceptLate(left)
		}
		left.publishWill()
	})
}

// surrender implements peer.
func (c *loopConn) surrender(then func(*parked)) {
	c.call(func() {
		c.eng.close(TakenOver)
		then(c.eng.park(c, c.loop.set.s.handler.Published))
	})
}

// Refuse implements [Conn].
func (c *loopConn) Refuse(reason mqtt.Reason) { c.call(func() { c.eng.refuse(reason) }) }

// Refreshed implements [Conn].
func (c *loopConn) Refreshed(reason mqtt.Reason, until time.Time) {
	c.call(func() { c.eng.refreshed(reason, until) })
}

// Deliver implements [Conn].
func (c *loopConn) Deliver(m Message, done func(error)) {
	c.loop.post(op{kind: opDeliver, conn: c, message: m, done: done})
}

// Close implements [Conn].
func (c *loopConn) Close(cause Cause) { c.loop.post(op{kind: opClose, conn: c, cause: cause}) }

// Tag implements [Conn].
func (c *loopConn) Tag() any { return c.tag }

// Quiet implements [Conn]. It may be called from the handler's calls only.
func (c *loopConn) Quiet() time.Duration { return time.Duration(c.eng.quiet) * time.Second }
