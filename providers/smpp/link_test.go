package smpp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

// world is a provider before a service in this process, on a clock of its own.
type world struct {
	*Provider

	dials    atomic.Int64
	enquired atomic.Int64
	goodbyes atomic.Int64
	down     atomic.Bool  // nobody is there
	deaf     atomic.Bool  // the service answers no enquire_link
	dumb     atomic.Bool  // the service answers no submit_sm
	refuses  atomic.Int64 // the number of the message that it refuses
	taken    atomic.Int64
	plain    bool // the service knows no optional parameters
	tagged   atomic.Int64
	conns    []net.Conn // the service's ends
}

func newWorld(t *testing.T) *world {
	w := &world{Provider: open(t, "smsc.test:2775", nil)}
	w.pace = usual
	w.dial = func(context.Context) (net.Conn, error) {
		w.dials.Add(1)
		if w.down.Load() {
			return nil, errors.New("nobody is there")
		}
		ours, theirs := net.Pipe()
		w.conns = append(w.conns, theirs)
		go func() {
			defer theirs.Close()
			converse(theirs, w.answer)
		}()
		return ours, nil
	}
	return w
}

func (w *world) answer(unit pdu.PDU) (*pdu.PDU, bool) {
	a := &pdu.PDU{Command: unit.Command | pdu.GenericNack, Sequence: unit.Sequence}
	switch unit.Command {
	case pdu.BindTransceiver:
		body := pdu.Answer{ID: "smsc"}
		if !w.plain {
			body.TLVs = []pdu.TLV{{Tag: pdu.InterfaceVersion, Value: []byte{pdu.Version}}}
		}
		a.Body, _ = body.Body()
	case pdu.SubmitSM:
		n := w.taken.Add(1)
		if w.dumb.Load() {
			return nil, true
		}
		if n == w.refuses.Load() {
			a.Status = statusThrottled
			return a, true
		}
		a.Body = fmt.Appendf(nil, "%d\x00", n)
		if m, err := pdu.ParseMessage(unit.Body); err == nil && pdu.Find(m.TLVs, pdu.UserReference) != nil {
			w.tagged.Add(1)
		}
	case pdu.EnquireLink:
		w.enquired.Add(1)
		if w.deaf.Load() {
			return nil, true
		}
	case pdu.Unbind:
		w.goodbyes.Add(1)
	default:
		return nil, true
	}
	return a, true
}

func (w *world) send(t *testing.T) error {
	t.Helper()
	_, err := w.Send(t.Context(), delivery("n1.0.0"))
	return err
}

func TestASilentServiceIsAskedWhetherItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if err := w.send(t); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*usual.enquire + time.Second)
		if n := w.enquired.Load(); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
		w.deaf.Store(true)
		time.Sleep(2 * usual.enquire)
		if err := w.send(t); err != nil || w.dials.Load() != 2 {
			t.Errorf("Send() error = %v after %d dials, want a second connection", err, w.dials.Load())
		}
		w.CloseIdleConnections()
		synctest.Wait()
	})
}

func TestUnansweredMessagesHoldUpTheOthersForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dumb.Store(true)
		send := func(patience time.Duration, want error) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := w.Send(ctx, delivery("n1.0.0")); !errors.Is(err, want) {
				t.Errorf("Send() error = %v, want %v", err, want)
			}
		}
		for range defaultWindow {
			send(time.Second, push.ErrUnknown)
		}
		send(time.Second, push.ErrUnavailable) // no place in the window
		w.dumb.Store(false)
		send(2*usual.answer, nil)
		if w.dials.Load() != 2 || w.window.used != 0 {
			t.Errorf("%d dials and %d in the window, want 2 and none", w.dials.Load(), w.window.used)
		}
		w.CloseIdleConnections()
		synctest.Wait()
	})
}

func TestARefusedPartEndsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		got := receipts(w.Provider)
		w.refuses.Store(2)
		d := delivery("n1.0.0")
		d.Body = strings.Repeat("x", 400)
		if _, err := w.Send(t.Context(), d); !errors.Is(err, push.ErrThrottled) || w.taken.Load() != 2 {
			t.Errorf("Send() error = %v after %d parts, want throttled after two", err, w.taken.Load())
		}
		if err := w.proved(t.Context(), receipt{id: "1", state: "EXPIRED"}); err != nil || len(got) != 0 {
			t.Errorf("the part that was taken proved something: %v, %d receipts", err, len(got))
		}
		w.dumb.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Send(ctx, d); !errors.Is(err, push.ErrUnknown) {
			t.Errorf("Send() error = %v, want unknown", err)
		}
		w.CloseIdleConnections()
		synctest.Wait()
	})
}

func TestTheServiceIsLeftWhenThereIsNothingToSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if err := w.send(t); err != nil {
			t.Fatal(err)
		}
		time.Sleep(usual.idle + 2*usual.enquire)
		synctest.Wait()
		if w.goodbyes.Load() != 1 || w.link.running {
			t.Errorf("%d goodbyes, running %v; want one, and rest", w.goodbyes.Load(), w.link.running)
		}
		if err := w.send(t); err != nil || w.dials.Load() != 2 {
			t.Errorf("Send() error = %v after %d dials", err, w.dials.Load())
		}
		w.CloseIdleConnections()
		synctest.Wait()
	})
}

func TestTheConnectionStaysWhileAReceiptIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		receipts(w.Provider)
		if err := w.send(t); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if w.goodbyes.Load() != 0 {
			t.Error("left before the receipt could come")
		}
		time.Sleep(2 * time.Hour) // the message's time and an hour
		synctest.Wait()
		if w.goodbyes.Load() != 1 || w.link.running {
			t.Error("stayed for a receipt that will not come")
		}
	})
}

func TestTriesComeSlowerWhileNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		receipts(w.Provider)
		if err := w.send(t); err != nil {
			t.Fatal(err)
		}
		w.down.Store(true)
		_ = w.conns[0].Close()
		time.Sleep(10 * time.Minute)
		if n := w.dials.Load(); n < 12 || n > 30 {
			t.Errorf("%d dials in ten minutes", n)
		}
		err := w.send(t)
		var e *push.Error
		if !errors.As(err, &e) || !errors.Is(err, push.ErrUnavailable) || e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
			t.Errorf("Send() error = %v, want unavailable for some seconds", err)
		}
		w.down.Store(false)
		time.Sleep(time.Minute)
		if err := w.send(t); err != nil {
			t.Errorf("Send() error = %v after the service came back", err)
		}
		w.CloseIdleConnections()
		synctest.Wait()
	})
}

func TestNobodyIsCalledAgainForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.down.Store(true)
		if err := w.send(t); !errors.Is(err, push.ErrUnavailable) {
			t.Errorf("Send() error = %v, want unavailable", err)
		}
		time.Sleep(time.Hour)
		if n := w.dials.Load(); n != 1 {
			t.Errorf("%d dials, want one for one attempt", n)
		}
	})
}

func TestServicesOfOldGetNoOptionalParameters(t *testing.T) {
	for plain, want := range map[bool]int64{true: 0, false: 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.plain = plain
			if err := w.send(t); err != nil || w.tagged.Load() != want {
				t.Errorf("Send() = %v with %d optional parameters, want %d", err, w.tagged.Load(), want)
			}
			w.CloseIdleConnections()
			synctest.Wait()
		})
	}
}

func TestWindowServesInOrderAndOpensAgain(t *testing.T) {
	w := newWindow(4)
	var epochs []int
	for range 4 {
		e, err := w.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, e)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.acquire(ctx); err == nil {
		t.Fatal("a fifth got a place")
	}
	for _, e := range epochs {
		w.release(e, overloaded)
	}
	if w.limit != 2 || w.used != 0 || len(w.queue) != 0 {
		t.Errorf("limit %d, used %d, waiting %d; want one halving for one window", w.limit, w.used, len(w.queue))
	}
	for range 2 + 3 {
		e, err := w.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.release(e, taken)
	}
	if w.limit != 4 {
		t.Errorf("limit %d after five were taken, want 4", w.limit)
	}
}
