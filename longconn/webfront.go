package longconn

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the WebSocket handshake asks for it
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// JSONProtocol is the WebSocket subprotocol of clients that speak JSON.
const JSONProtocol = "herald.json"

// webFront speaks WebSocket (RFC 6455) to one client without ever waiting: it
// is given bytes as they come, and answers with bytes.
type webFront struct {
	limit    int
	upgraded bool
	json     bool
	status   websocket.StatusCode // to close with; 0 while open

	part []byte // of the request, of a frame's header, or of a control frame
	text []byte // of a JSON message
	left uint64 // bytes of a data frame's payload that have not come
	mask [4]byte
	at   byte // in mask
	open bool // a message goes on
	fin  bool // with this frame it ends
}

// Opcodes of frames: section 11.8.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opGoodbye      = 8
	opPing         = 9
	opPong         = 10
)

const maxUpgrade = 8 << 10

// plainHTTP says that a request wants no WebSocket; it is in part.
const plainHTTP websocket.StatusCode = -2

// read takes bytes from the client and hands the MQTT in them to feed. answer
// is to be written; a status other than 0 ends the connection.
func (w *webFront) read(p []byte, feed func([]byte)) (answer []byte, status websocket.StatusCode) {
	if !w.upgraded {
		if p, answer, status = w.upgrade(p); status != 0 || !w.upgraded {
			return answer, status
		}
	}
	for len(p) > 0 && status == 0 {
		if w.left > 0 {
			n := int(min(w.left, uint64(len(p))))
			status = w.payload(p[:n], feed)
			p = p[n:]
			continue
		}
		need := frameNeeds(w.part)
		n := min(need-len(w.part), len(p))
		w.part = append(w.part, p[:n]...)
		p = p[n:]
		if frameNeeds(w.part) == len(w.part) {
			status = w.frame(w.part, &answer, feed)
			w.part = w.part[:0]
		}
	}
	if len(w.part) == 0 {
		w.part = nil
	}
	return answer, status
}

// upgrade answers the HTTP request that opens a WebSocket: section 4.2.
func (w *webFront) upgrade(p []byte) (rest, answer []byte, status websocket.StatusCode) {
	w.part = append(w.part, p...)
	end := bytes.Index(w.part, []byte("\r\n\r\n"))
	if end < 0 {
		if len(w.part) > maxUpgrade {
			return nil, refusal(http.StatusRequestHeaderFieldsTooLarge), websocket.StatusProtocolError
		}
		return nil, nil, 0
	}
	request, rest := w.part[:end+4], w.part[end+4:]
	w.part = nil
	r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(request), 1<<10))
	if err != nil {
		return nil, refusal(http.StatusBadRequest), websocket.StatusProtocolError
	}
	if !lists(r.Header, "Upgrade", "websocket") {
		w.part = append(request, rest...)
		return nil, nil, plainHTTP
	}
	key := r.Header.Get("Sec-Websocket-Key")
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case !lists(r.Header, "Connection", "upgrade") || !lists(r.Header, "Upgrade", "websocket") || r.Header.Get("Sec-Websocket-Version") != "13":
		return nil, refusal(http.StatusUpgradeRequired), websocket.StatusProtocolError
	case r.Method != http.MethodGet || err != nil || len(raw) != 16:
		return nil, refusal(http.StatusBadRequest), websocket.StatusProtocolError
	}
	w.upgraded = true
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
	answer = append(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	answer = append(answer, base64.StdEncoding.EncodeToString(sum[:])...)
	switch {
	case lists(r.Header, "Sec-Websocket-Protocol", "mqtt"): // [MQTT-6.0.0-4]
		answer = append(answer, "\r\nSec-WebSocket-Protocol: mqtt"...)
	case lists(r.Header, "Sec-Websocket-Protocol", JSONProtocol):
		answer, w.json = append(answer, "\r\nSec-WebSocket-Protocol: "+JSONProtocol...), true
	default:
		status = websocket.StatusPolicyViolation // [MQTT-6.0.0-3]
	}
	return rest, append(answer, "\r\n\r\n"...), status
}

func refusal(code int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n", code, http.StatusText(code))
}

// lists reports whether a header names a token.
func lists(h http.Header, name, token string) bool {
	for _, v := range h.Values(name) {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// frameNeeds is how many bytes from the start of a frame have to be there
// before it can be acted on, as far as can be told from b: its header, and of
// a control frame all.
func frameNeeds(b []byte) int {
	if len(b) < 2 || b[1]&0x80 == 0 { // not masked is wrong already
		return 2
	}
	n := 2 + 4 // with the mask
	length := int(b[1] & 0x7F)
	switch {
	case length == 126:
		n += 2
	case length == 127:
		n += 8
	case b[0]&0x0F >= opGoodbye:
		n += length
	}
	return n
}

// frame begins a data frame or obeys a control frame.
func (w *webFront) frame(b []byte, answer *[]byte, feed func([]byte)) websocket.StatusCode {
	kind, fin := b[0]&0x0F, b[0]&0x80 != 0
	if b[0]&0x70 != 0 || b[1]&0x80 == 0 { // extensions, or not masked: section 5.1
		return websocket.StatusProtocolError
	}
	length, mask := uint64(b[1]&0x7F), b[2:]
	switch length {
	case 126:
		length, mask = uint64(binary.BigEndian.Uint16(b[2:])), b[4:]
	case 127:
		length, mask = binary.BigEndian.Uint64(b[2:]), b[10:]
	}
	w.mask, w.at = [4]byte(mask[:4]), 0
	if kind >= opGoodbye {
		if !fin || length > 125 {
			return websocket.StatusProtocolError
		}
		return w.control(kind, mask[4:], answer)
	}
	switch want := w.dataKind(); {
	case (kind == opContinuation) != w.open || kind > opBinary:
		return websocket.StatusProtocolError
	case kind != opContinuation && kind != want:
		return websocket.StatusUnsupportedData // [MQTT-6.0.0-1]
	case length > 1<<40 || w.json && length+uint64(len(w.text)) > uint64(2*w.limit):
		return websocket.StatusMessageTooBig
	}
	w.left, w.fin, w.open = length, fin, true
	if length == 0 {
		return w.endOfFrame(feed)
	}
	return 0
}

// dataKind is the kind of frame that the client is to send.
func (w *webFront) dataKind() byte {
	if w.json {
		return opText
	}
	return opBinary
}

// control obeys a control frame.
func (w *webFront) control(kind byte, body []byte, answer *[]byte) websocket.StatusCode {
	w.unmask(body)
	switch kind {
	case opPing:
		*answer = append(appendFrame(*answer, opPong, len(body)), body...)
	case opPong:
	case opGoodbye:
		if len(body) >= 2 {
			return websocket.StatusCode(binary.BigEndian.Uint16(body))
		}
		return websocket.StatusNormalClosure
	default:
		return websocket.StatusProtocolError
	}
	return 0
}

func (w *webFront) unmask(p []byte) {
	for i := range p {
		p[i] ^= w.mask[w.at&3]
		w.at++
	}
}

// payload takes a piece of a data frame. MQTT packets do not mind where frames
// begin and end [MQTT-6.0.0-2]; JSON is read message by message.
func (w *webFront) payload(p []byte, feed func([]byte)) websocket.StatusCode {
	w.unmask(p)
	w.left -= uint64(len(p))
	if w.json {
		w.text = append(w.text, p...)
	} else {
		feed(p)
	}
	if w.left == 0 {
		return w.endOfFrame(feed)
	}
	return 0
}

func (w *webFront) endOfFrame(feed func([]byte)) websocket.StatusCode {
	if !w.fin {
		return 0
	}
	w.open = false
	if !w.json {
		return 0
	}
	packet, err := packetOf(w.text)
	w.text = nil
	if err != nil {
		return websocket.StatusInvalidFramePayloadData
	}
	feed(packet)
	return 0
}

// wrap turns packets of the server into frames.
func (w *webFront) wrap(b, packets []byte) []byte {
	if !w.json {
		return append(appendFrame(b, opBinary, len(packets)), packets...)
	}
	for _, text := range textsOf(packets) {
		b = append(appendFrame(b, opText, len(text)), text...)
	}
	return b
}

func (w *webFront) appendClose(b []byte) []byte {
	status := w.status
	if status == websocket.StatusNoStatusRcvd || status < 1000 {
		status = websocket.StatusNormalClosure
	}
	return binary.BigEndian.AppendUint16(appendFrame(b, opGoodbye, 2), uint16(status))
}

// appendFrame opens an unmasked frame.
func appendFrame(b []byte, kind byte, length int) []byte {
	b = append(b, 0x80|kind)
	switch {
	case length < 126:
		return append(b, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(b, 127), uint64(length))
	}
}
