package h2

import (
	"bytes"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// maxTable bounds the memory and the search of a compression table.
const maxTable = 16 << 10

// encoder writes header blocks. Fields that repeat are in the compression table
// after their first use and cost a byte from then on.
type encoder struct {
	enc   *hpack.Encoder
	names map[string]string // header names as HTTP/2 wants them
}

// sink appends to a buffer that changes.
type sink struct{ b *[]byte }

func (s sink) Write(p []byte) (int, error) {
	*s.b = append(*s.b, p...)
	return len(p), nil
}

func newEncoder(to *[]byte) *encoder {
	return &encoder{enc: hpack.NewEncoder(sink{to}), names: map[string]string{}}
}

var _ = bytes.MinRead

func (e *encoder) begin() {}

// limit is the other end's bound on the table.
func (e *encoder) limit(size uint32) {
	e.enc.SetMaxDynamicTableSizeLimit(min(size, maxTable))
	e.enc.SetMaxDynamicTableSize(min(size, maxTable))
}

func (e *encoder) field(name, value string, unique bool) {
	_ = e.enc.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: unique})
}

// header writes the fields of an http.Header that HTTP/2 allows.
func (e *encoder) header(h map[string][]string) {
	for name, values := range h {
		lower := e.name(name)
		if lower == "" {
			continue
		}
		for _, value := range values {
			e.field(lower, value, unique(lower))
		}
	}
}

// unique names the headers whose value hardly ever repeats.
func unique(name string) bool {
	return name == "apns-id" || name == "apns-collapse-id" || name == "apns-expiration" || name == "apns-unique-id"
}

// name gives a header's name as HTTP/2 wants it; "" for one that must not be
// sent (RFC 9113, section 8.2.2) or that is written apart.
func (e *encoder) name(canonical string) string {
	lower, known := e.names[canonical]
	if known {
		return lower
	}
	switch lower = strings.ToLower(canonical); lower {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length":
		lower = ""
	}
	if len(e.names) > 256 {
		clear(e.names)
	}
	e.names[canonical] = lower
	return lower
}
