package publicnet

import (
	"net/netip"
	"testing"
)

func TestOnlyPublicAddressesAreOpen(t *testing.T) {
	tests := map[string]bool{
		"8.8.8.8": true, "142.250.185.106": true, "2a00:1450:4001:828::200a": true, "17.57.144.86": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false,
		"10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "::ffff:10.0.0.1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "fec0::1": false,
		"0.0.0.0": false, "0.1.2.3": false, "::": false, "255.255.255.255": false, "240.0.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "100.64.0.1": false, "100.100.100.200": false, "198.18.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::a00:1": false, "2002:7f00:1::": false, "2001::1": false,
		"172.32.0.1": true, "100.128.0.1": true, "192.0.1.1": true,
	}
	for address, want := range tests {
		if got := Is(netip.MustParseAddr(address)); got != want {
			t.Errorf("Is(%s) = %v, want %v", address, got, want)
		}
	}
	if Control("tcp", "not an address", nil) == nil {
		t.Error("what is not an address is open")
	}
}
