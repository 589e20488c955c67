package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"golang.org/x/net/http/httpguts"
)

// errPrivate is why a connection was not made.
var errPrivate = errors.New("the address is not a public one")

// backend is a server of a business, with what keeps its troubles its own: a
// pool of connections, places for calls under way, a breaker.
type backend struct {
	name     string
	base     string // its URL without a slash at the end
	headers  map[string]string
	client   *http.Client
	slots    chan struct{}
	breaker  circuitbreaker.CircuitBreaker[any]
	maxBytes int
	auth     *auth
}

func (c *compiler) backend(field, name string, b Backend) *backend {
	c.name(field, name)
	u := c.url(field+".url", b.URL)
	if b.AllowPrivate && !c.rules.AllowPrivate {
		c.faults.Add(field+".allow_private", "is the operator's to permit: gateway.allow_private")
	}
	for h, v := range b.Headers {
		c.header(field+".headers."+h, h, v)
	}
	c.within(field+".timeout_ms", b.TimeoutMS, 1, int(maxTimeout.Milliseconds()), 0)
	out := &backend{
		name: name, base: strings.TrimSuffix(u.String(), "/"), headers: b.Headers,
		slots:    make(chan struct{}, c.within(field+".concurrency", b.Concurrency, 1, 10_000, 64)),
		maxBytes: c.within(field+".max_bytes", b.MaxBytes, 1, maxAnswer, defaultAnswer),
		breaker:  c.breaker(field+".breaker", b.Breaker),
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(b.CA)) {
			c.faults.Add(field+".ca", "has no certificate in PEM")
		}
		config.RootCAs = pool
	}
	transport := &http.Transport{
		DialContext:         guardedDial(b.AllowPrivate),
		TLSClientConfig:     config,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: cap(out.slots),
		MaxConnsPerHost:     cap(out.slots),
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second,
	}
	out.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if b.Auth != nil {
		out.auth = c.auth(field+".auth", *b.Auth, out.client, config)
	}
	return out
}

func (c *compiler) breaker(field string, b *Breaker) circuitbreaker.CircuitBreaker[any] {
	if b == nil {
		b = &Breaker{}
	}
	percent := c.within(field+".percent", b.Percent, 1, 100, 50)
	calls := c.within(field+".calls", b.Calls, 1, 10_000, 10)
	window := c.within(field+".window_seconds", b.WindowSeconds, 1, 600, 10)
	open := c.within(field+".open_ms", b.OpenMS, 1, 600_000, 5_000)
	if len(c.faults) > 0 {
		return nil // its numbers may be out of bounds
	}
	return circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(float64(percent)/100, uint(calls), time.Duration(window)*time.Second).
		WithDelay(time.Duration(open) * time.Millisecond).
		WithSuccessThreshold(1).
		Build()
}

// header checks a header that a declaration adds.
func (c *compiler) header(field, name, value string) {
	if fault := headerFault(name, value); fault != "" {
		c.faults.Add(field, fault)
	}
}

// headerFault tells why a header may not be sent: what frames a message, leads
// it elsewhere or proves who sends it is not a mapping's to say.
func headerFault(name, value string) string {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return "is no name of a header"
	case !httpguts.ValidHeaderFieldValue(value):
		return "has a character that headers may not have"
	}
	switch strings.ToLower(name) {
	case "host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive",
		"proxy-connection", "proxy-authorization", "proxy-authenticate", "authorization", "cookie", "forwarded",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "expect", "accept-encoding":
		return "may not be set"
	}
	return ""
}

// guardedDial connects to public addresses alone. The address is looked at when
// the connection is made: a name may lead elsewhere than it did a moment ago.
func guardedDial(private bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	if !private {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err != nil || !public(at.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return d.DialContext
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	// Not private by Go's word and yet nobody's public service (RFC 6598,
	// RFC 2544, RFC 6890, RFC 6052).
	for _, p := range [...]string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
	} {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// incoming is what a back end answered.
type incoming struct {
	status int
	header http.Header
	body   any // decoded JSON; nil if there was none
}

// send makes one attempt. Its error is an [Error].
func (b *backend) send(ctx context.Context, out *outgoing, etag string) (*incoming, error) {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	default:
		return nil, fail(CodeBusy, fmt.Sprintf("%d calls are under way", cap(b.slots)), nil)
	}
	if !b.breaker.TryAcquirePermit() {
		e := fail(CodeOpen, "the back end failed too often; it is left alone for a moment", nil)
		e.RetryAfter = max(b.breaker.RemainingDelay(), time.Second)
		return nil, e
	}
	in, err := b.attempt(ctx, out, etag)
	b.judge(err)
	return in, err
}

// judge tells the breaker how a call went. A caller who has left says nothing
// about the back end; where one call was let through to see whether it is well,
// it was not seen to be.
func (b *backend) judge(err error) {
	switch e := asError(err); {
	case err == nil:
		b.breaker.RecordSuccess()
	case e.Code == CodeCancelled:
		if b.breaker.IsHalfOpen() {
			b.breaker.RecordFailure()
		}
	case e.backend():
		b.breaker.RecordFailure()
	default:
		b.breaker.RecordSuccess()
	}
}

func (b *backend) attempt(ctx context.Context, out *outgoing, etag string) (*incoming, error) {
	in, err := b.exchange(ctx, out, etag)
	if err == nil && in.status == http.StatusUnauthorized && b.auth != nil && b.auth.renew() {
		in, err = b.exchange(ctx, out, etag) // the token had been taken back
	}
	if err == nil && in.status >= 500 {
		e := fail(CodeFailed, fmt.Sprintf("the back end answered %d", in.status), nil)
		return in, e
	}
	return in, err
}

func (b *backend) exchange(ctx context.Context, out *outgoing, etag string) (*incoming, error) {
	req, err := http.NewRequestWithContext(ctx, out.method, b.base+out.path, bytes.NewReader(out.body))
	if err != nil {
		return nil, fail(CodeMapping, "the request cannot be made", err)
	}
	req.URL.RawQuery = out.query.Encode()
	for name, value := range b.headers {
		req.Header.Set(name, value)
	}
	for name, value := range out.headers {
		req.Header.Set(name, value)
	}
	if out.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	req.Header.Set("User-Agent", "Herald")
	if b.auth != nil {
		if err := b.auth.sign(ctx, req, out.body); err != nil {
			return nil, fail(CodeAuth, "the back end cannot be logged in to", err)
		}
	}
	res, err := b.client.Do(req)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	defer res.Body.Close()
	return b.read(ctx, res)
}

// read takes an answer that is JSON, of bounded size, and nothing else.
func (b *backend) read(ctx context.Context, res *http.Response) (*incoming, error) {
	in := &incoming{status: res.StatusCode, header: res.Header}
	if res.StatusCode >= 300 && res.StatusCode < 400 && res.StatusCode != http.StatusNotModified {
		return nil, fail(CodeRedirected, "the back end sends elsewhere; redirects are not followed", nil)
	}
	var text bytes.Buffer
	if n := res.ContentLength; n > 0 && n <= int64(b.maxBytes) {
		text.Grow(int(n) + bytes.MinRead)
	}
	_, err := text.ReadFrom(io.LimitReader(res.Body, int64(b.maxBytes)+1))
	raw := text.Bytes()
	switch {
	case len(raw) > b.maxBytes:
		return nil, fail(CodeTooLarge, fmt.Sprintf("the back end's answer is longer than %d bytes", b.maxBytes), nil)
	case err != nil:
		return nil, wireError(ctx, err)
	case len(bytes.TrimSpace(raw)) == 0:
		return in, nil
	}
	if in.body, err = decode(raw); err != nil {
		in.body = nil
		if res.StatusCode < 400 {
			kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
			return nil, fail(CodeNotJSON, fmt.Sprintf("the back end answered %d with what is not JSON (%s)", res.StatusCode, kind), err)
		}
	}
	return in, nil
}

// wireError is the kind of what went wrong on the way.
func wireError(ctx context.Context, err error) *Error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errPrivate):
		return fail(CodePrivate, "the back end's address is not a public one", err)
	case errors.Is(context.Cause(ctx), context.Canceled):
		return fail(CodeCancelled, "the caller has left", err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fail(CodeTimeout, "the back end did not answer in time", err)
	default:
		var at *url.Error
		if errors.As(err, &at) { // without the URL, which may carry a key
			err = at.Err
		}
		return fail(CodeUnreachable, "the back end was not reached", err)
	}
}
