package link

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
)

// stream is one of those to a logic node. It has calls under way up to what the
// node granted; the others wait in order.
type stream struct {
	wake chan struct{}

	mu      sync.Mutex
	open    bool
	leaving bool // the node asked for no more
	seq     uint64
	credit  int
	out     []byte
	waiting []*call
	calls   map[uint64]chan<- outcome
}

// up tells whether calls may be begun.
func (s *stream) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open && !s.leaving
}

func (s *stream) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// begin puts a call on its way, or false. The answer comes on the channel, which
// has room for it; it is closed without one if the stream is lost.
func (s *stream) begin(c *call, answer chan<- outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open || s.leaving {
		return false
	}
	s.seq++
	one := *c
	one.seq = s.seq
	s.calls[one.seq] = answer
	s.waiting = append(s.waiting, &one)
	s.flow()
	return true
}

// flow writes what the credit allows.
func (s *stream) flow() {
	n := min(s.credit, len(s.waiting))
	for _, c := range s.waiting[:n] {
		s.out = c.append(s.out)
	}
	clear(s.waiting[:n])
	s.waiting = s.waiting[n:]
	s.credit -= n
	if len(s.out) > 0 || s.leaving && len(s.calls) == 0 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// run opens the stream and serves it until it breaks, the node leaves, or ctx
// ends.
func (s *stream) run(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	desc := talking
	st, err := conn.NewStream(ctx, &desc, method)
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		if s.send(ctx, st) {
			_ = st.CloseSend() // all is answered: the node may go
			return
		}
		cancel()
	})
	err = s.receive(st)
	cancel()
	sending.Wait()
	s.lose()
	return err
}

// send sends what gathers; true means that the node leaves and has answered all.
func (s *stream) send(ctx context.Context, st grpc.ClientStream) bool {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return false
		}
		s.mu.Lock()
		out := s.out
		s.out = nil
		over := s.leaving && len(s.calls) == 0
		s.mu.Unlock()
		if len(out) > 0 && st.SendMsg(&out) != nil {
			return false
		}
		if over {
			return true
		}
	}
}

func (s *stream) receive(st grpc.ClientStream) error {
	for {
		var b []byte
		if err := st.RecvMsg(&b); err != nil {
			return err
		}
		r := &reader{b: b}
		for r.more() {
			if err := s.item(r); err != nil {
				return err
			}
		}
		if r.err != nil {
			return r.err
		}
	}
}

func (s *stream) item(r *reader) error {
	kind := r.kind()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case itemGrant:
		v, window := r.number(), r.number()
		if v != version {
			return fmt.Errorf("im/link: the node speaks version %d, not %d", v, version)
		}
		s.open, s.leaving, s.credit, s.calls = true, false, int(min(window, 1<<16)), map[uint64]chan<- outcome{}
	case itemAnswer:
		seq, o := r.number(), outcome(r.number())
		if answer := s.calls[seq]; answer != nil && r.err == nil {
			delete(s.calls, seq)
			answer <- o
			s.credit++
			s.flow()
		}
	case itemLeave:
		s.leaving = true
		s.flow()
	default:
		return errors.New("im/link: an item of another version")
	}
	return nil
}

// lose ends what was under way.
func (s *stream) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, answer := range s.calls {
		close(answer)
	}
	s.open, s.leaving, s.credit, s.calls, s.waiting, s.out = false, false, 0, nil, nil, nil
}
