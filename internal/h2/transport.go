// Package h2 is an HTTP/2 client for many small requests to few hosts, which is
// what talking to push services is.
//
// net/http spends a system call and a TLS record on the headers of a request
// and another on its body. Here whoever sends puts frames behind those of the
// others that wait, and one goroutine writes them all; one reads the answers.
// Under load hundreds of requests share a record and a system call.
//
// It is an [http.RoundTripper], so a vendor's SDK that takes an http.Client
// gains it without knowing. It speaks HTTP/2 over TLS and nothing else. Request
// and response bodies are held in memory, bounded by [MaxBody]; there is no
// streaming, no server push and no trailer.
//
// A request ends in exactly one of three ways: it was answered, it certainly was
// not processed ([ErrNotSent]), or nobody knows. Only the second is sent again,
// here or by the caller.
package h2

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// MaxBody bounds a request's and a response's body, in bytes.
const MaxBody = 1 << 20

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

	// Idle is how long a connection with requests under way may be silent before
	// it is asked whether it lives, and how long the answer may take before its
	// requests are given up. One without requests is asked four times as seldom.
	// Default 15 s.
	Idle time.Duration

	// Keep is how long the last connection to a host is kept without requests;
	// others are kept a tenth of it. Default 10 min.
	Keep time.Duration

	// MaxAge is about how old a connection grows before another takes its place,
	// so that load finds new machines behind a name: 9 to 11 tenths of it, that
	// not all go at once. Default 1 h.
	MaxAge time.Duration

	// Proxy names the HTTP proxy for a URL; its answer nil means none. Default:
	// HTTPS_PROXY and NO_PROXY of the environment.
	Proxy func(*url.URL) (*url.URL, error)

	streams streams
	mu      sync.RWMutex
	hosts   map[string]*host // by the URL's host
}

const (
	defaultMaxConns = 8
	defaultIdle     = 15 * time.Second
	defaultKeep     = 10 * time.Minute
	defaultAge      = time.Hour
	dialTimeout     = 10 * time.Second
	// growEvery keeps connections from being opened in a burst, which a service
	// may take for an attack. It also gives a new connection time to be told how
	// many streams it may carry: APNs allows one until it has seen a valid token.
	growEvery = 100 * time.Millisecond
	// maxTries counts the connections that said goodbye just when a request came.
	maxTries = 4
)

// RoundTrip implements [http.RoundTripper]. What a server did not see before its
// farewell goes to another connection, and what it refused is sent again once;
// any other failure after the request was written is returned as it is.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		closeBody(req)
		return nil, fmt.Errorf("h2: %s://%s: %w: only https is spoken here", req.URL.Scheme, req.URL.Host, ErrNotSent)
	}
	st, err := t.streams.open(req)
	if err != nil {
		return nil, err
	}
	defer t.streams.close(st)
	if err := t.send(st); err != nil {
		return nil, err
	}
	return &st.ans.res, nil
}

// send finds a connection for the request, and another if that is safe.
func (t *Transport) send(st *stream) error {
	h := t.host(st.req.URL)
	resent := false
	for try := 1; ; try++ {
		c, err := h.acquire(st.req.Context())
		if err != nil {
			return fmt.Errorf("h2: %s: %w: %w", st.req.URL.Host, ErrNotSent, err)
		}
		err = c.roundTrip(st)
		h.release(c)
		switch {
		case err == nil || !errors.Is(err, ErrNotSent) || st.req.Context().Err() != nil || try == maxTries:
			return err
		case errors.Is(err, errRefused):
			if resent {
				return err
			}
			resent = true
		}
		st.again()
	}
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

func (t *Transport) host(u *url.URL) *host {
	t.mu.RLock()
	h := t.hosts[u.Host]
	t.mu.RUnlock()
	if h != nil {
		return h
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if h = t.hosts[u.Host]; h != nil {
		return h
	}
	if t.hosts == nil {
		t.hosts = map[string]*host{}
	}
	addr := u.Host
	if u.Port() == "" {
		addr = net.JoinHostPort(u.Hostname(), "443")
	}
	proxy := t.Proxy
	if proxy == nil {
		proxy = httpproxy.FromEnvironment().ProxyFunc()
	}
	h = &host{t: t, url: u, proxy: proxy, addr: addr, tls: t.tlsFor(u.Hostname())}
	t.hosts[u.Host] = h
	return h
}

func (t *Transport) tlsFor(name string) *tls.Config {
	cfg := &tls.Config{}
	if t.TLS != nil {
		cfg = t.TLS.Clone()
	}
	cfg.NextProtos = []string{"h2"}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	// Small records get the first bytes of a page on the screen sooner; we wait
	// for nothing but the last byte.
	cfg.DynamicRecordSizingDisabled = true
	if cfg.ServerName == "" {
		cfg.ServerName = name
	}
	return cfg
}

func (t *Transport) probe() time.Duration { return or(t.Idle, defaultIdle) }
func (t *Transport) keep() time.Duration  { return or(t.Keep, defaultKeep) }
func (t *Transport) age() time.Duration   { return or(t.MaxAge, defaultAge) }

// glance is how often a connection looks after itself.
func (t *Transport) glance() time.Duration { return min(t.probe(), t.keep()/20, t.age()/10) }

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
