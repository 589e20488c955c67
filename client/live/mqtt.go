package live

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// What a device needs of MQTT 5: CONNECT, PUBLISH at QoS 1 both ways, at QoS 0
// with correlation data for calls, pings, AUTH for a new token, and the reasons
// for which a server ends it.
const (
	typeConnect    = 1
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typePingreq    = 12
	typePingresp   = 13
	typeDisconnect = 14
	typeAuth       = 15

	reasonReauthenticate = 0x19
	reasonTakenOver      = 0x8e
	reasonQuota          = 0x97

	propMessageExpiry   = 0x02
	propResponseTopic   = 0x08
	propCorrelation     = 0x09
	propServerKeepAlive = 0x13
	propSessionExpiry   = 0x11
	propAuthMethod      = 0x15
	propAuthData        = 0x16
	propServerReference = 0x1c
	propReceiveMaximum  = 0x21
	propUser            = 0x26

	tokenAuth = "herald-token"
	maxPacket = 1 << 20
)

var errMalformed = errors.New("live: the server sent what is not MQTT 5")

// packet is one as it came.
type packet struct {
	kind, flags byte
	body        []byte
}

func readPacket(r *bufio.Reader) (p packet, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return p, err
	}
	n, err := binary.ReadUvarint(r) // MQTT's variable byte integer, up to four bytes
	if err != nil {
		return p, err
	}
	if n > maxPacket {
		return p, fmt.Errorf("%w: a packet of %d bytes", errMalformed, n)
	}
	p = packet{first >> 4, first & 15, make([]byte, n)}
	_, err = io.ReadFull(r, p.body)
	return p, err
}

func appendPacket(b []byte, kind, flags byte, body []byte) []byte {
	return append(binary.AppendUvarint(append(b, kind<<4|flags), uint64(len(body))), body...)
}

func appendText[S string | []byte](b []byte, s S) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// connectPacket asks to come in with a token, for a session that lasts an hour.
func connectPacket(device, token string, keepAlive uint16) []byte {
	p := binary.BigEndian.AppendUint32([]byte{propSessionExpiry}, 3600)
	p = binary.BigEndian.AppendUint16(append(p, propReceiveMaximum), 32)
	p = appendText(append(p, propAuthMethod), tokenAuth)
	p = appendText(append(p, propAuthData), token)
	body := append(appendText(nil, "MQTT"), 5, 0) // version; no clean start, no will, no name
	body = binary.BigEndian.AppendUint16(body, keepAlive)
	body = append(binary.AppendUvarint(body, uint64(len(p))), p...)
	return appendPacket(nil, typeConnect, 0, appendText(body, device))
}

func authPacket(token string) []byte {
	p := appendText([]byte{propAuthMethod}, tokenAuth)
	p = appendText(append(p, propAuthData), token)
	return appendPacket(nil, typeAuth, 0, append(binary.AppendUvarint([]byte{reasonReauthenticate}, uint64(len(p))), p...))
}

func publishPacket(topic string, id uint16, payload []byte) []byte {
	body := binary.BigEndian.AppendUint16(appendText(nil, topic), id)
	return appendPacket(nil, typePublish, 2, append(append(body, 0), payload...))
}

// askPacket is a PUBLISH at QoS 0, of a call and its end. answerTo is "" where
// none is wanted, expiry in seconds.
func askPacket(topic, answerTo, correlation string, expiry uint32, payload []byte) []byte {
	p := appendText([]byte{propCorrelation}, correlation)
	if answerTo != "" {
		p = appendText(append(p, propResponseTopic), answerTo)
		p = binary.BigEndian.AppendUint32(append(p, propMessageExpiry), expiry)
	}
	body := binary.AppendUvarint(appendText(nil, topic), uint64(len(p)))
	return appendPacket(nil, typePublish, 0, append(append(body, p...), payload...))
}

func pubackPacket(id uint16) []byte {
	return appendPacket(nil, typePuback, 0, binary.BigEndian.AppendUint16(nil, id))
}

// published takes a PUBLISH apart; id is 0 for QoS 0.
func (p packet) published() (topic string, id uint16, payload []byte, err error) {
	topic, id, _, payload, err = p.parts()
	return topic, id, payload, err
}

// parts is published with the properties.
func (p packet) parts() (topic string, id uint16, props, payload []byte, err error) {
	b := p.body
	if len(b) < 2 {
		return "", 0, nil, nil, errMalformed
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return "", 0, nil, nil, errMalformed
	}
	topic, b = string(b[2:2+n]), b[2+n:]
	if p.flags&6 != 0 {
		if len(b) < 2 {
			return "", 0, nil, nil, errMalformed
		}
		id, b = binary.BigEndian.Uint16(b), b[2:]
	}
	n64, size := binary.Uvarint(b)
	if size <= 0 || uint64(len(b)-size) < n64 {
		return "", 0, nil, nil, errMalformed
	}
	props, payload = b[size:size+int(n64)], b[size+int(n64):]
	return topic, id, props, payload, nil
}

// acked takes a PUBACK apart.
func (p packet) acked() (id uint16, reason byte, err error) {
	if len(p.body) < 2 {
		return 0, 0, errMalformed
	}
	if len(p.body) > 2 {
		reason = p.body[2]
	}
	return binary.BigEndian.Uint16(p.body), reason, nil
}

// answer is what the server says of a connection as a whole.
type answer struct {
	reason    byte
	keepAlive uint16 // the server's wish in seconds; 0 for none
	retry     time.Duration
	server    string // where else to go
}

// Away is why the server sent the device away, and when it may come again.
type Away struct {
	Reason byte          // of MQTT 5
	Retry  time.Duration // at the earliest; 0 if the server does not say
	Server string        // where else; empty if the server does not say
}

func (a *Away) Error() string {
	return fmt.Sprintf("sent away with reason 0x%02x", a.Reason)
}

func (a answer) away() error { return &Away{a.reason, a.retry, a.server} }

// connack is the answer to CONNECT.
func (p packet) connack() (a answer, err error) {
	if p.kind != typeConnack || len(p.body) < 2 {
		return a, errMalformed
	}
	a.reason = p.body[1]
	a.read(p.body[2:])
	return a, nil
}

// disconnect is how the server ends it.
func (p packet) disconnect() (a answer) {
	if len(p.body) > 0 {
		a.reason = p.body[0]
		a.read(p.body[1:])
	}
	return a
}

// read reads the properties. One that we do not know ends them: the rest matters
// little.
func (a *answer) read(b []byte) {
	n, size := binary.Uvarint(b)
	if len(b) == 0 || size <= 0 || uint64(len(b)-size) < n {
		return
	}
	for props := b[size : size+int(n)]; len(props) > 0; {
		width := propertyWidth(props)
		if width == 0 || len(props) < width {
			return
		}
		switch props[0] {
		case propServerKeepAlive:
			a.keepAlive = binary.BigEndian.Uint16(props[1:])
		case propServerReference:
			a.server = string(props[3:width])
		case propUser:
			key := 3 + int(binary.BigEndian.Uint16(props[1:]))
			if string(props[3:key]) == "retry-after" {
				seconds, _ := strconv.Atoi(string(props[key+2 : width])) // what is no number asks for nothing
				a.retry = time.Duration(min(max(seconds, 0), mostRetry)) * time.Second
			}
		}
		props = props[width:]
	}
}

// correlationOf finds the correlation data among the properties of a PUBLISH.
func correlationOf(props []byte) string {
	for len(props) > 0 {
		width := propertyWidth(props)
		if width == 0 || len(props) < width {
			return ""
		}
		if props[0] == propCorrelation {
			return string(props[3:width])
		}
		props = props[width:]
	}
	return ""
}

// propertyWidth is how many bytes a property of CONNACK, DISCONNECT or PUBLISH takes
// with its name; 0 for one of another packet.
func propertyWidth(b []byte) int {
	text := func(at int) int {
		if len(b) < at+2 {
			return len(b) + 1
		}
		return at + 2 + int(binary.BigEndian.Uint16(b[at:]))
	}
	switch b[0] {
	case 0x01, 0x24, 0x25, 0x28, 0x29, 0x2a: // UTF-8, maximum QoS, retain, wildcards, identifiers, shared
		return 2
	case propServerKeepAlive, propReceiveMaximum, 0x22, 0x23: // topic aliases
		return 3
	case propSessionExpiry, propMessageExpiry, 0x27: // maximum packet
		return 5
	case 0x03, propResponseTopic, propCorrelation, 0x12, propAuthMethod, propAuthData, 0x1a, propServerReference, 0x1f: // texts
		return text(1)
	case propUser: // a pair of texts
		return text(text(1))
	default:
		return 0
	}
}
