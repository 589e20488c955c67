package routing_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/redistest"
)

// missed waits for a report of who was missed.
func spread(t *testing.T, n *node, id string, users ...string) []string {
	t.Helper()
	heard := make(chan []string, 2)
	m := im.Message{ID: id, Payload: []byte("hi")}
	if err := n.Spread(t.Context(), "demo", users, m, func(missed []string) { heard <- missed }); err != nil {
		t.Fatal(err)
	}
	select {
	case missed := <-heard:
		return missed
	case <-time.After(soon):
		t.Fatal("nobody said who was missed")
		return nil
	}
}

// arrived are the devices that got a message at a desk.
func (d *desk) arrived(id string) []string {
	d.Lock()
	defer d.Unlock()
	var devices []string
	for _, line := range d.got {
		var key, what string
		if _, err := fmt.Sscan(line, &key, &what); err == nil && what == id {
			devices = append(devices, key)
		}
	}
	slices.Sort(devices)
	return devices
}

func TestMessageIsSpreadToAllDevicesOfItsUsers(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		a.connect(t, "ann:phone", 1)
		b.connect(t, "ann:tablet", 1)
		b.connect(t, "bob:phone2", 2)
		b.connect(t, "cat:phone3", 3)
		b.connect(t, "nobodys", 4)
		if got := spread(t, a, "m1", "ann", "dan", "bob"); !slices.Equal(got, []string{"dan"}) {
			t.Errorf("missed %q, want dan", got)
		}
		if got := a.desk.arrived("m1"); !slices.Equal(got, []string{"demo/phone"}) {
			t.Errorf("node a: %q", got)
		}
		if got := b.desk.arrived("m1"); !slices.Equal(got, []string{"demo/phone2", "demo/tablet"}) {
			t.Errorf("node b: %q", got)
		}
		online, err := a.OnlineUsers(t.Context(), "demo", []string{"cat", "dan", "ann"})
		if err != nil || !slices.Equal(online, []bool{true, false, true}) {
			t.Errorf("OnlineUsers() = %v, %v", online, err)
		}
		// Other apps have their own users.
		if online, err := a.OnlineUsers(t.Context(), "other", []string{"ann"}); err != nil || online[0] {
			t.Errorf("OnlineUsers() of another app = %v, %v", online, err)
		}
	})
}

func TestUserHeardOnOneDeviceIsNotMissed(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		b.connect(t, "ann:phone", 1)
		gone := a.connect(t, "ann:tablet", 1)
		onlyGone := a.connect(t, "bob:phone2", 2)
		// They vanished, and nobody said so.
		a.desk.Change(func() { delete(a.desk.sessions, gone.Key()); delete(a.desk.sessions, onlyGone.Key()) })
		if got := spread(t, b, "m1", "ann", "bob"); !slices.Equal(got, []string{"bob"}) {
			t.Errorf("missed %q, want bob", got)
		}
		eventually(t, "removal of the wrong entries", func() bool {
			found, err := s.Users(t.Context(), "demo", []string{"ann", "bob"})
			return err == nil && len(found[0]) == 1 && len(found[1]) == 0
		})
	})
}

func TestOneDeviceThatHangsHoldsUpNobody(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		b.connect(t, "ann:phone", 1)
		b.desk.Change(func() { b.desk.mute = true })
		if got := spread(t, a, "m1", "ann"); !slices.Equal(got, []string{"ann"}) {
			t.Errorf("missed %q, want ann", got)
		}
	})
}

func TestUsersDevicesFollowTheLatestSession(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		old := a.connect(t, "ann:phone", 1)
		b.connect(t, "ann:phone", 1)
		a.desk.Await(t, "displacement", func() bool { return len(a.desk.displaced) == 1 })
		a.Unregister(old) // late
		a.connect(t, "zoe:other", 2)
		eventually(t, "the entry behind it", func() bool {
			found, err := s.Users(t.Context(), "demo", []string{"zoe"})
			return err == nil && len(found[0]) == 1
		})
		found, err := s.Users(t.Context(), "demo", []string{"ann"})
		if err != nil || len(found[0]) != 1 || found[0][0].Node != "b" || found[0][0].Device != "phone" {
			t.Errorf("Users() = %v, %v", found, err)
		}
		b.stop()
		eventually(t, "absence", func() bool {
			found, err := s.Users(t.Context(), "demo", []string{"ann"})
			return err == nil && len(found[0]) == 0
		})
	})
}

func TestDeviceOfAnotherUserIsDismissed(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		here := a.connect(t, "ann:phone", 7)
		for i, from := range []*node{a, b} {
			if err := from.Dismiss(t.Context(), "demo", "phone"); err != nil {
				t.Fatal(err)
			}
			a.desk.Await(t, "dismissal", func() bool { return len(a.desk.dismissed) == i+1 })
			if got := a.desk.dismissed[i]; got.Key() != here.Key() || got.Serial != 7 {
				t.Errorf("dismissed %+v", got)
			}
		}
		if err := b.Dismiss(t.Context(), "demo", "nobody"); err != nil {
			t.Errorf("Dismiss() of who is not there = %v", err)
		}
	})
}

func TestManyUsersAreReachedInFewFrames(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		a, b := start(t, s, "a"), start(t, s, "b")
		const n = 2_500 // more than one item holds
		users := make([]string, n)
		for i := range n {
			users[i] = fmt.Sprint("u", i)
			session := im.Session{App: "demo", Device: fmt.Sprint("d", i), User: users[i], Serial: uint64(i)}
			a.desk.Change(func() { a.desk.sessions[session.Key()] = session })
		}
		var entries []routing.Entry
		place := placeOf(t, s, a)
		for i := range n {
			place.Serial = uint64(i)
			entries = append(entries, routing.Entry{Device: routing.Device{App: "demo", Device: fmt.Sprint("d", i)}, Place: place, User: users[i]})
		}
		if _, err := s.Enter(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		if got := spread(t, b, "m1", users...); len(got) != 0 {
			t.Errorf("missed %d", len(got))
		}
		if got := len(a.desk.arrived("m1")); got != n {
			t.Errorf("%d arrived, want %d", got, n)
		}
	})
}

// placeOf is where a node records its sessions.
func placeOf(t *testing.T, s store, n *node) im.Place {
	t.Helper()
	n.connect(t, "probe", 1)
	found, err := s.Find(t.Context(), []routing.Device{{App: "demo", Device: "probe"}})
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func TestNodesAreDrainedAndTellHowTheyAre(t *testing.T) {
	eachStore(t, func(t *testing.T, s store) {
		rates := make(chan int, 4)
		a := routing.New(config("a"), s, s, slog.New(slog.DiscardHandler))
		a.Host(newDesk())
		a.Drains(func(rate int) { rates <- rate }, func() (int, bool) { return 7, true })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
		for _, rate := range []int{500, 0} {
			eventually(t, "node a", func() bool {
				heard, err := routing.Drain(t.Context(), s, "a", rate)
				return err == nil && heard
			})
			select {
			case got := <-rates:
				if got != rate {
					t.Errorf("drained at %d, want %d", got, rate)
				}
			case <-time.After(soon):
				t.Fatal("the node did not hear")
			}
		}
		eventually(t, "word of node a", func() bool {
			nodes, err := s.Nodes(t.Context(), time.Minute)
			return err == nil && len(nodes) == 1 && nodes[0].Name == "a" && nodes[0].Sessions == 7 && nodes[0].Draining
		})
		if nodes, err := s.Nodes(t.Context(), -time.Hour); err != nil || len(nodes) != 0 {
			t.Errorf("nodes of long ago: %v, %v", nodes, err)
		}
		if heard, err := routing.Drain(t.Context(), s, "nobody", 1); heard || err != nil {
			t.Errorf("Drain() of nobody = %v, %v", heard, err)
		}
	})
}

func TestSpreadWithoutRedisSaysSo(t *testing.T) {
	server := redistest.Start(t)
	s := routing.NewRedis(client(t, server), config(""))
	a := start(t, s, "a")
	server.Kill()
	err := a.Spread(t.Context(), "demo", []string{"ann"}, im.Message{ID: "m"}, func([]string) { t.Error("told of an error twice") })
	if err == nil || errors.Is(err, im.ErrNotHere) {
		t.Errorf("Spread() = %v", err)
	}
}
