package h2

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// maxFrame is the largest frame we take: the protocol's default.
	maxFrame = 16384
	// maxHeaders bounds a header block, packed and unpacked (names, values and 32
	// bytes a field, as RFC 9113, section 6.5.2, counts).
	maxHeaders = 64 << 10
	// maxFragments bounds the frames of one header block.
	maxFragments = 64
	// maxChatter bounds the frames in a row that bring no answer nearer: pings,
	// settings, resets, empty data. A server that sends more keeps us busy for
	// nothing.
	maxChatter = 10_000
)

// end is one end of a connection, as its reader sees it.
type end interface {
	// field takes one field of the header block that headers will end.
	field(f hpack.HeaderField)
	headers(id uint32, ends bool) error
	// data's p is valid during the call only; size is what it took of the window.
	data(id uint32, p []byte, size int, ends bool) error
	reset(id uint32, code http2.ErrCode) error
	settings(flags http2.Flags, p []byte) error
	goAway(last uint32, code http2.ErrCode) error
	grow(id, by uint32) error
	reply(frame func([]byte) []byte)
	// alive is called when all that has arrived has been read.
	alive()
}

// reader takes the frames of one connection apart.
type reader struct {
	end end
	br  *bufio.Reader
	dec *hpack.Decoder

	unacked int // bytes of DATA for which the other end has no new window yet
	chatter int // frames since the last that brought something

	block     []byte // a header block that spans frames
	blockOf   uint32
	ends      bool
	open      bool // the block goes on
	fragments int
	unpacked  int // bytes
}

func newReader(e end, from io.Reader) *reader {
	r := &reader{end: e, br: bufio.NewReaderSize(from, 64<<10)}
	r.dec = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if r.unpacked += int(f.Size()); r.unpacked <= maxHeaders {
			e.field(f)
		}
	})
	r.dec.SetMaxStringLength(maxHeaders)
	return r
}

// run reads until the connection ends, and says why it did.
func (r *reader) run() error {
	for {
		if err := r.frame(); err != nil {
			return err
		}
	}
}

// hello reads the other end's first frame, which must be SETTINGS.
func (r *reader) hello() error {
	head, err := r.br.Peek(frameHead)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if http2.FrameType(head[3]) != http2.FrameSettings || http2.Flags(head[4]).Has(http2.FlagSettingsAck) {
		return protocolFault("first frame is not SETTINGS")
	}
	return r.frame()
}

func (r *reader) frame() error {
	head, err := r.br.Peek(frameHead)
	if err != nil {
		return err
	}
	length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	kind, flags := http2.FrameType(head[3]), http2.Flags(head[4])
	id := binary.BigEndian.Uint32(head[5:]) & (1<<31 - 1)
	if length > maxFrame {
		return sizeFault(fmt.Sprintf("frame of %d bytes is over what we allow", length))
	}
	_, _ = r.br.Discard(frameHead)
	payload, err := r.br.Peek(length)
	if err != nil {
		return err
	}
	if r.br.Buffered() == length {
		r.end.alive()
	}
	if r.open && kind != http2.FrameContinuation {
		return protocolFault("header block was interrupted")
	}
	if r.chatter++; r.chatter > maxChatter {
		return floodFault("frames that bring nothing")
	}
	if err := r.take(kind, flags, id, payload); err != nil {
		return err
	}
	_, err = r.br.Discard(length)
	return err
}

func (r *reader) take(kind http2.FrameType, flags http2.Flags, id uint32, p []byte) error {
	if err := check(kind, id, len(p)); err != nil {
		return err
	}
	switch kind {
	case http2.FrameHeaders:
		return r.headers(flags, id, p)
	case http2.FrameContinuation:
		return r.continuation(flags, id, p)
	case http2.FrameData:
		return r.data(flags, id, p)
	case http2.FrameRSTStream:
		return r.end.reset(id, http2.ErrCode(binary.BigEndian.Uint32(p)))
	case http2.FrameSettings:
		return r.end.settings(flags, p)
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			r.end.reply(func(b []byte) []byte { return appendPing(b, true, [8]byte(p)) })
		}
		return nil
	case http2.FrameGoAway:
		return r.end.goAway(binary.BigEndian.Uint32(p)&(1<<31-1), http2.ErrCode(binary.BigEndian.Uint32(p[4:])))
	case http2.FrameWindowUpdate:
		return r.end.grow(id, binary.BigEndian.Uint32(p)&(1<<31-1))
	case http2.FramePushPromise:
		return protocolFault("PUSH_PROMISE although it is forbidden")
	default:
		return nil // PRIORITY and kinds from the future
	}
}

// check holds a frame against what RFC 9113, section 6, says of its kind.
func check(kind http2.FrameType, id uint32, length int) error {
	switch kind {
	case http2.FrameHeaders, http2.FrameContinuation, http2.FrameData, http2.FrameRSTStream, http2.FramePriority:
		if id == 0 {
			return protocolFault(kind.String() + " on no stream")
		}
	case http2.FrameSettings, http2.FramePing, http2.FrameGoAway:
		if id != 0 {
			return protocolFault(kind.String() + " on a stream")
		}
	default:
	}
	short := false
	switch kind {
	case http2.FrameRSTStream, http2.FrameWindowUpdate:
		short = length != 4
	case http2.FramePriority:
		short = length != 5
	case http2.FramePing:
		short = length != 8
	case http2.FrameGoAway:
		short = length < 8
	default:
	}
	if short {
		return sizeFault(fmt.Sprintf("%v of %d bytes", kind, length))
	}
	return nil
}

func (r *reader) headers(flags http2.Flags, id uint32, p []byte) error {
	p, err := unpad(flags.Has(http2.FlagHeadersPadded), p)
	if err != nil {
		return err
	}
	if flags.Has(http2.FlagHeadersPriority) {
		if len(p) < 5 {
			return sizeFault("HEADERS is too short")
		}
		p = p[5:]
	}
	r.blockOf, r.ends = id, flags.Has(http2.FlagHeadersEndStream)
	if !flags.Has(http2.FlagHeadersEndHeaders) {
		r.open, r.fragments = true, 1
		r.block = append(r.block[:0], p...)
		return nil
	}
	return r.decode(p)
}

func (r *reader) continuation(flags http2.Flags, id uint32, p []byte) error {
	if !r.open || id != r.blockOf {
		return protocolFault("CONTINUATION without HEADERS")
	}
	if r.fragments++; r.fragments > maxFragments || len(r.block)+len(p) > maxHeaders {
		return floodFault("header block is too large")
	}
	r.block = append(r.block, p...)
	if !flags.Has(http2.FlagContinuationEndHeaders) {
		return nil
	}
	r.open = false
	return r.decode(r.block)
}

// decode reads one whole header block, even one that belongs to nobody: it
// changes the connection's table.
func (r *reader) decode(block []byte) error {
	r.unpacked = 0
	_, err := r.dec.Write(block)
	if err == nil {
		err = r.dec.Close()
	}
	switch {
	case err != nil:
		return fault{http2.ErrCodeCompression, "decode headers: " + err.Error()}
	case r.unpacked > maxHeaders:
		return floodFault("header block is too large")
	}
	return r.progress(r.end.headers(r.blockOf, r.ends))
}

func (r *reader) data(flags http2.Flags, id uint32, p []byte) error {
	size := len(p) // padding counts too
	if r.unacked += size; r.unacked > connWindow/4 {
		by := r.unacked
		r.unacked = 0
		r.end.reply(func(b []byte) []byte { return appendWindowUpdate(b, 0, by) })
	}
	p, err := unpad(flags.Has(http2.FlagDataPadded), p)
	if err != nil {
		return err
	}
	ends := flags.Has(http2.FlagDataEndStream)
	if err := r.end.data(id, p, size, ends); err != nil {
		return err
	}
	if len(p) > 0 || ends {
		r.chatter = 0
	}
	return nil
}

// progress takes note that a frame brought something.
func (r *reader) progress(err error) error {
	r.chatter = 0
	return err
}
