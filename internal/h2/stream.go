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

	head []fields // of the request, checked
	buf  []byte   // the body's memory
}

// fields are those of a header that have one name.
type fields struct {
	name   string
	values []string
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
	return st, st.readHeader()
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
	clear(st.head)
	*st = stream{done: st.done, buf: buf, head: st.head[:0]}
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

// readHeader finds what must not be in a field: it would be another field, or
// another request, to whoever translates to HTTP/1 behind the server.
func (st *stream) readHeader() error {
	for name, values := range st.req.Header {
		for i := range len(name) {
			if c := name[i]; c <= ' ' || c == ':' || c >= 0x7f {
				return fmt.Errorf("h2: %w: %w", ErrNotSent, errors.New("a header's name has characters that are not allowed"))
			}
		}
		for _, value := range values {
			if hasControls(value) {
				return fmt.Errorf("h2: %w: header %s has control characters", ErrNotSent, name)
			}
		}
		st.head = append(st.head, fields{name, values})
	}
	return nil
}

// hasControls looks at eight bytes at a time, for an access token has hundreds.
func hasControls(s string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		below := (w - ' '*ones) &^ w & tops // some byte is less than a space
		del := w ^ 0x7f*ones
		if (below|(del-ones)&^del&tops) != 0 && controlIn(s[:8]) {
			return true
		}
	}
	return controlIn(s)
}

// controlIn finds a control character but the tab.
func controlIn(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
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
	for _, f := range st.head {
		e.fields(f.name, f.values)
	}
}
