package longconn

import (
	"net"
	"net/netip"
	"os"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"
)

// front is what stands between a socket and its engine: the PROXY protocol,
// TLS, WebSocket and JSON, as far as they are spoken. Bytes pass through it in
// both directions without waiting for anything. A plain connection needs it
// until it is let in, to be counted.
type front struct {
	s      *Server
	from   netip.AddrPort
	proxy  bool   // a header is awaited
	head   []byte // of it
	secret *secret
	web    *webFront
}

func newFront(s *Server, from netip.AddrPort, web bool) *front {
	f := &front{s: s, from: from, proxy: s.cfg.ProxyProtocol}
	if web {
		f.web = &webFront{limit: s.cfg.MaxPacket}
	}
	return f
}

// dispensable reports that the connection can do without from now on.
func (f *front) dispensable() bool {
	return f.secret == nil && f.web == nil && f.s.cfg.PerAddress == 0
}

// counted is the address that the gate knows.
func (f *front) counted() netip.Addr {
	if f.proxy {
		return netip.Addr{}
	}
	return f.from.Addr()
}

func (f *front) free() {
	if f.secret != nil {
		f.secret.end()
	}
}

// input takes bytes from the socket.
func (f *front) input(c *loopConn, p []byte) {
	if f.proxy {
		p = f.header(c, p)
	}
	if len(p) == 0 {
		return
	}
	if f.s.cfg.TLS == nil {
		f.clear(c, p)
		return
	}
	if f.secret == nil {
		f.secret = newSecret(f.s.cfg.TLS, c)
	}
	f.secret.input(c, p)
}

// header takes the proxy's header off.
func (f *front) header(c *loopConn, p []byte) []byte {
	f.head = append(f.head, p...)
	from, n, err := parseProxy(f.head)
	if err != nil || len(f.head) > 64<<10 {
		c.eng.end(Malformed)
		c.broken = true
		return nil
	}
	if n == 0 {
		return nil
	}
	p, f.head, f.proxy = f.head[n:], nil, false
	if from.IsValid() {
		f.from = from
	}
	if !f.s.srv.gate.enter(f.from.Addr()) {
		f.proxy = true // not counted
		c.eng.end(Refused)
		c.broken = true
		return nil
	}
	return p
}

// clear takes plain bytes.
func (f *front) clear(c *loopConn, p []byte) {
	if f.web == nil {
		c.eng.feed(c.loop.now, p)
		return
	}
	answer, status := f.web.read(p, func(b []byte) { c.eng.feed(c.loop.now, b) })
	if status == plainHTTP {
		f.handOver(c)
		return
	}
	if len(answer) > 0 {
		c.write(f.conceal(answer), nil)
	}
	if status != 0 && c.eng.state != closed {
		f.web.status = status
		c.eng.end(Malformed)
	}
}

// handOver gives the connection to net/http, with what was read of it.
func (f *front) handOver(c *loopConn) {
	rest := f.web.part
	f.web.part = nil
	file := os.NewFile(uintptr(dup(int(c.fd))), "http")
	nc, err := net.FileConn(file)
	file.Close()
	if err == nil {
		if f.secret != nil {
			nc = f.secret.handOver(nc)
		}
		select {
		case f.s.handed <- &proxied{Conn: nc, rest: rest, from: net.TCPAddrFromAddrPort(f.from)}:
		default:
			nc.Close()
		}
	}
	c.destroy(Disconnected)
}

// dup is another descriptor for the same connection, or -1.
func dup(fd int) int {
	other, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return other
}

// wrap turns the engine's bytes into those of the socket.
func (f *front) wrap(c *loopConn, out []byte) []byte {
	if f.web != nil {
		c.loop.frame = f.web.wrap(c.loop.frame[:0], out)
		out = c.loop.frame
	}
	return f.conceal(out)
}

func (f *front) conceal(out []byte) []byte {
	if f.secret == nil {
		return out
	}
	return f.secret.conceal(out)
}

// farewell is what is said at the end of a connection that can still be
// written to.
func (f *front) farewell(*loopConn) []byte {
	var last []byte
	if f.web != nil && f.web.upgraded {
		if f.web.status == 0 {
			f.web.status = websocket.StatusNormalClosure
		}
		last = f.web.appendClose(nil)
	}
	if f.secret != nil {
		return f.secret.farewell(last)
	}
	return last
}
