package link

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/herald-push/herald/im"
)

// What travels on a stream is messages of many items each, as they gathered
// while the last message was being sent. Numbers are uvarints, texts a uvarint
// length and the bytes.
//
// From access to logic:
//
//	say:   1, seq, app, device, user, serial, payload
//	acked: 2, seq, app, user, id
//
// From logic to access:
//
//	grant:  1, version, how many calls may be under way at a time
//	answer: 2, seq, outcome (0 done, 1 refused, 2 to be said again)
//	leave:  3: no new calls here, the node is going away
const version = 1

const (
	itemSay   = 1
	itemAcked = 2

	itemGrant  = 1
	itemAnswer = 2
	itemLeave  = 3
)

// outcome is how a call ended.
type outcome uint64

const (
	done outcome = iota
	refused
	again
)

// call is what an access node asks of a logic node.
type call struct {
	kind    byte
	seq     uint64
	who     im.Session
	id      string // of what was acknowledged
	payload []byte
}

func (c *call) append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, c.kind), c.seq)
	b = appendText(b, c.who.App)
	if c.kind == itemAcked {
		return appendText(appendText(b, c.who.User), c.id)
	}
	b = appendText(appendText(b, c.who.Device), c.who.User)
	return appendText(binary.AppendUvarint(b, c.who.Serial), c.payload)
}

func appendText[S string | []byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendAnswer(b []byte, seq uint64, o outcome) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(append(b, itemAnswer), seq), uint64(o))
}

func appendGrant(b []byte, window int) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(append(b, itemGrant), version), uint64(window))
}

var errCut = errors.New("im/link: a message is cut short")

// reader reads items. Once something is wrong, all it reads is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) more() bool { return len(r.b) > 0 && r.err == nil }

func (r *reader) kind() byte {
	k := r.b[0]
	r.b = r.b[1:]
	return k
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.err = nil, errCut
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.b, r.err = nil, errCut
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) call() call {
	c := call{kind: r.kind(), seq: r.number()}
	c.who.App = r.text()
	switch c.kind {
	case itemSay:
		c.who.Device, c.who.User, c.who.Serial, c.payload = r.text(), r.text(), r.number(), r.bytes()
	case itemAcked:
		c.who.User, c.id = r.text(), r.text()
	default:
		r.b, r.err = nil, fmt.Errorf("im/link: item of kind %d", c.kind)
	}
	return c
}

// codec lets gRPC carry bytes as they are.
type codec struct{}

func (codec) Name() string { return "herald" }

func (codec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("im/link: %T is not bytes", v)
	}
	return *b, nil
}

func (codec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("im/link: %T is not bytes", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

const method = "/herald.im.Link/Talk"

// talking is the one stream of the service.
var talking = grpc.StreamDesc{StreamName: "Talk", ServerStreams: true, ClientStreams: true} //nolint:gochecknoglobals // never changed
