package live

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; it guards nothing
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Kinds of WebSocket frames.
const (
	frameMore   = 0
	frameBinary = 2
	frameClose  = 8
	framePing   = 9
	framePong   = 10
)

// socket is a WebSocket that carries MQTT in binary messages, read and written
// as the stream that they are (MQTT 5, section 6: packets and messages need not
// be aligned).
type socket struct {
	net.Conn
	in   *bufio.Reader
	left int64 // of the frame at hand

	mu sync.Mutex // of writing
}

// split takes an address apart: host and port, and for a WebSocket its URL.
func split(addr string) (hostPort string, socket *url.URL, secure bool, err error) {
	if !strings.Contains(addr, "://") {
		return addr, nil, false, nil
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return "", nil, false, errors.New("live: Addr is host:port, ws://host/path or wss://host/path")
	}
	secure = u.Scheme == "wss"
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[secure]
	}
	if u.Path == "" {
		u.Path = "/mqtt"
	}
	return net.JoinHostPort(u.Hostname(), port), u, secure, nil
}

// tlsFor is how to speak TLS with a host: as the app says, and for wss in any
// case.
func tlsFor(cfg *tls.Config, secure bool) *tls.Config {
	if cfg == nil && secure {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return cfg
}

// upgrade makes a WebSocket of a connection.
func upgrade(nc net.Conn, u *url.URL) (*socket, error) {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	text := base64.StdEncoding.EncodeToString(key)
	r := &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {text}, "Sec-Websocket-Protocol": {"mqtt"},
		},
	}
	if err := r.Write(nc); err != nil {
		return nil, fmt.Errorf("live: websocket: %w", err)
	}
	in := bufio.NewReader(nc)
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, fmt.Errorf("live: websocket: %w", err)
	}
	sum := sha1.Sum([]byte(text + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("live: websocket: the server answers %s", answer.Status)
	}
	return &socket{Conn: nc, in: in}, nil
}

// Read reads what the messages hold.
func (s *socket) Read(b []byte) (int, error) {
	for s.left == 0 {
		if err := s.header(); err != nil {
			return 0, err
		}
	}
	n, err := s.in.Read(b[:min(int64(len(b)), s.left)])
	s.left -= int64(n)
	return n, err
}

// header reads up to the next frame that holds something.
func (s *socket) header() error {
	var b [8]byte
	if _, err := io.ReadFull(s.in, b[:2]); err != nil {
		return err
	}
	kind, n := b[0]&15, int64(b[1]&127)
	switch n {
	case 126:
		if _, err := io.ReadFull(s.in, b[:2]); err != nil {
			return err
		}
		n = int64(binary.BigEndian.Uint16(b[:]))
	case 127:
		if _, err := io.ReadFull(s.in, b[:8]); err != nil {
			return err
		}
		n = int64(binary.BigEndian.Uint64(b[:]) & (1<<63 - 1))
	}
	switch kind {
	case frameBinary, frameMore:
		s.left = n
		return nil
	case framePing, framePong, frameClose:
		if n > 125 {
			return errMalformed
		}
		said := make([]byte, n)
		if _, err := io.ReadFull(s.in, said); err != nil {
			return err
		}
		if kind == frameClose {
			return io.EOF
		}
		if kind == framePing {
			return s.frame(framePong, said)
		}
		return nil
	default: // text: not MQTT
		return errMalformed
	}
}

// Write sends b as one message.
func (s *socket) Write(b []byte) (int, error) {
	if err := s.frame(frameBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// frame writes a frame, masked as clients must.
func (s *socket) frame(kind byte, b []byte) error {
	out := append(make([]byte, 0, len(b)+14), 0x80|kind)
	switch n := len(b); {
	case n < 126:
		out = append(out, 0x80|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(n))
	}
	var mask [4]byte
	_, _ = rand.Read(mask[:]) // never fails
	out = append(out, mask[:]...)
	for i, c := range b {
		out = append(out, c^mask[i%4])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.Conn.Write(out)
	return err
}
