package custom

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"

	"github.com/herald-push/herald/providers"
)

// errPrivate is why a connection was not made.
var errPrivate = errors.New("the endpoint's address is not a public one; allow_private permits it")

// transport connects to the configuration's endpoints. Unless it allows
// private addresses they must be public ones, looked at when the connection is
// made: a name may lead elsewhere than it did a moment ago. What connections
// to a proxy of the operator's lead to is the proxy's affair.
func (c *config) transport() *http.Transport {
	t := providers.HTTPTransport(c.tls)
	if c.AllowPrivate {
		return t
	}
	own := map[string]bool{hostPort(c.Endpoint): true}
	if c.Auth != nil {
		own[hostPort(c.Auth.Endpoint)] = true
	}
	guarded := providers.Dialer()
	guarded.Control = func(_, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || !public(at.Addr()) {
			return errPrivate
		}
		return nil
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if own[address] {
			return guarded.DialContext(ctx, network, address)
		}
		return providers.Dialer().DialContext(ctx, network, address)
	}
	return t
}

func hostPort(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// reservedNets are not private by Go's word and yet nobody's public service
// (RFC 6598, RFC 2544, RFC 6890, RFC 6052).
var reservedNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range reservedNets {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}
