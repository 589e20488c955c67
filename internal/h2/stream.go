package h2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
)

// stream is one request and what becomes of it.
type stream struct {
	flow
	req   *http.Request
	wrote func(httptrace.WroteRequestInfo) // of the caller's trace, if there is one

	// Written by whoever takes the stream off the connection's books, before done.
	ans  *answer
	err  error
	done chan struct{} // has room for one

	buf []byte // the body's memory
}

// streams are used again, for they hold a channel and a buffer.
type streams struct{ pool sync.Pool }

// keptBuffer bounds the buffers that are kept.
const keptBuffer = 16 << 10

// open makes a stream of a request whose body is read.
func (s *streams) open(req *http.Request) (*stream, error) {
	st, _ := s.pool.Get().(*stream)
	if st == nil {
		st = &stream{done: make(chan struct{}, 1)}
	}
	st.req = req
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		st.wrote = trace.WroteRequest
	}
	if err := st.readBody(); err != nil {
		return nil, fmt.Errorf("h2: %w: %w", ErrNotSent, err)
	}
	return st, checkHeader(req.Header)
}

// again makes a stream ready for another connection.
func (st *stream) again() {
	st.flow = flow{body: st.body}
	st.ans, st.err = nil, nil
}

// close gives a stream back, which is on no connection's books any more.
func (s *streams) close(st *stream) {
	buf := st.buf
	if cap(buf) > keptBuffer {
		buf = nil
	}
	*st = stream{done: st.done, buf: buf}
	s.pool.Put(st)
}

// finish tells who waits what became of the request.
func (st *stream) finish(err error) {
	st.err = err
	st.done <- struct{}{}
}

func (st *stream) readBody() error {
	req := st.req
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	defer req.Body.Close()
	if req.ContentLength > MaxBody {
		return fmt.Errorf("body of %d bytes is over %d", req.ContentLength, MaxBody)
	}
	if n := int(req.ContentLength); n > 0 {
		if cap(st.buf) < n {
			st.buf = make([]byte, n+n/2)
		}
		st.body = st.buf[:n]
		if _, err := io.ReadFull(req.Body, st.body); err != nil {
			return fmt.Errorf("read body: %w", err)
		}
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, MaxBody+1))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if st.body = body; len(body) > MaxBody {
		return fmt.Errorf("body is over %d bytes", MaxBody)
	}
	return nil
}

// checkHeader finds what must not be in a field: it would be another field, or
// another request, to whoever translates to HTTP/1 behind the server.
func checkHeader(h http.Header) error {
	for name, values := range h {
		for i := range len(name) {
			if c := name[i]; c <= ' ' || c == ':' || c >= 0x7f {
				return fmt.Errorf("h2: %w: %w", ErrNotSent, errors.New("a header's name has characters that are not allowed"))
			}
		}
		for _, value := range values {
			for i := range len(value) {
				if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
					return fmt.Errorf("h2: %w: header %s has control characters", ErrNotSent, name)
				}
			}
		}
	}
	return nil
}

// left implements message.
func (st *stream) left() func() {
	if st.wrote == nil {
		return nil
	}
	wrote := st.wrote
	return func() { wrote(httptrace.WroteRequestInfo{}) }
}

// encode implements message.
func (st *stream) encode(e *encoder) {
	req := st.req
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	e.request(method, host, req.URL.RequestURI())
	if len(st.body) > 0 || method != http.MethodGet && method != http.MethodHead {
		e.field(e.lengthOf, strconv.Itoa(len(st.body)))
	}
	e.header(req.Header)
}
