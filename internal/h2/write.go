package h2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// write sends what is waiting until the connection ends. Whatever gathers while
// one write is under way leaves together with the next.
func (c *conn) write() {
	w := &writer{}
	w.enc = hpack.NewEncoder(&w.block)
	for {
		batch, control, err := c.nextBatch(w)
		if err != nil {
			return
		}
		w.out = append(w.out[:0], control...)
		for _, st := range batch {
			if err := w.stream(st, c.frameSize()); err != nil {
				c.close(err)
				return
			}
		}
		_ = c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := c.nc.Write(w.out); err != nil {
			c.close(fmt.Errorf("write: %w", err))
			return
		}
		for _, st := range batch {
			if st.open {
				wrote(st.req)
			}
		}
	}
}

// nextBatch waits for something to send and grants each stream its part of the
// windows. The slices are valid until the next call.
func (c *conn) nextBatch(w *writer) (batch []*stream, control []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.err != nil {
			return nil, nil, c.err
		}
		if c.tableLimit != 0 {
			w.enc.SetMaxDynamicTableSizeLimit(c.tableLimit)
			c.tableLimit = 0
		}
		w.batch = w.batch[:0]
		c.unblockLocked(w)
		c.openLocked(w)
		if len(w.batch) > 0 || len(c.control) > 0 {
			w.control, c.control = c.control, w.control[:0]
			return w.batch, w.control, nil
		}
		c.wake.Wait()
	}
}

// unblockLocked goes on with bodies that the windows had stopped.
func (c *conn) unblockLocked(w *writer) {
	still := c.blocked[:0]
	for _, st := range c.blocked {
		if st.cancelled {
			continue
		}
		if st.open = false; c.grantLocked(st) {
			w.batch = append(w.batch, st)
		}
		if st.sent < len(st.body) {
			still = append(still, st)
		}
	}
	c.blocked = still
}

// openLocked opens the streams in the queue.
func (c *conn) openLocked(w *writer) {
	for _, st := range c.queue {
		if st.cancelled {
			continue
		}
		st.id, st.written, st.open, st.window = c.nextID, true, true, c.initial
		c.nextID += 2
		c.streams[st.id] = st
		c.grantLocked(st)
		w.batch = append(w.batch, st)
		if st.sent < len(st.body) {
			c.blocked = append(c.blocked, st)
		}
	}
	c.queue = c.queue[:0]
	if c.nextID > 1<<30 { // ids are used up long before the protocol's end of them
		c.closing.Store(true)
	}
}

// grantLocked gives a stream as much of the windows as it needs and they have.
func (c *conn) grantLocked(st *stream) bool {
	n := min(int64(len(st.body)-st.sent), st.window, c.window)
	st.grant = int(max(0, n))
	st.window -= int64(st.grant)
	c.window -= int64(st.grant)
	st.sent += st.grant
	return st.grant > 0
}

func (c *conn) frameSize() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.maxFrame
}

// reply queues a control frame.
func (c *conn) reply(frame func([]byte) []byte) {
	c.mu.Lock()
	c.control = frame(c.control)
	c.wake.Signal()
	c.mu.Unlock()
}

// apply takes the server's settings.
func (c *conn) apply(flags http2.Flags, p []byte) error {
	if flags.Has(http2.FlagSettingsAck) {
		return nil
	}
	if len(p)%6 != 0 {
		return errors.New("SETTINGS is not a multiple of 6 bytes")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(p) > 0; p = p[6:] {
		value := binary.BigEndian.Uint32(p[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(p)) {
		case http2.SettingMaxConcurrentStreams:
			c.maxStreams.Store(value)
		case http2.SettingInitialWindowSize:
			if value > 1<<31-1 {
				return errors.New("initial window is too large")
			}
			for _, st := range c.streams {
				st.window += int64(value) - c.initial
			}
			c.initial = int64(value)
		case http2.SettingMaxFrameSize:
			if value < 16384 || value > 1<<24-1 {
				return errors.New("maximum frame size is out of range")
			}
			c.maxFrame = int(value)
		case http2.SettingHeaderTableSize:
			c.tableLimit = max(1, min(value, 64<<10))
		}
	}
	c.control = appendFrame(c.control, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
	c.wake.Signal()
	return nil
}

// grow widens a window.
func (c *conn) grow(id uint32, p []byte) error {
	if len(p) != 4 {
		return errors.New("WINDOW_UPDATE is not 4 bytes")
	}
	by := int64(binary.BigEndian.Uint32(p) & (1<<31 - 1))
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == 0 {
		c.window += by
	} else if st := c.streams[id]; st != nil {
		st.window += by
	}
	if len(c.blocked) > 0 {
		c.wake.Signal()
	}
	return nil
}

// writer holds the buffers of a connection's writing side.
type writer struct {
	enc     *hpack.Encoder
	block   bytes.Buffer
	out     []byte
	batch   []*stream
	control []byte
	lower   map[string]string
}

// stream appends the frames of one stream's turn.
func (w *writer) stream(st *stream, maxFrame int) error {
	last := st.sent == len(st.body)
	if st.open {
		w.block.Reset()
		if err := w.headers(st); err != nil {
			return err
		}
		w.headerFrames(st.id, len(st.body) == 0, maxFrame)
	}
	part := st.body[st.sent-st.grant : st.sent]
	for len(part) > 0 {
		n := min(len(part), maxFrame)
		var flags http2.Flags
		if last && n == len(part) {
			flags = http2.FlagDataEndStream
		}
		w.out = appendFrame(w.out, http2.FrameData, flags, st.id, n)
		w.out = append(w.out, part[:n]...)
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
		w.out = appendFrame(w.out, kind, flags, id, n)
		w.out = append(w.out, block[:n]...)
		block = block[n:]
		kind = http2.FrameContinuation
	}
}

// headers encodes a request's header block. What differs with every request is
// kept out of the compression table, which then holds what repeats.
func (w *writer) headers(st *stream) error {
	req := st.req
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	fields := [...]hpack.HeaderField{
		{Name: ":method", Value: method},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: host},
		{Name: ":path", Value: req.URL.RequestURI(), Sensitive: true},
		{Name: "content-length", Value: strconv.Itoa(len(st.body)), Sensitive: true},
	}
	for i, f := range fields {
		if i == len(fields)-1 && len(st.body) == 0 && (method == http.MethodGet || method == http.MethodHead) {
			break
		}
		if err := w.enc.WriteField(f); err != nil {
			return fmt.Errorf("encode headers: %w", err)
		}
	}
	for name, values := range req.Header {
		lower, ok := w.name(name)
		if !ok {
			continue
		}
		for _, value := range values {
			if err := w.enc.WriteField(hpack.HeaderField{Name: lower, Value: value, Sensitive: unique(lower)}); err != nil {
				return fmt.Errorf("encode headers: %w", err)
			}
		}
	}
	return nil
}

// unique names the headers whose value hardly ever repeats.
func unique(name string) bool {
	return name == "apns-id" || name == "apns-collapse-id" || name == "apns-expiration"
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

// appendFrame appends a frame's head; the caller appends length bytes of it.
func appendFrame(b []byte, kind http2.FrameType, flags http2.Flags, id uint32, length int) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(b, id)
}

func appendSettings(b []byte, settings ...http2.Setting) []byte {
	b = appendFrame(b, http2.FrameSettings, 0, 0, 6*len(settings))
	for _, s := range settings {
		b = binary.BigEndian.AppendUint16(b, uint16(s.ID))
		b = binary.BigEndian.AppendUint32(b, s.Val)
	}
	return b
}

func appendWindowUpdate(b []byte, id uint32, by int) []byte {
	b = appendFrame(b, http2.FrameWindowUpdate, 0, id, 4)
	return binary.BigEndian.AppendUint32(b, uint32(by))
}

func appendReset(b []byte, id uint32, code http2.ErrCode) []byte {
	b = appendFrame(b, http2.FrameRSTStream, 0, id, 4)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendPing(b []byte, ack bool, data [8]byte) []byte {
	var flags http2.Flags
	if ack {
		flags = http2.FlagPingAck
	}
	b = appendFrame(b, http2.FramePing, flags, 0, 8)
	return append(b, data[:]...)
}

func unpad(padded bool, p []byte) ([]byte, error) {
	if !padded {
		return p, nil
	}
	if len(p) == 0 || int(p[0]) > len(p)-1 {
		return nil, errors.New("padding is longer than the frame")
	}
	return p[1 : len(p)-int(p[0])], nil
}
