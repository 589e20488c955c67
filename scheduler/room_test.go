package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// One app has a long line. Another, that comes last, goes next.
func TestRoomIsSharedByApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(100, nil, time.Now)
		ctx, stop := context.WithCancel(t.Context())
		defer stop() // the last of the flood is still in line
		order := make(chan string, 10)
		ask := func(app string, n int) {
			go func() {
				if h.enter(ctx, app, n) == nil {
					order <- app
				}
			}()
			synctest.Wait()
		}
		ask("flood", 100)
		for range 3 {
			ask("flood", 50)
		}
		ask("small", 1)
		if got := <-order; got != "flood" || len(order) != 0 {
			t.Fatalf("%s came in, and %d more", got, len(order))
		}
		for i, want := range []string{"small", "flood", "flood"} {
			h.leave("flood", 50)
			synctest.Wait()
			if got := <-order; got != want || len(order) != 0 {
				t.Errorf("number %d is %s and %d more, want %s alone", i+1, got, len(order), want)
			}
		}
	})
}

func TestRoomShrinksBeforeTheMoreUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		critical := newHall(80, nil, time.Now)
		normal := newHall(80, critical, time.Now)
		bulk := newHall(80, normal, time.Now)
		sizes := func(why string, wantNormal, wantBulk int) {
			t.Helper()
			if n, b := normal.size(), bulk.size(); n != wantNormal || b != wantBulk {
				t.Errorf("%s: %d and %d places, want %d and %d", why, n, b, wantNormal, wantBulk)
			}
		}
		sizes("nobody is there", 80, 80)
		if err := normal.enter(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		sizes("something usual", 80, 10)
		time.Sleep(yields)
		sizes("it was a while ago", 80, 80)
		if err := critical.enter(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		sizes("something critical", 10, 10)
		if err := bulk.enter(t.Context(), "a", 64); err != nil {
			t.Fatal("a task that is larger than the room is never let in")
		}
	})
}

func TestWhoeverStopsWaitingIsNotInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(10, nil, time.Now)
		if err := h.enter(t.Context(), "a", 5); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		gone, in := make(chan error, 1), make(chan error, 1)
		go func() { gone <- h.enter(ctx, "b", 10) }()
		synctest.Wait()
		go func() { in <- h.enter(t.Context(), "b", 5) }()
		synctest.Wait()
		stop()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("enter() = %v, want canceled", err)
		}
		if err := <-in; err != nil {
			t.Error(err)
		}
		h.leave("a", 5)
		h.leave("b", 5)
		if h.used != 0 || len(h.held) != 0 || len(h.lines) != 0 {
			t.Errorf("left over: %d used, %v held, %d lines", h.used, h.held, len(h.lines))
		}
	})
}
