package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// conn is the client's end of a connection.
type conn struct {
	mux[*stream]
	idle time.Duration

	// places is how many requests hold a place here; its host's lock guards it.
	places     int
	maxStreams atomic.Uint32
	closing    atomic.Bool // takes no new requests

	lastRead atomic.Int64 // unix nanoseconds
	pinged   atomic.Bool
	health   *time.Timer
	settled  func(*conn) // nil while the connection is made

	res *http.Response // whose header block is being read
}

// stream is one request and what becomes of it.
type stream struct {
	flow
	req *http.Request

	// Written by the reader, read after done.
	res  *http.Response
	got  []byte
	err  error
	done chan struct{}
}

// newConn greets the server. settled is called when its settings change later.
func newConn(ctx context.Context, nc net.Conn, idle time.Duration, settled func(*conn)) (*conn, error) {
	c := &conn{idle: idle}
	c.init(nc)
	c.maxStreams.Store(100) // until the server's settings come

	hello := []byte(http2.ClientPreface)
	hello = appendSettings(hello,
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow})
	hello = appendWindowUpdate(hello, 0, connWindow-initialWindow)
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	if _, err := nc.Write(hello); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("send preface: %w", err)
	}
	// The server's settings come first and say how many streams it allows.
	in := newReader(c, nc)
	if err := in.hello(); err != nil {
		_ = nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})

	c.settled = settled
	c.alive()
	c.health = time.AfterFunc(idle, c.checkHealth)
	go func() { c.close(in.run()) }()
	go func() { c.close(c.write()) }()
	return c, nil
}

// roundTrip sends one request and waits for its answer.
func (c *conn) roundTrip(req *http.Request, body []byte) (*http.Response, error) {
	st := &stream{req: req, flow: flow{body: body}, done: make(chan struct{})}
	c.mu.Lock()
	if c.err != nil || c.closing.Load() {
		c.mu.Unlock()
		return nil, fmt.Errorf("h2: %w: connection is closing", ErrNotSent)
	}
	c.queue = append(c.queue, st)
	c.wake.Signal()
	c.mu.Unlock()

	select {
	case <-st.done:
	case <-req.Context().Done():
		if c.cancel(st) {
			return nil, fmt.Errorf("h2: %w: %w", ErrNotSent, req.Context().Err())
		}
		select {
		case <-st.done: // the answer came at the same moment
		default:
			return nil, fmt.Errorf("h2: no answer: %w", req.Context().Err())
		}
	}
	if st.err != nil {
		return nil, st.err
	}
	return st.res, nil
}

// cancel gives a request up. It reports whether nothing of it was written.
func (c *conn) cancel(st *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	st.cancelled = true
	if !st.written {
		return true
	}
	if _, open := c.streams[st.id]; open {
		delete(c.streams, st.id)
		c.control = appendReset(c.control, st.id, http2.ErrCodeCancel)
		c.wake.Signal()
	}
	return false
}

// finish ends a stream with its answer or an error.
func (c *conn) finish(st *stream, err error) {
	if err == nil && st.res == nil {
		err = errors.New("h2: stream ended without an answer")
	}
	if st.err = err; err == nil {
		st.res.Body = bodyOf(st.got)
		st.res.ContentLength = int64(len(st.got))
	}
	close(st.done)
}

// close ends the connection; every request under way fails with cause.
func (c *conn) close(cause error) {
	c.closing.Store(true)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = cause
	orphans := make([]*stream, 0, len(c.streams)+len(c.queue))
	for _, st := range c.streams {
		orphans = append(orphans, st)
	}
	orphans = append(orphans, c.queue...)
	clear(c.streams)
	c.queue = nil
	c.wake.Signal()
	c.mu.Unlock()

	c.health.Stop()
	_ = c.nc.Close()
	for _, st := range orphans {
		if st.written {
			c.finish(st, fmt.Errorf("h2: connection lost: %w", cause))
		} else {
			c.finish(st, fmt.Errorf("h2: %w: connection lost: %w", ErrNotSent, cause))
		}
	}
}

// checkHealth asks a connection that has been silent whether it lives.
func (c *conn) checkHealth() {
	silent := time.Since(time.Unix(0, c.lastRead.Load()))
	switch {
	case silent < c.idle:
		c.pinged.Store(false)
		c.health.Reset(c.idle - silent)
	case c.pinged.Swap(true):
		c.close(fmt.Errorf("no answer to a ping for %v", c.idle))
	default:
		c.reply(func(b []byte) []byte { return appendPing(b, false, [8]byte{'h', 'e', 'r', 'a', 'l', 'd'}) })
		c.health.Reset(c.idle)
	}
}

func (c *conn) alive() { c.lastRead.Store(time.Now().UnixNano()) }

func (c *conn) settings(flags http2.Flags, p []byte) error {
	before := c.maxStreams.Load()
	err := c.apply(flags, p, c.maxStreams.Store)
	if c.settled != nil && c.maxStreams.Load() > before {
		c.settled(c)
	}
	return err
}

func (c *conn) field(f hpack.HeaderField) {
	if c.res == nil {
		c.res = &http.Response{Proto: "HTTP/2.0", ProtoMajor: 2, Header: make(http.Header, 4)}
	}
	if f.Name != ":status" {
		c.res.Header.Add(f.Name, f.Value)
		return
	}
	code, err := strconv.Atoi(f.Value)
	if err != nil {
		code = http.StatusBadGateway
	}
	c.res.StatusCode = code
	c.res.Status = f.Value + " " + http.StatusText(code)
}

func (c *conn) headers(id uint32, ends bool) error {
	res, st := c.res, c.stream(id)
	c.res = nil
	if st == nil { // given up meanwhile
		return nil
	}
	if res != nil && res.StatusCode >= 200 && st.res == nil { // not informational, not a trailer
		res.Request = st.req
		st.res = res
	}
	if ends {
		c.complete(st, nil)
	}
	return nil
}

func (c *conn) data(id uint32, p []byte, ends bool) error {
	st := c.stream(id)
	if st == nil {
		return nil
	}
	if st.got = append(st.got, p...); len(st.got) > MaxBody {
		c.complete(st, fmt.Errorf("h2: answer is over %d bytes", MaxBody))
		return nil
	}
	if ends {
		c.complete(st, nil)
	}
	return nil
}

func (c *conn) reset(id uint32, code http2.ErrCode) {
	st := c.stream(id)
	switch {
	case st == nil:
	case code == http2.ErrCodeNo && st.res != nil: // answered early and wants no more body
		c.complete(st, nil)
	case code == http2.ErrCodeRefusedStream: // RFC 9113, 8.7: certainly not processed
		c.complete(st, fmt.Errorf("h2: %w: stream refused", ErrNotSent))
	default:
		c.complete(st, fmt.Errorf("h2: stream reset by the server: %v", code))
	}
}

// goAway takes the server's farewell: what it has not seen may be sent again,
// the rest may still be answered.
func (c *conn) goAway(last uint32) error {
	c.closing.Store(true)
	c.mu.Lock()
	unseen := c.queue
	c.queue = nil
	for id, st := range c.streams {
		if id > last {
			unseen = append(unseen, st)
			delete(c.streams, id)
		}
	}
	left := len(c.streams)
	c.mu.Unlock()
	for _, st := range unseen {
		c.finish(st, fmt.Errorf("h2: %w: server said goodbye", ErrNotSent))
	}
	if left == 0 {
		return io.EOF
	}
	return nil
}

// complete takes a stream off the books and finishes it, unless somebody else
// did so before.
func (c *conn) complete(st *stream, err error) {
	c.mu.Lock()
	if c.streams[st.id] != st {
		c.mu.Unlock()
		return
	}
	delete(c.streams, st.id)
	if len(st.body) > st.sent { // the server answered before it had read all
		c.control = appendReset(c.control, st.id, http2.ErrCodeNo)
		st.cancelled = true
		c.wake.Signal()
	}
	if c.nextID > 1<<30 { // a new connection long before the ids are used up
		c.closing.Store(true)
	}
	last := c.closing.Load() && len(c.streams) == 0 && len(c.queue) == 0
	c.mu.Unlock()
	c.finish(st, err)
	if last {
		c.close(net.ErrClosed)
	}
}

// left tells a caller's trace, if there is one, that the request has left.
func (st *stream) left() { wrote(st.req) }

// encode implements message.
func (st *stream) encode(w *writer) error {
	req := st.req
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	err := w.fields(
		hpack.HeaderField{Name: ":method", Value: method},
		hpack.HeaderField{Name: ":scheme", Value: "https"},
		hpack.HeaderField{Name: ":authority", Value: host},
		hpack.HeaderField{Name: ":path", Value: req.URL.RequestURI(), Sensitive: true})
	if err != nil {
		return err
	}
	if len(st.body) > 0 || method != http.MethodGet && method != http.MethodHead {
		if err := w.fields(hpack.HeaderField{Name: "content-length", Value: strconv.Itoa(len(st.body)), Sensitive: true}); err != nil {
			return err
		}
	}
	return w.header(req.Header)
}

// header encodes the fields of an http.Header that HTTP/2 allows.
func (w *writer) header(h http.Header) error {
	for name, values := range h {
		lower, ok := w.name(name)
		if !ok {
			continue
		}
		for _, value := range values {
			if err := w.fields(hpack.HeaderField{Name: lower, Value: value, Sensitive: unique(lower)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// unique names the headers whose value hardly ever repeats.
func unique(name string) bool {
	return name == "apns-id" || name == "apns-collapse-id" || name == "apns-expiration" || name == "apns-unique-id"
}

// name gives a header's name as HTTP/2 wants it; false for one that must not be
// sent (RFC 9113, section 8.2.2).
func (w *writer) name(canonical string) (string, bool) {
	lower, known := w.lower[canonical]
	if !known {
		switch lower = strings.ToLower(canonical); lower {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length":
			lower = ""
		}
		if w.lower == nil || len(w.lower) > 256 {
			w.lower = map[string]string{}
		}
		w.lower[canonical] = lower
	}
	return lower, lower != ""
}

func bodyOf(b []byte) io.ReadCloser {
	if len(b) == 0 {
		return http.NoBody
	}
	return io.NopCloser(bytes.NewReader(b))
}
