package mqtt

import (
	"strings"
	"unicode/utf8"
)

// reader takes fields off the front of a packet's body. Its first fault sticks;
// after it every read answers zero, so callers check once, at the end.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.fail(malformed("packet ends inside a field"))
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if p := r.take(2); p != nil {
		return uint16(p[0])<<8 | uint16(p[1])
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if p := r.take(4); p != nil {
		return uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
	}
	return 0
}

// varint reads a length or identifier inside a packet, where a longer form than
// needed is malformed [MQTT-1.5.5-1].
func (r *reader) varint() uint32 {
	v, size, err := varint(r.b)
	switch {
	case err != nil:
		r.fail(err)
	case size == 0:
		r.fail(malformed("packet ends inside a field"))
	case size != sizeVarint(int(v)):
		r.fail(malformed("variable byte integer longer than needed"))
	default:
		r.b = r.b[size:]
		return v
	}
	return 0
}

func (r *reader) binary() []byte { return r.take(int(r.uint16())) }

// string reads UTF-8 text without U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2].
func (r *reader) string() string {
	p := r.binary()
	if !utf8.Valid(p) {
		r.fail(malformed("text is not UTF-8"))
		return ""
	}
	s := string(p)
	if strings.IndexByte(s, 0) >= 0 {
		r.fail(malformed("text contains U+0000"))
		return ""
	}
	return s
}

// packetID reads a packet identifier, which is never 0 [MQTT-2.2.1-3].
func (r *reader) packetID() uint16 {
	id := r.uint16()
	if id == 0 && r.err == nil {
		r.fail(violation("packet identifier 0"))
	}
	return id
}

// end reports the first fault, counting bytes left over as one.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail(malformed("bytes after the end of the packet"))
	}
	return r.err
}
