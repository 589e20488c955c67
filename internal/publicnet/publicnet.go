// Package publicnet keeps connections that others have a say in, such as those
// to a browser's push service or an app's webhook, off the machines next door.
package publicnet

import (
	"errors"
	"net/netip"
	"syscall"
)

// ErrPrivate is given for an address that is not on the public internet. It
// tells nothing of what a name resolved to, because whoever gave the name may
// read it.
var ErrPrivate = errors.New("the endpoint's address is not public")

// closed are the ranges, beside those that netip knows by name, that are
// nobody's public service: www.iana.org/assignments/iana-ipv4-special-registry and
// iana-ipv6-special-registry. Those that carry an IPv4 address inside are
// closed as a whole.
var closed = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' NAT; some clouds' metadata
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// Control is a [net.Dialer]'s Control: it sees each address after it was
// resolved and before anything is sent there, so a name that resolves
// differently the second time gains nothing.
func Control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !Is(at.Addr()) {
		return ErrPrivate
	}
	return nil
}

// Is tells whether an address is on the public internet.
func Is(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range closed {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
