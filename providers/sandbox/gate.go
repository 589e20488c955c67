package sandbox

import (
	"net"
	"sync"
)

// gate is a listener whose door can be shut: then those inside are thrown out
// and whoever comes is turned away before a word is said.
type gate struct {
	net.Listener
	mu   sync.Mutex
	shut bool
	in   map[net.Conn]struct{}
}

func newGate(l net.Listener) *gate { return &gate{Listener: l, in: make(map[net.Conn]struct{})} }

// Accept implements [net.Listener].
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		if !g.shut {
			g.in[c] = struct{}{}
			g.mu.Unlock()
			return &guest{Conn: c, gate: g}, nil
		}
		g.mu.Unlock()
		slam(c)
	}
}

// set shuts or opens the door.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if !shut {
		return
	}
	for c := range g.in {
		slam(c)
	}
	clear(g.in)
}

// slam closes with a reset, as a machine does where no program listens.
func slam(c net.Conn) {
	lowest := c
	for over, ok := lowest.(overNet); ok; over, ok = lowest.(overNet) {
		lowest = over.NetConn()
	}
	if t, ok := lowest.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// overNet is a connection over another, as [tls.Conn] is.
type overNet interface{ NetConn() net.Conn }

// guest is a connection that tells the gate when it leaves.
type guest struct {
	net.Conn
	gate *gate
}

// NetConn is the connection underneath.
func (c *guest) NetConn() net.Conn { return c.Conn }

func (c *guest) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.in, c.Conn)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}
