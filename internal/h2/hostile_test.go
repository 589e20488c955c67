package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// hostile is a server that answers the first request of a connection with play,
// and tells how the client took it.
type hostile struct {
	goAways chan http2.ErrCode
	resets  chan http2.ErrCode
}

func (h *hostile) serve(nc net.Conn, play func(fr *http2.Framer, id uint32)) {
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	fr := http2.NewFramer(nc, nc)
	fr.AllowIllegalReads = true
	_ = fr.WriteSettings()
	bad := http2.NewFramer(nc, nil) // TLS takes turns, a framer does not
	bad.AllowIllegalWrites = true
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			if id := f.StreamID; id == 1 {
				go play(bad, id)
			} else {
				accept(fr, id)
			}
		case *http2.GoAwayFrame:
			h.goAways <- f.ErrCode
		case *http2.RSTStreamFrame:
			h.resets <- f.ErrCode
		}
	}
}

func startHostile(t *testing.T, play func(fr *http2.Framer, id uint32)) (*hostile, string, *Transport) {
	h := &hostile{make(chan http2.ErrCode, 8), make(chan http2.ErrCode, 8)}
	url, tr := serveFrames(t, func(nc net.Conn) { go h.serve(nc, play) })
	return h, url, tr
}

// block packs header fields, name after value after name.
func block(fields ...string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func headersOf(fr *http2.Framer, id uint32, ends bool, fields ...string) {
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(fields...), EndHeaders: true, EndStream: ends})
}

func TestABreachEndsTheConnectionWithItsCode(t *testing.T) {
	raw := func(kind http2.FrameType, flags http2.Flags, on uint32, payload string) func(*http2.Framer, uint32) {
		return func(fr *http2.Framer, _ uint32) { _ = fr.WriteRawFrame(kind, flags, on, []byte(payload)) }
	}
	flood := func(write func(fr *http2.Framer, id uint32) error) func(*http2.Framer, uint32) {
		return func(fr *http2.Framer, id uint32) {
			for write(fr, id) == nil {
			}
		}
	}
	const setting = "\x00\x00\x00\x00\x00\x00"
	tests := map[string]struct {
		play func(fr *http2.Framer, id uint32)
		want http2.ErrCode
	}{
		"a frame that is too long":                {raw(http2.FrameData, 0, 1, strings.Repeat("x", maxFrame+1)), http2.ErrCodeFrameSize},
		"padding longer than its frame":           {raw(http2.FrameData, http2.FlagDataPadded, 1, "\x09abc"), http2.ErrCodeProtocol},
		"padding of headers without a length":     {raw(http2.FrameHeaders, http2.FlagHeadersPadded, 1, ""), http2.ErrCodeProtocol},
		"priority that is cut off":                {raw(http2.FrameHeaders, http2.FlagHeadersPriority, 1, "abc"), http2.ErrCodeFrameSize},
		"data on no stream":                       {raw(http2.FrameData, 0, 0, "x"), http2.ErrCodeProtocol},
		"headers on no stream":                    {raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, "\x88"), http2.ErrCodeProtocol},
		"headers on a stream of the server's":     {raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 2, "\x88"), http2.ErrCodeProtocol},
		"headers on a stream that is not open":    {raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 99, "\x88"), http2.ErrCodeProtocol},
		"data on a stream that is not open":       {raw(http2.FrameData, 0, 99, "x"), http2.ErrCodeProtocol},
		"a reset of a stream that is not open":    {raw(http2.FrameRSTStream, 0, 99, "\x00\x00\x00\x00"), http2.ErrCodeProtocol},
		"a reset that is too short":               {raw(http2.FrameRSTStream, 0, 1, "\x00"), http2.ErrCodeFrameSize},
		"a continuation of nothing":               {raw(http2.FrameContinuation, 0, 1, "\x88"), http2.ErrCodeProtocol},
		"settings on a stream":                    {raw(http2.FrameSettings, 0, 1, setting), http2.ErrCodeProtocol},
		"settings that are cut off":               {raw(http2.FrameSettings, 0, 0, "abc"), http2.ErrCodeFrameSize},
		"an acknowledgement with a body":          {raw(http2.FrameSettings, http2.FlagSettingsAck, 0, setting), http2.ErrCodeFrameSize},
		"an initial window that is too large":     {raw(http2.FrameSettings, 0, 0, "\x00\x04\xff\xff\xff\xff"), http2.ErrCodeFlowControl},
		"frames smaller than allowed":             {raw(http2.FrameSettings, 0, 0, "\x00\x05\x00\x00\x00\x01"), http2.ErrCodeProtocol},
		"a push setting that is neither":          {raw(http2.FrameSettings, 0, 0, "\x00\x02\x00\x00\x00\x02"), http2.ErrCodeProtocol},
		"a promise of a push":                     {raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02\x88"), http2.ErrCodeProtocol},
		"a ping that is too long":                 {raw(http2.FramePing, 0, 0, "123456789"), http2.ErrCodeFrameSize},
		"a farewell that is too short":            {raw(http2.FrameGoAway, 0, 0, "1234"), http2.ErrCodeFrameSize},
		"a window widened by nothing":             {raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00"), http2.ErrCodeProtocol},
		"a window widened too far":                {raw(http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff"), http2.ErrCodeFlowControl},
		"a window update that is too short":       {raw(http2.FrameWindowUpdate, 0, 1, "\x00"), http2.ErrCodeFrameSize},
		"a header block that makes no sense":      {raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\xff\xff\xff\xff\xff\xff"), http2.ErrCodeCompression},
		"a table larger than ours":                {raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\x3f\xe1\xff\x03\x88"), http2.ErrCodeCompression},
		"headers in too many pieces":              {continuations("\x88", 1), http2.ErrCodeEnhanceYourCalm},
		"headers that never end":                  {continuations(strings.Repeat("\x88", 8000), 8000), http2.ErrCodeEnhanceYourCalm},
		"small headers that unpack to a mountain": {bomb, http2.ErrCodeEnhanceYourCalm},
		"a block that is interrupted": {func(fr *http2.Framer, id uint32) {
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x88}})
			_ = fr.WritePing(false, [8]byte{})
		}, http2.ErrCodeProtocol},
		"a farewell that takes back the first": {func(fr *http2.Framer, id uint32) {
			_ = fr.WriteGoAway(id, http2.ErrCodeNo, nil)
			_ = fr.WriteGoAway(id+8, http2.ErrCodeNo, nil)
		}, http2.ErrCodeProtocol},
		"a flood of settings":   {flood(func(fr *http2.Framer, _ uint32) error { return fr.WriteSettings() }), http2.ErrCodeEnhanceYourCalm},
		"a flood of pings":      {flood(func(fr *http2.Framer, _ uint32) error { return fr.WritePing(false, [8]byte{}) }), http2.ErrCodeEnhanceYourCalm},
		"a flood of empty data": {flood(func(fr *http2.Framer, id uint32) error { return fr.WriteData(id+100, false, nil) }), http2.ErrCodeProtocol},
		"a flood of nothing":    {flood(func(fr *http2.Framer, _ uint32) error { return fr.WriteRawFrame(99, 0, 0, nil) }), http2.ErrCodeEnhanceYourCalm},
		"a flood of empty bodies": {func(fr *http2.Framer, id uint32) {
			headersOf(fr, id, false, ":status", "200")
			flood(func(fr *http2.Framer, id uint32) error { return fr.WriteData(id, false, nil) })(fr, id)
		}, http2.ErrCodeEnhanceYourCalm},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, url, tr := startHostile(t, tt.play)
			_, _, err := post(t.Context(), t, tr, url, "x")
			if err == nil || errors.Is(err, ErrNotSent) && !strings.Contains(name, "farewell that takes") {
				t.Errorf("err = %v, want one that does not claim it was not sent", err)
			}
			select {
			case code := <-h.goAways:
				if code != tt.want {
					t.Errorf("GOAWAY %v, want %v; err = %v", code, tt.want, err)
				}
			case <-time.After(30 * time.Second):
				t.Error("no GOAWAY came")
			}
			if _, _, err := post(t.Context(), t, tr, url, "x"); err != nil && strings.Contains(err.Error(), "closing") {
				t.Errorf("the next request: %v", err)
			}
		})
	}
}

// continuations sends a header block in many frames of one piece each.
func continuations(piece string, step int) func(*http2.Framer, uint32) {
	return func(fr *http2.Framer, id uint32) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(piece)[:step]})
		for fr.WriteContinuation(id, false, []byte(piece)[:step]) == nil {
		}
	}
}

// bomb puts a long field in the table, then names it a thousand times.
func bomb(fr *http2.Framer, id uint32) {
	b := append(block(":status", "200", "x", strings.Repeat("a", 3500)), bytes.Repeat([]byte{0x80 | 62}, 1000)...)
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b, EndHeaders: true})
}

func TestABadAnswerEndsItsStreamAlone(t *testing.T) {
	tests := map[string]struct {
		play func(fr *http2.Framer, id uint32)
		want http2.ErrCode // of the reset; 0 for none
	}{
		"a window widened by nothing": {func(fr *http2.Framer, id uint32) {
			_ = fr.WriteRawFrame(http2.FrameWindowUpdate, 0, id, []byte("\x00\x00\x00\x00"))
		}, http2.ErrCodeProtocol},
		"a window widened too far": {func(fr *http2.Framer, id uint32) { _ = fr.WriteWindowUpdate(id, maxWindow) }, http2.ErrCodeFlowControl},
		"no status":                {func(fr *http2.Framer, id uint32) { headersOf(fr, id, true, "x", "y") }, http2.ErrCodeProtocol},
		"a status that is none":    {func(fr *http2.Framer, id uint32) { headersOf(fr, id, true, ":status", "ok!") }, http2.ErrCodeProtocol},
		"two statuses":             {func(fr *http2.Framer, id uint32) { headersOf(fr, id, true, ":status", "200", ":status", "201") }, http2.ErrCodeProtocol},
		"a request's field":        {func(fr *http2.Framer, id uint32) { headersOf(fr, id, true, ":status", "200", ":path", "/") }, http2.ErrCodeProtocol},
		"a pseudo field at the end": {func(fr *http2.Framer, id uint32) {
			headersOf(fr, id, true, "x", "y", ":status", "200")
		}, http2.ErrCodeProtocol},
		"a capital letter":         {func(fr *http2.Framer, id uint32) { headersOf(fr, id, true, ":status", "200", "X-y", "z") }, http2.ErrCodeProtocol},
		"a field of HTTP/1":        {func(fr *http2.Framer, id uint32) { headersOf(fr, id, true, ":status", "200", "connection", "close") }, http2.ErrCodeProtocol},
		"a body before the status": {func(fr *http2.Framer, id uint32) { _ = fr.WriteData(id, true, []byte("x")) }, http2.ErrCodeProtocol},
		"an end before the answer": {func(fr *http2.Framer, id uint32) { headersOf(fr, id, true, ":status", "103") }, http2.ErrCodeProtocol},
		"trailers that do not end": {func(fr *http2.Framer, id uint32) {
			headersOf(fr, id, false, ":status", "200")
			headersOf(fr, id, false, "x", "y")
		}, http2.ErrCodeProtocol},
		"a length that is not the body's": {func(fr *http2.Framer, id uint32) {
			headersOf(fr, id, false, ":status", "200", "content-length", "5")
			_ = fr.WriteData(id, true, []byte("1234"))
		}, 0},
		"a body without end": {func(fr *http2.Framer, id uint32) {
			headersOf(fr, id, false, ":status", "200")
			for range MaxBody/maxFrame + 1 {
				_ = fr.WriteData(id, false, make([]byte, maxFrame))
			}
		}, http2.ErrCodeCancel},
		"padding without end": {func(fr *http2.Framer, id uint32) {
			headersOf(fr, id, false, ":status", "200")
			for range streamWindow/250 + 1 {
				if fr.WriteDataPadded(id, false, []byte("x"), make([]byte, 250)) != nil {
					return
				}
			}
		}, http2.ErrCodeFlowControl},
		"a reset": {func(fr *http2.Framer, id uint32) { _ = fr.WriteRSTStream(id, http2.ErrCodeInternal) }, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, url, tr := startHostile(t, tt.play)
			if _, _, err := post(t.Context(), t, tr, url, "x"); err == nil || errors.Is(err, ErrNotSent) {
				t.Errorf("err = %v, want one that does not claim it was not sent", err)
			}
			if tt.want != 0 {
				select {
				case code := <-h.resets:
					if code != tt.want {
						t.Errorf("RST_STREAM %v, want %v", code, tt.want)
					}
				case code := <-h.goAways:
					t.Fatalf("GOAWAY %v", code)
				case <-time.After(30 * time.Second):
					t.Fatal("no RST_STREAM came")
				}
			}
			if _, _, err := post(t.Context(), t, tr, url, "x"); err != nil {
				t.Errorf("the next request on the connection: %v", err)
			}
		})
	}
}

func TestARefusedRequestIsSentAgainOnce(t *testing.T) {
	for name, refusals := range map[string]int{"refused once": 1, "refused for ever": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan uint32, 16)
			url, tr := serveFrames(t, func(nc net.Conn) {
				left := refusals
				go answerHeaders(nc, func(fr *http2.Framer, id uint32) {
					seen <- id
					if left--; left >= 0 {
						_ = fr.WriteRSTStream(id, http2.ErrCodeRefusedStream)
						return
					}
					accept(fr, id)
				})
			})
			_, _, err := post(t.Context(), t, tr, url, "x")
			if refusals == 1 && err != nil || refusals > 1 && !errors.Is(err, ErrNotSent) {
				t.Errorf("err = %v", err)
			}
			if len(seen) != 2 {
				t.Errorf("the server saw the request %d times, want twice", len(seen))
			}
		})
	}
}

func TestHeadersThatWouldSplitARequestAreRefused(t *testing.T) {
	url, cfg := serveOurs(t, echo)
	for name, header := range map[string]http.Header{
		"a line break in a value": {"X": {"a\r\nb: c"}},
		"a null in a value":       {"X": {"a\x00"}},
		"a space in a name":       {"X Y": {"a"}},
		"a colon in a name":       {"X:": {"a"}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		res, err := (&Transport{TLS: cfg}).RoundTrip(req)
		if err == nil {
			_ = res.Body.Close()
		}
		if !errors.Is(err, ErrNotSent) {
			t.Errorf("%s: err = %v, want ErrNotSent", name, err)
		}
	}
}

func TestControlCharactersAreFoundWhereverTheyAre(t *testing.T) {
	for length := 1; length <= 20; length++ {
		for at := range length {
			for c := range 256 {
				for _, around := range []byte{'a', ' ', '\t', 0x80, 0xff} {
					b := bytes.Repeat([]byte{around}, length)
					b[at] = byte(c)
					if got, want := hasControls(string(b)), c < ' ' && c != '\t' || c == 0x7f; got != want {
						t.Fatalf("hasControls(%q) = %v", b, got)
					}
				}
			}
		}
	}
}

// TestServerNamesAClientsBreach holds the sandbox's end to the same rules.
func TestServerNamesAClientsBreach(t *testing.T) {
	url, cfg := serveOurs(t, echo)
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"h2"}
	get := block(":method", "GET", ":scheme", "https", ":authority", "x", ":path", "/")
	for name, tt := range map[string]struct {
		play func(fr *http2.Framer)
		want http2.ErrCode
	}{
		"an even stream":        {func(fr *http2.Framer) { requestOn(fr, 2, get) }, http2.ErrCodeProtocol},
		"a stream that is over": {func(fr *http2.Framer) { requestOn(fr, 5, get); requestOn(fr, 3, get) }, http2.ErrCodeStreamClosed},
		"data on no stream":     {func(fr *http2.Framer) { _ = fr.WriteData(0, true, nil) }, http2.ErrCodeProtocol},
		"data out of nowhere":   {func(fr *http2.Framer) { _ = fr.WriteData(7, true, nil) }, http2.ErrCodeProtocol},
		"a reset of nothing":    {func(fr *http2.Framer) { _ = fr.WriteRSTStream(9, 0) }, http2.ErrCodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			nc, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "https://"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_, _ = io.WriteString(nc, http2.ClientPreface)
			fr := http2.NewFramer(nc, nc)
			fr.AllowIllegalWrites = true
			_ = fr.WriteSettings()
			tt.play(fr)
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					t.Fatalf("no GOAWAY: %v", err)
				}
				if g, ok := f.(*http2.GoAwayFrame); ok {
					if g.ErrCode != tt.want {
						t.Errorf("GOAWAY %v, want %v", g.ErrCode, tt.want)
					}
					return
				}
			}
		})
	}
}

func requestOn(fr *http2.Framer, id uint32, block []byte) {
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true})
}
