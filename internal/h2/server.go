package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Server answers HTTP/2 over TLS with an [http.Handler]. It is made to play a
// push service under load: request and response bodies are held in memory,
// answers leave whole, and those that are ready together leave together.
// A handler that panics with [http.ErrAbortHandler] resets its stream.
type Server struct {
	Handler http.Handler
	// TLS holds the certificate.
	TLS *tls.Config
	// MaxStreams is how many requests one connection may have under way.
	// Default 1000, as observed of APNs.
	MaxStreams uint32
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
		group.Go(func() { s.conn(ctx, tls.Server(nc, cfg)) })
	}
}

func (s *Server) conn(ctx context.Context, nc *tls.Conn) {
	ctx, stop := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { _ = nc.Close() })
	c := &serverConn{ctx: ctx, handler: s.Handler, remote: nc.RemoteAddr().String()}
	c.init(nc)
	c.sentAll = func(x *exchange) { delete(c.streams, x.id) }
	var group sync.WaitGroup
	defer func() {
		stop()
		c.end(net.ErrClosed)
		group.Wait()
		c.handlers.Wait()
	}()
	if !c.greet(nc, or(s.MaxStreams, 1000)) {
		return
	}
	state := nc.ConnectionState()
	c.tls = &state
	group.Go(func() {
		c.end(c.write())
		stop()
	})
	_ = newReader(c, nc).run() // the client left, or speaks nonsense
}

// greet shakes hands; false if the other end does not speak HTTP/2.
func (c *serverConn) greet(nc *tls.Conn, maxStreams uint32) bool {
	_ = nc.SetDeadline(time.Now().Add(dialTimeout))
	defer func() { _ = nc.SetDeadline(time.Time{}) }()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(nc, preface); err != nil || string(preface) != http2.ClientPreface {
		return false
	}
	hello := appendSettings(nil,
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: maxStreams},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow})
	hello = appendWindowUpdate(hello, 0, connWindow-initialWindow)
	_, err := nc.Write(hello)
	return err == nil
}

// serverConn is the server's end of a connection.
type serverConn struct {
	mux[*exchange]
	ctx      context.Context
	handler  http.Handler
	remote   string
	tls      *tls.ConnectionState
	handlers sync.WaitGroup

	req *exchange // whose header block is being read
}

// exchange is one request being answered.
type exchange struct {
	flow
	ctx    context.Context
	cancel context.CancelFunc
	req    *http.Request
	got    []byte

	status int
	header http.Header
}

func (c *serverConn) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.wake.Signal()
	c.mu.Unlock()
}

func (c *serverConn) alive() {}

func (c *serverConn) settings(flags http2.Flags, p []byte) error {
	return c.apply(flags, p, func(uint32) {})
}

func (c *serverConn) goAway(uint32) error { return nil }

func (c *serverConn) field(f hpack.HeaderField) {
	if c.req == nil {
		c.req = &exchange{req: &http.Request{
			Proto: "HTTP/2.0", ProtoMajor: 2, RemoteAddr: c.remote, Header: make(http.Header, 8), TLS: c.tls,
		}}
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
		return errors.New("HEADERS on a stream that is not the client's")
	}
	if c.stream(id) != nil { // trailers: nothing here wants them
		return c.data(id, nil, ends)
	}
	u, err := url.ParseRequestURI(x.req.RequestURI)
	if err != nil {
		c.reply(func(b []byte) []byte { return appendReset(b, id, http2.ErrCodeProtocol) })
		return nil
	}
	x.req.URL = u
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

func (c *serverConn) data(id uint32, p []byte, ends bool) error {
	x := c.stream(id)
	if x == nil {
		return nil
	}
	if x.got = append(x.got, p...); len(x.got) > MaxBody {
		c.reset(id, http2.ErrCodeCancel)
		c.reply(func(b []byte) []byte { return appendReset(b, id, http2.ErrCodeCancel) })
		return nil
	}
	if ends {
		c.serve(x)
	}
	return nil
}

func (c *serverConn) reset(id uint32, _ http2.ErrCode) {
	c.mu.Lock()
	x := c.streams[id]
	delete(c.streams, id)
	if x != nil {
		x.cancelled = true
	}
	c.mu.Unlock()
	if x != nil {
		x.cancel()
	}
}

// serve runs the handler in a goroutine of its own, for it may wait.
func (c *serverConn) serve(x *exchange) {
	x.req.Body = bodyOf(x.got)
	x.req.ContentLength = int64(len(x.got))
	x.req = x.req.WithContext(x.ctx)
	c.handlers.Go(func() {
		defer x.cancel()
		defer func() {
			if v := recover(); v != nil {
				if v != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
					panic(v)
				}
				c.reset(x.id, http2.ErrCodeInternal)
				c.reply(func(b []byte) []byte { return appendReset(b, x.id, http2.ErrCodeInternal) })
			}
		}()
		w := &response{x: x}
		c.handler.ServeHTTP(w, x.req)
		w.WriteHeader(http.StatusOK)
		x.body = w.body.Bytes()
		c.mu.Lock()
		if !x.cancelled && c.err == nil {
			c.queue = append(c.queue, x)
			c.wake.Signal()
		}
		c.mu.Unlock()
	})
}

func (x *exchange) left() {}

// encode implements message.
func (x *exchange) encode(w *writer) error {
	err := w.fields(hpack.HeaderField{Name: ":status", Value: strconv.Itoa(x.status)})
	if err != nil {
		return err
	}
	return w.header(x.header)
}

// response gathers an answer.
type response struct {
	x    *exchange
	body bytes.Buffer
}

func (r *response) Header() http.Header {
	if r.x.header == nil {
		r.x.header = make(http.Header, 4)
	}
	return r.x.header
}

func (r *response) WriteHeader(status int) {
	if r.x.status == 0 && status >= 200 {
		r.x.status = status
	}
}

func (r *response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}
