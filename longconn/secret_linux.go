package longconn

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// secret is TLS on a connection of a loop. Its handshake, which waits and
// computes, runs in one of a bounded number of goroutines; from then on the
// loop drives crypto/tls itself, over a net.Conn in memory that says "would
// block" where a socket would wait. crypto/tls takes that for a temporary error
// and keeps its place.
type secret struct {
	tls *tls.Conn
	mem memory
	up  bool // the handshake is done: the loop's own from here on
	bad bool
}

// memory is the two directions of a connection that has no socket.
type memory struct {
	mu    sync.Mutex
	cond  sync.Cond
	in    []byte
	out   []byte
	waits bool // for bytes to read: during the handshake
	ended bool
	from  net.Addr
	set   handshakes
	wrote func()   // during the handshake: there is something to be written
	sock  net.Conn // once the loop has let go of it: what is behind is a socket
}

// maxSecret bounds what a client may send before its handshake is done.
const maxSecret = 64 << 10

func newSecret(cfg *tls.Config, c *loopConn) *secret {
	s := &secret{}
	s.mem.set = c.loop.set.tls
	s.mem.cond.L = &s.mem.mu
	s.mem.waits = true
	s.mem.wrote = func() { c.call(func() { s.flush(c) }) }
	s.mem.from = net.TCPAddrFromAddrPort(c.front.from)
	s.tls = tls.Server(&s.mem, cfg)
	s.mem.set.begin(func() {
		err := s.tls.HandshakeContext(context.Background()) // it ends with the connection
		c.call(func() { s.ready(c, err) })
	})
	return s
}

// ready goes on after the handshake, in the loop.
func (s *secret) ready(c *loopConn, err error) {
	s.mem.mu.Lock()
	s.mem.waits = false
	s.mem.mu.Unlock()
	if c.gone {
		return
	}
	s.flush(c) // the last of the handshake, or the alert
	if err != nil {
		s.bad = true
		c.eng.end(Malformed)
		return
	}
	s.up = true
	s.read(c)
}

// flush writes what TLS has to say of its own.
func (s *secret) flush(c *loopConn) {
	if out := s.take(); len(out) > 0 && !c.gone && !c.broken {
		c.write(out, nil)
	}
}

// input takes bytes from the socket.
func (s *secret) input(c *loopConn, p []byte) {
	s.mem.mu.Lock()
	s.mem.in = append(s.mem.in, p...)
	flood := !s.up && len(s.mem.in) > maxSecret
	s.mem.cond.Broadcast()
	s.mem.mu.Unlock()
	switch {
	case flood:
		c.eng.end(Malformed)
		c.broken = true
	case s.up:
		s.read(c)
	}
}

// read decrypts what is there.
func (s *secret) read(c *loopConn) {
	for c.eng.state != closed {
		n, err := s.tls.Read(c.loop.plain)
		if n > 0 {
			c.front.clear(c, c.loop.plain[:n])
		}
		if err == nil {
			continue
		}
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() { //nolint:errorlint // crypto/tls returns ours as it is
			c.eng.close(Lost)
		}
		break
	}
	s.flush(c)
}

// conceal encrypts.
func (s *secret) conceal(out []byte) []byte {
	if !s.up || s.bad {
		return nil
	}
	s.tls.Write(out) //nolint:errcheck // memory takes all; a broken state shows at Read
	return s.take()
}

func (s *secret) farewell(last []byte) []byte {
	if !s.up || s.bad {
		return nil
	}
	if len(last) > 0 {
		s.tls.Write(last) //nolint:errcheck // as above
	}
	s.tls.CloseWrite() //nolint:errcheck // as above
	return s.take()
}

// handOver lets TLS go on over a socket that may wait. The loop touches it no
// more.
func (s *secret) handOver(nc net.Conn) net.Conn {
	s.mem.mu.Lock()
	s.mem.sock = nc
	s.mem.mu.Unlock()
	return s.tls
}

func (s *secret) take() []byte {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	out := s.mem.out
	s.mem.out = nil
	return out
}

// end lets a handshake that is still waiting fail.
func (s *secret) end() {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	s.mem.ended = true
	s.mem.cond.Broadcast()
}

// wouldBlock is the error of a read that would have to wait.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "longconn: nothing to read yet" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

func (m *memory) Read(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.in) == 0 {
		if nc := m.sock; nc != nil {
			m.mu.Unlock()
			n, err := nc.Read(p)
			m.mu.Lock()
			return n, err
		}
		switch {
		case m.ended:
			return 0, io.EOF
		case !m.waits:
			return 0, wouldBlock{}
		}
		m.set.give()
		m.cond.Wait()
		m.mu.Unlock()
		m.set.take()
		m.mu.Lock()
	}
	n := copy(p, m.in)
	if m.in = m.in[n:]; len(m.in) == 0 {
		m.in = nil
	}
	return n, nil
}

func (m *memory) Write(p []byte) (int, error) {
	m.mu.Lock()
	if nc := m.sock; nc != nil {
		m.mu.Unlock()
		return nc.Write(p)
	}
	m.out = append(m.out, p...)
	waits := m.waits
	m.mu.Unlock()
	if waits {
		m.wrote()
	}
	return len(p), nil
}

// socket is what the loop let go of; nil before.
func (m *memory) socket() net.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sock
}

func (m *memory) LocalAddr() net.Addr  { return m.from }
func (m *memory) RemoteAddr() net.Addr { return m.from }
func (m *memory) Close() error         { return m.ask(net.Conn.Close) }
func (m *memory) SetDeadline(t time.Time) error {
	return m.ask(func(c net.Conn) error { return c.SetDeadline(t) })
}
func (m *memory) SetReadDeadline(t time.Time) error {
	return m.ask(func(c net.Conn) error { return c.SetReadDeadline(t) })
}
func (m *memory) SetWriteDeadline(t time.Time) error {
	return m.ask(func(c net.Conn) error { return c.SetWriteDeadline(t) })
}

// ask passes on to the socket what memory has no use for.
func (m *memory) ask(what func(net.Conn) error) error {
	if nc := m.socket(); nc != nil {
		return what(nc)
	}
	return nil
}

// handshakes lets a bounded number of them compute at a time. One that waits
// for its client lets another have its turn, so that clients who say nothing
// hold nobody up.
type handshakes struct{ turns chan struct{} }

func (h handshakes) begin(f func()) {
	go func() {
		h.take()
		defer h.give()
		f()
	}()
}

func (h handshakes) take() { h.turns <- struct{}{} }
func (h handshakes) give() { <-h.turns }
