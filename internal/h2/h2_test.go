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
func start(t testing.TB, shape func(*http2.Server), h http.HandlerFunc) (*httptest.Server, *Transport) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	h2 := &http2.Server{}
	if shape != nil {
		shape(h2)
	}
	if err := http2.ConfigureServer(srv.Config, h2); err != nil {
		t.Fatal(err)
	}
	srv.TLS = srv.Config.TLSConfig
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

func post(t testing.TB, tr http.RoundTripper, ctx context.Context, url, body string) (*http.Response, string, error) {
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
		shape func(*http2.Server)
		body  string
	}{
		"no body":           {nil, ""},
		"a small body":      {nil, "hello"},
		"a large body":      {nil, large},
		"tiny windows":      {func(s *http2.Server) { s.MaxUploadBufferPerStream, s.MaxUploadBufferPerConnection = 1<<14, 1<<16 }, large},
		"one stream a time": {func(s *http2.Server) { s.MaxConcurrentStreams = 1 }, "hello"},
		"a tiny table":      {func(s *http2.Server) { s.MaxDecoderHeaderTableSize = 64 }, "hello"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, tr := start(t, tt.shape, echo)
			var group sync.WaitGroup
			for i := range 20 {
				group.Go(func() {
					res, got, err := post(t, tr, t.Context(), fmt.Sprintf("%s/3/device/%d?a=b", srv.URL, i), tt.body)
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
				if _, got, err := post(t, tr, t.Context(), srv.URL+"/x", "body"); err != nil || got != "body" {
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
	_, _, err := post(t, tr, ctx, srv.URL+"/hang", "x")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want the context's", err)
	}
	if errors.Is(err, ErrNotSent) {
		t.Errorf("err = %v, but the request was written", err)
	}
	if _, _, err := post(t, tr, t.Context(), srv.URL+"/", "x"); err != nil {
		t.Errorf("the connection is of no use after a cancelled request: %v", err)
	}
}

func TestFailuresSayWhetherAnythingWasSent(t *testing.T) {
	hungUp, tr := start(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		panic(http.ErrAbortHandler) // RST_STREAM in the middle
	})
	if _, _, err := post(t, tr, t.Context(), hungUp.URL, "x"); err == nil || errors.Is(err, ErrNotSent) {
		t.Errorf("a reset stream gave %v, want an error that does not claim it was not sent", err)
	}

	gone := httptest.NewTLSServer(http.NotFoundHandler())
	url := gone.URL
	gone.Close()
	if _, _, err := post(t, tr, t.Context(), url, "x"); !errors.Is(err, ErrNotSent) {
		t.Errorf("a closed port gave %v, want ErrNotSent", err)
	}

	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.EnableHTTP2 = true
	stranger.StartTLS()
	defer stranger.Close()
	if _, _, err := post(t, &Transport{}, t.Context(), stranger.URL, "x"); !errors.Is(err, ErrNotSent) {
		t.Errorf("an unknown authority gave %v, want ErrNotSent", err)
	}

	if _, _, err := post(t, &Transport{}, t.Context(), "http://127.0.0.1:1/", "x"); !errors.Is(err, ErrNotSent) {
		t.Errorf("plain http gave %v, want ErrNotSent", err)
	}
}

func TestServersWithoutHTTP2AreServedByTheFallback(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(echo)) // HTTP/1.1 only
	defer srv.Close()
	tr := transportTo(t, srv)
	tr.Fallback = srv.Client().Transport
	for range 2 {
		if res, got, err := post(t, tr, t.Context(), srv.URL, "hello"); err != nil || got != "hello" || res.ProtoMajor != 1 {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// farewell speaks just enough HTTP/2 to say goodbye: it answers the first
// connection's requests with GOAWAY, having processed nothing, and the others'
// with 200.
func farewell(t *testing.T) (url string, tr *Transport) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tr = transportTo(t, srv)
	cfg := srv.TLS.Clone()
	cfg.NextProtos = []string{"h2"}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for n := 0; ; n++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go serveOnce(nc, n == 0)
		}
	}()
	return "https://" + ln.Addr().String(), tr
}

func serveOnce(nc net.Conn, leaving bool) {
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	fr := http2.NewFramer(nc, nc)
	_ = fr.WriteSettings()
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		h, ok := f.(*http2.HeadersFrame)
		switch {
		case !ok:
		case leaving:
			_ = fr.WriteGoAway(0, http2.ErrCodeNo, nil)
		default:
			// ":status 200" is entry 8 of HPACK's static table.
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
		}
	}
}

func TestGoodbyeMovesUnseenRequestsToAnotherConnection(t *testing.T) {
	url, tr := farewell(t)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if res, _, err := post(t, tr, t.Context(), url, "x"); err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("res %v, err %v", res, err)
			}
		})
	}
	group.Wait()
}

// TestAllowanceGrowsWithTheServersTrust plays APNs, which lets a new connection
// carry one stream until it has seen a valid token.
func TestAllowanceGrowsWithTheServersTrust(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	cfg := srv.TLS.Clone()
	cfg.NextProtos = []string{"h2"}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var conns atomic.Int32
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go serveCautiously(nc)
		}
	}()
	tr := transportTo(t, srv)
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			if _, _, err := post(t, tr, t.Context(), "https://"+ln.Addr().String(), "x"); err != nil {
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
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	fr := http2.NewFramer(nc, nc)
	_ = fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	for n := 0; ; {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		h, ok := f.(*http2.HeadersFrame)
		if !ok {
			continue
		}
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
		if n++; n == 1 {
			_ = fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100})
		}
	}
}

func TestSilentConnectionsAreGivenUp(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tr := transportTo(t, srv)
	tr.Idle = 50 * time.Millisecond
	cfg := srv.TLS.Clone()
	cfg.NextProtos = []string{"h2"}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		fr := http2.NewFramer(nc, nc)
		_ = fr.WriteSettings()
		_, _ = io.Copy(io.Discard, nc) // reads everything, answers no ping
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, _, err = post(t, tr, ctx, "https://"+ln.Addr().String(), "x")
	if err == nil || errors.Is(err, ErrNotSent) || ctx.Err() != nil {
		t.Errorf("err = %v, want the connection given up and the request perhaps sent", err)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	drain := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	theirs, tr := start(b, func(s *http2.Server) { s.MaxConcurrentStreams = 1000 }, drain)
	url, cfg := serveOurs(b, drain)
	for _, bench := range []struct {
		name, url string
		client    http.RoundTripper
	}{
		{"x/net to net/http", theirs.URL, &http2.Transport{TLSClientConfig: tr.TLS}},
		{"ours to net/http", theirs.URL, tr},
		{"x/net to ours", url, &http2.Transport{TLSClientConfig: cfg}},
		{"ours to ours", url, &Transport{TLS: cfg}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := bytes.Repeat([]byte("x"), 130)
			b.SetParallelism(250)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, _ := http.NewRequest(http.MethodPost, bench.url+"/3/device/0123456789abcdef", bytes.NewReader(body))
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
