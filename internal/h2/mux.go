package h2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// The windows we grant are large enough that the bodies of push services
	// never meet them.
	streamWindow  = 4 << 20
	connWindow    = 64 << 20
	initialWindow = 65535 // RFC 9113, section 6.9.2
	writeTimeout  = 10 * time.Second
)

// flow is what one end sends on one stream: a header block, then a body as the
// windows allow. Guarded by mux.mu, but for what the writer alone reads.
type flow struct {
	id        uint32
	body      []byte
	sent      int   // bytes of body granted so far
	window    int64 // what may be sent on the stream
	written   bool  // some of it may have reached the other end
	cancelled bool

	// Of the batch being written.
	open  bool
	grant int
}

func (f *flow) out() *flow { return f }

// message is a flow with its headers and what to do once it has left.
type message interface {
	comparable
	out() *flow
	encode(w *writer) error
	left() // the header block has been handed to the kernel
}

// mux is what both ends of a connection share: everything that leaves it, and
// the one goroutine that writes. Messages that wait while a write is under way
// leave together with the next.
type mux[M message] struct {
	nc net.Conn
	// sentAll, if set, is told under mu that a message was granted to its end.
	sentAll func(M)

	mu         sync.Mutex
	wake       sync.Cond
	queue      []M          // to be opened
	blocked    []M          // open, with body left that the windows did not allow
	streams    map[uint32]M // open
	control    []byte       // frames of our own to send first
	nextID     uint32
	window     int64 // what we may still send on the connection
	initial    int64 // what we may send on a new stream
	maxFrame   int
	tableLimit uint32 // of the other end's decoder; 0: unchanged
	err        error  // why the connection ended
}

func (m *mux[M]) init(nc net.Conn) {
	m.nc, m.streams, m.nextID = nc, map[uint32]M{}, 1
	m.window, m.initial, m.maxFrame = initialWindow, initialWindow, 16384
	m.wake.L = &m.mu
}

// write sends what is waiting until the connection ends, and says why it did.
func (m *mux[M]) write() error {
	w := &writer{}
	w.enc = hpack.NewEncoder(&w.block)
	var batch []M
	var control []byte
	for {
		var maxFrame int
		var err error
		if batch, control, maxFrame, err = m.nextBatch(w, batch, control); err != nil {
			return err
		}
		w.bytes = append(w.bytes[:0], control...)
		for _, msg := range batch {
			if err := frames(w, msg, maxFrame); err != nil {
				return err
			}
		}
		_ = m.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := m.nc.Write(w.bytes); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		for _, msg := range batch {
			if msg.out().open {
				msg.left()
			}
		}
	}
}

// nextBatch waits for something to send and grants each message its part of
// the windows. It fills the buffers of the batch before.
func (m *mux[M]) nextBatch(w *writer, batch []M, control []byte) ([]M, []byte, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if m.err != nil {
			return nil, nil, 0, m.err
		}
		if m.tableLimit != 0 {
			w.enc.SetMaxDynamicTableSizeLimit(m.tableLimit)
			m.tableLimit = 0
		}
		batch = m.openLocked(m.unblockLocked(batch[:0]))
		if len(batch) > 0 || len(m.control) > 0 {
			control, m.control = m.control, control[:0]
			return batch, control, m.maxFrame, nil
		}
		m.wake.Wait()
	}
}

// unblockLocked goes on with bodies that the windows had stopped.
func (m *mux[M]) unblockLocked(batch []M) []M {
	still := m.blocked[:0]
	for _, msg := range m.blocked {
		f := msg.out()
		if f.cancelled {
			continue
		}
		if f.open = false; m.grantLocked(msg) {
			batch = append(batch, msg)
		}
		if f.sent < len(f.body) {
			still = append(still, msg)
		}
	}
	clear(m.blocked[len(still):])
	m.blocked = still
	return batch
}

// openLocked opens the messages in the queue.
func (m *mux[M]) openLocked(batch []M) []M {
	for _, msg := range m.queue {
		f := msg.out()
		if f.cancelled {
			continue
		}
		if f.id == 0 { // ours to name
			f.id, f.window = m.nextID, m.initial
			m.nextID += 2
			m.streams[f.id] = msg
		}
		f.written, f.open = true, true
		m.grantLocked(msg)
		batch = append(batch, msg)
		if f.sent < len(f.body) {
			m.blocked = append(m.blocked, msg)
		}
	}
	clear(m.queue)
	m.queue = m.queue[:0]
	return batch
}

// grantLocked gives a message as much of the windows as it needs and they have.
func (m *mux[M]) grantLocked(msg M) bool {
	f := msg.out()
	n := min(int64(len(f.body)-f.sent), f.window, m.window)
	f.grant = int(max(0, n))
	f.window -= int64(f.grant)
	m.window -= int64(f.grant)
	if f.sent += f.grant; f.sent == len(f.body) && m.sentAll != nil {
		m.sentAll(msg)
	}
	return f.grant > 0
}

// reply queues a control frame.
func (m *mux[M]) reply(frame func([]byte) []byte) {
	m.mu.Lock()
	m.control = frame(m.control)
	m.wake.Signal()
	m.mu.Unlock()
}

// stream finds an open stream; the zero message if there is none.
func (m *mux[M]) stream(id uint32) M {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams[id]
}

// apply takes the other end's settings. streams is told how many streams at
// once it allows, if it says so.
func (m *mux[M]) apply(flags http2.Flags, p []byte, streams func(uint32)) error {
	if flags.Has(http2.FlagSettingsAck) {
		return nil
	}
	if len(p)%6 != 0 {
		return errors.New("SETTINGS is not a multiple of 6 bytes")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; len(p) > 0; p = p[6:] {
		value := binary.BigEndian.Uint32(p[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(p)) {
		case http2.SettingMaxConcurrentStreams:
			streams(value)
		case http2.SettingInitialWindowSize:
			if value > 1<<31-1 {
				return errors.New("initial window is too large")
			}
			for _, msg := range m.streams {
				msg.out().window += int64(value) - m.initial
			}
			m.initial = int64(value)
		case http2.SettingMaxFrameSize:
			if value < 16384 || value > 1<<24-1 {
				return errors.New("maximum frame size is out of range")
			}
			m.maxFrame = int(value)
		case http2.SettingHeaderTableSize:
			m.tableLimit = max(1, min(value, 64<<10))
		default: // nothing that we send depends on the others
		}
	}
	m.control = appendFrame(m.control, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
	m.wake.Signal()
	return nil
}

// grow widens a window.
func (m *mux[M]) grow(id uint32, p []byte) error {
	if len(p) != 4 {
		return errors.New("WINDOW_UPDATE is not 4 bytes")
	}
	by := int64(binary.BigEndian.Uint32(p) & (1<<31 - 1))
	m.mu.Lock()
	defer m.mu.Unlock()
	if id == 0 {
		m.window += by
	} else if msg, ok := m.streams[id]; ok {
		msg.out().window += by
	}
	if len(m.blocked) > 0 {
		m.wake.Signal()
	}
	return nil
}

// writer holds the buffers of a connection's writing side.
type writer struct {
	enc   *hpack.Encoder
	block bytes.Buffer
	bytes []byte
	lower map[string]string // header names as HTTP/2 wants them
}

// frames appends what a message may send in this batch.
func frames[M message](w *writer, msg M, maxFrame int) error {
	f := msg.out()
	if f.open {
		w.block.Reset()
		if err := msg.encode(w); err != nil {
			return err
		}
		w.headerFrames(f.id, len(f.body) == 0, maxFrame)
	}
	last := f.sent == len(f.body)
	part := f.body[f.sent-f.grant : f.sent]
	for len(part) > 0 {
		n := min(len(part), maxFrame)
		var flags http2.Flags
		if last && n == len(part) {
			flags = http2.FlagDataEndStream
		}
		w.bytes = appendFrame(w.bytes, http2.FrameData, flags, f.id, n)
		w.bytes = append(w.bytes, part[:n]...)
		part = part[n:]
	}
	return nil
}

func (w *writer) headerFrames(id uint32, ends bool, maxFrame int) {
	block := w.block.Bytes()
	kind := http2.FrameHeaders
	for first := true; first || len(block) > 0; first = false {
		n := min(len(block), maxFrame)
		var flags http2.Flags
		if n == len(block) {
			flags |= http2.FlagHeadersEndHeaders
		}
		if first && ends {
			flags |= http2.FlagHeadersEndStream
		}
		w.bytes = appendFrame(w.bytes, kind, flags, id, n)
		w.bytes = append(w.bytes, block[:n]...)
		block = block[n:]
		kind = http2.FrameContinuation
	}
}

// fields encodes some header fields. What differs with every message is kept
// out of the compression table, which then holds what repeats.
func (w *writer) fields(fields ...hpack.HeaderField) error {
	for _, f := range fields {
		if err := w.enc.WriteField(f); err != nil {
			return fmt.Errorf("encode headers: %w", err)
		}
	}
	return nil
}
