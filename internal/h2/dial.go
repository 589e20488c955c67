package h2

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// open makes a connection, through a proxy if there is one, that speaks HTTP/2.
func (h *host) open(ctx context.Context) (*conn, error) {
	raw, err := h.connect(ctx)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(buffered(raw), h.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	if tc.ConnectionState().NegotiatedProtocol != "h2" {
		_ = tc.Close()
		return nil, errors.New("server does not speak HTTP/2")
	}
	return newConn(ctx, tc, h)
}

func (h *host) connect(ctx context.Context) (net.Conn, error) {
	dialer := &net.Dialer{KeepAlive: 15 * time.Second}
	proxy, err := h.proxy(&url.URL{Scheme: "https", Host: h.addr})
	if err != nil {
		return nil, errors.New("the proxy's address in the environment cannot be read") // it may hold a password
	}
	if proxy == nil {
		return dialer.DialContext(ctx, "tcp", h.addr)
	}
	nc, err := dialProxy(ctx, dialer, proxy, h.tls)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	nc, err = tunnel(ctx, nc, h.addr, proxy.User)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return nc, nil
}

func dialProxy(ctx context.Context, dialer *net.Dialer, proxy *url.URL, base *tls.Config) (net.Conn, error) {
	port := proxy.Port()
	switch proxy.Scheme {
	case "http":
		nc, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), or(port, "80")))
		return nc, err
	case "https":
		cfg := &tls.Config{RootCAs: base.RootCAs, ServerName: proxy.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
		return (&tls.Dialer{NetDialer: dialer, Config: cfg}).DialContext(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), or(port, "443")))
	default:
		return nil, fmt.Errorf("%q proxies are not spoken here, only http and https", proxy.Scheme)
	}
}

// tunnel asks a proxy for a way through to addr. It closes nc if there is none.
func tunnel(ctx context.Context, nc net.Conn, addr string, user *url.Userinfo) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	through, err := askTunnel(nc, addr, user)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return through, nil
}

func askTunnel(nc net.Conn, addr string, user *url.Userinfo) (net.Conn, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if user != nil {
		password, _ := user.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := req.Write(nc); err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(nc, 4<<10)
	res, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d to CONNECT", res.StatusCode)
	}
	return &bufferedConn{Conn: nc, br: br}, nil
}

// bufferedConn reads ahead: a server that writes many small records costs a
// system call for all that have come instead of one or two for each.
type bufferedConn struct {
	net.Conn
	br *bufio.Reader
}

func buffered(nc net.Conn) net.Conn {
	return &bufferedConn{nc, bufio.NewReaderSize(nc, 32<<10)}
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.br.Read(p) }
