package smpp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

// Why a session ends.
var (
	errUnbound = errors.New("smpp: the service said goodbye")
	errSilent  = errors.New("smpp: the service does not answer")
	errLeft    = errors.New("smpp: nothing more to say")
)

// maxReported bounds the receipts that wait to be reported; beyond it the
// service is asked to bring them again.
const maxReported = 256

// session is one bound connection. Its fields above mu are set before it serves.
type session struct {
	p        *Provider
	conn     net.Conn
	in       *bufio.Reader
	options  bool        // the service knows optional parameters
	out      chan []byte // whole units, to the writer
	receipts chan arrival
	dead     chan struct{} // closed when err is set
	heard    atomic.Bool   // something, since the keeper looked last
	used     atomic.Int64  // when a message was last submitted, in ns

	mu       sync.Mutex
	err      error // why it is dead
	leaving  bool  // no new requests
	sequence uint32
	pending  map[uint32]*request
}

// request is a submit_sm without an answer. Whoever takes it out of pending
// gives back its place in the window.
type request struct {
	*awaited

	epoch  int
	at     time.Time
	answer chan reply // holds one
}

type reply struct {
	id     string
	status uint32
	lost   error // there will be no answer
}

// arrival is a receipt with the sequence to answer; 0 if it was answered.
type arrival struct {
	receipt

	sequence uint32
}

func newSession(p *Provider, conn net.Conn, in *bufio.Reader) *session {
	s := &session{
		p: p, conn: conn, in: in, out: make(chan []byte), receipts: make(chan arrival, maxReported),
		dead: make(chan struct{}), pending: make(map[uint32]*request), sequence: bindSequence,
	}
	s.used.Store(time.Now().UnixNano())
	return s
}

// serve runs the session until it is dead, and says goodbye when ctx is done.
func (s *session) serve(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(s.write)
	wg.Go(func() { s.reportAll(context.WithoutCancel(ctx)) })
	wg.Go(func() { s.keep(ctx) })
	s.fail(s.read())
	wg.Wait()
	return s.err
}

// submit makes one request. The error is [push.ErrUnavailable] until the
// request is in the writer's hands.
func (s *session) submit(ctx context.Context, body []byte, r *request) (id string, failure *push.Error) {
	sequence, ok := s.add(r)
	if !ok {
		s.p.window.release(r.epoch, silent)
		return "", unsent("the connection was lost", nil)
	}
	unit := pdu.PDU{Command: pdu.SubmitSM, Sequence: sequence, Body: body}
	select {
	case s.out <- unit.Append(nil):
	case <-s.dead:
		return "", unsent("the connection was lost", nil)
	case <-ctx.Done():
		if s.take(sequence) != nil {
			s.p.window.release(r.epoch, silent)
		}
		return "", unsent("not sent in time", ctx.Err())
	}
	select {
	case a := <-r.answer:
		return s.verdict(a)
	case <-ctx.Done():
	}
	select {
	case a := <-r.answer:
		return s.verdict(a)
	default: // a later answer still names the message for its receipt
		return "", &push.Error{Provider: name, Kind: push.ErrUnknown, Detail: "no answer", Err: ctx.Err()}
	}
}

func (s *session) verdict(a reply) (id string, failure *push.Error) {
	switch {
	case a.lost != nil:
		return "", &push.Error{Provider: name, Kind: push.ErrUnknown, Detail: "no answer", Err: a.lost}
	case a.status != 0:
		return "", s.p.refused(a.status)
	}
	return a.id, nil
}

// add gives a request its sequence; ok is false if the session takes no more.
func (s *session) add(r *request) (sequence uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.leaving {
		return 0, false
	}
	r.at = time.Now()
	s.used.Store(r.at.UnixNano())
	sequence = s.next()
	s.pending[sequence] = r
	return sequence, true
}

// open reports whether the session takes requests.
func (s *session) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && !s.leaving
}

// next is the next sequence, from 1 to 0x7fffffff (section 5.1.4).
func (s *session) next() uint32 {
	s.sequence = s.sequence%0x7fffffff + 1
	return s.sequence
}

func (s *session) take(sequence uint32) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.pending[sequence]
	delete(s.pending, sequence)
	return r
}

// fail ends the session, for the first reason that is given.
func (s *session) fail(err error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	lost := s.pending
	s.pending = nil
	close(s.dead)
	s.mu.Unlock()
	_ = s.conn.Close() // it is of no more use, whatever this says
	for _, r := range lost {
		s.p.window.release(r.epoch, silent)
		r.answer <- reply{lost: err}
	}
}

// write puts units on the wire, those that come together in one go.
func (s *session) write() {
	var b []byte
	for {
		select {
		case unit := <-s.out:
			b = append(b[:0], unit...)
		case <-s.dead:
			return
		}
		for more := true; more && len(b) < 32<<10; {
			select {
			case unit := <-s.out:
				b = append(b, unit...)
			default:
				more = false
			}
		}
		err := s.conn.SetWriteDeadline(time.Now().Add(s.p.pace.write))
		if err == nil {
			_, err = s.conn.Write(b)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// send hands a unit to the writer.
func (s *session) send(unit pdu.PDU) {
	select {
	case s.out <- unit.Append(nil):
	case <-s.dead:
	}
}

// keep asks a silent service whether it is there, and leaves when there is
// nothing more to say.
func (s *session) keep(ctx context.Context) {
	tick := time.NewTicker(s.p.pace.enquire)
	defer tick.Stop()
	s.heard.Store(true)
	for {
		select {
		case <-s.dead:
			return
		case <-ctx.Done():
			s.leave()
			return
		case <-tick.C:
		}
		now := time.Now()
		if !s.heard.Swap(false) || s.overdue(now) {
			s.fail(errSilent)
			return
		}
		if now.UnixNano()-s.used.Load() > int64(s.p.pace.idle) && !s.p.ledger.waits(now) {
			s.leave()
			return
		}
		s.mu.Lock()
		sequence := s.next()
		s.mu.Unlock()
		s.send(pdu.PDU{Command: pdu.EnquireLink, Sequence: sequence})
	}
}

// overdue reports whether a request has waited for its answer for too long: the
// rest would wait behind it in the window.
func (s *session) overdue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.pending {
		if now.Sub(r.at) > s.p.pace.answer {
			return true
		}
	}
	return false
}

// leave unbinds. What is unanswered may be answered before the service leaves.
func (s *session) leave() {
	s.mu.Lock()
	s.leaving = true
	sequence := s.next()
	s.mu.Unlock()
	s.send(pdu.PDU{Command: pdu.Unbind, Sequence: sequence})
	wait := time.NewTimer(s.p.pace.goodbye)
	defer wait.Stop()
	select {
	case <-s.dead:
	case <-wait.C:
		s.fail(errLeft)
	}
}
