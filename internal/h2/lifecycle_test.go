package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// eventually polls until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-time.After(time.Millisecond):
		case <-end:
			t.Fatal("not in time: " + what)
		}
	}
}

// standing counts the connections that take requests.
func (t *Transport) standing() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := 0
	for _, h := range t.hosts {
		h.mu.Lock()
		n += len(h.conns)
		h.mu.Unlock()
	}
	return n
}

func TestPoolGrowsWithLoadAndShrinksWithoutIt(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 100)
	srv, tr := start(t, &http.HTTP2Config{MaxConcurrentStreams: 10}, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	tr.Keep = time.Second
	done := make(chan error, 30)
	for range 30 {
		go func() {
			_, _, err := post(t.Context(), t, tr, srv.URL, "x")
			done <- err
		}()
	}
	for range 30 {
		<-arrived
	}
	if n := tr.standing(); n != 3 {
		t.Errorf("%d connections for 30 requests, 10 on each", n)
	}
	close(release)
	for range 30 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "one connection is left", func() bool { return tr.standing() == 1 })
	eventually(t, "the last goes too", func() bool { return tr.standing() == 0 })
}

func TestOldConnectionsAreReplacedWithoutAGap(t *testing.T) {
	var conns atomic.Int32
	url, tr := serveFrames(t, func(nc net.Conn) {
		conns.Add(1)
		go answerHeaders(nc, accept)
	})
	tr.MaxAge = 300 * time.Millisecond
	for conns.Load() < 3 {
		if _, _, err := post(t.Context(), t, tr, url, "x"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the old ones are gone", func() bool { return tr.standing() <= 1 })
}

func TestConnectionWithoutRequestsIsProbedAndKept(t *testing.T) {
	pings := make(chan struct{}, 100)
	url, tr := serveFrames(t, func(nc net.Conn) {
		go func() {
			defer nc.Close()
			_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
			fr := http2.NewFramer(nc, nc)
			_ = fr.WriteSettings()
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					return
				}
				switch f := f.(type) {
				case *http2.HeadersFrame:
					accept(fr, f.StreamID)
				case *http2.PingFrame:
					pings <- struct{}{}
					_ = fr.WritePing(true, f.Data)
				}
			}
		}()
	})
	tr.Idle = 250 * time.Millisecond
	if _, _, err := post(t.Context(), t, tr, url, "x"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		<-pings
	}
	if n := tr.standing(); n != 1 {
		t.Errorf("%d connections stand, want the one that answers", n)
	}
}

// TestSettingsMayChangeAtAnyTime has the server shrink and widen everything
// while a body is on its way.
func TestSettingsMayChangeAtAnyTime(t *testing.T) {
	const size = 200_000
	type request struct {
		auth   []string
		bytes  int
		frames []int
	}
	got := make(chan request, 2)
	url, tr := serveFrames(t, func(nc net.Conn) {
		go func() {
			defer nc.Close()
			_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
			fr := http2.NewFramer(nc, nc)
			fr.SetMaxReadFrameSize(1 << 20)
			dec := hpack.NewDecoder(4096, nil)
			dec.SetAllowedMaxDynamicTableSize(1 << 16)
			fr.ReadMetaHeaders = dec
			_ = fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
			var r request
			steps := 0
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					return
				}
				switch f := f.(type) {
				case *http2.MetaHeadersFrame:
					for _, field := range f.RegularFields() {
						if field.Name == "authorization" {
							r.auth = append(r.auth, field.Value)
						}
					}
				case *http2.DataFrame:
					r.bytes += len(f.Data())
					r.frames = append(r.frames, len(f.Data()))
					switch steps++; steps {
					case 1: // ten bytes have come; the table shrinks to nothing and grows
						_ = fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0},
							http2.Setting{ID: http2.SettingHeaderTableSize, Val: 300},
							http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1010})
					case 2: // larger frames, and room for the rest
						_ = fr.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 60_000},
							http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5})
						_ = fr.WriteWindowUpdate(f.StreamID, size)
						_ = fr.WriteWindowUpdate(0, 2*size)
					}
					if f.StreamEnded() {
						accept(fr, f.StreamID)
						got <- r
						r = request{}
						_ = fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: size})
					}
				case *http2.SettingsFrame:
					if !f.IsAck() {
						_ = fr.WriteSettingsAck()
					}
				}
			}
		}()
	})
	for range 2 {
		if _, _, err := post(t.Context(), t, tr, url, strings.Repeat("x", size)); err != nil {
			t.Fatal(err)
		}
		r := <-got
		if r.bytes != size || len(r.auth) != 1 || r.auth[0] != "bearer x" {
			t.Errorf("%d bytes came, authorization %q", r.bytes, r.auth)
		}
		t.Logf("frames: %v", r.frames)
	}
}

func TestForgottenConnectionsEnd(t *testing.T) {
	var open atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			open.Add(1)
		} else if s == http.StateClosed {
			open.Add(-1)
		}
	}
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tr := transportTo(t, srv)
	tr.Keep = time.Second
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				if _, _, err := post(t.Context(), t, tr, srv.URL, "x"); err != nil && !errors.Is(err, ErrNotSent) {
					t.Errorf("err = %v: to forget idle connections cuts nobody off", err)
				}
				tr.CloseIdleConnections()
			}
		})
	}
	group.Wait()
	tr.CloseIdleConnections()
	eventually(t, "all connections end", func() bool { return open.Load() == 0 })
}

func TestWaitingRequestCanBeTakenBack(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv, tr := start(t, &http.HTTP2Config{MaxConcurrentStreams: 1}, func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})
	defer close(release)
	tr.MaxConns = 1
	go func() { _, _, _ = post(t.Context(), t, tr, srv.URL, "x") }()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := post(ctx, t, tr, srv.URL, "y"); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want the deadline's and ErrNotSent", err)
	}
}

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
