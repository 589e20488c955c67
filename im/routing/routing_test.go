package routing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/redistest"
)

func TestRegistryKeepsTheNewestSession(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		ctx := t.Context()
		d := routing.Device{App: "demo", Device: "d1"}
		since := time.UnixMilli(1_800_000_000_000).UTC()
		at := func(node, boot string, serial uint64) routing.Entry {
			return routing.Entry{Device: d, Place: im.Place{Node: node, Boot: boot, Serial: serial, Since: since}}
		}
		enter := func(e routing.Entry) routing.Outcome {
			t.Helper()
			o, err := s.Enter(ctx, []routing.Entry{e})
			if err != nil {
				t.Fatal(err)
			}
			return o[0]
		}
		find := func() im.Place {
			t.Helper()
			p, err := s.Find(ctx, []routing.Device{{App: "demo", Device: "nobody"}, d})
			if err != nil || p[0] != (im.Place{}) {
				t.Fatalf("Find() = %v, %v", p, err)
			}
			return p[1]
		}
		for _, n := range []string{"a", "b"} {
			if lost, err := s.Renew(ctx, n, "boot-"+n, time.Minute); !lost || err != nil {
				t.Fatalf("first Renew() = %v, %v", lost, err)
			}
			if lost, err := s.Renew(ctx, n, "boot-"+n, time.Minute); lost || err != nil {
				t.Fatalf("second Renew() = %v, %v", lost, err)
			}
		}
		steps := []struct {
			name string
			do   routing.Outcome
			want routing.Result
			at   string
		}{
			{"first", enter(at("a", "boot-a", 5)), routing.Entered, "a"},
			{"same again", enter(at("a", "boot-a", 5)), routing.Known, "a"},
			{"older of the same node comes late", enter(at("a", "boot-a", 4)), routing.Stale, "a"},
			{"newer of the same node", enter(at("a", "boot-a", 6)), routing.Entered, "a"},
			{"another node", enter(at("b", "boot-b", 1)), routing.Entered, "b"},
		}
		for _, step := range steps {
			if step.do.Result != step.want {
				t.Errorf("%s: result %v, want %v", step.name, step.do.Result, step.want)
			}
		}
		if before := steps[4].do.Before; before.Node != "a" || before.Serial != 6 || !before.Since.Equal(since) {
			t.Errorf("pushed aside %+v", before)
		}
		held := at("a", "boot-a", 7)
		held.Restore = true
		if o := enter(held); o.Result != routing.Held {
			t.Errorf("restoring over another node: result %v, want Held", o.Result)
		}
		// The late end of an old session does not erase the newer one.
		if err := s.Leave(ctx, []routing.Entry{at("a", "boot-a", 6), at("b", "boot-old", 1), at("b", "boot-b", 10)}); err != nil {
			t.Fatal(err)
		}
		first := find()
		if first.Node != "b" || first.Serial != 1 {
			t.Errorf("found at %+v, want b", first)
		}
		if second := enter(at("b", "boot-b", 2)); second.Before.Epoch != first.Epoch || find().Epoch <= first.Epoch {
			t.Errorf("epoch fell: %d after %d", find().Epoch, first.Epoch)
		}
		if err := s.Leave(ctx, []routing.Entry{at("b", "boot-b", 2)}); err != nil || find() != (im.Place{}) {
			t.Errorf("after Leave() = %v found at %+v", err, find())
		}
	})
}

func TestDeadNodeTakesItsSessionsWithIt(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a := start(t, s, "a")
		b := start(t, s, "b")
		a.connect(t, "d1", 1)
		eventually(t, "presence", func() bool { return b.online(t, "d1") })
		a.stop()
		eventually(t, "absence", func() bool { return !b.online(t, "d1") })
		if err := b.Deliver(t.Context(), "demo", "d1", "m", nil, time.Time{}); !errors.Is(err, im.ErrNotHere) {
			t.Errorf("Deliver() = %v, want ErrNotHere", err)
		}
	})
}

func TestMessageFindsItsNode(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		a.connect(t, "d1", 1)
		eventually(t, "presence", func() bool { return b.online(t, "d1") })
		expires := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, from := range []*node{a, b} {
			if err := from.Deliver(t.Context(), "demo", "d1", "m-"+from.Node(), []byte("hi"), expires); err != nil {
				t.Errorf("Deliver() from %s = %v", from.Node(), err)
			}
		}
		want := []string{"demo/d1 m-a hi 2030-01-01T00:00:00Z", "demo/d1 m-b hi 2030-01-01T00:00:00Z"}
		if !slices.Equal(a.desk.got, want) {
			t.Errorf("got %q, want %q", a.desk.got, want)
		}
	})
}

func TestEachTargetHasItsOwnResult(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		s1 := a.connect(t, "d1", 1)
		eventually(t, "presence", func() bool { return b.online(t, "d1") })
		for _, want := range []error{nil, im.ErrFull, im.ErrExpired, im.ErrTooLarge, im.ErrUnknown} {
			a.desk.Change(func() { a.desk.answer = want })
			if err := b.Deliver(t.Context(), "demo", "d1", "m", nil, time.Time{}); !errors.Is(err, want) {
				t.Errorf("Deliver() = %v, want %v", err, want)
			}
		}
		a.desk.Change(func() { a.desk.mute = true })
		if err := b.Deliver(t.Context(), "demo", "d1", "m", nil, time.Time{}); !errors.Is(err, im.ErrUnknown) {
			t.Errorf("Deliver() to a node that does not answer = %v, want ErrUnknown", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := b.Deliver(ctx, "demo", "d1", "m", nil, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Deliver() = %v, want the deadline", err)
		}
		// The device is gone, but nobody said so: the entry is found wrong and removed.
		a.desk.Change(func() { a.desk.mute, a.desk.answer = false, nil; delete(a.desk.sessions, s1.Key()) })
		if err := b.Deliver(t.Context(), "demo", "d1", "m", nil, time.Time{}); !errors.Is(err, im.ErrNotHere) {
			t.Errorf("Deliver() to one who left = %v, want ErrNotHere", err)
		}
		eventually(t, "removal of the wrong entry", func() bool { return !b.online(t, "d1") })
	})
}

// A person's device is known before it is in. Who looks for it in between and
// finds nobody must not make it unknown for good.
func TestWhoComesInJustNowIsNotTakenForGone(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		coming := im.Session{App: "demo", Device: "d1", User: "ann", Serial: 1, Since: time.Now()}
		if err := a.Register(t.Context(), coming); err != nil { // known, and not in
			t.Fatal(err)
		}
		old := b.connect(t, "d2", 1)
		b.desk.Change(func() { delete(b.desk.sessions, old.Key()) })
		for device, from := range map[string]*node{"d1": b, "d2": a} {
			if err := from.Deliver(t.Context(), "demo", device, "m", nil, time.Time{}); !errors.Is(err, im.ErrNotHere) {
				t.Errorf("Deliver() to %s = %v, want ErrNotHere", device, err)
			}
		}
		spread(t, b, "m2", "ann")
		eventually(t, "removal of the one that has gone", func() bool { return !a.online(t, "d2") })
		if !b.online(t, "d1") {
			t.Error("the one that comes in is taken for gone")
		}
	})
}

func TestManyDeliveriesShareFrames(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		const devices = 500
		var sessions []im.Session
		for i := range devices {
			sessions = append(sessions, a.connect(t, fmt.Sprint("d", i), uint64(i)))
		}
		eventually(t, "presence", func() bool { return b.online(t, "d0") })
		var wg sync.WaitGroup
		for _, one := range sessions {
			wg.Go(func() {
				if err := b.Deliver(t.Context(), one.App, one.Device, "m", []byte("hi"), time.Time{}); err != nil {
					t.Errorf("Deliver() to %s = %v", one.Device, err)
				}
			})
		}
		wg.Wait()
		if len(a.desk.got) != devices {
			t.Errorf("%d arrived, want %d", len(a.desk.got), devices)
		}
	})
}

func TestDeviceThatMovesIsDisplacedWhereItWas(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		old := a.connect(t, "d1", 1)
		b.connect(t, "d1", 1)
		a.desk.Await(t, "displacement", func() bool { return len(a.desk.displaced) == 1 })
		if got := a.desk.displaced[0]; got.Key() != old.Key() || got.Serial != old.Serial {
			t.Errorf("displaced %+v", got)
		}
		a.Unregister(old) // late, as it happens
		if err := a.Deliver(t.Context(), "demo", "d1", "m", []byte("x"), time.Time{}); err != nil {
			t.Errorf("Deliver() = %v", err)
		}
		if len(b.desk.got) != 1 {
			t.Errorf("the new node got %q", b.desk.got)
		}
	})
}

func TestOnlineAnswersInOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		a.connect(t, "here", 1)
		gone := a.connect(t, "gone", 2)
		b.connect(t, "there", 1)
		a.disconnect(gone)
		eventually(t, "answer", func() bool {
			got, err := a.Online(t.Context(), "demo", []string{"gone", "there", "never", "here"})
			return err == nil && slices.Equal(got, []bool{false, true, false, true})
		})
	})
}

func TestSessionsAreRecordedAnewWhenRedisLostThem(t *testing.T) {
	server := redistest.Start(t)
	c := client(t, server)
	s := routing.NewRedis(c, config(""))
	a, b := start(t, s, "a"), start(t, s, "b")
	for i := range 20 {
		a.connect(t, fmt.Sprint("d", i), uint64(i))
	}
	b.connect(t, "d0", 1) // d0 moved
	a.desk.Await(t, "displacement", func() bool { return len(a.desk.displaced) == 1 })
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	a.desk.Await(t, "restored sessions", func() bool { return len(a.desk.restored) == 19 })
	b.desk.Await(t, "restored session", func() bool { return len(b.desk.restored) == 1 })
	eventually(t, "presence", func() bool { return b.online(t, "d19") && a.online(t, "d0") })
}

func TestRedisMayBeAwayForAWhile(t *testing.T) {
	server := redistest.Start(t)
	s := routing.NewRedis(client(t, server), config(""))
	a, b := start(t, s, "a"), start(t, s, "b")
	a.connect(t, "d1", 1)
	server.Kill()
	away := im.Session{App: "demo", Device: "d2", Serial: 2}
	a.desk.Change(func() { a.desk.sessions[away.Key()] = away })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := a.Register(ctx, away); err == nil {
		t.Error("Register() without Redis succeeded")
	}
	if err := a.Deliver(t.Context(), "demo", "d2", "m", []byte("x"), time.Time{}); err != nil {
		t.Errorf("Deliver() to a device of this node needs no Redis, but = %v", err)
	}
	server.Restart()
	a.desk.Await(t, "repair", func() bool {
		return slices.ContainsFunc(a.desk.restored, func(s im.Session) bool { return s.Device == "d2" })
	})
	eventually(t, "presence", func() bool { return b.online(t, "d1") && b.online(t, "d2") })
	eventually(t, "delivery", func() bool {
		return b.Deliver(t.Context(), "demo", "d2", "m2", []byte("x"), time.Time{}) == nil
	})
}
