package access

import (
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

func TestHeartbeatFindsWhatTheNetworkBears(t *testing.T) {
	const limit = 8*time.Minute + 30*time.Second // after which this network forgets connections
	n := networks{cfg: defaultHeartbeat()}
	cell := n.of(longconn.Hello{Remote: "192.0.2.7:4711", User: []mqtt.Pair{{Name: NetworkKind, Value: "cellular"}}})
	now := time.Now()
	live := func() {
		keep := n.offer(cell)
		if keep < limit {
			n.learn(cell, keep, 10*keep, longconn.Disconnected, now)
			return
		}
		n.learn(cell, 0, 2*keep, longconn.Silent, now)
	}
	for range 100 {
		live()
	}
	if got := n.offer(cell); got != 8*time.Minute {
		t.Errorf("settled on %s, want 8m: nine failed", got)
	}
	now = now.Add(8 * 24 * time.Hour)
	for range successes {
		if live(); n.offer(cell) > 8*time.Minute {
			break
		}
	}
	if got := n.offer(cell); got != 9*time.Minute {
		t.Errorf("%s a week later, want another try with 9m", got)
	}
}

func TestNetworksAreToldApart(t *testing.T) {
	n := networks{cfg: defaultHeartbeat()}
	n.cfg.Networks = 3
	of := func(remote, kind string) *network {
		return n.of(longconn.Hello{Remote: remote, User: []mqtt.Pair{{Name: NetworkKind, Value: kind}}})
	}
	if of("192.0.2.7:1", "wifi") != of("192.0.2.99:2", "wifi") {
		t.Error("neighbours are two networks")
	}
	if of("192.0.2.7:1", "wifi") == of("192.0.2.7:1", "cellular") || of("192.0.2.7:1", "wifi") == of("198.51.100.1:1", "wifi") {
		t.Error("two networks are one")
	}
	for i := range 10 {
		of("[2001:db8::"+string(rune('a'+i%6))+"]:1", "x"+string(rune('a'+i)))
	}
	if len(n.known) != 3 {
		t.Errorf("%d networks are remembered, want 3", len(n.known))
	}
}

func TestHeartbeatIsNotMisledByOtherEnds(t *testing.T) {
	n := networks{cfg: defaultHeartbeat()}
	net := n.of(longconn.Hello{})
	for _, cause := range []longconn.Cause{longconn.Disconnected, longconn.TakenOver, longconn.Shutdown, longconn.Malformed} {
		for range 5 {
			n.learn(net, time.Second, time.Hour, cause, time.Now())
		}
	}
	for range 5 { // lost before there was a silence worth the name
		n.learn(net, time.Second, time.Minute, longconn.Lost, time.Now())
	}
	if got := n.offer(net); got != 4*time.Minute {
		t.Errorf("keep alive %s, want 4m as at the start", got)
	}
}
