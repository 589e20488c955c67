package h2

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Server answers HTTP/2 over TLS with an [http.Handler]. It is made to play a
// push service under load: request and response bodies are held in memory,
// answers leave whole, and those that are ready together leave together.
//
// A handler that panics with an [Abort] or [http.ErrAbortHandler] gives no
// answer. One that sets the header "Connection: close", as for net/http, sends a
// farewell: requests that are under way are still answered.
type Server struct {
	Handler http.Handler
	// TLS holds the certificate.
	TLS *tls.Config
	// MaxStreams is how many requests one connection may have under way.
	// Default 1000, as observed of APNs.
	MaxStreams uint32
}

// Abort is what a handler panics with to play a server that fails.
type Abort struct {
	// Code is in the RST_STREAM that ends the request, and in the GOAWAY.
	Code http2.ErrCode
	// GoAway ends the connection instead: what is under way gets no answer.
	GoAway bool
}

// Serve answers the connections of ln until ctx ends, then closes them all and
// waits for the handlers.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	cfg := s.TLS.Clone()
	cfg.NextProtos = []string{"h2"}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { _ = ln.Close() })

	var group sync.WaitGroup
	defer group.Wait()
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("h2: accept: %w", err)
		}
		group.Go(func() { s.ServeConn(ctx, tls.Server(buffered(nc), cfg)) })
	}
}

// ServeConn answers one connection until it or ctx ends, and closes it.
func (s *Server) ServeConn(ctx context.Context, nc *tls.Conn) {
	ctx, stop := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { _ = nc.Close() })
	c := &serverConn{ctx: ctx, handler: s.Handler, remote: nc.RemoteAddr().String(), maxStreams: int(or(s.MaxStreams, 1000))}
	c.init(nc)
	c.sentAll = c.doneLocked
	var writing sync.WaitGroup
	defer func() {
		c.end(net.ErrClosed)
		writing.Wait() // it says goodbye
		stop()
		c.handlers.Wait()
	}()
	if !c.greet(nc) {
		return
	}
	writing.Go(func() {
		c.end(c.write())
		stop()
	})
	state := nc.ConnectionState()
	c.tls = &state
	c.end(newReader(c, nc).run()) // the client left, or speaks nonsense
}

// greet shakes hands; false if the other end does not speak HTTP/2.
func (c *serverConn) greet(nc *tls.Conn) bool {
	_ = nc.SetDeadline(time.Now().Add(dialTimeout))
	defer func() { _ = nc.SetDeadline(time.Time{}) }()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(nc, preface); err != nil || string(preface) != http2.ClientPreface {
		return false
	}
	hello := appendSettings(nil,
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.maxStreams)},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaders})
	hello = appendWindowUpdate(hello, 0, connWindow-initialWindow)
	_, err := nc.Write(hello)
	return err == nil
}

// serverConn is the server's end of a connection.
type serverConn struct {
	mux[*exchange]
	ctx        context.Context
	handler    http.Handler
	remote     string
	tls        *tls.ConnectionState
	handlers   sync.WaitGroup
	maxStreams int

	newest  uint32    // stream; the reader's own
	leaving bool      // said goodbye; guarded by mu
	req     *exchange // whose header block is being read
}

// end ends the connection.
func (c *serverConn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err, c.newest)
}

func (c *serverConn) alive() {}

func (c *serverConn) settings(flags http2.Flags, p []byte) error { return c.apply(flags, p) }

func (c *serverConn) goAway(uint32, http2.ErrCode) error { return nil }

func (c *serverConn) grow(id, by uint32) error {
	code, err := c.widen(id, by)
	if code != 0 {
		c.abort(id, code)
	}
	return err
}

func (c *serverConn) field(f hpack.HeaderField) {
	if c.req == nil {
		c.req = newExchange()
	}
	r := c.req.req
	switch f.Name {
	case ":method":
		r.Method = f.Value
	case ":path":
		r.RequestURI = f.Value
	case ":authority":
		r.Host = f.Value
	case ":scheme":
	default:
		r.Header.Add(f.Name, f.Value)
	}
}

func (c *serverConn) headers(id uint32, ends bool) error {
	x := c.req
	c.req = nil
	if id%2 == 0 || x == nil {
		return protocolFault("HEADERS on a stream that is not the client's")
	}
	if c.stream(id) != nil { // trailers: nothing here wants them
		return c.data(id, nil, 0, ends)
	}
	if id <= c.newest {
		return fault{http2.ErrCodeStreamClosed, "HEADERS on a stream that is closed"}
	}
	c.mu.Lock()
	if c.leaving {
		c.mu.Unlock()
		return nil
	}
	c.newest = id
	refused := len(c.streams) >= c.maxStreams
	c.mu.Unlock()
	u, err := url.ParseRequestURI(x.req.RequestURI)
	switch {
	case refused:
		c.reply(func(b []byte) []byte { return appendReset(b, id, http2.ErrCodeRefusedStream) })
		return nil
	case err != nil:
		c.reply(func(b []byte) []byte { return appendReset(b, id, http2.ErrCodeProtocol) })
		return nil
	}
	x.req.URL, x.req.RemoteAddr, x.req.TLS = u, c.remote, c.tls
	x.id = id
	x.ctx, x.cancel = context.WithCancel(c.ctx)
	c.mu.Lock()
	x.window = c.initial
	c.streams[id] = x
	c.mu.Unlock()
	if ends {
		c.serve(x)
	}
	return nil
}

func (c *serverConn) data(id uint32, p []byte, _ int, ends bool) error {
	x := c.stream(id)
	switch {
	case x == nil && id > c.newest:
		return protocolFault("DATA on a stream that is not open")
	case x == nil:
		return nil
	case x.ended:
		return fault{http2.ErrCodeStreamClosed, "DATA behind the end of a request"}
	}
	if x.got = append(x.got, p...); len(x.got) > MaxBody {
		c.abort(id, http2.ErrCodeCancel)
		return nil
	}
	if ends {
		c.serve(x)
	}
	return nil
}

func (c *serverConn) reset(id uint32, _ http2.ErrCode) error {
	if id > c.newest {
		return protocolFault("RST_STREAM on a stream that is not open")
	}
	c.drop(id)
	return nil
}

// abort resets a stream.
func (c *serverConn) abort(id uint32, code http2.ErrCode) {
	if c.drop(id) {
		c.reply(func(b []byte) []byte { return appendReset(b, id, code) })
	}
}

// drop forgets a stream and tells its handler.
func (c *serverConn) drop(id uint32) bool {
	c.mu.Lock()
	x := c.streams[id]
	if x != nil {
		c.forgetLocked(x)
		x.gone = true
	}
	c.mu.Unlock()
	if x != nil {
		x.cancel()
	}
	return x != nil
}
