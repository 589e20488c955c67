package h2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// FuzzFrames has the client's end of a connection, with requests under way, read
// whatever comes. It must end without panic, and every request must have at most
// one outcome, which its channel of one place would tell by hanging.
func FuzzFrames(f *testing.F) {
	frame := func(write func(fr *http2.Framer)) []byte {
		var b bytes.Buffer
		fr := http2.NewFramer(&b, nil)
		fr.AllowIllegalWrites = true
		write(fr)
		return b.Bytes()
	}
	f.Add(frame(func(fr *http2.Framer) { accept(fr, 1) }))
	f.Add(frame(func(fr *http2.Framer) {
		_ = fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		headersOf(fr, 3, false, ":status", "200", "apns-id", "x")
		_ = fr.WriteDataPadded(3, true, []byte("{}"), make([]byte, 9))
		_ = fr.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		_ = fr.WriteWindowUpdate(5, 1<<20)
		_ = fr.WriteGoAway(3, http2.ErrCodeNo, []byte("bye"))
	}))
	f.Add(frame(func(fr *http2.Framer) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}, PadLength: 3})
		_ = fr.WriteContinuation(1, true, block("x", strings.Repeat("y", 300)))
		_ = fr.WritePing(false, [8]byte{1})
		_ = fr.WritePriority(1, http2.PriorityParam{})
		_ = fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2})
	}))
	f.Fuzz(func(t *testing.T, in []byte) {
		h := &host{t: &Transport{}}
		c := &conn{host: h, last: maxWindow}
		c.init(deaf{})
		c.watch = neverTimer()
		for range 3 {
			req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "x", Path: "/"}}
			st := &stream{req: req, done: make(chan struct{}, 1), flow: flow{body: make([]byte, 100_000)}}
			c.mu.Lock()
			c.postLocked(st)
			c.mu.Unlock()
		}
		open := make([]*stream, 0, 3)
		for _, st := range c.streams {
			open = append(open, st)
		}
		c.close(newReader(c, bytes.NewReader(in)).run())
		for _, st := range open {
			select {
			case <-st.done:
			default:
				t.Error("a request has no outcome")
			}
			if st.err == nil && (st.ans == nil || st.ans.res.StatusCode < 200) {
				t.Error("an answer without a status")
			}
		}
	})
}

// FuzzHeaders holds the reading of header blocks against x/net's own.
func FuzzHeaders(f *testing.F) {
	f.Add(block(":status", "200", "apns-id", "8f0d1c9c-6d4f-4b0e-9d4b-0d3a3f3f6a11"))
	f.Add(block(":status", "410", "content-type", "application/json", "content-type", "again"))
	f.Add([]byte("\x3f\xe1\x1f\x88\x40\x01a\x01b\xbe"))
	f.Add(append(block(":status", "200"), 0x20))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > maxFrame {
			return
		}
		var wire bytes.Buffer
		_ = http2.NewFramer(&wire, nil).WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: in, EndHeaders: true})
		heard := &listener{}
		err := newReader(heard, bytes.NewReader(wire.Bytes())).run()
		want, wantErr := hpack.NewDecoder(4096, nil).DecodeFull(in)
		size := 0
		for _, field := range want {
			size += int(field.Size())
		}
		switch {
		case size > maxHeaders:
		case (wantErr == nil) != errors.Is(err, io.EOF):
			t.Fatalf("err = %v, x/net's is %v", err, wantErr)
		case wantErr == nil && len(heard.fields) != len(want):
			t.Fatalf("%d fields, x/net has %d", len(heard.fields), len(want))
		case wantErr == nil:
			for i, field := range want {
				if heard.fields[i].Name != field.Name || heard.fields[i].Value != field.Value {
					t.Errorf("field %d = %v, want %v", i, heard.fields[i], field)
				}
			}
		}
	})
}

// FuzzRequests has x/net read what we write, over connections whose table
// changes.
func FuzzRequests(f *testing.F) {
	f.Add("/3/device/abc", "apns-topic", "com.example.app", "apns-id", "1", uint32(4096))
	f.Add("/", "x", "", "X", strings.Repeat("long ", 5000), uint32(0))
	f.Add("/v1/projects/p/messages:send", "authorization", "Bearer x", "authorization", "Bearer y", uint32(100))
	f.Fuzz(func(t *testing.T, path, name1, value1, name2, value2 string, table uint32) {
		header := http.Header{name1: {value1}, name2: {value2, value1}}
		u, err := url.Parse("https://push.example.com" + path)
		if err != nil || u.Host != "push.example.com" || name1 == "" || name2 == "" {
			return
		}
		req := &http.Request{Method: http.MethodPost, URL: u, Header: header}
		var m mux[*stream]
		m.init(deaf{})
		dec := hpack.NewDecoder(4096, nil)
		for i, limit := range []uint32{4096, table, table, 4096, 4096} {
			if i > 0 {
				m.enc.limit(limit)
			}
			dec.SetAllowedMaxDynamicTableSize(max(limit, 4096))
			st := &stream{req: req}
			if st.readHeader() != nil {
				return
			}
			m.openLocked(st)
			got := readRequest(t, m.ready, dec)
			m.ready = m.ready[:0]
			count := 0
			for _, field := range got {
				if field.Name == ":path" && field.Value != u.RequestURI() {
					t.Errorf("path %q, want %q", field.Value, u.RequestURI())
				}
				if !field.IsPseudo() && field.Name != "content-length" {
					count++
				}
			}
			allowed := 0
			for name, values := range header {
				if m.enc.name(name) != nil {
					allowed += len(values)
				}
			}
			if count != allowed {
				t.Errorf("%d fields came, want %d", count, allowed)
			}
		}
	})
}

func readRequest(t *testing.T, wire []byte, dec *hpack.Decoder) []hpack.HeaderField {
	t.Helper()
	fr := http2.NewFramer(nil, bytes.NewReader(wire))
	var packed []byte
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			packed = append(packed, f.HeaderBlockFragment()...)
		case *http2.ContinuationFrame:
			packed = append(packed, f.HeaderBlockFragment()...)
		}
	}
	fields, err := dec.DecodeFull(packed)
	if err != nil {
		t.Fatalf("x/net cannot read our headers: %v", err)
	}
	return fields
}

// listener is an end that keeps what it hears.
type listener struct{ fields []hpack.HeaderField }

func (l *listener) field(f hpack.HeaderField)          { l.fields = append(l.fields, f) }
func (*listener) headers(uint32, bool) error           { return nil }
func (*listener) data(uint32, []byte, int, bool) error { return nil }
func (*listener) reset(uint32, http2.ErrCode) error    { return nil }
func (*listener) settings(http2.Flags, []byte) error   { return nil }
func (*listener) goAway(uint32, http2.ErrCode) error   { return nil }
func (*listener) grow(uint32, uint32) error            { return nil }
func (*listener) reply(func([]byte) []byte)            {}
func (*listener) alive()                               {}

// deaf is a line on which nothing is heard.
type deaf struct{ net.Conn }

func (deaf) Write(p []byte) (int, error)      { return len(p), nil }
func (deaf) Close() error                     { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }

func neverTimer() *time.Timer {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return timer
}
