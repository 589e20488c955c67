package h2

import (
	"fmt"
	"math"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

const (
	// The windows we grant are large enough that the bodies of push services
	// never meet them.
	streamWindow  = 4 << 20
	connWindow    = 64 << 20
	initialWindow = 65535 // RFC 9113, section 6.9.2
	maxWindow     = 1<<31 - 1
	writeTimeout  = 10 * time.Second
	// batchBytes is how much is made ready while a write is under way: four full
	// TLS records. What does not fit waits in the queue, where it can still be
	// taken back.
	batchBytes = 64 << 10
	// farewellTime bounds the last write of a connection that has failed.
	farewellTime = 5 * time.Second
)

// flow is what one end sends on one stream: a header block, then a body as the
// windows allow. Guarded by mux.mu.
type flow struct {
	id     uint32
	body   []byte
	sent   int    // bytes of body in frames so far
	window int64  // what may be sent on the stream
	batch  uint64 // the write that the header block leaves with
}

func (f *flow) out() *flow { return f }

// message is a flow with its headers.
type message interface {
	comparable
	out() *flow
	encode(e *encoder)
	left() func() // called once the header block is with the kernel; may be nil
}

// mux is what both ends of a connection share: everything that leaves it, and
// the one goroutine that writes. Frames are made by whoever sends, under mu, in
// the order in which they will leave; those that are made while a write is under
// way leave together with the next.
type mux[M message] struct {
	nc net.Conn
	// sentAll, if set, is told under mu that the last frame of a message is made.
	sentAll func(M)

	mu       sync.Mutex
	wake     sync.Cond
	enc      *encoder
	ready    []byte       // frames for the next write
	batch    uint64       // number of the next write
	left     []func()     // who wants to know of it
	queue    []M          // to be opened
	blocked  []M          // open, with body left that the windows did not allow
	streams  map[uint32]M // open
	maxOpen  int          // streams the other end allows
	nextID   uint32
	window   int64 // what we may still send on the connection
	initial  int64 // what we may send on a new stream
	maxFrame int
	err      error // why the connection ended
}

func (m *mux[M]) init(nc net.Conn) {
	m.nc, m.streams, m.nextID = nc, map[uint32]M{}, 1
	m.window, m.initial, m.maxFrame, m.maxOpen = initialWindow, initialWindow, 16384, math.MaxInt
	m.enc = newEncoder(&m.ready)
	m.batch = 1
	m.wake.L = &m.mu
}

// write sends what is ready until the connection ends, and says why it did.
func (m *mux[M]) write() error {
	var last []byte
	var left []func()
	for {
		var err error
		if last, left, err = m.nextBatch(last); len(last) > 0 {
			wait := writeTimeout
			if err != nil {
				wait = farewellTime
			}
			_ = m.nc.SetWriteDeadline(time.Now().Add(wait))
			if _, failed := m.nc.Write(last); failed != nil && err == nil {
				err = fmt.Errorf("write: %w", failed)
			}
		}
		if err != nil {
			return err
		}
		for _, tell := range left {
			tell()
		}
	}
}

// nextBatch waits for frames to send, and gives the buffer of the batch before
// to those to come. With an error come the connection's last frames.
func (m *mux[M]) nextBatch(spare []byte) ([]byte, []func(), error) {
	if cap(spare) > 4*batchBytes {
		spare = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for yielded := false; ; {
		if m.err == nil {
			m.fillLocked()
		}
		if len(m.ready) > 0 && !yielded {
			// Who is about to send shall send with us: a write costs as much as ten
			// requests.
			yielded = true
			m.mu.Unlock()
			runtime.Gosched()
			m.mu.Lock()
			continue
		}
		if len(m.ready) > 0 || m.err != nil {
			batch, left := m.ready, m.left
			m.ready, m.left = spare[:0], nil
			m.batch++
			return batch, left, m.err
		}
		m.wake.Wait()
	}
}

// post sends a message as soon as there is room for it. It reports false if
// the connection has ended.
func (m *mux[M]) postLocked(msg M) bool {
	if m.err != nil {
		return false
	}
	if len(m.queue) == 0 && m.roomLocked() {
		m.openLocked(msg)
	} else {
		m.queue = append(m.queue, msg)
	}
	m.wake.Signal()
	return true
}

func (m *mux[M]) roomLocked() bool {
	return len(m.ready) < batchBytes && len(m.streams) < m.maxOpen
}

// fillLocked goes on with bodies that the windows had stopped, then opens what
// is in the queue.
func (m *mux[M]) fillLocked() {
	if len(m.blocked) > 0 {
		m.blocked = slices.DeleteFunc(m.blocked, func(msg M) bool {
			m.sendLocked(msg)
			return msg.out().sent == len(msg.out().body)
		})
	}
	n := 0
	for n < len(m.queue) && m.roomLocked() {
		m.openLocked(m.queue[n])
		n++
	}
	if n > 0 {
		m.queue = slices.Delete(m.queue, 0, n)
	}
}

// openLocked makes a message's header block and as much of its body as the
// windows allow.
func (m *mux[M]) openLocked(msg M) {
	f := msg.out()
	if f.id == 0 { // ours to name
		f.id, f.window = m.nextID, m.initial
		m.nextID += 2
		m.streams[f.id] = msg
	}
	f.batch = m.batch
	if tell := msg.left(); tell != nil {
		m.left = append(m.left, tell)
	}
	m.headersLocked(msg)
	if m.sendLocked(msg); f.sent < len(f.body) {
		m.blocked = append(m.blocked, msg)
	}
}

// headersLocked appends a header block in as many frames as it needs.
func (m *mux[M]) headersLocked(msg M) {
	f, at := msg.out(), len(m.ready)
	flags := http2.FlagHeadersEndHeaders
	if len(f.body) == 0 {
		flags |= http2.FlagHeadersEndStream
	}
	m.ready = appendFrame(m.ready, http2.FrameHeaders, flags, f.id, 0)
	m.enc.begin()
	msg.encode(m.enc)
	length := len(m.ready) - at - frameHead
	if length <= m.maxFrame {
		setLength(m.ready[at:], length)
		return
	}
	block := slices.Clone(m.ready[at+frameHead:])
	m.ready = m.ready[:at]
	flags &^= http2.FlagHeadersEndHeaders
	for kind := http2.FrameHeaders; len(block) > 0; kind, flags = http2.FrameContinuation, 0 {
		n := min(len(block), m.maxFrame)
		if n == len(block) {
			flags |= http2.FlagHeadersEndHeaders
		}
		m.ready = append(appendFrame(m.ready, kind, flags, f.id, n), block[:n]...)
		block = block[n:]
	}
}

// sendLocked appends as much of a message's body as the windows allow.
func (m *mux[M]) sendLocked(msg M) {
	f := msg.out()
	for f.sent < len(f.body) {
		n := int(min(int64(len(f.body)-f.sent), f.window, m.window, int64(m.maxFrame)))
		if n <= 0 {
			return
		}
		f.window -= int64(n)
		m.window -= int64(n)
		var flags http2.Flags
		if f.sent+n == len(f.body) {
			flags = http2.FlagDataEndStream
		}
		m.ready = append(appendFrame(m.ready, http2.FrameData, flags, f.id, n), f.body[f.sent:f.sent+n]...)
		f.sent += n
	}
	if m.sentAll != nil {
		m.sentAll(msg)
	}
}

// forgetLocked takes a message off the books.
func (m *mux[M]) forgetLocked(msg M) {
	f := msg.out()
	delete(m.streams, f.id)
	if f.sent < len(f.body) {
		if i := slices.Index(m.blocked, msg); i >= 0 {
			m.blocked = slices.Delete(m.blocked, i, i+1)
		}
	}
	if len(m.queue) > 0 {
		m.wake.Signal() // there may be room now
	}
}

// reply makes a control frame.
func (m *mux[M]) reply(frame func([]byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.ready = frame(m.ready)
		m.wake.Signal()
	}
}

// stream finds an open stream; the zero message if there is none.
func (m *mux[M]) stream(id uint32) M {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams[id]
}

// failLocked ends the connection for cause, telling the other end if it is its
// fault. It reports false if it had ended before.
func (m *mux[M]) failLocked(cause error, lastSeen uint32) bool {
	if m.err != nil {
		return false
	}
	m.err = cause
	switch f, broken := cause.(fault); { //nolint:errorlint // only a bare fault is the other end's
	case broken:
		m.ready = appendGoAway(m.ready, lastSeen, f.code)
	case cause == errDone: //nolint:errorlint // made by us, never wrapped
		m.ready = appendGoAway(m.ready, lastSeen, http2.ErrCodeNo)
	default: // the line is dead
		m.ready = nil
	}
	_ = m.nc.SetWriteDeadline(time.Now().Add(farewellTime))
	m.wake.Signal()
	return true
}
