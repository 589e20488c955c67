package xmpp

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

const (
	greeting = 10 * time.Second // until the handshake is done
	patience = 10 * time.Second // for one write
	silence  = 30 * time.Second // then a ping is sent; after three times that the connection is dead
	maxBatch = 128 << 10        // bytes of stanzas that go out in one write
)

const (
	nsComponent    = "jabber:component:accept"
	nsStream       = "http://etherx.jabber.org/streams"
	nsStreamErrors = "urn:ietf:params:xml:ns:xmpp-streams"
)

// stream is one connection after its handshake.
type stream struct {
	conn  net.Conn
	in    *reader
	out   chan *outgoing
	stop  chan struct{} // closed to end in order
	ended chan struct{} // closed when nothing more is read or written
	since time.Time
	heard atomic.Int64 // when something was last read, in nanoseconds since 1970

	stopOnce sync.Once
	endOnce  sync.Once
	cause    *push.Error // set before ended is closed
}

// outgoing is a stanza on its way. Its sender and the writer race for it: who
// sets taken decides.
type outgoing struct {
	stanza []byte
	taken  atomic.Bool
	done   chan *push.Error // nil if nobody waits
}

// connect makes the connection and shakes hands (XEP-0114).
func (p *Provider) connect(ctx context.Context) (*stream, *push.Error) {
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, (&providers.Exchange{Err: err}).Failure(name, err)
	}
	_ = conn.SetDeadline(time.Now().Add(greeting)) // a connection that cannot will fail below
	unwatch := context.AfterFunc(ctx, func() { conn.Close() })
	s := &stream{
		conn: conn, out: make(chan *outgoing, 256),
		stop: make(chan struct{}), ended: make(chan struct{}), since: time.Now(),
	}
	s.in = newReader(s)
	failed := p.handshake(s)
	if !unwatch() && failed == nil {
		failed = broken(context.Cause(ctx))
	}
	if failed != nil {
		conn.Close()
		return nil, failed
	}
	_ = conn.SetDeadline(time.Time{})
	go s.write(p.config.Domain)
	go p.read(s)
	return s, nil
}

func (p *Provider) dial(ctx context.Context) (net.Conn, error) {
	if p.config.tls != nil {
		d := tls.Dialer{NetDialer: providers.Dialer(), Config: p.config.tls}
		return d.DialContext(ctx, "tcp", p.config.Address)
	}
	return providers.Dialer().DialContext(ctx, "tcp", p.config.Address)
}

func (p *Provider) handshake(s *stream) *push.Error {
	var w writer
	w.raw(`<?xml version='1.0'?>`)
	w.open("stream:stream", "xmlns", nsComponent, "xmlns:stream", nsStream, "to", p.config.Domain)
	if _, err := s.conn.Write(w.Bytes()); err != nil {
		return broken(err)
	}
	header, err := s.in.open()
	if err != nil {
		return broken(err)
	}
	if header.Name.Local != "stream" || header.Name.Space != nsStream {
		return &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "what answers does not speak XMPP"}
	}
	if id := header.attr("id"); id != "" {
		sum := sha1.Sum([]byte(id + p.config.Secret))
		if _, err := fmt.Fprintf(s.conn, "<handshake>%s</handshake>", hex.EncodeToString(sum[:])); err != nil {
			return broken(err)
		}
	}
	answer, err := s.in.next()
	switch {
	case err != nil:
		return broken(err)
	case answer.Name.Local == "handshake":
		return nil
	default:
		return p.streamError(answer)
	}
}

// streamError is why the server ends the stream.
func (p *Provider) streamError(e *element) *push.Error {
	for _, c := range e.children {
		if c.Name.Space == nsStreamErrors && c.Name.Local != "text" {
			refused := p.refusal("stream-" + c.Name.Local)
			if errors.Is(refused, push.ErrRejected) {
				refused.Kind = push.ErrUnavailable // no row fits, and no message is at fault
			}
			return refused
		}
	}
	return &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the server's answer is not understood"}
}

// broken is the error of a connection that failed before anything was sent.
func broken(err error) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the connection broke", Err: err}
}

// Read is the reader's: it notes that the server is alive.
func (s *stream) Read(b []byte) (int, error) {
	n, err := s.conn.Read(b)
	s.heard.Store(time.Now().UnixNano())
	return n, err
}

// send writes a stanza, or says that it did not, or may not have.
func (s *stream) send(ctx context.Context, stanza []byte) error {
	o := &outgoing{stanza: stanza, done: make(chan *push.Error, 1)}
	select {
	case s.out <- o:
	case <-s.ended:
		return s.why()
	case <-ctx.Done():
		return late(ctx)
	}
	var why error
	select {
	case err := <-o.done:
		if err != nil {
			return err
		}
		return nil
	case <-ctx.Done():
		why = late(ctx)
	case <-s.ended:
		why = s.why()
	}
	if o.taken.CompareAndSwap(false, true) {
		return why // the writer will pass it over
	}
	select {
	case err := <-o.done: // it was written just then
		if err == nil {
			return nil
		}
		return err
	default:
		return unknown(ctx.Err())
	}
}

func unknown(err error) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrUnknown, Detail: "the connection broke while it was written", Err: err}
}

// mutter writes what nobody waits for, if there is room.
func (s *stream) mutter(stanza []byte) {
	select {
	case s.out <- &outgoing{stanza: stanza}:
	default:
	}
}

// finish ends the stream after what is being written.
func (s *stream) finish() { s.stopOnce.Do(func() { close(s.stop) }) }

// end breaks the connection off.
func (s *stream) end(why *push.Error) {
	s.endOnce.Do(func() {
		s.cause = why
		s.conn.Close()
		close(s.ended)
	})
}

// why says what ended the stream; it has ended. What was not sent was not
// taken, whatever the reason.
func (s *stream) why() *push.Error {
	<-s.ended
	e := *s.cause
	return &e
}

// write writes all that waits in one go, again and again.
func (s *stream) write(domain string) {
	tick := time.NewTicker(silence)
	defer tick.Stop()
	for {
		select {
		case o := <-s.out:
			if err := s.writeBatch(o); err != nil {
				s.end(broken(err))
				return
			}
		case <-tick.C:
			quiet := time.Since(time.Unix(0, s.heard.Load()))
			if quiet > 3*silence {
				s.end(&push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the server went silent"})
				return
			}
			if quiet > silence/2 {
				s.mutter(ping(domain))
			}
		case <-s.stop:
			_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = s.conn.Write([]byte("</stream:stream>")) // politeness
			s.end(&push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the connection was closed"})
			return
		case <-s.ended:
			return
		}
	}
}

// writeBatch writes a stanza and those that wait behind it.
func (s *stream) writeBatch(o *outgoing) error {
	var batch []byte
	var waiting []chan *push.Error
	for o != nil {
		if o.taken.CompareAndSwap(false, true) {
			batch = append(batch, o.stanza...)
			if o.done != nil {
				waiting = append(waiting, o.done)
			}
		}
		o = nil
		if len(batch) < maxBatch {
			select {
			case o = <-s.out:
			default:
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	n, err := s.conn.Write(batch)
	var outcome *push.Error
	switch {
	case err != nil && n == 0:
		outcome = broken(err)
	case err != nil:
		outcome = unknown(err)
	}
	for _, done := range waiting {
		done <- outcome
	}
	return err
}

// ping asks ourselves by way of the server (XEP-0199): what comes back shows
// that the server reads and answers.
func ping(domain string) []byte {
	var w writer
	w.open("iq", "type", "get", "id", "ping", "from", domain, "to", domain)
	w.raw(`<ping xmlns="urn:xmpp:ping"/></iq>`)
	return w.Bytes()
}
