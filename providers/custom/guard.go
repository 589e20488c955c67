package custom

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/herald-push/herald/internal/publicnet"
	"github.com/herald-push/herald/providers"
)

// errPrivate is why a connection was not made.
var errPrivate = errors.New("the endpoint's address is not a public one; allow_private permits it")

// transport connects to the configuration's endpoints. Unless it allows
// private addresses they must be public ones, looked at when the connection is
// made: a name may lead elsewhere than it did a moment ago. Only the operator's
// own proxy may be next door; where it leads to is its affair.
func (c *config) transport() *http.Transport {
	t := providers.HTTPTransport(c.tls)
	if c.AllowPrivate {
		return t
	}
	proxies := map[string]bool{proxyOf(c.Endpoint): true}
	if c.Auth != nil {
		proxies[proxyOf(c.Auth.Endpoint)] = true
	}
	guarded := providers.Dialer()
	guarded.Control = func(_, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || !publicnet.Is(at.Addr()) {
			return errPrivate
		}
		return nil
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if proxies[address] {
			return providers.Dialer().DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
	return t
}

// proxyOf is host and port of the proxy by which an endpoint is reached; "" if
// there is none.
func proxyOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil || proxy == nil {
		return ""
	}
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[proxy.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(proxy.Hostname()), port)
}
