// Package mqtt reads and writes the packets of MQTT 3.1.1 and MQTT 5, in both
// directions. It works on byte slices alone: no reader, no clock, no state.
//
// Decoding is strict. Everything that a specification calls malformed or a
// protocol error and that one packet alone can show is refused with a *[Fault]
// that carries the reason code to answer with. Strings are copied out of the
// input; payloads and passwords are not, and are valid as long as the input is.
//
// References such as [MQTT-3.1.2-1] name statements of the two specifications:
// https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html and
// https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html.
package mqtt

import "fmt"

// Protocol levels, as in the CONNECT packet.
const (
	V311 byte = 4
	V5   byte = 5
)

// Type is the kind of a packet.
type Type byte

// The packet types of section 2.1.2.
const (
	CONNECT     Type = 1
	CONNACK     Type = 2
	PUBLISH     Type = 3
	PUBACK      Type = 4
	PUBREC      Type = 5
	PUBREL      Type = 6
	PUBCOMP     Type = 7
	SUBSCRIBE   Type = 8
	SUBACK      Type = 9
	UNSUBSCRIBE Type = 10
	UNSUBACK    Type = 11
	PINGREQ     Type = 12
	PINGRESP    Type = 13
	DISCONNECT  Type = 14
	AUTH        Type = 15
)

// Reason is a reason code of MQTT 5. In a 3.1.1 CONNACK it is translated to
// that version's return code; see [AppendConnack].
type Reason byte

// The reason codes that a server has use for.
const (
	Success                Reason = 0x00
	GrantedQoS1            Reason = 0x01
	GrantedQoS2            Reason = 0x02
	DisconnectWithWill     Reason = 0x04
	NoSubscriptionExisted  Reason = 0x11
	ContinueAuth           Reason = 0x18
	Reauthenticate         Reason = 0x19
	Unspecified            Reason = 0x80
	MalformedPacket        Reason = 0x81
	ProtocolError          Reason = 0x82
	NotSupported           Reason = 0x83
	UnsupportedVersion     Reason = 0x84
	BadClientID            Reason = 0x85
	BadCredentials         Reason = 0x86
	NotAuthorized          Reason = 0x87
	ServerUnavailable      Reason = 0x88
	ServerBusy             Reason = 0x89
	ServerShuttingDown     Reason = 0x8B
	BadAuthMethod          Reason = 0x8C
	KeepAliveTimeout       Reason = 0x8D
	SessionTakenOver       Reason = 0x8E
	FilterInvalid          Reason = 0x8F
	TopicInvalid           Reason = 0x90
	PacketIDInUse          Reason = 0x91
	PacketIDNotFound       Reason = 0x92
	ReceiveMaximumExceeded Reason = 0x93
	TopicAliasInvalid      Reason = 0x94
	PacketTooLarge         Reason = 0x95
	QuotaExceeded          Reason = 0x97
	PayloadInvalid         Reason = 0x99
	RetainNotSupported     Reason = 0x9A
	UseAnotherServer       Reason = 0x9C
	ServerMoved            Reason = 0x9D
	SharedNotSupported     Reason = 0x9E
	RateExceeded           Reason = 0x9F
	MaximumConnectTime     Reason = 0xA0
	SubIDNotSupported      Reason = 0xA1
	WildcardsNotSupported  Reason = 0xA2
)

// Fault is a packet that cannot be accepted. The stream has lost its place or
// its peer its manners: answer with Reason, then close.
type Fault struct {
	Reason Reason
	Detail string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("mqtt: reason 0x%02X: %s", byte(f.Reason), f.Detail)
}

func malformed(detail string) error { return &Fault{MalformedPacket, detail} }
func violation(detail string) error { return &Fault{ProtocolError, detail} }

// Header is the first byte of a packet.
type Header struct {
	Type  Type
	Flags byte // the low four bits
}

// flags of every type but PUBLISH, whose flags mean something: section 2.1.3.
var fixedFlags = [16]byte{PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}

// MaxLength is the largest remaining length the format can say.
const MaxLength = 268_435_455

// Split finds the first packet in b. n is its length in bytes, header
// included; n is 0 with a nil error while b holds only a part of it. A packet
// longer than limit is refused as soon as its length is known, before its body
// is there.
func Split(b []byte, limit int) (h Header, body []byte, n int, err error) {
	if len(b) == 0 {
		return h, nil, 0, nil
	}
	h = Header{Type: Type(b[0] >> 4), Flags: b[0] & 0x0F}
	if h.Type == 0 {
		return h, nil, 0, malformed("packet type 0")
	}
	if h.Type != PUBLISH && h.Flags != fixedFlags[h.Type] {
		return h, nil, 0, malformed("reserved header flags")
	}
	length, size, err := varint(b[1:])
	if err != nil || size == 0 {
		return h, nil, 0, err
	}
	n = 1 + size + int(length)
	if n > limit {
		return h, nil, 0, &Fault{PacketTooLarge, fmt.Sprintf("packet of %d bytes, limit %d", n, limit)}
	}
	if len(b) < n {
		return h, nil, 0, nil
	}
	return h, b[1+size : n], n, nil
}

// varint reads a variable byte integer; size is 0 if b ends inside it.
func varint(b []byte) (v uint32, size int, err error) {
	for i := range 4 {
		if i == len(b) {
			return 0, 0, nil
		}
		v |= uint32(b[i]&0x7F) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1, nil
		}
	}
	return 0, 0, malformed("variable byte integer of more than 4 bytes")
}

func appendVarint(b []byte, v int) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func sizeVarint(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

func append16(b []byte, v uint16) []byte { return append(b, byte(v>>8), byte(v)) }

func append32(b []byte, v uint32) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// appendString writes a string of at most 65535 bytes with its length.
func appendString[S string | []byte](b []byte, s S) []byte {
	return append(append16(b, uint16(len(s))), s...)
}
