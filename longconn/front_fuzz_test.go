package longconn

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// request opens a WebSocket.
const request = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

// masked is a frame of a client.
func masked(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// listen gives a front bytes in pieces of a size and returns what came of it.
func listenTo(input []byte, step int) (heard, answers []byte, status int) {
	w := &webFront{limit: 1 << 16}
	for part := range slices.Chunk(slices.Clone(input), step) {
		answer, s := w.read(part, func(b []byte) { heard = append(heard, b...) })
		answers = append(answers, answer...)
		if s != 0 {
			return heard, answers, int(s)
		}
	}
	return heard, answers, 0
}

func TestWebSocketFramesMayBeCutAnywhere(t *testing.T) {
	long, longer := bytes.Repeat([]byte("x"), 300), bytes.Repeat([]byte("y"), 70_000)
	input := []byte(request)
	want := []byte(nil)
	for _, payload := range [][]byte{[]byte("hello"), {}, long, longer} {
		input, want = append(input, masked(0x82, payload)...), append(want, payload...)
	}
	input = append(input, masked(0x02, []byte("be"))...)   // a message in two frames
	input = append(input, masked(0x89, []byte("ping"))...) // with a ping amid
	input = append(input, masked(0x80, []byte("gin"))...)
	want = append(want, "begin"...)
	for _, step := range []int{1, 2, 3, 7, 64, 1000, len(input)} {
		heard, answers, status := listenTo(input, step)
		if !bytes.Equal(heard, want) || status != 0 {
			t.Fatalf("in pieces of %d: heard %d bytes, want %d; status %d", step, len(heard), len(want), status)
		}
		if !strings.Contains(string(answers), "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n") ||
			!bytes.HasSuffix(answers, []byte("\x8a\x04ping")) {
			t.Fatalf("in pieces of %d: answered %q", step, answers)
		}
	}
}

func TestWebSocketBreachesEndIt(t *testing.T) {
	tests := map[string]struct {
		input string
		want  int
	}{
		"not masked":                      {request + "\x82\x01x", 1002},
		"text":                            {request + string(masked(0x81, []byte("x"))), 1003},
		"an extension":                    {request + string(masked(0xC2, []byte("x"))), 1002},
		"a continuation of nothing":       {request + string(masked(0x80, []byte("x"))), 1002},
		"a message amid another":          {request + string(masked(0x02, []byte("x"))) + string(masked(0x82, []byte("x"))), 1002},
		"a ping in two frames":            {request + string(masked(0x09, []byte("x"))), 1002},
		"a frame of a kind that is none":  {request + string(masked(0x8B, []byte("x"))), 1002},
		"goodbye":                         {request + string(masked(0x88, []byte("\x03\xe9"))), 1001},
		"an old version":                  {strings.Replace(request, "13", "8", 1), 1002},
		"a key that is none":              {strings.Replace(request, "dGhl", "xxxx=", 1), 1002},
		"a header without end":            {strings.Replace(request, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 9000), 1), 1002},
		"not HTTP":                        {"\x00\x01\r\n\r\n", 1002},
		"a protocol that nobody speaks":   {strings.Replace(request, ": mqtt", ": other", 1), 1008},
		"plain HTTP, which is not for us": {"GET /v1/inbox HTTP/1.1\r\nHost: x\r\n\r\n", int(plainHTTP)},
	}
	for name, tt := range tests {
		for _, step := range []int{1, 1 << 20} {
			if _, _, status := listenTo([]byte(tt.input), step); status != tt.want {
				t.Errorf("%s, in pieces of %d: status %d, want %d", name, step, status, tt.want)
			}
		}
	}
}

// FuzzWebSocket: whatever a client sends, in whatever pieces, comes to the same,
// and little of it is kept.
func FuzzWebSocket(f *testing.F) {
	f.Add(append([]byte(request), masked(0x82, []byte("hello"))...), uint8(3))
	f.Add([]byte(request+"\x88\x80\x00\x00\x00\x00"), uint8(1))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(200))
	f.Fuzz(func(t *testing.T, input []byte, step uint8) {
		whole, _, status := listenTo(input, max(len(input), 1))
		pieces, _, status2 := listenTo(input, int(step)+1)
		if !bytes.Equal(whole, pieces) || status != status2 {
			t.Fatalf("at once: %q, %d; in pieces: %q, %d", whole, status, pieces, status2)
		}
	})
}

// FuzzProxy: whatever comes first on a connection, the header is found in it or
// not, and never read beyond.
func FuzzProxy(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 1883\r\nrest"))
	f.Add([]byte(proxyV2 + "\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x07\x5b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, n, err := parseProxy(b)
		if n < 0 || n > len(b) || err != nil && n != 0 && n > maxProxyV2 {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
	})
}

// FuzzJSON: what clients say in JSON is a packet or an error, and what they are
// told is JSON.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"type":"connect","token":"x","device":"d"}`, `{"type":"ack","packet":1}`, `{"type":"publish","topic":"t","packet":1,"payload":{}}`,
		`{"type":"refresh"}`, `{"type":"disconnect"}`, `[]`, `{"type":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		packet, err := packetOf(text)
		if (err == nil) == (len(packet) == 0) {
			t.Fatalf("%d bytes, %v", len(packet), err)
		}
		textsOf(packet)
	})
}
