// Package h2 is an HTTP/2 client for many small requests to few hosts, which is
// what talking to push services is.
//
// net/http spends a system call and a TLS record on the headers of a request
// and another on its body. Here the requests that are waiting when a connection
// becomes writable leave together: one goroutine writes the frames of all of
// them into one buffer, one reads the answers. Under load hundreds of requests
// share a system call.
//
// It is an [http.RoundTripper], so a vendor's SDK that takes an http.Client
// gains it without knowing. Request and response bodies are held in memory,
// bounded by [MaxBody]; there is no streaming, no server push and no trailer.
package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

// MaxBody bounds a request's and a response's body, in bytes.
const MaxBody = 1 << 20

// ErrNotSent is in the error of a request that certainly never reached the
// server: it may be sent again without risk of a second copy.
var ErrNotSent = errors.New("request was not sent")

// Transport keeps connections to each host it is asked for. Its fields must not
// change after the first request. The zero value is ready for use.
type Transport struct {
	// TLS is the base of the TLS configuration: roots, client certificate. May
	// be nil.
	TLS *tls.Config

	// MaxConns bounds the connections to one host; a further one is opened when
	// the others have as many requests under way as the server allows. Requests
	// beyond that wait. Default 8.
	MaxConns int

	// Idle is how long a connection may be silent before it is asked whether it
	// lives, and how long the answer may take before its requests are given up.
	// Default 15 s.
	Idle time.Duration

	// Fallback serves plain http:// requests, hosts that do not speak HTTP/2, and
	// hosts that the environment wants reached through a proxy. Default: such
	// requests fail, and there is no proxy.
	Fallback http.RoundTripper

	mu    sync.Mutex
	hosts map[string]*host
}

const (
	defaultMaxConns = 8
	defaultIdle     = 15 * time.Second
	dialTimeout     = 10 * time.Second
	// growEvery keeps connections from being opened in a burst, which a service
	// may take for an attack. It also gives a new connection time to be told how
	// many streams it may carry: APNs allows one until it has seen a valid token.
	growEvery = 100 * time.Millisecond
	// maxTries counts sends of one request that the server certainly did not
	// process: a connection that was closing as we wrote, a refused stream.
	maxTries = 3
)

// RoundTrip implements [http.RoundTripper]. It sends again only what certainly
// did not reach the server; any other failure after the request was written is
// returned as it is.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || t.proxied(req) {
		return t.fall(req)
	}
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	h := t.host(hostPort(req))
	for try := 1; ; try++ {
		c, err := h.acquire(req.Context())
		if errors.Is(err, errNoHTTP2) {
			return t.fallWith(req, body)
		}
		if err != nil {
			return nil, fmt.Errorf("h2: %s: %w: %w", req.URL.Host, ErrNotSent, err)
		}
		res, err := c.roundTrip(req, body)
		h.release(c)
		if err == nil || !errors.Is(err, ErrNotSent) || try == maxTries || req.Context().Err() != nil {
			return res, err
		}
	}
}

func (t *Transport) proxied(req *http.Request) bool {
	if t.Fallback == nil {
		return false
	}
	proxy, err := http.ProxyFromEnvironment(req)
	return proxy != nil || err != nil // the fallback will say what is wrong with it
}

func (t *Transport) fall(req *http.Request) (*http.Response, error) {
	if t.Fallback == nil {
		return nil, fmt.Errorf("h2: %s://%s: %w: only https is spoken here", req.URL.Scheme, req.URL.Host, ErrNotSent)
	}
	return t.Fallback.RoundTrip(req)
}

// fallWith is fall for a request whose body has been read.
func (t *Transport) fallWith(req *http.Request, body []byte) (*http.Response, error) {
	again := req.Clone(req.Context())
	again.Body = bodyOf(body)
	return t.fall(again)
}

// CloseIdleConnections closes every connection as soon as it has no request
// under way. Later requests open new ones.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	hosts := t.hosts
	t.hosts = nil
	t.mu.Unlock()
	for _, h := range hosts {
		h.retire()
	}
}

func (t *Transport) host(addr string) *host {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[addr]
	if h == nil {
		if t.hosts == nil {
			t.hosts = map[string]*host{}
		}
		h = &host{addr: addr, tls: t.tlsFor(addr), maxConns: or(t.MaxConns, defaultMaxConns), idle: or(t.Idle, defaultIdle)}
		t.hosts[addr] = h
	}
	return h
}

func (t *Transport) tlsFor(addr string) *tls.Config {
	cfg := &tls.Config{}
	if t.TLS != nil {
		cfg = t.TLS.Clone()
	}
	cfg.NextProtos = []string{"h2"}
	if t.Fallback != nil {
		cfg.NextProtos = append(cfg.NextProtos, "http/1.1")
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(addr)
	}
	return cfg
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func hostPort(req *http.Request) string {
	if req.URL.Port() == "" {
		return net.JoinHostPort(req.URL.Hostname(), "443")
	}
	return req.URL.Host
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	defer req.Body.Close()
	if req.ContentLength > MaxBody {
		return nil, fmt.Errorf("h2: %w: body of %d bytes is over %d", ErrNotSent, req.ContentLength, MaxBody)
	}
	if n := req.ContentLength; n > 0 {
		body := make([]byte, n)
		if _, err := io.ReadFull(req.Body, body); err != nil {
			return nil, fmt.Errorf("h2: %w: read body: %w", ErrNotSent, err)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("h2: %w: read body: %w", ErrNotSent, err)
	case len(body) > MaxBody:
		return nil, fmt.Errorf("h2: %w: body is over %d bytes", ErrNotSent, MaxBody)
	}
	return body, nil
}

var errNoHTTP2 = errors.New("server does not speak HTTP/2")

// host is the pool of connections to one address.
type host struct {
	addr     string
	tls      *tls.Config
	maxConns int
	idle     time.Duration

	mu      sync.Mutex
	conns   []*conn
	dialing bool
	dialed  time.Time    // when the last dial began
	plain   bool         // the server chose HTTP/1.1
	waiting []chan error // requests without a place, first come first served
}

// acquire finds a connection with a free place, opens one, or waits. The caller
// owes a release.
func (h *host) acquire(ctx context.Context) (*conn, error) {
	for {
		h.mu.Lock()
		if h.plain {
			h.mu.Unlock()
			return nil, errNoHTTP2
		}
		if c := h.freeLocked(); c != nil {
			h.mu.Unlock()
			return c, nil
		}
		h.widenLocked()
		turn := make(chan error, 1)
		h.waiting = append(h.waiting, turn)
		h.mu.Unlock()

		select {
		case err := <-turn:
			if err != nil {
				return nil, err
			}
		case <-ctx.Done():
			h.leave(turn)
			return nil, ctx.Err()
		}
	}
}

// freeLocked takes a place on the first connection that has one: full
// connections coalesce best.
func (h *host) freeLocked() *conn {
	if !h.anyLocked() {
		return nil
	}
	for _, c := range h.conns {
		if c.places < int(c.maxStreams.Load()) {
			c.places++
			return c
		}
	}
	return nil
}

// anyLocked drops the connections that are closing and reports whether any is
// left.
func (h *host) anyLocked() bool {
	h.conns = slices.DeleteFunc(h.conns, func(c *conn) bool { return c.closing.Load() })
	return len(h.conns) > 0
}

func (h *host) release(c *conn) {
	h.mu.Lock()
	c.places--
	idle := c.places == 0 && c.closing.Load()
	h.wakeLocked(1, nil)
	h.mu.Unlock()
	if idle {
		c.close(net.ErrClosed)
	}
}

// leave gives up a turn, or hands it on if it came at the same moment.
func (h *host) leave(turn chan error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.waiting, turn); i >= 0 {
		h.waiting = slices.Delete(h.waiting, i, i+1)
		return
	}
	h.wakeLocked(1, nil)
}

// wakeLocked gives n of those who wait a turn to look again, or an error.
func (h *host) wakeLocked(n int, err error) {
	n = min(n, len(h.waiting))
	for _, turn := range h.waiting[:n] {
		turn <- err
	}
	h.waiting = h.waiting[n:]
}

// widenLocked sees to it that another connection is opened, now or as soon as
// it is not too early for one.
func (h *host) widenLocked() {
	if h.dialing || len(h.conns) >= h.maxConns {
		return
	}
	h.dialing = true
	early := growEvery - time.Since(h.dialed)
	if len(h.conns) == 0 || early <= 0 {
		go h.dial()
		return
	}
	time.AfterFunc(early, func() {
		h.mu.Lock()
		needed := len(h.waiting) > 0
		h.dialing = needed
		h.mu.Unlock()
		if needed {
			h.dial()
		}
	})
}

// settled takes note that a connection may carry more streams than before.
func (h *host) settled(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wakeLocked(max(0, int(c.maxStreams.Load())-c.places), nil)
}

// dial opens one connection for all who wait. It has a time of its own: the
// request that happened to come first may be given up without harm to others.
func (h *host) dial() {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	h.mu.Lock()
	h.dialed = time.Now()
	h.mu.Unlock()
	c, err := h.open(ctx)

	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialing = false
	switch {
	case errors.Is(err, errNoHTTP2):
		h.plain = true
		h.wakeLocked(len(h.waiting), nil)
	case err != nil && !h.anyLocked():
		h.wakeLocked(len(h.waiting), err)
	case err == nil:
		h.conns = append(h.conns, c)
		h.wakeLocked(int(c.maxStreams.Load()), nil)
		if len(h.waiting) > 0 {
			h.widenLocked()
		}
	}
}

func (h *host) open(ctx context.Context) (*conn, error) {
	dialer := tls.Dialer{Config: h.tls}
	nc, err := dialer.DialContext(ctx, "tcp", h.addr)
	if err != nil {
		return nil, err
	}
	tc, _ := nc.(*tls.Conn)
	if tc.ConnectionState().NegotiatedProtocol != "h2" {
		_ = nc.Close()
		return nil, errNoHTTP2
	}
	return newConn(ctx, nc, h.idle, h.settled)
}

func (h *host) retire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.closing.Store(true)
		if c.places == 0 {
			go c.close(net.ErrClosed) // not here: our lock is held
		}
	}
	h.conns = nil
}

// wrote tells a caller's trace, if there is one, that the request has left.
func wrote(req *http.Request) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
}
