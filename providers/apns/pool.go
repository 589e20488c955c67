package apns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/herald-push/herald/providers"
)

const (
	// maxConns bounds the connections to one host: at the thousand streams that
	// Apple allows on each, more than one process can fill.
	maxConns = 32
	// growEvery keeps connections from being opened in a burst, which Apple
	// takes for an attack. It also gives a new connection, which may carry one
	// stream only until Apple has seen a valid token, time to be told its limit.
	growEvery = 100 * time.Millisecond
	// dialTimeout bounds connecting with TLS, whoever waits for it.
	dialTimeout = 10 * time.Second
)

// pool keeps HTTP/2 connections by host and opens another when the streams of
// all are taken. Unlike the transport's own pool it lets a caller go as soon as
// the caller's context is done, even while a handshake hangs.
type pool struct {
	transport *http2.Transport
	tls       *tls.Config
	dialer    *net.Dialer

	mu    sync.Mutex
	hosts map[string]*host
}

type host struct {
	conns    []*http2.ClientConn
	dialing  *dial // nil if none is under way
	lastDial time.Time
}

type dial struct {
	done chan struct{}
	err  error // read it after done
}

// newTransport returns a transport of HTTP/2 over TLS with a pool of its own.
func newTransport(c *tls.Config) *http2.Transport {
	p := &pool{tls: c.Clone(), dialer: providers.Dialer(), hosts: make(map[string]*host)}
	p.tls.NextProtos = []string{http2.NextProtoTLS}
	p.transport = &http2.Transport{
		ConnPool:           p,
		DisableCompression: true,
		ReadIdleTimeout:    15 * time.Second, // then a ping, so that a dead connection is noticed
		PingTimeout:        10 * time.Second,
		WriteByteTimeout:   10 * time.Second,
		IdleConnTimeout:    30 * time.Minute,
	}
	return p.transport
}

// GetClientConn implements [http2.ClientConnPool]: a connection with a stream
// reserved on it.
func (p *pool) GetClientConn(req *http.Request, addr string) (*http2.ClientConn, error) {
	ctx := req.Context()
	for pause := time.Millisecond; ; pause = min(2*pause, 16*time.Millisecond) {
		cc, d := p.take(addr)
		if cc != nil {
			return cc, nil
		}
		if d != nil {
			select {
			case <-d.done:
				if d.err != nil {
					return nil, d.err
				}
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			continue
		}
		// All streams are taken and it is too early for another connection.
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// take reserves a stream, or names the dial to wait for, or neither. It fills
// the first connection before the next, for frames that leave together share
// a system call.
func (p *pool) take(addr string) (*http2.ClientConn, *dial) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[addr]
	if h == nil {
		h = &host{}
		p.hosts[addr] = h
	}
	for _, cc := range h.conns {
		if cc.ReserveNewRequest() {
			return cc, nil
		}
	}
	early := len(h.conns) > 0 && time.Since(h.lastDial) < growEvery
	if h.dialing == nil && !early && len(h.conns) < maxConns {
		h.dialing, h.lastDial = &dial{done: make(chan struct{})}, time.Now()
		go p.dial(addr, h, h.dialing)
	}
	return nil, h.dialing
}

// dial connects for all who wait. It ends within dialTimeout.
func (p *pool) dial(addr string, h *host, d *dial) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	cc, err := p.connect(ctx, addr)

	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		h.conns = append(h.conns, cc)
	}
	h.dialing = nil
	d.err = err
	close(d.done)
}

func (p *pool) connect(ctx context.Context, addr string) (*http2.ClientConn, error) {
	d := tls.Dialer{NetDialer: p.dialer, Config: p.tls}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if proto := c.(*tls.Conn).ConnectionState().NegotiatedProtocol; proto != http2.NextProtoTLS {
		return nil, errors.Join(errors.New("the service does not offer HTTP/2"), c.Close())
	}
	cc, err := p.transport.NewClientConn(c)
	if err != nil {
		return nil, fmt.Errorf("http2: %w", errors.Join(err, c.Close()))
	}
	return cc, nil
}

// MarkDead implements [http2.ClientConnPool].
func (p *pool) MarkDead(dead *http2.ClientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.hosts {
		h.conns = slices.DeleteFunc(h.conns, func(cc *http2.ClientConn) bool { return cc == dead })
	}
}

// retire closes every connection once its streams have ended.
func (p *pool) retire() {
	p.mu.Lock()
	var all []*http2.ClientConn
	for _, h := range p.hosts {
		all = append(all, h.conns...)
	}
	p.mu.Unlock()
	for _, cc := range all {
		cc.SetDoNotReuse() // closes when the last stream ends
		if s := cc.State(); s.StreamsActive == 0 && s.StreamsReserved == 0 && s.StreamsPending == 0 {
			_ = cc.Close() // nothing to lose: it is idle
		}
	}
}
