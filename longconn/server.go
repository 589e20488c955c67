package longconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// Server accepts connections over TCP and WebSocket and gives each to an
// engine.
type Server struct {
	cfg     Config
	srv     *services
	handler Handler
	log     *slog.Logger
	stats   Stats
	serial  atomic.Uint64
	tcp, ws net.Listener // nil if not wanted
	loops   loops        // that serve both; none with the goroutine transport
	doors   *doors
	handed  chan net.Conn // by loops: requests that want no WebSocket
	away    atomic.Bool   // whoever comes is told to come elsewhere

	mu      sync.Mutex
	conns   map[*netConn]struct{}
	waiting map[net.Conn]struct{} // connections whose proxy has not spoken
	closing bool
	readers sync.WaitGroup
}

// Open listens on the configured addresses. [Server.Run] serves and closes them.
func Open(ctx context.Context, cfg Config, hub *Hub, h Handler, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg, handler: h, log: log, conns: map[*netConn]struct{}{}, waiting: map[net.Conn]struct{}{}}
	s.srv = &services{cfg: &s.cfg, stats: &s.stats, hub: hub, serial: func() uint64 { return s.serial.Add(1) }, gate: newGate(&s.cfg)}
	s.doors = newDoors(s)
	s.handed = make(chan net.Conn, 64)
	var err error
	if s.cfg.TLS, err = cfg.tlsConfig(); err != nil {
		return nil, err
	}
	if s.tcp, err = listener(ctx, cfg.TCPListener, cfg.TCP); err != nil {
		return nil, err
	}
	if s.ws, err = listener(ctx, cfg.WebSocketListener, cfg.WebSocket); err != nil {
		closeListener(s.tcp)
		return nil, err
	}
	if haveLoops && cfg.Transport != "goroutines" {
		if s.loops, err = openLoops(ctx, s); err != nil {
			closeListener(s.tcp)
			closeListener(s.ws)
			return nil, err
		}
	}
	return s, nil
}

// listener is the port that is open already, or else the one at addr; nil if
// there is neither.
func listener(ctx context.Context, l net.Listener, addr string) (net.Listener, error) {
	if l != nil || addr == "" {
		return l, nil
	}
	l, err := Listen(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("longconn: listen on %s: %w", addr, err)
	}
	return l, nil
}

// Listen opens a port whose connections notice by themselves that a peer is
// gone. Its errors are those of [net.ListenConfig.Listen].
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{Control: tuneSocket}
	return lc.Listen(ctx, "tcp", addr)
}

func closeListener(l net.Listener) {
	if l != nil {
		l.Close() // its sockets are gone either way
	}
}

// TCPAddr is where MQTT is spoken; nil if nowhere.
func (s *Server) TCPAddr() net.Addr { return addr(s.tcp) }

// WebSocketAddr is where MQTT over WebSocket is spoken, on any path; nil if
// nowhere.
func (s *Server) WebSocketAddr() net.Addr { return addr(s.ws) }

func addr(l net.Listener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

// Stats counts what happened since the server was opened.
func (s *Server) Stats() Snapshot { return s.stats.Snapshot() }

// Run serves until ctx ends. Then it accepts no more, sends every client away,
// [Config.EvictRate] a second, and returns once all are gone, or cut off after
// [Config.Drain] and [Config.Grace]. No call of the handler follows its return,
// save through a [Conn] that someone still holds.
func (s *Server) Run(ctx context.Context) error {
	serving, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	parts.Go(func() { s.srv.hub.tend(serving) })
	stop := s.serveAll(&parts, cancel)
	<-serving.Done()
	closeListener(s.tcp)
	s.drain()
	stop()
	parts.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("longconn: serve: %w", context.Cause(serving))
}

// serveAll starts what accepts. It returns what ends it once the connections
// are gone.
func (s *Server) serveAll(parts *sync.WaitGroup, fail context.CancelCauseFunc) (stop func()) {
	web := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.HandshakeTimeout,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext:       proxyContext,
	}
	if s.loops != nil {
		s.loops.run(parts)
		hatch := &hatch{conns: s.handed, closed: make(chan struct{}), addr: addr(s.ws)}
		parts.Go(func() { _ = web.Serve(hatch) }) // it ends when it is closed below
		return func() {
			web.Close() //nolint:errcheck // its requests have ended with their sessions
			s.loops.stop()
			closeListener(s.ws)
		}
	}
	if s.tcp != nil {
		parts.Go(func() { fail(s.acceptAll(s.tcp)) })
	}
	if s.ws != nil {
		l := net.Listener(&doorway{Listener: s.ws, s: s})
		if s.cfg.TLS != nil {
			l = tls.NewListener(l, s.cfg.TLS)
		}
		parts.Go(func() { fail(web.Serve(l)) })
	}
	return func() { web.Close() } //nolint:errcheck // hijacked connections were drained before
}

// acceptAll accepts until the listener is closed. Running out of descriptors
// is borne with, for connections that end give some back.
func (s *Server) acceptAll(l net.Listener) error {
	const pause = 50 * time.Millisecond
	for {
		nc, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			s.log.Warn("longconn: accept failed", "err", err)
			<-time.After(pause)
		default:
			if s.await(nc) {
				go s.receive(nc)
			}
		}
	}
}

// await notes a connection until its proxy has spoken.
func (s *Server) await(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		go nc.Close()
		return false
	}
	s.waiting[nc] = struct{}{}
	s.readers.Add(1)
	return true
}

// receive serves a connection of the TCP listener.
func (s *Server) receive(nc net.Conn) {
	defer s.readers.Done()
	whole, err := nc, error(nil)
	if s.cfg.ProxyProtocol {
		whole, err = readProxy(nc, s.cfg.HandshakeTimeout)
	}
	s.mu.Lock()
	delete(s.waiting, nc)
	s.mu.Unlock()
	if err != nil {
		nc.Close()
		s.stats.closedBy[Malformed].Add(1)
		return
	}
	if s.cfg.TLS != nil {
		whole = tls.Server(whole, s.cfg.TLS)
	}
	if c := s.adopt(whole); c != nil {
		s.serve(c)
	}
}

// adopt makes nc one of the server's connections. It returns nil, having closed
// nc, when the server is going away, far over its cap, or the address over its
// own; a connection that is a little over the cap is let speak, to be told that
// the server is busy.
func (s *Server) adopt(nc net.Conn) *netConn {
	addr := addrOf(nc.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int(s.stats.open.Load())
	if s.closing || s.crammed(n) || !s.srv.gate.enter(addr) {
		go nc.Close()
		s.stats.closedBy[Refused].Add(1)
		return nil
	}
	c := &netConn{server: s, nc: nc, addr: addr}
	c.eng = newEngine(s.srv, time.Now())
	c.eng.busy = n >= s.cfg.MaxConnections || s.away.Load()
	s.conns[c] = struct{}{}
	s.readers.Add(1)
	s.stats.open.Add(1)
	s.stats.opened.Add(1)
	return c
}

// crammed reports that a server with n connections cannot even turn one away
// with words.
func (s *Server) crammed(n int) bool { return n >= s.cfg.MaxConnections+s.cfg.MaxConnections/10+16 }

func addrOf(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// serve runs an adopted connection to its end.
func (s *Server) serve(c *netConn) {
	defer s.readers.Done()
	c.serve()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.gone(c.addr, c.proven, c.eng.cause)
}

// gone counts a connection out.
func (s *Server) gone(addr netip.Addr, proven bool, cause Cause) {
	s.srv.gate.leave(addr, proven)
	s.stats.open.Add(-1)
	s.stats.closedBy[cause].Add(1)
}

// member is a connection of either transport.
type member interface {
	holder
	// welcome lets the client in, with what is left of an earlier session.
	welcome(w Welcome, left *parked)
}

// admit claims the key for c, which has its tag, and lets the client in once a
// connection that held the key has given it up.
func admit(c member, hub *Hub, w Welcome) bool {
	loser, left, ok := hub.claim(w.Key, c)
	switch {
	case !ok:
		c.Close(TakenOver)
	case loser != nil:
		loser.surrender(func(left *parked) { c.welcome(w, left) })
	default:
		c.welcome(w, left)
	}
	return ok
}

// pass makes the call of the handler that an event stands for.
func (s *Server) pass(c Conn, ev *event, cause Cause, acker func(uint16) func(mqtt.Reason)) {
	switch ev.kind {
	case evConnect:
		s.handler.Connect(c, *ev.hello)
	case evRefresh:
		s.handler.Refresh(c, ev.token)
	case evAcked:
		s.handler.Acked(c, ev.id)
	case evPublished:
		s.stats.published.Add(1)
		ack := func(mqtt.Reason) {}
		if ev.pub.packet != 0 {
			ack = acker(ev.pub.packet)
		}
		s.handler.Published(c, Publication{
			Topic: ev.pub.topic, Payload: ev.pub.payload, Properties: ev.pub.properties, Will: ev.pub.will, Ack: ack,
		})
	case evReady:
		s.handler.Ready(c)
	case evReport:
		ev.done(ev.err)
	case evClosed:
		s.stats.accepted.Add(-1)
		s.handler.Closed(c, cause)
	}
}

// drain sends every connection away: at a bounded pace, in no order, so that
// those who come back elsewhere do not come all at once.
func (s *Server) drain() {
	s.mu.Lock()
	s.closing = true
	for nc := range s.waiting {
		nc.Close()
	}
	s.mu.Unlock()
	patience, cancel := context.WithTimeout(context.Background(), s.cfg.Drain)
	defer cancel()
	for _, c := range s.evict(patience, s.cfg.EvictRate) {
		c.Close(s.farewell())
	}
	cutOff := time.AfterFunc(s.cfg.Grace, s.cut)
	defer cutOff.Stop()
	if s.loops != nil {
		s.loops.wait()
	}
	s.readers.Wait()
}

// farewell is why clients are sent away.
func (s *Server) farewell() Cause {
	if s.cfg.Redirect != "" {
		return Moved
	}
	return Shutdown
}

// evict sends all who are connected away, so many a second, and returns whom it
// had not come to when ctx ended.
func (s *Server) evict(ctx context.Context, rate int) (left []Conn) {
	all := s.everyone()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	pace := time.NewTicker(time.Second / time.Duration(min(rate, 20)))
	defer pace.Stop()
	for size := max(1, rate/20); len(all) > 0; {
		n := min(size, len(all))
		for _, c := range all[:n] {
			c.Close(s.farewell())
		}
		if all = all[n:]; len(all) == 0 {
			break
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return all
		}
	}
	return nil
}

// Empty sends every client elsewhere, rate a second, and turns away whoever
// comes, while the server goes on: so a node is emptied before it is stopped, and
// may change its mind. It returns once all are on their way, or when ctx ends;
// until [Server.Fill] nobody comes in.
func (s *Server) Empty(ctx context.Context, rate int) {
	s.away.Store(true)
	s.evict(ctx, max(1, rate))
}

// Fill lets clients in again after [Server.Empty].
func (s *Server) Fill() { s.away.Store(false) }

// Away tells whether clients are turned away.
func (s *Server) Away() bool { return s.away.Load() }

// everyone is all connections.
func (s *Server) everyone() []Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	if s.loops != nil {
		all = s.loops.everyone(all, s.closing)
	}
	return all
}

// cut closes what is left, without farewell.
func (s *Server) cut() {
	s.mu.Lock()
	for c := range s.conns {
		c.cut()
	}
	s.mu.Unlock()
	if s.loops != nil {
		s.loops.cut()
	}
}

// loops is the event loops of a server.
type loops interface {
	run(parts *sync.WaitGroup)
	everyone(found []Conn, shut bool) []Conn
	cut()  // closes all connections at once
	wait() // until there are no connections
	stop() // ends the loops
}

// hatch is the listener on which loops hand over what they do not serve.
type hatch struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
}

func (h *hatch) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *hatch) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *hatch) Addr() net.Addr { return h.addr }
