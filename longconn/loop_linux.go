package longconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// haveLoops says that this system has epoll.
const haveLoops = true

// loopSet is the epoll transport: a few loops, each with the connections that it
// accepted, which never leave it.
type loopSet struct {
	s      *Server
	all    []*loop
	tls    handshakes
	ending atomic.Bool
}

// loop serves its connections, alone. What others want of them waits in ops and
// is done many at a time.
//
// An idle connection costs its record, a place in conns and one in the wheel:
// no goroutine, no timer, no buffer. There is one buffer to read into for all.
type loop struct {
	set   *loopSet
	epfd  int
	wake  int         // eventfd
	conns []*loopConn // by slot
	empty []int32     // slots
	wheel wheel
	now   time.Time // of this round
	gen   uint32    // of the next connection
	done  []int     // descriptors to close at the end of the round
	dirty []*loopConn
	buf   []byte // read into
	plain []byte // decrypted into
	frame []byte // composed in
	doors []door
	muted time.Time // no accepting before

	mu     sync.Mutex
	ops    []op
	spare  []op
	asleep bool
	ended  bool
}

// door is a listening socket.
type door struct {
	fd  int
	web bool
}

// op is something to be done in the loop for someone outside.
type op struct {
	kind    opKind
	conn    *loopConn
	cause   Cause
	message Message
	done    func(error)
	call    func()
}

type opKind byte

const (
	opDeliver opKind = iota
	opClose
	opCall
)

func openLoops(_ context.Context, s *Server) (loops, error) {
	n := s.cfg.Loops
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	set := &loopSet{s: s, tls: handshakes{make(chan struct{}, s.cfg.TLSHandshakes)}}
	var doors []door
	for _, l := range []struct {
		net.Listener
		web bool
	}{{s.tcp, false}, {s.ws, true}} {
		if l.Listener == nil {
			continue
		}
		fd, err := descriptor(l.Listener)
		if err != nil {
			return nil, err
		}
		doors = append(doors, door{fd, l.web})
	}
	for range n {
		l, err := newLoop(set, doors)
		if err != nil {
			for _, l := range set.all {
				l.free()
			}
			return nil, fmt.Errorf("longconn: open event loop: %w", err)
		}
		set.all = append(set.all, l)
	}
	return set, nil
}

// descriptor is that of a listener, which stays its owner.
func descriptor(l net.Listener) (fd int, err error) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("longconn: a %T has no descriptor; use the goroutine transport", l)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(p uintptr) { fd = int(p) })
	return fd, err
}

func newLoop(set *loopSet, doors []door) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epfd) // nothing was done with it
		return nil, err
	}
	l := &loop{
		set: set, epfd: epfd, wake: wake, doors: doors, now: time.Now(),
		buf: make([]byte, 64<<10), plain: make([]byte, 16<<10),
	}
	l.wheel.begin(l.now)
	if err := l.watch(wake, unix.EPOLLIN, unix.EPOLL_CTL_ADD, wakeSlot, 0); err != nil {
		l.free()
		return nil, err
	}
	return l, nil
}

func (l *loop) free() {
	_ = unix.Close(l.epfd) // gone either way
	_ = unix.Close(l.wake)
}

// What an event is about: a connection's slot, or one of these.
const (
	wakeSlot = -1
	doorSlot = -2 // the first door; the second is one below
)

func (l *loop) watch(fd int, events uint32, how int, slot int32, gen uint32) error {
	return unix.EpollCtl(l.epfd, how, fd, &unix.EpollEvent{Events: events, Fd: slot, Pad: int32(gen)})
}

// openDoors begins to accept. The loops share the listening sockets; each
// connection wakes one of them.
func (l *loop) openDoors() {
	for i, d := range l.doors {
		if err := l.watch(d.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, unix.EPOLL_CTL_ADD, doorSlot-int32(i), 0); err != nil && !errors.Is(err, unix.EEXIST) {
			l.set.s.log.Error("longconn: cannot accept", "err", err)
		}
	}
}

func (l *loop) shutDoors() {
	for _, d := range l.doors {
		unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, d.fd, nil) //nolint:errcheck // it may be out already
	}
}

// run serves until the loop is told to end and has no connections.
func (l *loop) run() {
	defer l.free()
	l.openDoors()
	events := make([]unix.EpollEvent, 512)
	for {
		n, err := unix.EpollWait(l.epfd, events, l.patience())
		if err != nil && !errors.Is(err, unix.EINTR) {
			l.set.s.log.Error("longconn: epoll", "err", err)
			return
		}
		l.now = time.Now()
		l.mu.Lock()
		l.asleep = false
		l.mu.Unlock()
		for i := range max(n, 0) {
			l.handle(&events[i])
		}
		l.work()
		l.wheel.turn(l.now, l.ring)
		l.settleAll()
		l.sweep()
		if l.set.ending.Load() && l.finished() {
			return
		}
	}
}

// patience is how long to sleep, in ms: not at all while there are ops.
func (l *loop) patience() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ops) > 0 {
		return 0
	}
	l.asleep = true
	if !l.muted.IsZero() {
		return 50
	}
	return l.wheel.patience(time.Now())
}

// finished ends the loop, if nothing is left to be done.
func (l *loop) finished() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = len(l.ops) == 0
	return l.ended
}

func (l *loop) handle(ev *unix.EpollEvent) {
	switch slot := ev.Fd; {
	case slot == wakeSlot:
		var b [8]byte
		unix.Read(l.wake, b[:]) //nolint:errcheck // only to be quiet again
		return
	case slot <= doorSlot:
		if i := int(doorSlot - slot); i < len(l.doors) {
			l.acceptFrom(l.doors[i])
		}
		return
	}
	c := l.at(ev.Fd, uint32(ev.Pad))
	if c == nil {
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		c.writable()
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.readable()
	}
	l.touch(c)
}

// at is the connection in a slot, unless that is another by now.
func (l *loop) at(slot int32, gen uint32) *loopConn {
	if c := l.conns[slot]; c != nil && c.gen == gen {
		return c
	}
	return nil
}

// settleIn gives a connection a slot.
func (l *loop) settleIn(c *loopConn) {
	if n := len(l.empty); n > 0 {
		c.slot, l.empty = l.empty[n-1], l.empty[:n-1]
		l.conns[c.slot] = c
		return
	}
	c.slot = int32(len(l.conns))
	l.conns = append(l.conns, c)
}

// moveOut takes its slot back.
func (l *loop) moveOut(c *loopConn) {
	l.conns[c.slot] = nil
	l.empty = append(l.empty, c.slot)
}

// acceptFrom takes in a few who knock. Running out of descriptors is borne
// with, for connections that end give some back.
func (l *loop) acceptFrom(d door) {
	const few = 64
	for range few {
		fd, sa, err := unix.Accept4(d.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		case err != nil:
			l.set.s.log.Warn("longconn: accept failed", "err", err)
			l.shutDoors()
			l.muted = l.now.Add(50 * time.Millisecond)
			return
		default:
			l.adopt(fd, addrPort(sa), d.web)
		}
	}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	default:
		return netip.AddrPort{}
	}
}

// adopt makes a socket one of the loop's connections; compare Server.adopt.
func (l *loop) adopt(fd int, from netip.AddrPort, web bool) {
	s := l.set.s
	n := int(s.stats.open.Load())
	if s.crammed(n) || !s.cfg.ProxyProtocol && !s.srv.gate.enter(from.Addr()) {
		unix.Close(fd)
		s.stats.closedBy[Refused].Add(1)
		return
	}
	l.gen++
	c := &loopConn{loop: l, fd: int32(fd), gen: l.gen, eng: newEngine(s.srv, l.now)}
	c.eng.busy = n >= s.cfg.MaxConnections || s.away.Load()
	c.front = newFront(s, from, web)
	l.settleIn(c)
	s.readers.Add(1)
	s.stats.open.Add(1)
	s.stats.opened.Add(1)
	if err := l.watch(fd, unix.EPOLLIN, unix.EPOLL_CTL_ADD, c.slot, c.gen); err != nil {
		s.log.Warn("longconn: epoll add failed", "err", err)
		c.destroy(Lost)
		return
	}
	l.touch(c)
}

// post asks the loop to do something. The loop is woken once for all that is
// asked of it while it sleeps.
func (l *loop) post(o op) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		if o.done != nil {
			o.done(ErrGone)
		}
		return
	}
	l.ops = append(l.ops, o)
	wake := l.asleep
	l.asleep = false
	l.mu.Unlock()
	if wake {
		one := [8]byte{1}
		unix.Write(l.wake, one[:]) //nolint:errcheck // full means that it is awake
	}
}

// work does what was asked. What the doing asks for is done in the next round.
func (l *loop) work() {
	l.mu.Lock()
	ops := l.ops
	l.ops = l.spare[:0]
	l.mu.Unlock()
	for i := range ops {
		o := &ops[i]
		switch o.kind {
		case opDeliver:
			o.conn.eng.deliver(l.now, o.message, o.done)
		case opClose:
			o.conn.eng.close(o.cause)
		case opCall:
			o.call()
		}
		if o.conn != nil {
			l.touch(o.conn)
		}
	}
	clear(ops)
	if cap(ops) > 64<<10 {
		ops = nil // one large broadcast made it large
	}
	l.spare = ops
}

// touch notes that a connection is to be settled in this round.
func (l *loop) touch(c *loopConn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

func (l *loop) settleAll() {
	for i := 0; i < len(l.dirty); i++ { // it may grow
		c := l.dirty[i]
		c.dirty = false
		c.settle()
	}
	clear(l.dirty)
	l.dirty = l.dirty[:0]
	if !l.muted.IsZero() && l.now.After(l.muted) {
		l.muted = time.Time{}
		if !l.set.ending.Load() {
			l.openDoors()
		}
	}
}

// sweep closes descriptors. Not before the end of the round, lest a new
// connection get the number of one that still has events in it.
func (l *loop) sweep() {
	for _, fd := range l.done {
		unix.Close(fd)
	}
	l.done = l.done[:0]
}

// ring is called by the wheel when it is time for a connection.
func (l *loop) ring(e alarm) {
	c := l.at(e.slot, e.gen)
	if c == nil || c.armed != e.tick {
		return
	}
	c.armed = 0
	if at := c.deadline(); !at.IsZero() && !l.now.Before(at) {
		c.overdue()
	}
	l.touch(c)
}

// run implements loops.
func (set *loopSet) run(parts *sync.WaitGroup) {
	for _, l := range set.all {
		parts.Go(l.run)
	}
}

// each runs f in every loop, and waits for that.
func (set *loopSet) each(f func(*loop)) {
	var all sync.WaitGroup
	for _, l := range set.all {
		all.Add(1)
		l.post(op{kind: opCall, done: func(error) { all.Done() }, call: func() { f(l); all.Done() }})
	}
	all.Wait()
}

// everyone implements loops. With shut, nobody is accepted from its return on.
func (set *loopSet) everyone(found []Conn, shut bool) []Conn {
	var mu sync.Mutex
	set.each(func(l *loop) {
		if shut {
			l.shutDoors()
			l.doors = nil
		}
		mu.Lock()
		defer mu.Unlock()
		for _, c := range l.conns {
			if c != nil {
				found = append(found, c)
			}
		}
	})
	return found
}

// cut implements loops.
func (set *loopSet) cut() {
	set.each(func(l *loop) {
		for _, c := range l.conns {
			if c != nil {
				c.eng.close(Shutdown)
				c.broken = true
				l.touch(c)
			}
		}
	})
}

// wait implements loops: connections are counted in the server's readers.
func (*loopSet) wait() {}

// stop implements loops.
func (set *loopSet) stop() {
	set.ending.Store(true)
	set.each(func(*loop) {})
}
