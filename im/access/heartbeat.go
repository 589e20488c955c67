package access

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// NetworkKind is the user property of CONNECT in which a client may tell what
// kind of network it is on, such as "wifi" or "cellular".
const NetworkKind = "network"

// Heartbeat shapes the search for the longest keep alive that a network bears:
// each ping wakes a phone's radio, and a silence that is too long makes the
// network forget the connection. MQTT 5 clients are given it as Server Keep
// Alive.
type Heartbeat struct {
	// Start is what a network nobody knows begins with. Default 4m.
	Start time.Duration `yaml:"start"`
	// Least and Most bound the search. Default 1m and 20m.
	Least time.Duration `yaml:"least"`
	Most  time.Duration `yaml:"most"`
	// Step is by how much it goes on. Default 1m.
	Step time.Duration `yaml:"step"`
	// Retry is when a network that failed is tried again. Default 168h.
	Retry time.Duration `yaml:"retry"`
	// Networks is how many networks are remembered. Default 10,000.
	Networks int `yaml:"networks"`
	// Carrier names the network of an address, as a database of autonomous
	// systems would. Default: its /24, or /48 of IPv6.
	Carrier func(netip.Addr) string `yaml:"-"`
}

func defaultHeartbeat() Heartbeat {
	return Heartbeat{
		Start: 4 * time.Minute, Least: time.Minute, Most: 20 * time.Minute, Step: time.Minute,
		Retry: 7 * 24 * time.Hour, Networks: 10_000, Carrier: neighbours,
	}
}

func (h Heartbeat) validate() error {
	var errs []error
	for key, d := range map[string]time.Duration{"least": h.Least, "step": h.Step, "retry": h.Retry} {
		if d < time.Second {
			errs = append(errs, fmt.Errorf("access.heartbeat.%s: %s is less than 1s", key, d))
		}
	}
	if h.Start < h.Least || h.Most < h.Start {
		errs = append(errs, fmt.Errorf("access.heartbeat.start: %s is not between %s and %s", h.Start, h.Least, h.Most))
	}
	if h.Networks < 1 {
		errs = append(errs, fmt.Errorf("access.heartbeat.networks: %d is less than 1", h.Networks))
	}
	return errors.Join(errs...)
}

// neighbours stands for the network of an address.
func neighbours(addr netip.Addr) string {
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// networks is what was learned of each network.
type networks struct {
	cfg Heartbeat

	mu    sync.Mutex
	known map[string]*network
}

// network is one of them. Its keep alive grows while silences of that length
// are survived, and falls back when they are not.
type network struct {
	keep      time.Duration // what is offered
	survived  int           // silences of about that length, one after the other
	failed    int           // connections lost in one
	ceiling   time.Duration // failed lately; 0 if nothing has
	ceilingAt time.Time
}

// Of a failure one may be chance, two are the network: Mars, the library of
// WeChat, needs three successes to go on and two failures to go back, too.
const (
	successes = 3
	failures  = 2
)

// of is the network that a client comes from.
func (n *networks) of(hello longconn.Hello) *network {
	key := ""
	if ap, err := netip.ParseAddrPort(hello.Remote); err == nil {
		key = n.cfg.Carrier(ap.Addr().Unmap())
	}
	for _, p := range hello.User {
		if p.Name == NetworkKind && len(p.Value) <= 16 {
			key += " " + p.Value
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = map[string]*network{}
	}
	if found := n.known[key]; found != nil {
		return found
	}
	if len(n.known) >= n.cfg.Networks {
		for other := range n.known { // any will do: it is learned again
			delete(n.known, other)
			break
		}
	}
	found := &network{keep: n.cfg.Start}
	n.known[key] = found
	return found
}

// offer is the keep alive for the next client of a network.
func (n *networks) offer(net *network) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return net.keep
}

// learn notes how a connection ended: the longest silence that it survived, and
// whether it was lost after one.
func (n *networks) learn(net *network, quiet, lasted time.Duration, cause longconn.Cause, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(net.ceilingAt) > n.cfg.Retry {
		net.ceiling = 0
	}
	about := net.keep - net.keep/5
	switch {
	case quiet >= about:
		net.failed = 0
		if net.survived++; net.survived >= successes {
			n.settle(net, net.keep+n.cfg.Step)
		}
	case lasted >= net.keep && (cause == longconn.Silent || cause == longconn.Lost):
		net.survived = 0
		if net.failed++; net.failed >= failures {
			net.ceiling, net.ceilingAt = net.keep, now
			n.settle(net, net.keep-n.cfg.Step)
		}
	}
}

// settle goes on with another keep alive.
func (n *networks) settle(net *network, keep time.Duration) {
	net.survived, net.failed = 0, 0
	if net.ceiling > 0 && keep >= net.ceiling {
		return // it was too long the last time
	}
	net.keep = min(max(keep, n.cfg.Least), n.cfg.Most)
}

// imposes reports whether a client can be told a keep alive.
func imposes(hello longconn.Hello) bool { return hello.Version == mqtt.V5 }
