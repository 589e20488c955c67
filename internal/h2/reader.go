package h2

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// end is one end of a connection, as its reader sees it.
type end interface {
	// field takes one field of the header block that headers will end.
	field(f hpack.HeaderField)
	headers(id uint32, ends bool) error
	// data's p is valid during the call only.
	data(id uint32, p []byte, ends bool) error
	reset(id uint32, code http2.ErrCode)
	settings(flags http2.Flags, p []byte) error
	goAway(last uint32) error
	grow(id uint32, p []byte) error
	reply(frame func([]byte) []byte)
	// alive is called when all that has arrived has been read.
	alive()
}

// reader takes the frames of one connection apart.
type reader struct {
	end end
	br  *bufio.Reader
	dec *hpack.Decoder

	unacked int    // bytes of DATA for which the other end has no new window yet
	block   []byte // a header block that spans frames; nil between blocks
	blockOf uint32
	ends    bool
}

func newReader(e end, from io.Reader) *reader {
	return &reader{end: e, br: bufio.NewReaderSize(from, 64<<10), dec: hpack.NewDecoder(4096, e.field)}
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
	head, err := r.br.Peek(9)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if http2.FrameType(head[3]) != http2.FrameSettings {
		return errors.New("first frame is not SETTINGS")
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
	if r.br.Buffered() == length {
		r.end.alive()
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
		return r.continuation(flags, p)
	case http2.FrameData:
		return r.data(flags, id, p)
	case http2.FrameRSTStream:
		if len(p) != 4 {
			return errors.New("RST_STREAM is not 4 bytes")
		}
		r.end.reset(id, http2.ErrCode(binary.BigEndian.Uint32(p)))
		return nil
	case http2.FrameSettings:
		return r.end.settings(flags, p)
	case http2.FramePing:
		if len(p) != 8 {
			return errors.New("PING is not 8 bytes")
		}
		if !flags.Has(http2.FlagPingAck) {
			r.end.reply(func(b []byte) []byte { return appendPing(b, true, [8]byte(p)) })
		}
		return nil
	case http2.FrameGoAway:
		if len(p) < 8 {
			return errors.New("GOAWAY is too short")
		}
		return r.end.goAway(binary.BigEndian.Uint32(p) & (1<<31 - 1))
	case http2.FrameWindowUpdate:
		return r.end.grow(id, p)
	case http2.FramePushPromise:
		return errors.New("PUSH_PROMISE although it is forbidden")
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
	r.blockOf, r.ends = id, flags.Has(http2.FlagHeadersEndStream)
	if !flags.Has(http2.FlagHeadersEndHeaders) {
		r.block = append([]byte{}, p...)
		return nil
	}
	return r.decode(p)
}

func (r *reader) continuation(flags http2.Flags, p []byte) error {
	if r.block == nil {
		return errors.New("CONTINUATION without HEADERS")
	}
	if r.block = append(r.block, p...); len(r.block) > MaxBody {
		return errors.New("header block is too large")
	}
	if !flags.Has(http2.FlagContinuationEndHeaders) {
		return nil
	}
	block := r.block
	r.block = nil
	return r.decode(block)
}

// decode reads one whole header block, even one that belongs to nobody: it
// changes the connection's table.
func (r *reader) decode(block []byte) error {
	if _, err := r.dec.Write(block); err != nil {
		return fmt.Errorf("decode headers: %w", err)
	}
	if err := r.dec.Close(); err != nil {
		return fmt.Errorf("decode headers: %w", err)
	}
	return r.end.headers(r.blockOf, r.ends)
}

func (r *reader) data(flags http2.Flags, id uint32, p []byte) error {
	if r.unacked += len(p); r.unacked > connWindow/4 { // padding counts too
		by := r.unacked
		r.unacked = 0
		r.end.reply(func(b []byte) []byte { return appendWindowUpdate(b, 0, by) })
	}
	p, err := unpad(flags.Has(http2.FlagDataPadded), p)
	if err != nil {
		return err
	}
	return r.end.data(id, p, flags.Has(http2.FlagDataEndStream))
}
