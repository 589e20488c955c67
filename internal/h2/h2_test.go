package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// start serves h over TLS with Go's own HTTP/2 server, shaped by shape.
func start(t testing.TB, shape *http.HTTP2Config, h http.HandlerFunc) (*httptest.Server, *Transport) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.HTTP2 = shape
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, transportTo(t, srv)
}

func transportTo(t testing.TB, srv *httptest.Server) *Transport {
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	tr := &Transport{TLS: &tls.Config{RootCAs: roots}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// theirs is the client of x/net: beside net/http's, one more that nobody here wrote.
func theirs(cfg *tls.Config) http.RoundTripper {
	return &http2.Transport{TLSClientConfig: cfg} //nolint:staticcheck // deprecated, and still an implementation of its own
}

// post returns an answer whose body has been read and closed.
func post(ctx context.Context, t testing.TB, tr http.RoundTripper, url, body string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "bearer x")
	res, err := tr.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(got), nil
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Path", r.URL.RequestURI())
	w.Header().Set("X-Auth", r.Header.Get("Authorization"))
	w.WriteHeader(http.StatusTeapot)
	_, _ = io.Copy(w, r.Body)
}

func TestAnswersComeBackWhole(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 40_000) // 640 kB: many frames, many windows
	tests := map[string]struct {
		shape *http.HTTP2Config
		body  string
	}{
		"no body":           {nil, ""},
		"a small body":      {nil, "hello"},
		"a large body":      {nil, large},
		"tiny windows":      {&http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 14, MaxReceiveBufferPerConnection: 1 << 16}, large},
		"one stream a time": {&http.HTTP2Config{MaxConcurrentStreams: 1}, "hello"},
		"a tiny table":      {&http.HTTP2Config{MaxDecoderHeaderTableSize: 64}, "hello"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, tr := start(t, tt.shape, echo)
			var group sync.WaitGroup
			for i := range 20 {
				group.Go(func() {
					res, got, err := post(t.Context(), t, tr, fmt.Sprintf("%s/3/device/%d?a=b", srv.URL, i), tt.body)
					if err != nil {
						t.Error(err)
						return
					}
					if res.StatusCode != http.StatusTeapot || got != tt.body {
						t.Errorf("status %d and %d bytes, want 418 and %d", res.StatusCode, len(got), len(tt.body))
					}
					if want := fmt.Sprintf("/3/device/%d?a=b", i); res.Header.Get("X-Path") != want || res.Header.Get("X-Auth") != "bearer x" {
						t.Errorf("headers = %v", res.Header)
					}
				})
			}
			group.Wait()
		})
	}
}

func TestManyAtOnceShareFewConnections(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tr := transportTo(t, srv)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range 50 {
				if _, got, err := post(t.Context(), t, tr, srv.URL+"/x", "body"); err != nil || got != "body" {
					t.Errorf("got %q, %v", got, err)
					return
				}
			}
		})
	}
	group.Wait()
	if n := conns.Load(); n > 2 {
		t.Errorf("64 callers opened %d connections", n)
	}
}

func TestGivenUpRequestsReturnAtOnce(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	srv, tr := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
	_, _, err := post(ctx, t, tr, srv.URL+"/hang", "x")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want the context's", err)
	}
	if errors.Is(err, ErrNotSent) {
		t.Errorf("err = %v, but the request was written", err)
	}
	if _, _, err := post(t.Context(), t, tr, srv.URL+"/", "x"); err != nil {
		t.Errorf("the connection is of no use after a cancelled request: %v", err)
	}
}

func TestFailuresSayWhetherAnythingWasSent(t *testing.T) {
	hungUp, tr := start(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		panic(http.ErrAbortHandler) // RST_STREAM in the middle
	})
	if _, _, err := post(t.Context(), t, tr, hungUp.URL, "x"); err == nil || errors.Is(err, ErrNotSent) {
		t.Errorf("a reset stream gave %v, want an error that does not claim it was not sent", err)
	}

	gone := httptest.NewTLSServer(http.NotFoundHandler())
	url := gone.URL
	gone.Close()
	if _, _, err := post(t.Context(), t, tr, url, "x"); !errors.Is(err, ErrNotSent) {
		t.Errorf("a closed port gave %v, want ErrNotSent", err)
	}

	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.EnableHTTP2 = true
	stranger.StartTLS()
	defer stranger.Close()
	if _, _, err := post(t.Context(), t, &Transport{}, stranger.URL, "x"); !errors.Is(err, ErrNotSent) {
		t.Errorf("an unknown authority gave %v, want ErrNotSent", err)
	}

	if _, _, err := post(t.Context(), t, &Transport{}, "http://127.0.0.1:1/", "x"); !errors.Is(err, ErrNotSent) {
		t.Errorf("plain http gave %v, want ErrNotSent", err)
	}
}

func TestServersWithoutHTTP2AreNotSpokenTo(t *testing.T) {
	var heard atomic.Bool
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Store(true) })) // HTTP/1.1 only
	defer srv.Close()
	if _, _, err := post(t.Context(), t, transportTo(t, srv), srv.URL, "hello"); !errors.Is(err, ErrNotSent) || heard.Load() {
		t.Errorf("err = %v, want ErrNotSent; heard %v", err, heard.Load())
	}
}

// serveFrames hands connections that speak h2 by TLS to serve, one after the
// other, until the test ends.
func serveFrames(t *testing.T, serve func(net.Conn)) (url string, tr *Transport) {
	t.Helper()
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	t.Cleanup(certs.Close)
	cfg := certs.TLS.Clone()
	cfg.NextProtos = []string{"h2"}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			serve(nc)
		}
	}()
	return "https://" + ln.Addr().String(), transportTo(t, certs)
}

// answerHeaders speaks just enough HTTP/2 to answer each request as soon as its
// headers are there.
func answerHeaders(nc net.Conn, answer func(fr *http2.Framer, id uint32), settings ...http2.Setting) {
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	fr := http2.NewFramer(nc, nc)
	_ = fr.WriteSettings(settings...)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := f.(*http2.HeadersFrame); ok {
			answer(fr, h.StreamID)
		}
	}
}

// accept answers 200, which is entry 8 of HPACK's static table.
func accept(fr *http2.Framer, id uint32) {
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
}

// farewell answers the first connection's requests with GOAWAY, having
// processed nothing, and the others' with 200.
func farewell(t *testing.T) (url string, tr *Transport) {
	t.Helper()
	answer := func(fr *http2.Framer, _ uint32) { _ = fr.WriteGoAway(0, http2.ErrCodeNo, nil) }
	return serveFrames(t, func(nc net.Conn) {
		go answerHeaders(nc, answer)
		answer = accept
	})
}

func TestGoodbyeMovesUnseenRequestsToAnotherConnection(t *testing.T) {
	url, tr := farewell(t)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if res, _, err := post(t.Context(), t, tr, url, "x"); err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("res %v, err %v", res, err)
			}
		})
	}
	group.Wait()
}

// TestAllowanceGrowsWithTheServersTrust plays APNs, which lets a new connection
// carry one stream until it has seen a valid token.
func TestAllowanceGrowsWithTheServersTrust(t *testing.T) {
	var conns atomic.Int32
	url, tr := serveFrames(t, func(nc net.Conn) {
		conns.Add(1)
		go serveCautiously(nc)
	})
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			if _, _, err := post(t.Context(), t, tr, url, "x"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := conns.Load(); n > 2 {
		t.Errorf("%d connections were opened while the first was still to be trusted", n)
	}
}

func serveCautiously(nc net.Conn) {
	trusted := false
	answerHeaders(nc, func(fr *http2.Framer, id uint32) {
		accept(fr, id)
		if !trusted {
			trusted = true
			_ = fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100})
		}
	}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
}

func TestSilentConnectionsAreGivenUp(t *testing.T) {
	url, tr := serveFrames(t, func(nc net.Conn) {
		_ = http2.NewFramer(nc, nc).WriteSettings()
		_, _ = io.Copy(io.Discard, nc) // reads everything, answers no ping
	})
	tr.Idle = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, _, err := post(ctx, t, tr, url, "x")
	if err == nil || errors.Is(err, ErrNotSent) || ctx.Err() != nil {
		t.Errorf("err = %v, want the connection given up and the request perhaps sent", err)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	drain := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	srv, tr := start(b, &http.HTTP2Config{MaxConcurrentStreams: 1000}, drain)
	url, cfg := serveOurs(b, drain)
	for _, bench := range []struct {
		name, url string
		client    http.RoundTripper
	}{
		{"x/net to net/http", srv.URL, theirs(tr.TLS)},
		{"ours to net/http", srv.URL, tr},
		{"x/net to ours", url, theirs(cfg)},
		{"ours to ours", url, &Transport{TLS: cfg}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := bytes.Repeat([]byte("x"), 130)
			b.SetParallelism(250)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, bench.url+"/3/device/0123456789abcdef", bytes.NewReader(body))
					res, err := bench.client.RoundTrip(req)
					if err != nil {
						b.Error(err)
						return
					}
					_ = res.Body.Close()
				}
			})
		})
	}
}
