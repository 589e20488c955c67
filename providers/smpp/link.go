package smpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

// pace is how long things may take.
type pace struct {
	bind    time.Duration // to connect and to bind
	write   time.Duration // for the network to take a write
	enquire time.Duration // between two questions whether the service is there
	answer  time.Duration // for an answer, before the connection is given up
	report  time.Duration // to hand on a receipt
	goodbye time.Duration // for the answer to unbind
	idle    time.Duration // without a message or an awaited receipt before leaving
	settled time.Duration // a connection that held so long is replaced at once
	least   time.Duration // first wait before connecting again; it doubles
	most    time.Duration // last wait, and the wait after refused credentials
}

var usual = pace{
	bind: 10 * time.Second, write: 10 * time.Second, enquire: 30 * time.Second, answer: time.Minute,
	report: 5 * time.Second, goodbye: time.Second, idle: 10 * time.Minute,
	settled: 10 * time.Second, least: time.Second, most: time.Minute,
}

// link keeps one session for all senders. Its goroutine runs while there is a
// session, a sender or an awaited receipt.
type link struct {
	p *Provider

	mu       sync.Mutex
	running  bool
	retired  bool
	sending  int
	stop     context.CancelFunc
	current  *session
	failure  *push.Error   // why there is none; senders are told at once
	until    time.Time     // before this there is no further try
	failures int           // in a row
	changed  chan struct{} // closed and replaced at every change
}

func newLink(p *Provider) *link { return &link{p: p, changed: make(chan struct{})} }

func (l *link) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending++
}

func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending--
	l.stopIfDone()
}

func (l *link) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.stopIfDone()
}

func (l *link) stopIfDone() {
	if l.retired && l.sending == 0 && l.running {
		l.stop()
	}
}

// session returns the bound session, waiting for it while it is being made.
func (l *link) session(ctx context.Context) (*session, *push.Error) {
	for {
		l.mu.Lock()
		s, changed := l.current, l.changed
		now := time.Now()
		if s == nil && l.failure != nil && now.Before(l.until) {
			failure := *l.failure // each sender may change its own
			failure.RetryAfter = max(failure.RetryAfter, l.until.Sub(now))
			l.mu.Unlock()
			return nil, &failure
		}
		l.begin()
		l.mu.Unlock()
		if s != nil && s.open() {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, unsent("not connected in time", ctx.Err())
		}
	}
}

// start has a session made though nobody sends.
func (l *link) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.retired {
		l.begin()
	}
}

// begin starts the goroutine if it does not run. Callers hold mu.
func (l *link) begin() {
	if l.running {
		return
	}
	var own context.Context
	own, l.stop = context.WithCancel(context.Background())
	l.running = true
	go l.run(own) // ends by rest, by retire or when idle
}

// run connects, serves and connects again, until nobody needs it.
func (l *link) run(ctx context.Context) {
	for {
		pause := time.NewTimer(l.attempt(ctx))
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
		if l.rest(ctx) {
			return
		}
	}
}

// attempt makes one session and serves it to its end. It returns the time to
// let pass before the next.
func (l *link) attempt(ctx context.Context) time.Duration {
	begin := time.Now()
	s, failure := l.p.connect(ctx)
	if failure == nil {
		l.set(s, nil, 0)
		err := s.serve(ctx)
		if time.Since(begin) >= l.p.pace.settled || errors.Is(err, errLeft) {
			l.set(nil, nil, 0)
			return 0
		}
		failure = unsent("the connection was lost", err)
	}
	if ctx.Err() != nil { // ended by us: nobody's failure
		l.set(nil, nil, 0)
		return 0
	}
	wait := l.p.pace.most
	if !errors.Is(failure, push.ErrCredentials) {
		wait = l.backoff()
	}
	l.set(nil, failure, wait)
	return wait
}

// set tells the senders what there is now.
func (l *link) set(s *session, failure *push.Error, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.failure, l.until = s, failure, time.Now().Add(wait)
	if failure == nil && s == nil {
		l.failures = 0
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// backoff doubles from one failure to the next, less up to a half by chance, so
// that many processes do not come back together.
func (l *link) backoff() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := l.p.pace.most
	if l.failures < 16 {
		wait = min(wait, l.p.pace.least<<l.failures)
	}
	l.failures++
	return wait/2 + rand.N(wait/2+1)
}

// rest ends the goroutine's work if nobody needs a session.
func (l *link) rest(ctx context.Context) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() == nil && (l.sending > 0 || l.p.ledger.waits(time.Now())) {
		return false
	}
	l.stop()
	l.running = false
	close(l.changed) // whoever came meanwhile begins anew
	l.changed = make(chan struct{})
	return true
}

// bindSequence is that of the first request of every session.
const bindSequence = 1

// connect makes a connection and binds it.
func (p *Provider) connect(ctx context.Context) (*session, *push.Error) {
	ctx, cancel := context.WithTimeout(ctx, p.pace.bind)
	defer cancel()
	conn, err := p.dial(ctx)
	if err == nil && p.tls != nil {
		secured := tls.Client(conn, p.tls)
		if err = secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
		}
		conn = secured
	}
	if err != nil {
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			return nil, unsent("its certificate is not to be trusted", err)
		}
		return nil, unsent("could not connect", err)
	}
	// Whoever waits for the service's answer must not wait when told to stop.
	unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
	s, failure := p.bind(conn)
	if !unhook() && failure == nil {
		failure = unsent("not bound in time", ctx.Err())
	}
	if failure != nil {
		_ = conn.Close()
		return nil, failure
	}
	return s, nil
}

// bind introduces us to the service.
func (p *Provider) bind(conn net.Conn) (*session, *push.Error) {
	b := pdu.Bind{SystemID: p.config.SystemID, Password: p.config.Password, SystemType: p.config.SystemType, Version: pdu.Version}
	body, err := b.Body()
	if err != nil {
		return nil, &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: "the credentials do not fit the protocol"}
	}
	unit := pdu.PDU{Command: pdu.BindTransceiver, Sequence: bindSequence, Body: body}
	if _, err := conn.Write(unit.Append(nil)); err != nil {
		return nil, unsent("could not bind", err)
	}
	in := bufio.NewReaderSize(conn, 8<<10)
	answer, err := pdu.Read(in)
	switch {
	case err != nil:
		return nil, unsent("could not bind", err)
	case answer.Sequence != bindSequence || answer.Command != pdu.BindResp && answer.Command != pdu.GenericNack:
		return nil, unsent("the service answered something else than the bind", nil)
	case answer.Status != 0 || answer.Command == pdu.GenericNack:
		return nil, p.unbound(answer.Status)
	}
	s := newSession(p, conn, in)
	if whose, err := pdu.ParseAnswer(answer.Body); err == nil {
		// A service that does not name its version knows no optional parameters.
		v := pdu.Find(whose.TLVs, pdu.InterfaceVersion)
		s.options = len(v) == 1 && v[0] >= pdu.Version
	}
	return s, nil
}

// unbound is the error of a refused bind. No message is at fault for it.
func (p *Provider) unbound(status uint32) *push.Error {
	e := p.refused(status)
	if errors.Is(e.Kind, push.ErrRejected) {
		e.Kind = push.ErrUnavailable
	}
	return e
}
