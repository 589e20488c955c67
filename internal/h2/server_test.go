package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// serveOurs serves h with our own server until the test ends.
func serveOurs(t testing.TB, h http.HandlerFunc) (url string, cfg *tls.Config) {
	t.Helper()
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	t.Cleanup(certs.Close)
	cfg = &tls.Config{RootCAs: transportTo(t, certs).TLS.RootCAs}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&Server{Handler: h, TLS: certs.TLS}).Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve() = %v", err)
		}
	})
	return "https://" + ln.Addr().String(), cfg
}

func TestServerAnswersClientsNobodyHereWrote(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 40_000)
	url, cfg := serveOurs(t, echo)
	clients := map[string]http.RoundTripper{
		"net/http": &http.Transport{TLSClientConfig: cfg.Clone(), ForceAttemptHTTP2: true},
		"x/net":    theirs(cfg.Clone()),
		"ours":     &Transport{TLS: cfg},
	}
	for name, client := range clients {
		for size, body := range map[string]string{"empty": "", "small": "hello", "large": large} {
			t.Run(name+" "+size, func(t *testing.T) {
				t.Parallel()
				var group sync.WaitGroup
				for i := range 20 {
					group.Go(func() {
						res, got, err := post(t.Context(), t, client, fmt.Sprintf("%s/3/device/%d?a=b", url, i), body)
						if err != nil {
							t.Error(err)
							return
						}
						if res.StatusCode != http.StatusTeapot || got != body || res.Header.Get("X-Path") != fmt.Sprintf("/3/device/%d?a=b", i) {
							t.Errorf("status %d, %d bytes, headers %v", res.StatusCode, len(got), res.Header)
						}
					})
				}
				group.Wait()
			})
		}
	}
}

func TestServerResetsAStreamWhoseHandlerAborts(t *testing.T) {
	url, cfg := serveOurs(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			panic(http.ErrAbortHandler)
		}
	})
	tr := &Transport{TLS: cfg}
	if _, _, err := post(t.Context(), t, tr, url+"/cut", "x"); err == nil || errors.Is(err, ErrNotSent) {
		t.Errorf("err = %v, want a reset stream", err)
	}
	if _, _, err := post(t.Context(), t, tr, url+"/", "x"); err != nil {
		t.Errorf("the connection died with the stream: %v", err)
	}
}

func TestServerTellsHandlersThatTheClientLeft(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	url, cfg := serveOurs(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, _, err := post(ctx, t, &Transport{TLS: cfg}, url, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want the context's", err)
	}
	<-left
}

func TestServerHangsUpOnNonsense(t *testing.T) {
	url, cfg := serveOurs(t, echo)
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"h2"}
	for name, nonsense := range map[string]string{
		"another protocol": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"a frame too long": http2.ClientPreface + "\xff\xff\xff\x00\x00\x00\x00\x00\x01",
		"a broken block":   http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x01\x01\x04\x00\x00\x00\x01\xff",
		"a stray block":    http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x00\x09\x04\x00\x00\x00\x01",
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := io.WriteString(nc, nonsense); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Logf("closed with %v", err) // a reset is as good as an end
			}
		})
	}
}
