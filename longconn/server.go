package longconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the goroutine transport: it accepts connections over TCP and
// WebSocket and gives each to an engine.
type Server struct {
	cfg     Config
	hub     *Hub
	handler Handler
	log     *slog.Logger
	stats   Stats
	serial  atomic.Uint64
	tcp, ws net.Listener // nil if not wanted

	mu      sync.Mutex
	conns   map[*netConn]struct{}
	closing bool
	readers sync.WaitGroup
}

// Open listens on the configured addresses. [Server.Run] serves and closes them.
func Open(ctx context.Context, cfg Config, hub *Hub, h Handler, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg, hub: hub, handler: h, log: log, conns: map[*netConn]struct{}{}}
	var err error
	if s.tcp, err = listener(ctx, cfg.TCPListener, cfg.TCP, cfg.TLS); err != nil {
		return nil, err
	}
	if s.ws, err = listener(ctx, cfg.WebSocketListener, cfg.WebSocket, cfg.TLS); err != nil {
		closeListener(s.tcp)
		return nil, err
	}
	return s, nil
}

// listener is the port that is open already, or else the one at addr; nil if
// there is neither.
func listener(ctx context.Context, l net.Listener, addr string, tlsConfig *tls.Config) (net.Listener, error) {
	if l == nil {
		if addr == "" {
			return nil, nil
		}
		var err error
		if l, err = Listen(ctx, addr); err != nil {
			return nil, fmt.Errorf("longconn: listen on %s: %w", addr, err)
		}
	}
	if tlsConfig != nil {
		l = tls.NewListener(l, tlsConfig)
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

// Run serves until ctx ends. Then it accepts no more, tells every client that
// the server is shutting down, and returns once all are gone, or cut off after
// [Config.Grace]. No call of the handler follows its return, save through a
// [Conn] that someone still holds.
func (s *Server) Run(ctx context.Context) error {
	web := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.HandshakeTimeout,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	serving, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var listeners sync.WaitGroup
	if s.tcp != nil {
		listeners.Go(func() { cancel(s.acceptAll(s.tcp)) })
	}
	if s.ws != nil {
		listeners.Go(func() { cancel(web.Serve(s.ws)) })
	}
	<-serving.Done()

	closeListener(s.tcp)
	s.drain()
	web.Close() //nolint:errcheck // hijacked connections were drained above
	listeners.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("longconn: serve: %w", context.Cause(serving))
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
			if c := s.adopt(nc); c != nil {
				go s.serve(c)
			}
		}
	}
}

// adopt makes nc one of the server's connections. It returns nil, having closed
// nc, when the server is going away or is far over its cap; a connection that
// is a little over the cap is let speak, to be told that the server is busy.
func (s *Server) adopt(nc net.Conn) *netConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.conns)
	if s.closing || n >= s.cfg.MaxConnections+s.cfg.MaxConnections/10+16 {
		go nc.Close()
		s.stats.closedBy[Refused].Add(1)
		return nil
	}
	c := &netConn{server: s, nc: nc}
	c.eng = newEngine(&s.cfg, &s.stats, s.nextSerial, time.Now())
	c.eng.busy = n >= s.cfg.MaxConnections
	s.conns[c] = struct{}{}
	s.readers.Add(1)
	s.stats.open.Add(1)
	s.stats.opened.Add(1)
	return c
}

func (s *Server) nextSerial() uint64 { return s.serial.Add(1) }

// serve runs an adopted connection to its end.
func (s *Server) serve(c *netConn) {
	defer s.readers.Done()
	c.serve()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.stats.open.Add(-1)
	s.stats.closedBy[c.eng.cause].Add(1)
}

// drain ends every connection.
func (s *Server) drain() {
	s.mu.Lock()
	s.closing = true
	all := make([]*netConn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.Close(Shutdown)
	}
	cutOff := time.AfterFunc(s.cfg.Grace, func() {
		for _, c := range all {
			c.cut()
		}
	})
	defer cutOff.Stop()
	s.readers.Wait()
}
