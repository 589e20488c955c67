package longconn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// proxyV2 opens a PROXY protocol header of version 2:
// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
const proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"

// Bounds of a header: of version 1 by the specification, of version 2 ours.
const (
	maxProxyV1 = 107
	maxProxyV2 = 16 + 1024
)

var errProxy = errors.New("longconn: no PROXY protocol header")

// parseProxy reads a header off the front of b. n is its length, or 0 while b
// ends inside it. The address is zero where the proxy speaks for itself.
func parseProxy(b []byte) (from netip.AddrPort, n int, err error) {
	switch {
	case bytes.HasPrefix(b, []byte(proxyV2)):
		return parseProxyV2(b)
	case bytes.HasPrefix(b, []byte("PROXY ")):
		return parseProxyV1(b)
	case strings.HasPrefix(proxyV2, string(b)) || strings.HasPrefix("PROXY ", string(b)):
		return from, 0, nil // so far so good
	default:
		return from, 0, errProxy
	}
}

func parseProxyV1(b []byte) (from netip.AddrPort, n int, err error) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		if len(b) > maxProxyV1 {
			return from, 0, errProxy
		}
		return from, 0, nil
	}
	f := strings.Split(string(b[:end]), " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return from, end + 2, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return from, 0, errProxy
	}
	addr, err := netip.ParseAddr(f[2])
	port, err2 := strconv.ParseUint(f[4], 10, 16)
	if err = errors.Join(err, err2); err != nil {
		return from, 0, fmt.Errorf("%w: %w", errProxy, err)
	}
	return netip.AddrPortFrom(addr, uint16(port)), end + 2, nil
}

func parseProxyV2(b []byte) (from netip.AddrPort, n int, err error) {
	if len(b) < 16 {
		return from, 0, nil
	}
	n = 16 + int(binary.BigEndian.Uint16(b[14:]))
	if b[12]>>4 != 2 || b[12]&0x0F > 1 || n > maxProxyV2 {
		return from, 0, errProxy
	}
	if len(b) < n {
		return from, 0, nil
	}
	local := b[12]&0x0F == 0 // a health check of the proxy's own
	body := b[16:n]
	switch {
	case local:
	case b[13]>>4 == 1 && len(body) >= 12:
		addr, _ := netip.AddrFromSlice(body[:4])
		from = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(body[8:]))
	case b[13]>>4 == 2 && len(body) >= 36:
		addr, _ := netip.AddrFromSlice(body[:16])
		from = netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(body[32:]))
	}
	return from, n, nil
}

// proxied is a connection that came through a proxy.
type proxied struct {
	net.Conn

	rest []byte // read with the header
	from net.Addr
}

// readProxy takes the header off a connection.
func readProxy(nc net.Conn, patience time.Duration) (net.Conn, error) {
	if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	var b []byte
	buf := make([]byte, 512)
	for {
		from, n, err := parseProxy(b)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			c := &proxied{Conn: nc, rest: b[n:], from: nc.RemoteAddr()}
			if from.IsValid() {
				c.from = net.TCPAddrFromAddrPort(from)
			}
			return c, nc.SetReadDeadline(time.Time{})
		}
		got, err := nc.Read(buf)
		if err != nil {
			return nil, err
		}
		b = append(b, buf[:got]...)
	}
}

func (c *proxied) Read(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *proxied) RemoteAddr() net.Addr { return c.from }

// CloseWrite closes our half.
func (c *proxied) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// doorway is the WebSocket listener of the goroutine transport: it takes the
// PROXY protocol header off what it accepts, when that is first read.
type doorway struct {
	net.Listener

	s *Server
}

func (d *doorway) Accept() (net.Conn, error) {
	nc, err := d.Listener.Accept()
	if err != nil || !d.s.cfg.ProxyProtocol {
		return nc, err
	}
	return &lateProxied{Conn: nc, patience: d.s.cfg.HandshakeTimeout}, nil
}

// proxyKey finds the connection of a request in its context.
type proxyKey struct{}

// proxyContext remembers the connection, whose client is not known yet.
func proxyContext(ctx context.Context, nc net.Conn) context.Context {
	if wrapped, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = wrapped.NetConn()
	}
	switch nc := nc.(type) {
	case *lateProxied:
		return context.WithValue(ctx, proxyKey{}, nc)
	case *proxied:
		return context.WithValue(ctx, handedKey{}, nc)
	}
	return ctx
}

// handedKey finds the connection of a request that a loop handed over.
type handedKey struct{}

// lateProxied reads the header at the first Read, for Accept must not wait.
type lateProxied struct {
	net.Conn

	patience time.Duration
	inner    net.Conn
	err      error
}

func (c *lateProxied) Read(p []byte) (int, error) {
	if c.inner == nil && c.err == nil {
		c.inner, c.err = readProxy(c.Conn, c.patience)
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.inner.Read(p)
}
