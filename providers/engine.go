package providers

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/herald-push/herald/internal/h2"
)

// Engine is the HTTP client under the vendors' SDKs, by one word of the
// configuration.
type Engine string

const (
	// OwnEngine is Herald's HTTP/2 client: the requests that wait leave together.
	OwnEngine Engine = "own"
	// GoEngine is net/http's, should the other ever be in the way.
	GoEngine Engine = "go"
)

// Validate reports a word that is not an engine.
func (e Engine) Validate() error {
	if e != OwnEngine && e != GoEngine {
		return fmt.Errorf("egress: %q is neither own nor go", string(e))
	}
	return nil
}

// Transport is what an SDK's http.Client is given.
type Transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// Transport makes one for a service that takes many small requests. Up to conns
// connections are opened to a host.
func (e Engine) Transport(c *tls.Config, conns int) Transport {
	if e == GoEngine {
		return HTTPTransport(c)
	}
	return &ownEngine{h2.Transport{TLS: c, MaxConns: conns}, HTTPTransport(c.Clone())}
}

// ownEngine speaks HTTP/2 of ours to https, and leaves plain http, which only
// services on the same machine are reached by, to net/http.
type ownEngine struct {
	http2 h2.Transport
	plain *http.Transport
}

// knows reports whether the request's error will say if it was not sent.
func (e *ownEngine) knows(req *http.Request) bool { return req.URL.Scheme == "https" }

func (e *ownEngine) RoundTrip(req *http.Request) (*http.Response, error) {
	if e.knows(req) {
		return e.http2.RoundTrip(req)
	}
	return e.plain.RoundTrip(req)
}

func (e *ownEngine) CloseIdleConnections() {
	e.http2.CloseIdleConnections()
	e.plain.CloseIdleConnections()
}
