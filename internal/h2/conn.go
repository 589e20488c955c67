package h2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// defaultStreams is what a server that does not say is taken to allow at once.
const defaultStreams = 1000

// conn is the client's end of a connection.
type conn struct {
	mux[*stream]
	host *host

	// Guarded by the host's lock.
	places int       // how many requests hold a place here
	unused time.Time // since when none does

	expires time.Time
	limit   atomic.Int64 // streams the server allows
	closing atomic.Bool  // takes no new requests
	useful  atomic.Bool  // has answered something

	lastRead atomic.Int64 // unix nanoseconds
	pinged   time.Time    // when the ping was sent that is not answered; guarded by mu
	watch    *time.Timer

	last    uint32  // of the latest GOAWAY; guarded by mu
	ans     *answer // whose header block is being read
	answers answerReader
}

// newConn greets the server and waits for its settings, which say how many
// streams it allows.
func newConn(ctx context.Context, nc net.Conn, h *host) (*conn, error) {
	now := time.Now()
	c := &conn{host: h, unused: now, expires: now.Add(h.lifetime()), last: maxWindow}
	c.init(nc)
	c.maxOpen = defaultStreams

	hello := []byte(http2.ClientPreface)
	hello = appendSettings(hello,
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaders})
	hello = appendWindowUpdate(hello, 0, connWindow-initialWindow)
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	if _, err := nc.Write(hello); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("send preface: %w", err)
	}
	in := newReader(c, nc)
	if err := in.hello(); err != nil {
		_ = nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	c.alive()
	c.mu.Lock() // check may run at once
	c.watch = time.AfterFunc(h.t.glance(), c.check)
	c.mu.Unlock()
	go func() { c.close(in.run()) }()
	go func() {
		c.close(c.write())
		_ = nc.Close()
	}()
	return c, nil
}

// roundTrip sends one request and waits for its answer.
func (c *conn) roundTrip(st *stream) error {
	c.mu.Lock()
	if c.closing.Load() || !c.postLocked(st) {
		c.mu.Unlock()
		return fmt.Errorf("h2: %w: connection is closing", ErrNotSent)
	}
	c.mu.Unlock()
	gone := st.req.Context().Done()
	if gone == nil {
		<-st.done
		return st.err
	}
	select {
	case <-st.done:
	case <-gone:
		if sent, given := c.giveUp(st); given {
			c.rest()
			if !sent {
				return fmt.Errorf("h2: %w: %w", ErrNotSent, st.req.Context().Err())
			}
			return fmt.Errorf("h2: no answer: %w", st.req.Context().Err())
		}
		<-st.done // the answer came at the same moment
	}
	return st.err
}

// giveUp takes a request back: from the queue, or from the server. It reports
// false if its outcome is known already.
func (c *conn) giveUp(st *stream) (sent, given bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.id == 0 {
		i := slices.Index(c.queue, st)
		if i < 0 {
			return false, false
		}
		c.queue = slices.Delete(c.queue, i, i+1)
		return false, true
	}
	if c.streams[st.id] != st {
		return true, false
	}
	c.forgetLocked(st)
	c.ready = appendReset(c.ready, st.id, http2.ErrCodeCancel)
	c.wake.Signal()
	return true, true
}

// close ends the connection; every request under way fails with cause.
func (c *conn) close(cause error) {
	c.closing.Store(true)
	c.mu.Lock()
	leaving := c.batch // what is made ready for this write has not left
	if !c.failLocked(cause, 0) {
		c.mu.Unlock()
		return
	}
	lost := make([]*stream, 0, len(c.streams))
	for _, st := range c.streams {
		lost = append(lost, st)
	}
	unsent := c.queue
	clear(c.streams)
	c.queue, c.blocked = nil, nil
	c.mu.Unlock()

	c.watch.Stop()
	c.host.drop(c)
	for _, st := range lost {
		if st.batch == leaving && !isFault(cause) { // a failed line leaves what was made ready unwritten
			st.finish(fmt.Errorf("h2: %w: connection lost: %w", ErrNotSent, cause))
			continue
		}
		st.finish(fmt.Errorf("h2: connection lost: %w", cause))
	}
	for _, st := range unsent {
		st.finish(fmt.Errorf("h2: %w: connection lost: %w", ErrNotSent, cause))
	}
}

// check asks a silent connection whether it lives, and its host whether it is
// still of use.
func (c *conn) check() {
	probe, now := c.host.t.probe(), time.Now()
	heard := time.Unix(0, c.lastRead.Load())
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	patience := probe
	if len(c.streams) == 0 {
		patience *= 4
	}
	dead := false
	switch {
	case !c.pinged.IsZero() && heard.After(c.pinged):
		c.pinged = time.Time{}
	case !c.pinged.IsZero():
		dead = now.Sub(c.pinged) >= probe
	case now.Sub(heard) >= patience:
		c.pinged = now
		c.ready = appendPing(c.ready, false, [8]byte{'h', 'e', 'r', 'a', 'l', 'd'})
		c.wake.Signal()
	}
	c.mu.Unlock()
	if dead {
		c.close(fmt.Errorf("no answer to a ping for %v", probe))
		return
	}
	c.host.review(c, now)
	c.watch.Reset(c.host.t.glance())
}

func isFault(err error) bool {
	_, is := errors.AsType[fault](err)
	return is
}

func (c *conn) alive() { c.lastRead.Store(time.Now().UnixNano()) }

func (c *conn) settings(flags http2.Flags, p []byte) error {
	if err := c.apply(flags, p); err != nil {
		return err
	}
	c.mu.Lock()
	limit := int64(c.maxOpen)
	c.wake.Signal()
	c.mu.Unlock()
	if more := limit - c.limit.Swap(limit); more > 0 && c.watch != nil {
		c.host.wake(c)
	}
	return nil
}

func (c *conn) grow(id, by uint32) error {
	code, err := c.widen(id, by)
	if code != 0 {
		return c.abort(id, code, "window of the stream is broken")
	}
	return err
}

// abort ends a stream because of what the server does on it.
func (c *conn) abort(id uint32, code http2.ErrCode, reason string) error {
	c.mu.Lock()
	st := c.streams[id]
	if st != nil {
		c.forgetLocked(st)
		c.ready = appendReset(c.ready, id, code)
		c.wake.Signal()
	}
	c.mu.Unlock()
	if st != nil {
		st.finish(fmt.Errorf("h2: %s: %v", reason, code))
	}
	return nil
}

func (c *conn) reset(id uint32, code http2.ErrCode) error {
	if _, unopened := c.look(id); unopened {
		return protocolFault("RST_STREAM on a stream that is not open")
	}
	st := c.take(id, false)
	switch {
	case st == nil:
	case code == http2.ErrCodeNo && st.ans != nil: // answered early and wants no more body
		st.finish(nil)
	case code == http2.ErrCodeRefusedStream: // RFC 9113, section 8.7: certainly not processed
		st.finish(fmt.Errorf("h2: %w: %v", errRefused, code))
	default:
		st.finish(fmt.Errorf("h2: stream reset by the server: %v", code))
	}
	c.rest()
	return nil
}

// look finds the stream of a frame: nil if its outcome is known already.
// unopened says that we never opened one of that number.
func (c *conn) look(id uint32) (st *stream, unopened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id], id%2 == 0 || id >= c.nextID
}

// take removes a stream whose outcome is known; nil if somebody has done so. A
// request whose body has not all left is cut short.
func (c *conn) take(id uint32, cut bool) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[id]
	if st == nil {
		return nil
	}
	c.forgetLocked(st)
	if cut && st.sent < len(st.body) {
		c.ready = appendReset(c.ready, id, http2.ErrCodeNo)
		c.wake.Signal()
	}
	if c.nextID > 1<<30 {
		c.closing.Store(true) // a new connection long before the ids are used up
	}
	return st
}

// rest closes a connection that takes no new requests once it has none.
func (c *conn) rest() {
	if !c.closing.Load() {
		return
	}
	c.mu.Lock()
	idle := len(c.streams) == 0 && len(c.queue) == 0
	c.mu.Unlock()
	if idle {
		c.close(errDone)
	}
}

// goAway takes the server's farewell: what it has not seen may be sent again,
// the rest may still be answered.
func (c *conn) goAway(last uint32, code http2.ErrCode) error {
	c.closing.Store(true)
	c.mu.Lock()
	if last > c.last {
		c.mu.Unlock()
		return protocolFault("GOAWAY takes back an earlier one")
	}
	c.last = last
	unsent := c.queue
	c.queue = nil
	var unseen []*stream
	for id, st := range c.streams {
		if id > last {
			unseen = append(unseen, st)
		}
	}
	for _, st := range unseen {
		c.forgetLocked(st)
	}
	c.mu.Unlock()
	c.host.drop(c)
	for _, st := range append(unseen, unsent...) {
		st.finish(fmt.Errorf("h2: %w: server said goodbye: %v", ErrNotSent, code))
	}
	c.rest()
	return nil
}

func (c *conn) field(f hpack.HeaderField) {
	if c.ans == nil {
		c.ans = newAnswer()
	}
	c.answers.field(c.ans, f)
}

func (c *conn) headers(id uint32, ends bool) error {
	ans := c.ans
	c.ans = nil
	st, unopened := c.look(id)
	switch {
	case unopened:
		return protocolFault("HEADERS on a stream that is not open")
	case st == nil: // given up meanwhile
		return nil
	case ans == nil || ans.malformed():
		return c.abort(id, http2.ErrCodeProtocol, "malformed answer")
	case st.ans != nil: // trailers: nobody here wants them
		if !ends || ans.status != 0 {
			return c.abort(id, http2.ErrCodeProtocol, "second header block does not end the answer")
		}
	case ans.status == 0:
		return c.abort(id, http2.ErrCodeProtocol, "answer has no status")
	case ans.status >= 200:
		st.ans = ans
	case ends: // informational
		return c.abort(id, http2.ErrCodeProtocol, "answer ends before it begins")
	}
	if ends {
		c.complete(id)
	}
	return nil
}

func (c *conn) data(id uint32, p []byte, size int, ends bool) error {
	st, unopened := c.look(id)
	switch {
	case unopened:
		return protocolFault("DATA on a stream that is not open")
	case st == nil:
		return nil
	case st.ans == nil:
		return c.abort(id, http2.ErrCodeProtocol, "answer begins with its body")
	}
	if st.ans.taken += size; st.ans.taken > streamWindow {
		return c.abort(id, http2.ErrCodeFlowControl, "answer is beyond its window")
	}
	if st.ans.got = append(st.ans.got, p...); len(st.ans.got) > MaxBody {
		return c.abort(id, http2.ErrCodeCancel, fmt.Sprintf("answer is over %d bytes", MaxBody))
	}
	if ends {
		c.complete(id)
	}
	return nil
}

// complete hands a whole answer to who waits for it.
func (c *conn) complete(id uint32) {
	if st := c.take(id, true); st != nil {
		if !c.useful.Load() {
			c.useful.Store(true)
		}
		st.finish(st.ans.whole(st.req))
	}
	c.rest()
}
