package h2

import "strings"

const (
	// tableSize bounds our half of the compression table, in bytes: the protocol's
	// default. A push service's headers that repeat fit in easily.
	tableSize = 4096
	// staticFields is how many fields the protocol's fixed table has; ours come
	// behind them, the newest first.
	staticFields = 61
)

// encoder writes header blocks (RFC 7541). A field that repeats is put in the
// table at its first use and costs a byte or two from then on. Huffman's code is
// not used: what does not repeat is mostly hexadecimal, where it saves a quarter
// of few bytes and costs both ends more than all the rest.
//
// It keeps no values but those of the last few of each name, for that is what
// repeats.
type encoder struct {
	out   *[]byte
	names map[string]*fieldName // by the name as http.Header has it

	method, authority, path, status, lengthOf *fieldName

	max     int // bytes in the table, at most
	size    int
	entries []int  // their sizes, oldest first
	added   uint64 // since the beginning
	resized bool
}

// fieldName is a name with the values of it that were put in the table.
type fieldName struct {
	lower  string
	static int  // index of the name in the fixed table; 0 if it has none
	fickle bool // the value hardly ever repeats
	last   string
	recent [4]struct {
		value string
		at    uint64 // the how many-th of the table
	}
	turn int
}

func newEncoder(to *[]byte) *encoder {
	return &encoder{
		out: to, names: map[string]*fieldName{}, max: tableSize,
		method: newName(":method"), authority: newName(":authority"), path: newName(":path"),
		status: newName(":status"), lengthOf: newName("content-length"),
	}
}

func newName(lower string) *fieldName {
	n := &fieldName{lower: lower}
	switch lower { // RFC 7541, appendix A
	case ":authority":
		n.static = 1
	case ":method":
		n.static = 2
	case ":path":
		n.static, n.fickle = 4, true
	case ":status":
		n.static = 8
	case "accept-encoding":
		n.static = 16
	case "authorization":
		n.static = 23
	case "content-length":
		n.static, n.fickle = 28, true
	case "content-type":
		n.static = 31
	case "date":
		n.static = 33
	case "retry-after":
		n.static = 53
	case "server":
		n.static = 54
	case "user-agent":
		n.static = 58
	case "apns-id", "apns-collapse-id", "apns-expiration", "apns-unique-id":
		n.fickle = true
	}
	return n
}

// limit is the other end's bound on the table. A change empties the table: it is
// rare, and then there is nothing to keep in step.
func (e *encoder) limit(bytes uint32) {
	size := int(min(bytes, tableSize))
	if size == e.max {
		return
	}
	e.max, e.size, e.entries = size, 0, e.entries[:0]
	e.resized = true
}

// begin opens a header block.
func (e *encoder) begin() {
	if !e.resized {
		return
	}
	e.resized = false
	e.int(0x20, 5, 0)
	e.int(0x20, 5, e.max)
}

// request writes the pseudo fields of a request.
func (e *encoder) request(method, host, path string) {
	switch method {
	case "GET":
		e.fixed(2)
	case "POST":
		e.fixed(3)
	default:
		e.field(e.method, method)
	}
	e.fixed(7) // https
	e.field(e.authority, host)
	e.field(e.path, path)
}

// fixed writes a whole field of the fixed table.
func (e *encoder) fixed(index int) { *e.out = append(*e.out, 0x80|byte(index)) }

// field writes one field.
func (e *encoder) field(n *fieldName, value string) {
	alive := e.added - uint64(len(e.entries)) // what is at most this has left the table
	name := n.static
	for i := range n.recent {
		r := &n.recent[i]
		if r.at <= alive {
			continue
		}
		index := staticFields + 1 + int(e.added-r.at)
		if r.value == value {
			e.int(0x80, 7, index)
			return
		}
		if name == 0 {
			name = index
		}
	}
	size := len(n.lower) + len(value) + 32
	if n.fickle && n.last != value || size > e.max/2 {
		n.last = value
		e.int(0x10, 4, name) // never to be put in a table
	} else {
		e.int(0x40, 6, name)
		e.evict(size)
		e.entries = append(e.entries, size)
		e.size += size
		e.added++
		n.recent[n.turn].value, n.recent[n.turn].at = value, e.added
		n.turn = (n.turn + 1) % len(n.recent)
	}
	if name == 0 {
		e.string(n.lower)
	}
	e.string(value)
}

// evict makes room in the table.
func (e *encoder) evict(size int) {
	n := 0
	for n < len(e.entries) && e.size+size > e.max {
		e.size -= e.entries[n]
		n++
	}
	if n > 0 {
		e.entries = e.entries[:copy(e.entries, e.entries[n:])]
	}
}

func (e *encoder) string(s string) {
	e.int(0, 7, len(s))
	*e.out = append(*e.out, s...)
}

// int writes a number with a prefix of some bits, behind first's others.
func (e *encoder) int(first byte, bits, n int) {
	b := *e.out
	if full := 1<<bits - 1; n < full {
		b = append(b, first|byte(n))
	} else {
		b = append(b, first|byte(full))
		for n -= full; n >= 0x80; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		b = append(b, byte(n))
	}
	*e.out = b
}

// header writes the fields of an http.Header that HTTP/2 allows.
func (e *encoder) header(h map[string][]string) {
	for name, values := range h {
		e.fields(name, values)
	}
}

// fields writes those of one name, unless HTTP/2 does not allow it.
func (e *encoder) fields(name string, values []string) {
	n := e.name(name)
	if n == nil {
		return
	}
	for _, value := range values {
		e.field(n, value)
	}
}

// name finds a name as HTTP/2 wants it; nil for one that must not be sent
// (RFC 9113, section 8.2.2) or that is written apart.
func (e *encoder) name(canonical string) *fieldName {
	n, known := e.names[canonical]
	if known {
		return n
	}
	switch lower := strings.ToLower(canonical); lower {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length":
	default:
		n = newName(lower)
	}
	if len(e.names) > 256 {
		clear(e.names)
	}
	e.names[canonical] = n
	return n
}
