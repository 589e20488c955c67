package pdu

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Tag names an optional parameter (section 5.3.2).
type Tag uint16

// The optional parameters that a transceiver meets.
const (
	ReceiptedMessageID Tag = 0x001e // C-octet string
	UserReference      Tag = 0x0204 // two octets, ours, which a receipt repeats
	InterfaceVersion   Tag = 0x0210 // one octet, in bind_transceiver_resp
	NetworkErrorCode   Tag = 0x0423 // type and two octets
	MessagePayload     Tag = 0x0424
	MessageState       Tag = 0x0427 // one octet
)

// TLV is an optional parameter.
type TLV struct {
	Tag   Tag
	Value []byte
}

// Find returns the value of the first parameter of a tag, or nil.
func Find(all []TLV, tag Tag) []byte {
	for _, t := range all {
		if t.Tag == tag {
			return t.Value
		}
	}
	return nil
}

// Text reads the value of a C-octet string; some leave out the zero at its end.
func Text(value []byte) string {
	text, _, _ := bytes.Cut(value, []byte{0})
	return string(text)
}

// reader takes fields off a body. After a fault it gives zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) octet(field string) byte {
	if len(r.rest) == 0 {
		r.fail(field, "is missing")
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

// text reads a C-octet string of at most size octets with its zero.
func (r *reader) text(field string, size int) string {
	if r.err != nil {
		return ""
	}
	i := bytes.IndexByte(r.rest, 0)
	if i < 0 || i >= size {
		r.fail(field, "does not end in time")
		return ""
	}
	v := string(r.rest[:i])
	r.rest = r.rest[i+1:]
	return v
}

func (r *reader) octets(field string, n int) []byte {
	if len(r.rest) < n {
		r.fail(field, "is cut off")
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}

// options reads the parameters that end a body.
func (r *reader) options() []TLV {
	var all []TLV
	for r.err == nil && len(r.rest) > 0 {
		head := r.octets("an optional parameter", 4)
		if head == nil {
			return nil
		}
		value := r.octets("an optional parameter", int(binary.BigEndian.Uint16(head[2:])))
		if r.err != nil {
			return nil
		}
		all = append(all, TLV{Tag(binary.BigEndian.Uint16(head)), value})
	}
	return all
}

func (r *reader) fail(field, what string) {
	if r.err == nil {
		r.err = malformed("%s %s", field, what)
	}
	r.rest = nil
}

// writer appends fields to a body and remembers the first that does not fit.
type writer struct {
	b   []byte
	err error
}

// text writes a C-octet string of at most size octets with its zero.
func (w *writer) text(field, v string, size int) {
	if w.err == nil && (len(v) >= size || strings.IndexByte(v, 0) >= 0) {
		w.err = malformed("%s is longer than %d octets, or has a zero in it", field, size-1)
	}
	w.b = append(append(w.b, v...), 0)
}

func (w *writer) octets(v ...byte) { w.b = append(w.b, v...) }

func (w *writer) options(all []TLV) {
	for _, t := range all {
		if len(t.Value) > 0xffff {
			w.err = malformed("optional parameter %#x is too long", uint16(t.Tag))
			return
		}
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(t.Tag))
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(t.Value)))
		w.b = append(w.b, t.Value...)
	}
}

func (w *writer) body() ([]byte, error) {
	if w.err == nil && headerLength+len(w.b) > MaxLength {
		w.err = malformed("a length of %d", headerLength+len(w.b))
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.b, nil
}
