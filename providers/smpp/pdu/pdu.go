// Package pdu reads and writes the protocol data units of SMPP 3.4, as far as a
// transceiver needs them. Section numbers are those of the SMPP Protocol
// Specification v3.4, issue 1.2.
package pdu

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Command says what a unit is; a response has the request's with its highest
// bit set (section 5.1.2.1).
type Command uint32

// The commands that a transceiver meets.
const (
	GenericNack     Command = 0x80000000
	SubmitSM        Command = 0x00000004
	SubmitSMResp    Command = 0x80000004
	DeliverSM       Command = 0x00000005
	DeliverSMResp   Command = 0x80000005
	Unbind          Command = 0x00000006
	UnbindResp      Command = 0x80000006
	BindTransceiver Command = 0x00000009
	BindResp        Command = 0x80000009
	EnquireLink     Command = 0x00000015
	EnquireLinkResp Command = 0x80000015
	AlertNotify     Command = 0x00000102 // has no response
)

// IsResponse reports whether the unit answers another.
func (c Command) IsResponse() bool { return c&GenericNack != 0 }

// MaxLength is the longest unit that is read. The longest that means something
// is a deliver_sm whose text is a message_payload of 64 KiB.
const MaxLength = 80 << 10

const headerLength = 16

// ErrMalformed is wrapped by every error about octets that are no SMPP.
var ErrMalformed = errors.New("pdu: malformed")

func malformed(what string, args ...any) error {
	return fmt.Errorf("%w: "+what, append([]any{ErrMalformed}, args...)...)
}

// PDU is one unit with its body as it was on the wire.
type PDU struct {
	Command  Command
	Status   uint32 // of a response; 0 is success
	Sequence uint32 // that of a response is its request's
	Body     []byte
}

// Read reads one unit. The body is the caller's to keep. A length that cannot
// be is an error before anything is allocated; what follows it cannot be read.
func Read(r *bufio.Reader) (PDU, error) {
	head, err := r.Peek(headerLength)
	if err != nil {
		return PDU{}, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < headerLength || n > MaxLength {
		return PDU{}, malformed("a length of %d", n)
	}
	p := PDU{
		Command:  Command(binary.BigEndian.Uint32(head[4:])),
		Status:   binary.BigEndian.Uint32(head[8:]),
		Sequence: binary.BigEndian.Uint32(head[12:]),
	}
	if _, err := r.Discard(headerLength); err != nil {
		return PDU{}, err
	}
	if n == headerLength {
		return p, nil
	}
	p.Body = make([]byte, n-headerLength)
	if _, err := io.ReadFull(r, p.Body); err != nil {
		return PDU{}, fmt.Errorf("pdu: body: %w", err)
	}
	return p, nil
}

// Append appends the unit as it is on the wire.
func (p *PDU) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(headerLength+len(p.Body)))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Command))
	b = binary.BigEndian.AppendUint32(b, p.Status)
	b = binary.BigEndian.AppendUint32(b, p.Sequence)
	return append(b, p.Body...)
}
