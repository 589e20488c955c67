package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/client/live"
	"github.com/herald-push/herald/internal/need"
)

// wire is what stands between a device and Herald, and can be cut.
type wire struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	cut      bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l}
	t.Cleanup(func() { l.Close(); w.set(true) })
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", to) //nolint:noctx // ends with the test
			w.mu.Lock()
			if err != nil || w.cut {
				here.Close()
				w.mu.Unlock()
				continue
			}
			w.conns = append(w.conns, here, there)
			w.mu.Unlock()
			go func() { _, _ = io.Copy(there, here); there.Close() }()
			go func() { _, _ = io.Copy(here, there); here.Close() }()
		}
	}()
	return w
}

// set cuts the wire or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for _, c := range w.conns {
			c.Close()
		}
		w.conns = nil
	}
}

// gadget is a device on the Go client, and what it heard.
type gadget struct {
	*live.Device

	mu     sync.Mutex
	texts  []string
	titles []string
	events []string
	states []string
	last   live.Notification
}

func (g *gadget) list(what *[]string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(*what)
}

func (g *gadget) note(list *[]string, what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*list = append(*list, what)
}

// gadget runs a device of a user until the test ends.
func (p *program) gadget(user, addr string, store live.Store) (g *gadget, stop func()) {
	p.t.Helper()
	device := user + "-go"
	p.person(user, device, "live")
	g = &gadget{}
	g.Device = live.New(live.Config{
		Addr: addr, API: p.facts.URL, Device: device, Store: store,
		Token: func(context.Context) (live.Token, error) {
			var token struct {
				Token     string    `json:"token"`
				ExpiresAt time.Time `json:"expires_at"`
			}
			_, err := call(context.WithoutCancel(p.t.Context()), p.facts.URL, p.facts.APIKey, http.MethodPost, "/v1/devices/"+device+"/token", nil, &token)
			return live.Token{Token: token.Token, ExpiresAt: token.ExpiresAt}, err
		},
		OnMessage: func(m live.Message) { g.note(&g.texts, string(m.Body)) },
		OnEvent: func(e live.Event) {
			g.note(&g.events, e.Type+" "+e.User)
			for user, on := range e.Users {
				g.note(&g.events, fmt.Sprintf("%s online %v", user, on))
			}
		},
		OnState:        func(s string) { g.note(&g.states, s) },
		OnNotification: func(n live.Notification) { g.mu.Lock(); g.last = n; g.mu.Unlock(); g.note(&g.titles, n.Title) },
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("Run() = %v", err)
		}
	})
	p.t.Cleanup(stop)
	g.await(p.t, "connection", func() bool { return slices.Contains(g.list(&g.states), "connected") })
	return g, stop
}

func (g *gadget) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	eventually(t, 60*time.Second, what, func() error {
		if holds() {
			return nil
		}
		return fmt.Errorf("heard %q, events %q, states %q", g.list(&g.texts), g.list(&g.events), g.list(&g.states))
	})
}

// TestTheGoClientTalks has two devices on client/live talk through a Herald, over
// a wire that is cut.
func TestTheGoClientTalks(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	addr := strings.TrimPrefix(p.facts.MQTT, "mqtt://")
	cable := newWire(t, addr)
	kept := live.File(filepath.Join(t.TempDir(), "ann.json"))
	ann, annStops := p.gadget("ann", cable.listener.Addr().String(), kept)
	bob, _ := p.gadget("bob", p.facts.WebSocket, nil) // MQTT over a WebSocket
	if err := bob.Watch("ann"); err != nil {
		t.Fatal(err)
	}
	bob.await(t, "ann's presence", func() bool { return slices.Contains(bob.list(&bob.events), "ann online true") })
	say := func(g *gadget, to, text string) live.Message {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		m, err := g.Send(ctx, live.Draft{To: to, Text: text})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return m
	}
	body := func(text string) string { return `{"text":"` + text + `"}` }
	hears := func(g *gadget, texts ...string) {
		t.Helper()
		want := make([]string, len(texts))
		for i, text := range texts {
			want[i] = body(text)
		}
		g.await(t, "words", func() bool { return len(g.list(&g.texts)) >= len(want) })
		if got := g.list(&g.texts); !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	first := say(bob, "ann", "one")
	if first.Seq != 1 || first.Sender != "bob" {
		t.Errorf("said %+v", first)
	}
	hears(ann, "one")

	// What is said while the wire is cut comes once it is mended, in order, once.
	cable.set(true)
	ann.await(t, "loss", func() bool { return slices.Contains(ann.list(&ann.states), "waiting") })
	say(bob, "ann", "two")
	say(bob, "ann", "three")
	answered := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 60*time.Second)
		defer cancel()
		_, err := ann.Send(ctx, live.Draft{To: "bob", Text: "four"})
		answered <- err
	}()
	cable.set(false)
	if err := <-answered; err != nil {
		t.Errorf("what was said without a wire: %v", err)
	}
	hears(ann, "one", "two", "three", "four")
	hears(bob, "one", "two", "three", "four")

	ann.Typing(first.Conversation)
	ann.Read(first.Conversation, 3)
	bob.await(t, "events", func() bool {
		heard := bob.list(&bob.events)
		return slices.Contains(heard, "typing ann") && slices.Contains(heard, "cursor ann")
	})
	if _, err := ann.Send(t.Context(), live.Draft{Conversation: "no-such", Text: "x"}); err == nil || !strings.Contains(err.Error(), "not_found") {
		t.Errorf("Send() where nobody is = %v", err)
	}

	// A notification is shown once, and what the user did with it is known.
	p.run("send", "--to", "device:ann-go", "--title", "Parcel", "--body", "it came")
	ann.await(t, "notification", func() bool { return slices.Contains(ann.list(&ann.titles), "Parcel") })
	ann.mu.Lock()
	n := ann.last
	ann.mu.Unlock()
	ann.Displayed(n)
	ann.Clicked(n)
	eventually(t, 60*time.Second, "the reports are taken", func() error {
		s, err := kept.Load()
		if err == nil && len(s.Reports) > 0 {
			err = fmt.Errorf("%q wait", s.Reports)
		}
		return err
	})

	// After a restart of the device it goes on where it was.
	annStops()
	bob.await(t, "ann's leave", func() bool { return slices.Contains(bob.list(&bob.events), "ann online false") })
	say(bob, "ann", "five")
	again, _ := p.gadget("ann", addr, kept)
	hears(again, "five")
}
