package logic_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/im/logic"
)

// world is a logic floor over a real database, whose users' devices and whose
// bell are here.
type world struct {
	*logic.Logic
	t     *testing.T
	store *data.Memory

	mu     sync.Mutex
	online map[string]bool
	frames map[string][]map[string]any // by user
	rings  []im.Ring
	losing map[string]int // how many frames for a user get lost on the way
	refuse string         // a word that the screen refuses
}

func open(t *testing.T, change func(*logic.Config)) *world {
	t.Helper()
	store := data.NewMemory()
	w := &world{t: t, store: store, online: map[string]bool{}, losing: map[string]int{}, frames: map[string][]map[string]any{}}
	cfg := logic.DefaultConfig()
	cfg.RingAfter = time.Second
	if change != nil {
		change(&cfg)
	}
	w.Logic = logic.New(cfg, logic.Parts{
		Messages: store, Conversations: store, Members: store, Cursors: store, Rings: store, Friends: store,
		Live: w, Bell: w, Screen: w, Log: slog.New(slog.DiscardHandler),
	})
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = store.Run(ctx) })
	running.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() {
		end()
		running.Wait()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// Hand implements [logic.Live]: the devices acknowledge at once.
func (w *world) Hand(_ context.Context, app string, users []string, m im.Message, tell func([]string)) error {
	var f map[string]any
	if err := json.Unmarshal(m.Payload, &f); err != nil {
		return err
	}
	var missed []string
	for _, user := range users {
		w.mu.Lock()
		on := w.online[user]
		if on && w.losing[user] > 0 {
			w.losing[user]--
			on = false
		}
		if on {
			w.frames[user] = append(w.frames[user], f)
		}
		w.mu.Unlock()
		if !on {
			missed = append(missed, user)
			continue
		}
		w.Acked(app, user, m.ID)
	}
	if tell != nil {
		tell(missed)
	}
	return nil
}

// Online implements [logic.Live].
func (w *world) Online(_ context.Context, _ string, users []string) ([]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	on := make([]bool, len(users))
	for i, u := range users {
		on[i] = w.online[u]
	}
	return on, nil
}

// Ring implements [logic.Bell].
func (w *world) Ring(_ context.Context, r im.Ring, _ *im.ChatMessage, _ *im.Conversation) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rings = append(w.rings, r)
	return nil
}

// Screen implements [logic.Screen].
func (w *world) Screen(_ context.Context, d *im.Draft) error {
	if w.refuse != "" && string(d.Body) == `{"text":"`+w.refuse+`"}` {
		return &im.Refusal{Code: "screened", Field: "body.text", Detail: "not here"}
	}
	return nil
}

func (w *world) connect(users ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range users {
		w.online[u] = true
	}
}

func user(id string) im.Actor { return im.Actor{App: "demo", User: id} }

var service = im.Actor{App: "demo", Service: true}

// text is a message with its words for client id.
func text(words string) im.ChatMessage {
	body, _ := json.Marshal(map[string]string{"text": words})
	return im.ChatMessage{ClientID: words, Body: body}
}

// in puts a message into a conversation.
func in(conversation string, m im.ChatMessage) im.ChatMessage {
	m.Conversation = conversation
	return m
}

func (w *world) send(who im.Actor, m im.ChatMessage, to string) im.Said {
	w.t.Helper()
	s, err := w.Send(w.t.Context(), who, m, to)
	if err != nil {
		w.t.Fatalf("%s says %s: %v", who.User, m.ClientID, err)
	}
	return s
}

func (w *world) group(join im.Join, users ...string) string {
	w.t.Helper()
	c, err := w.CreateGroup(w.t.Context(), user(users[0]), im.Conversation{Title: "all", Join: join}, users[1:])
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

// code is the code of a refusal; "" for no error.
func code(t *testing.T, err error) string {
	t.Helper()
	var r *im.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Code
	default:
		t.Errorf("error %v is no refusal", err)
		return "error"
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

// texts are the words that a user's devices got.
func (w *world) texts(user string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, f := range w.frames[user] {
		m, _ := f["message"].(map[string]any)
		body, _ := m["body"].(map[string]any)
		if s, ok := body["text"].(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func (w *world) got(user, typ string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.frames[user], func(f map[string]any) bool { return f["type"] == typ })
}

func (w *world) rungFor(user string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, r := range w.rings {
		if r.User == user {
			n++
		}
	}
	return n
}
