package providers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/h2"
	"github.com/herald-push/herald/push"
)

// maxAnswer is how much of a service's answer is read; theirs are a few hundred
// bytes, and a page of HTML needs no reading.
const maxAnswer = 64 << 10

// Exchange is what one attempt came to on the wire, whatever the vendor's SDK
// above makes of it. An SDK may lose the status of an answer it cannot parse,
// or try again by itself; the exchange keeps the truth. Give it to the SDK
// inside the context and to the wire as an [ExchangeTransport].
type Exchange struct {
	Status int
	Header http.Header
	Body   []byte // at most 64 KiB; nil if it could not be read to its end
	Err    error  // why there is no answer

	written atomic.Bool // some of the request may have left
	done    bool        // an attempt was made: there must be no other
}

type exchangeKey struct{}

// WithExchange returns a context whose next HTTP request is kept in x.
func WithExchange(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// ExchangeTransport makes the one attempt of each [Exchange] through Base.
type ExchangeTransport struct{ Base http.RoundTripper }

// errSecond stops an SDK that tries again by itself.
var errSecond = errors.New("providers: a second attempt was refused")

// RoundTrip makes the request and keeps the outcome in its context's exchange.
// The answer's body is read to its end before RoundTrip returns.
func (t *ExchangeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*Exchange)
	if !ok {
		return t.Base.RoundTrip(req)
	}
	if x.done {
		return nil, errSecond
	}
	x.done = true
	if e, own := t.Base.(*ownEngine); own && e.knows(req) {
		x.written.Store(true) // its errors say what was not
	} else if req.Body != nil {
		req.Body = &watchedBody{ReadCloser: req.Body, read: &x.written}
		if again := req.GetBody; again != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				b, err := again()
				return &watchedBody{ReadCloser: b, read: &x.written}, err
			}
		}
	}
	res, err := t.Base.RoundTrip(req)
	if err != nil {
		x.Err = err
		return nil, err
	}
	x.Status, x.Header = res.StatusCode, res.Header
	if x.Body, x.Err = readAll(res); x.Err != nil {
		return nil, x.Err
	}
	if res.Body = http.NoBody; len(x.Body) > 0 {
		res.Body = io.NopCloser(bytes.NewReader(x.Body))
	}
	return res, nil
}

// Tried reports whether the SDK got as far as making the request.
func (x *Exchange) Tried() bool { return x.done }

// Client is how a vendor is spoken to: each request is one [Exchange], and what
// it carries goes nowhere that the vendor redirects to.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: &ExchangeTransport{Base: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// Ask makes one request through a [Client] and reads the answer to its end. Its
// error is that of an attempt without an answer.
func Ask(ctx context.Context, client *http.Client, provider, method, address string, body []byte, header http.Header) (*Exchange, *push.Error) {
	x := new(Exchange)
	req, err := http.NewRequestWithContext(WithExchange(ctx, x), method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &push.Error{Provider: provider, Kind: push.ErrRejected, Detail: "the request cannot be made"}
	}
	req.Header = header
	res, err := client.Do(req)
	if err == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	if !x.Answered() {
		return nil, x.Failure(provider, err)
	}
	return x, nil
}

// Answered reports whether the service's verdict is known. That of a refusal is
// even if its explanation was cut off.
func (x *Exchange) Answered() bool {
	return x.Status != 0 && (x.Err == nil || x.Status >= 300)
}

// readAll reads an answer's body; most accepted ones have none.
func readAll(res *http.Response) ([]byte, error) {
	defer res.Body.Close()
	n := res.ContentLength
	if n < 0 || n > maxAnswer {
		return io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	}
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	got, err := io.ReadFull(res.Body, b)
	return b[:got], err
}

// watchedBody notes that the transport began to read the request's body, which
// it does once the connection stands and the headers are on their way. Until
// then nothing can have been sent.
type watchedBody struct {
	io.ReadCloser
	read *atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

// Failure is the error of an attempt that got no answer: [push.ErrUnknown] if
// the request may have reached the service, else [push.ErrUnavailable].
func (x *Exchange) Failure(provider string, err error) *push.Error {
	if x.Err != nil {
		err = x.Err
	}
	kind, detail := push.ErrUnavailable, "could not connect"
	if x.written.Load() && !errors.Is(err, h2.ErrNotSent) {
		kind, detail = push.ErrUnknown, "no answer"
	}
	if errors.Is(kind, push.ErrUnavailable) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		detail = "not sent in time"
	}
	var unknownCA x509.UnknownAuthorityError
	var badHost x509.HostnameError
	var badCert *tls.CertificateVerificationError
	if errors.As(err, &badCert) || errors.As(err, &unknownCA) || errors.As(err, &badHost) {
		detail = "its certificate is not to be trusted"
	}
	return &push.Error{Provider: provider, Kind: kind, Detail: detail, Err: bare(err)}
}

// NotTheirs is the error for an answer that is not the service's: a page of
// HTML from something in between. An answer that claims success may hide a
// message that went through.
func (x *Exchange) NotTheirs(provider string) *push.Error {
	e := &push.Error{
		Provider: provider, Kind: push.ErrUnavailable, Code: strconv.Itoa(x.Status),
		Detail: "the answer is not the service's own", RetryAfter: x.RetryAfter(),
	}
	if x.Status/100 == 2 {
		e.Kind = push.ErrUnknown
	}
	return e
}

// RetryAfter reads the answer's header of that name: seconds or a date. It is 0
// if there is none, and at most a day.
func (x *Exchange) RetryAfter() time.Duration {
	v := x.Header.Get("Retry-After")
	if v == "" {
		return 0
	}
	var d time.Duration
	if s, err := strconv.ParseInt(v, 10, 32); err == nil {
		d = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), 24*time.Hour)
}

// bare takes the address off an error, for it may hold a device token or an
// account, and is known to whoever reads the error.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// Dialer is how providers connect: long enough for a slow handshake, short
// enough that a dead address is noticed before most deadlines.
func Dialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
}

// TLS is the configuration for a service: the system's trust store
// (SSL_CERT_FILE counts) and the optional certificates in ca, in PEM.
func TLS(ca string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(16)}
	if ca == "" {
		return c, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("providers: ca holds no certificate in PEM")
	}
	c.RootCAs = roots
	return c, nil
}

// HTTPTransport is a transport of its own for one service: HTTP/2 where the
// service offers it, with pings on a silent connection, and HTTP/1.1 otherwise.
func HTTPTransport(c *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            Dialer().DialContext,
		TLSClientConfig:        c,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        5 * time.Minute,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 32 << 10,
	}
}
