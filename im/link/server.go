package link

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"

	"github.com/herald-push/herald/im"
)

var _ encoding.Codec = codec{}

// Announcer tells the access nodes that a logic node is there.
type Announcer interface {
	Announce(ctx context.Context, addr string, lease time.Duration) error
	Withdraw(ctx context.Context, addr string) error
}

// Server takes calls from access nodes.
type Server struct {
	cfg      Config
	addr     string
	listener net.Listener
	logic    Logic
	announce Announcer
	grpc     *grpc.Server
	log      *slog.Logger

	mu      sync.Mutex
	streams map[*served]struct{}
	leaving bool
}

// lease is how long a node that stopped announcing itself counts as there.
const lease = 6 * time.Second

// Open listens where cfg says. secret is the installation's sealing key.
func Open(ctx context.Context, cfg Config, secret []byte, logic Logic, announce Announcer, log *slog.Logger) (*Server, error) {
	id, err := identity(secret)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("im/link: listen: %w", err)
	}
	s := &Server{cfg: cfg, listener: l, logic: logic, announce: announce, log: log, streams: map[*served]struct{}{}}
	if s.addr, err = cfg.advertised(l.Addr().String()); err != nil {
		l.Close()
		return nil, err
	}
	s.grpc = grpc.NewServer(grpc.ForceServerCodec(codec{}), grpc.Creds(credentials.NewTLS(id)), grpc.MaxRecvMsgSize(maxMessage))
	desc := talking
	desc.Handler = func(_ any, stream grpc.ServerStream) error { return s.serve(stream) }
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: "herald.im.Link", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{desc},
	}, s)
	return s, nil
}

// maxMessage bounds one message on a stream.
const maxMessage = 64 << 20

// Addr is where access nodes reach the server.
func (s *Server) Addr() string { return s.addr }

// Run takes calls until ctx ends. Then it sends the access nodes elsewhere,
// answers what it has, and returns.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.grpc.Serve(s.listener) }()
	tick := time.NewTicker(lease / 3)
	defer tick.Stop()
	for {
		if err := s.announce.Announce(ctx, s.addr, lease); err != nil && ctx.Err() == nil {
			s.log.Warn("im/link: not announced; access nodes that know us stay", "err", err)
		}
		select {
		case <-tick.C:
			continue
		case err := <-failed:
			if err == nil {
				return nil // somebody stopped it
			}
			return fmt.Errorf("im/link: serve: %w", err)
		case <-ctx.Done():
		}
		break
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Patience)
	defer cancel()
	if err := s.announce.Withdraw(last, s.addr); err != nil {
		s.log.Warn("im/link: not withdrawn; it runs out by itself", "err", err)
	}
	s.leave(last)
	s.grpc.Stop()
	<-failed
	return nil
}

// leave asks for no more calls and waits for the answers to what came.
func (s *Server) leave(ctx context.Context) {
	s.mu.Lock()
	s.leaving = true
	streams := make([]*served, 0, len(s.streams))
	for one := range s.streams {
		streams = append(streams, one)
	}
	s.mu.Unlock()
	for _, one := range streams {
		one.put([]byte{itemLeave})
	}
	for _, one := range streams {
		select {
		case <-one.ended: // the access node hangs up when it has its answers
		case <-ctx.Done():
		}
	}
}

// served is one stream of an access node.
type served struct {
	stream grpc.ServerStream
	ended  chan struct{}
	wake   chan struct{}
	calls  sync.WaitGroup

	mu  sync.Mutex
	out []byte
}

func (s *Server) serve(stream grpc.ServerStream) error {
	one := &served{stream: stream, ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	one.put(appendGrant(nil, s.cfg.Window))
	s.mu.Lock()
	s.streams[one] = struct{}{}
	if s.leaving {
		one.put([]byte{itemLeave})
	}
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(stream.Context())
	var sending sync.WaitGroup
	sending.Go(func() { one.send(ctx) })
	err := s.receive(ctx, one)
	one.calls.Wait()
	cancel()
	sending.Wait()
	s.mu.Lock()
	delete(s.streams, one)
	s.mu.Unlock()
	close(one.ended)
	return err
}

// receive takes calls until the other end hangs up. A call is worked on beside
// the others: whoever needs an order waits for the answer before the next.
func (s *Server) receive(ctx context.Context, one *served) error {
	room := make(chan struct{}, s.cfg.Window)
	for {
		var b []byte
		if err := one.stream.RecvMsg(&b); err != nil {
			return nil //nolint:nilerr // the other end hung up, or was lost: nobody hears why
		}
		r := &reader{b: b}
		for r.more() {
			c := r.call()
			if r.err != nil {
				return r.err
			}
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			one.calls.Go(func() {
				defer func() { <-room }()
				one.put(appendAnswer(nil, c.seq, s.do(ctx, &c)))
			})
		}
	}
}

func (s *Server) do(ctx context.Context, c *call) outcome {
	if c.kind == itemAcked {
		s.logic.Acked(c.who.App, c.who.User, c.id)
		return done
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	retry, err := s.logic.Say(ctx, c.who, c.payload)
	switch {
	case err == nil:
		return done
	case retry:
		s.log.Warn("im/link: what a device said was not kept", "device", im.Key(c.who.App, c.who.Device), "err", err)
		return again
	default:
		return refused
	}
}

// put adds items to what is sent next.
func (o *served) put(items []byte) {
	o.mu.Lock()
	o.out = append(o.out, items...)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *served) send(ctx context.Context) {
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return
		}
		o.mu.Lock()
		out := o.out
		o.out = nil
		o.mu.Unlock()
		if len(out) > 0 && o.stream.SendMsg(&out) != nil {
			return
		}
	}
}
