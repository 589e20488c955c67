package places

import (
	"encoding/binary"

	"github.com/herald-push/herald/push"
)

// record is what Redis has of a device beside its position. It is compared and
// replaced whole, so that of two processes that have a report of one device at
// the same time one begins again.
type record struct {
	mode   push.PlaceMode
	nearby bool
	at     int64 // of the last report, unix ms; 0 for none
	fences []visit
}

// visit is how a device stands with a fence: it is inside, or was told something
// so lately that the fence has to leave it alone.
type visit struct {
	fence   string
	inside  bool
	dwelled bool     // it has been told that it is there for long
	since   int64    // when it came in, unix ms
	told    [3]int64 // when it was last sent something, unix ms, by [kindOf]; 0 for never
}

const recordLayout = 1

// The bits of a record's second byte, and of a visit's.
const (
	bitCoarse = 1 << iota
	bitExact
	bitNearby
)

const (
	bitInside = 1 << iota
	bitDwelled
)

func (r *record) encode() string {
	b := append(make([]byte, 0, 32+32*len(r.fences)), recordLayout, r.flags())
	b = binary.AppendVarint(b, r.at)
	for _, v := range r.fences {
		b = append(binary.AppendUvarint(b, uint64(len(v.fence))), v.fence...)
		var flags byte
		if v.inside {
			flags |= bitInside
		}
		if v.dwelled {
			flags |= bitDwelled
		}
		b = append(b, flags)
		b = binary.AppendVarint(b, v.since)
		for _, told := range v.told {
			b = binary.AppendVarint(b, told)
		}
	}
	return string(b)
}

func (r *record) flags() (flags byte) {
	switch r.mode {
	case push.PlaceCoarse:
		flags = bitCoarse
	case push.PlaceExact:
		flags = bitExact
	case push.PlaceOff: // no bit
	}
	if r.nearby {
		flags |= bitNearby
	}
	return flags
}

// decodeRecord undoes encode; ok is false for anything else.
func decodeRecord(text string) (r record, ok bool) {
	b := []byte(text)
	if len(b) < 2 || b[0] != recordLayout {
		return record{}, false
	}
	r.mode = push.PlaceOff
	switch {
	case b[1]&bitExact != 0:
		r.mode = push.PlaceExact
	case b[1]&bitCoarse != 0:
		r.mode = push.PlaceCoarse
	}
	r.nearby = b[1]&bitNearby != 0
	b = b[2:]
	if r.at, b, ok = varint(b); !ok {
		return record{}, false
	}
	for len(b) > 0 {
		var v visit
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) || len(b)-size-int(n) < 1 {
			return record{}, false
		}
		v.fence, b = string(b[size:size+int(n)]), b[size+int(n):]
		v.inside, v.dwelled = b[0]&bitInside != 0, b[0]&bitDwelled != 0
		if v.since, b, ok = varint(b[1:]); !ok {
			return record{}, false
		}
		for i := range v.told {
			if v.told[i], b, ok = varint(b); !ok {
				return record{}, false
			}
		}
		r.fences = append(r.fences, v)
	}
	return r, true
}

func varint(b []byte) (int64, []byte, bool) {
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
