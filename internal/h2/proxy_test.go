package h2

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// startProxy is an HTTP proxy that asks for a password and leads every name to
// one address. heard gets what it was asked.
func startProxy(t *testing.T, to string) (addr string, heard chan *http.Request) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	heard = make(chan *http.Request, 8)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				br := bufio.NewReader(nc)
				req, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				heard <- req
				if req.Header.Get("Proxy-Authorization") != "Basic aGVyYWxkOnMzY3JldA==" {
					_, _ = io.WriteString(nc, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
					return
				}
				there, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer there.Close()
				_, _ = io.WriteString(nc, "HTTP/1.1 200 Connection established\r\n\r\n")
				go func() { _, _ = io.Copy(there, br) }()
				_, _ = io.Copy(nc, there)
			}()
		}
	}()
	return ln.Addr().String(), heard
}

func TestProxyOfTheEnvironmentIsUsed(t *testing.T) {
	srv, tr := start(t, nil, echo)
	proxy, heard := startProxy(t, strings.TrimPrefix(srv.URL, "https://"))
	t.Setenv("HTTPS_PROXY", "http://herald:s3cret@"+proxy)
	t.Setenv("NO_PROXY", "direct.example.com")
	tr.TLS.ServerName = "example.com" // which the test's certificate is for
	if _, got, err := post(t.Context(), t, tr, "https://push.example.com/x", "hello"); err != nil || got != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	if req := <-heard; req.Method != http.MethodConnect || req.Host != "push.example.com:443" {
		t.Errorf("the proxy was asked %s %s", req.Method, req.Host)
	}
	if _, _, err := post(t.Context(), t, tr, "https://direct.example.com:1/x", "hello"); !errors.Is(err, ErrNotSent) || len(heard) != 0 {
		t.Errorf("err = %v; the proxy was asked %d times for what NO_PROXY names", err, len(heard))
	}
}

func TestProxyThatRefusesIsNamedAndItsPasswordIsNot(t *testing.T) {
	proxy, _ := startProxy(t, "127.0.0.1:1")
	for name, tt := range map[string]struct{ url, want string }{
		"a wrong password":        {"http://herald:wr0ng@" + proxy, "407"},
		"a proxy of another kind": {"socks5://herald:wr0ng@" + proxy, "socks5"},
		"no way through":          {"http://herald:s3cret@" + proxy, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &Transport{Proxy: func(*url.URL) (*url.URL, error) { return url.Parse(tt.url) }}
			_, _, err := post(t.Context(), t, tr, "https://push.example.com/", "x")
			if !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want ErrNotSent and %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}

func TestSilentProxyIsGivenUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // it never accepts
	h := &host{t: &Transport{}, addr: "push.example.com:443", tls: (&Transport{}).tlsFor("push.example.com"), proxy: func(*url.URL) (*url.URL, error) {
		return url.Parse("http://" + ln.Addr().String())
	}}
	ctx, cancel := timeout(t, 50*time.Millisecond)
	defer cancel()
	if _, err := h.open(ctx); err == nil {
		t.Error("a proxy that says nothing was waited for and believed")
	}
}
