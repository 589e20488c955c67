package h2

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"golang.org/x/net/http2"
)

// exchange is one request being answered.
type exchange struct {
	flow
	ctx    context.Context
	cancel context.CancelFunc
	req    *http.Request
	got    []byte
	ended  bool // the request is all there
	gone   bool // nobody waits for the answer; guarded by mu

	status int
	header http.Header
}

func newExchange() *exchange {
	return &exchange{req: &http.Request{Proto: "HTTP/2.0", ProtoMajor: 2, Header: make(http.Header, 8)}}
}

// serve runs the handler in a goroutine of its own, for it may wait.
func (c *serverConn) serve(x *exchange) {
	x.ended = true
	x.req.Body = bodyOf(x.got)
	x.req.ContentLength = int64(len(x.got))
	x.req = x.req.WithContext(x.ctx)
	c.handlers.Go(func() {
		defer x.cancel()
		defer func() {
			if v := recover(); v != nil {
				c.give(x, v)
			}
		}()
		w := &response{x: x}
		c.handler.ServeHTTP(w, x.req)
		w.WriteHeader(http.StatusOK)
		x.body = w.body.Bytes()
		c.answer(x)
	})
}

// answer sends what a handler has written.
func (c *serverConn) answer(x *exchange) {
	leave := x.header.Get("Connection") == "close"
	c.mu.Lock()
	defer c.mu.Unlock()
	if leave && !c.leaving && c.err == nil {
		c.leaving = true
		c.ready = appendGoAway(c.ready, c.newest, http2.ErrCodeNo)
	}
	if !x.gone {
		c.postLocked(x)
	}
}

// give plays what a handler panicked with.
func (c *serverConn) give(x *exchange, v any) {
	a, ok := v.(Abort)
	switch {
	case ok && a.GoAway:
		c.mu.Lock()
		if c.err == nil {
			c.err = errGone
			c.ready = appendGoAway(c.ready, c.newest, a.Code)
			c.wake.Signal()
		}
		c.mu.Unlock()
	case ok:
		c.abort(x.id, a.Code)
	case v == http.ErrAbortHandler: //nolint:errorlint // net/http compares it so
		c.abort(x.id, http2.ErrCodeInternal)
	default:
		panic(v)
	}
}

// doneLocked takes an answered request off the books.
func (c *serverConn) doneLocked(x *exchange) {
	delete(c.streams, x.id)
	if c.leaving && len(c.streams) == 0 {
		c.failLocked(errDone, c.newest)
	}
}

func (x *exchange) left() func() { return nil }

// encode implements message.
func (x *exchange) encode(e *encoder) {
	if x.status == http.StatusOK {
		e.fixed(8)
	} else {
		e.field(e.status, strconv.Itoa(x.status))
	}
	e.header(x.header)
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
