package h2

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	preface = http2.ClientPreface
	// The windows we grant are large enough that the answers of push services
	// never meet them.
	streamWindow  = 4 << 20
	connWindow    = 64 << 20
	initialWindow = 65535 // RFC 9113, section 6.9.2
	writeTimeout  = 10 * time.Second
)

// conn is one connection: a writer that gathers, a reader that hands out.
type conn struct {
	nc   net.Conn
	idle time.Duration

	// places is how many requests hold a place here; its host's lock guards it.
	places     int
	maxStreams atomic.Uint32
	closing    atomic.Bool // takes no new requests

	mu         sync.Mutex
	wake       sync.Cond
	queue      []*stream          // to be opened
	blocked    []*stream          // open, with body left that the windows did not allow
	streams    map[uint32]*stream // open
	control    []byte             // frames of our own to send first
	nextID     uint32
	window     int64 // what we may still send on the connection
	initial    int64 // what we may send on a new stream
	maxFrame   int
	tableLimit uint32 // of the server's decoder; 0: unchanged
	err        error  // why the connection ended

	lastRead atomic.Int64 // unix nanoseconds
	pinged   atomic.Bool
	health   *time.Timer
}

// stream is one request and what becomes of it.
type stream struct {
	req  *http.Request
	body []byte

	// Guarded by conn.mu.
	id        uint32
	written   bool // some of it may have reached the server
	cancelled bool
	sent      int   // bytes of body
	window    int64 // what may be sent on the stream

	// Written by the reader, read after done.
	res  *http.Response
	got  []byte
	err  error
	done chan struct{}

	// Of the batch being written.
	open  bool
	grant int
}

func newConn(ctx context.Context, nc net.Conn, idle time.Duration) (*conn, error) {
	c := &conn{
		nc: nc, idle: idle, streams: map[uint32]*stream{}, nextID: 1,
		window: initialWindow, initial: initialWindow, maxFrame: 16384,
	}
	c.wake.L = &c.mu
	c.maxStreams.Store(100) // until the server's settings come

	hello := []byte(preface)
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
	in := &reader{c: c, br: bufio.NewReaderSize(nc, 64<<10)}
	in.dec = hpack.NewDecoder(4096, in.field)
	// The server's settings come first and say how many streams it allows.
	if err := in.settings(); err != nil {
		_ = nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})

	c.lastRead.Store(time.Now().UnixNano())
	c.health = time.AfterFunc(idle, c.checkHealth)
	go in.run()
	go c.write()
	return c, nil
}

// roundTrip sends one request and waits for its answer.
func (c *conn) roundTrip(req *http.Request, body []byte) (*http.Response, error) {
	st := &stream{req: req, body: body, done: make(chan struct{})}
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

	if c.health != nil {
		c.health.Stop()
	}
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
		c.mu.Lock()
		c.control = appendPing(c.control, false, [8]byte{'h', 'e', 'r', 'a', 'l', 'd'})
		c.wake.Signal()
		c.mu.Unlock()
		c.health.Reset(c.idle)
	}
}

// reader takes the frames of one connection apart.
type reader struct {
	c   *conn
	br  *bufio.Reader
	dec *hpack.Decoder

	unacked int // bytes of DATA for which the server has no new window yet

	// The header block being read.
	block   []byte // kept only while a block spans frames
	current *stream
	res     *http.Response
	ends    bool
}

func (r *reader) run() {
	for {
		if err := r.frame(); err != nil {
			r.c.close(err)
			return
		}
	}
}

// settings reads the server's first frame, which must be SETTINGS.
func (r *reader) settings() error {
	head, err := r.br.Peek(9)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if http2.FrameType(head[3]) != http2.FrameSettings {
		return errors.New("server's first frame is not SETTINGS")
	}
	return r.frame()
}

func (r *reader) frame() error {
	head, err := r.br.Peek(9)
	if err != nil {
		return err
	}
	length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	kind, flags := http2.FrameType(head[3]), http2.Flags(head[4])
	id := binary.BigEndian.Uint32(head[5:]) & (1<<31 - 1)
	if length > 16384 {
		return fmt.Errorf("frame of %d bytes is over what we allow", length)
	}
	_, _ = r.br.Discard(9)
	payload, err := r.br.Peek(length)
	if err != nil {
		return err
	}
	if r.br.Buffered() == length { // about to wait: a good time to look at the clock
		r.c.lastRead.Store(time.Now().UnixNano())
	}
	if r.block != nil && kind != http2.FrameContinuation {
		return errors.New("header block was interrupted")
	}
	if err := r.take(kind, flags, id, payload); err != nil {
		return err
	}
	_, err = r.br.Discard(length)
	return err
}

func (r *reader) take(kind http2.FrameType, flags http2.Flags, id uint32, p []byte) error {
	switch kind {
	case http2.FrameHeaders:
		return r.headers(flags, id, p)
	case http2.FrameContinuation:
		if r.block == nil {
			return errors.New("CONTINUATION without HEADERS")
		}
		r.block = append(r.block, p...)
		if len(r.block) > MaxBody {
			return errors.New("header block is too large")
		}
		if !flags.Has(http2.FlagContinuationEndHeaders) {
			return nil
		}
		block := r.block
		r.block = nil
		return r.decode(block)
	case http2.FrameData:
		return r.data(flags, id, p)
	case http2.FrameRSTStream:
		return r.reset(id, p)
	case http2.FrameSettings:
		return r.c.apply(flags, p)
	case http2.FramePing:
		if len(p) != 8 {
			return errors.New("PING is not 8 bytes")
		}
		if !flags.Has(http2.FlagPingAck) {
			r.c.reply(func(b []byte) []byte { return appendPing(b, true, [8]byte(p)) })
		}
		return nil
	case http2.FrameGoAway:
		return r.goAway(p)
	case http2.FrameWindowUpdate:
		return r.c.grow(id, p)
	case http2.FramePushPromise:
		return errors.New("server pushed although we forbade it")
	default:
		return nil // PRIORITY and kinds from the future
	}
}

func (r *reader) headers(flags http2.Flags, id uint32, p []byte) error {
	p, err := unpad(flags.Has(http2.FlagHeadersPadded), p)
	if err != nil {
		return err
	}
	if flags.Has(http2.FlagHeadersPriority) {
		if len(p) < 5 {
			return errors.New("HEADERS is too short")
		}
		p = p[5:]
	}
	r.c.mu.Lock()
	r.current = r.c.streams[id] // nil: cancelled; the block must be decoded all the same
	r.c.mu.Unlock()
	r.ends = flags.Has(http2.FlagHeadersEndStream)
	if !flags.Has(http2.FlagHeadersEndHeaders) {
		r.block = append([]byte{}, p...)
		return nil
	}
	return r.decode(p)
}

// decode reads one whole header block. Blocks that answer nobody are decoded
// too: they change the connection's table.
func (r *reader) decode(block []byte) error {
	r.res = &http.Response{Proto: "HTTP/2.0", ProtoMajor: 2, Header: make(http.Header, 4)}
	if _, err := r.dec.Write(block); err != nil {
		return fmt.Errorf("decode headers: %w", err)
	}
	if err := r.dec.Close(); err != nil {
		return fmt.Errorf("decode headers: %w", err)
	}
	st := r.current
	if st == nil {
		return nil
	}
	if r.res.StatusCode >= 200 && st.res == nil { // not informational, not a trailer
		r.res.Request = st.req
		st.res = r.res
	}
	if r.ends {
		r.end(st)
	}
	return nil
}

func (r *reader) field(f hpack.HeaderField) {
	if f.Name == ":status" {
		for _, digit := range []byte(f.Value) {
			r.res.StatusCode = r.res.StatusCode*10 + int(digit-'0')
		}
		r.res.Status = f.Value + " " + http.StatusText(r.res.StatusCode)
		return
	}
	r.res.Header.Add(f.Name, f.Value)
}

func (r *reader) data(flags http2.Flags, id uint32, p []byte) error {
	weight := len(p) // padding counts against the windows
	p, err := unpad(flags.Has(http2.FlagDataPadded), p)
	if err != nil {
		return err
	}
	r.c.mu.Lock()
	st := r.c.streams[id]
	r.c.mu.Unlock()
	if r.unacked += weight; r.unacked > connWindow/4 {
		by := r.unacked
		r.unacked = 0
		r.c.reply(func(b []byte) []byte { return appendWindowUpdate(b, 0, by) })
	}
	if st == nil {
		return nil
	}
	if st.got = append(st.got, p...); len(st.got) > MaxBody {
		r.c.cancel(st)
		r.c.finish(st, fmt.Errorf("h2: answer is over %d bytes", MaxBody))
		return nil
	}
	if flags.Has(http2.FlagDataEndStream) {
		r.end(st)
	}
	return nil
}

func (r *reader) end(st *stream) {
	if r.c.forget(st) {
		r.c.finish(st, nil)
	}
}

func (r *reader) reset(id uint32, p []byte) error {
	if len(p) != 4 {
		return errors.New("RST_STREAM is not 4 bytes")
	}
	r.c.mu.Lock()
	st := r.c.streams[id]
	r.c.mu.Unlock()
	if st == nil || !r.c.forget(st) {
		return nil
	}
	code := http2.ErrCode(binary.BigEndian.Uint32(p))
	switch {
	case code == http2.ErrCodeNo && st.res != nil: // answered early and wants no more body
		r.c.finish(st, nil)
	case code == http2.ErrCodeRefusedStream: // RFC 9113, 8.7: certainly not processed
		r.c.finish(st, fmt.Errorf("h2: %w: stream refused", ErrNotSent))
	default:
		r.c.finish(st, fmt.Errorf("h2: stream reset by the server: %v", code))
	}
	return nil
}

// goAway takes the server's farewell: what it has not seen may be sent again,
// the rest may still be answered.
func (r *reader) goAway(p []byte) error {
	if len(p) < 8 {
		return errors.New("GOAWAY is too short")
	}
	c := r.c
	last := binary.BigEndian.Uint32(p) & (1<<31 - 1)
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

// forget takes a stream off the books; false if it was off already.
func (c *conn) forget(st *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[st.id] != st {
		return false
	}
	delete(c.streams, st.id)
	if len(st.body) > st.sent { // the server answered before it had read all
		c.control = appendReset(c.control, st.id, http2.ErrCodeNo)
		st.cancelled = true
		c.wake.Signal()
	}
	if c.closing.Load() && len(c.streams) == 0 && len(c.queue) == 0 {
		go c.close(net.ErrClosed) // not here: our lock is held
	}
	return true
}

func bodyOf(b []byte) io.ReadCloser {
	if len(b) == 0 {
		return http.NoBody
	}
	return io.NopCloser(bytes.NewReader(b))
}
