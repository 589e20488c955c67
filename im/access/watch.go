package access

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// PresenceTopic is where a device says whose presence it wants to hear of, as
// {"users":["bob","cat"]}. The latest word counts, and nobody ends it.
const PresenceTopic = "presence"

// maxWatched is how many users one device may watch.
const maxWatched = 200

// Crowd is what [Presence] may be besides: it tells which of many users of an
// app have a connected device anywhere.
type Crowd interface {
	OnlineUsers(ctx context.Context, app string, users []string) ([]bool, error)
}

// watches are the devices of this node that watch others, and what each has been
// told. A device that watches nobody costs nothing here.
type watches struct {
	mu    sync.Mutex
	of    map[*session]*watch
	names atomic.Uint64 // of frames
}

// watch is what one device watches.
type watch struct {
	conn  longconn.Conn
	users []string
	told  map[string]bool // user → online; nil: everything is to be told
}

// watch takes a device's word on whom it watches, and tells it at once how they
// are.
func (a *Access) watch(c longconn.Conn, s *session, payload []byte) mqtt.Reason {
	var word struct {
		Users []string `json:"users"`
	}
	if err := json.Unmarshal(payload, &word); err != nil || len(word.Users) > maxWatched {
		return mqtt.PayloadInvalid
	}
	crowd, ok := a.presence.(Crowd)
	if !ok {
		return mqtt.Unspecified
	}
	a.watches.mu.Lock()
	defer a.watches.mu.Unlock()
	if len(word.Users) == 0 || s.closed() {
		delete(a.watches.of, s)
		return mqtt.Success
	}
	if a.watches.of == nil {
		a.watches.of = map[*session]*watch{}
	}
	w := &watch{conn: c, users: word.Users}
	a.watches.of[s] = w
	a.spawn(func() {
		ctx, cancel := context.WithTimeout(a.life, a.cfg.LoginTimeout)
		defer cancel()
		a.look(ctx, crowd, s.App(), map[*session]*watch{s: w})
	})
	return mqtt.Success
}

// unwatch forgets what a device that has gone was watching.
func (w *watches) unwatch(s *session) {
	w.mu.Lock()
	delete(w.of, s)
	w.mu.Unlock()
}

// watchAll looks from time to time who has come and gone, and tells the devices
// that watch them, until ctx ends. A user is asked about once, however many
// watch; what changes twice between two looks is told as it is then.
func (a *Access) watchAll(ctx context.Context) {
	crowd, ok := a.presence.(Crowd)
	if !ok {
		return
	}
	tick := time.NewTicker(a.cfg.PresenceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for app, of := range a.watches.byApp() {
			a.look(ctx, crowd, app, of)
		}
	}
}

func (w *watches) byApp() map[string]map[*session]*watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	apps := map[string]map[*session]*watch{}
	for s, one := range w.of {
		if apps[s.App()] == nil {
			apps[s.App()] = map[*session]*watch{}
		}
		apps[s.App()][s] = one
	}
	return apps
}

// look asks about the watched users of an app and tells the watchers what is new
// to them.
func (a *Access) look(ctx context.Context, crowd Crowd, app string, of map[*session]*watch) {
	const atOnce = 500
	var users []string
	place := map[string]int{}
	for _, w := range of {
		for _, u := range w.users {
			if _, known := place[u]; !known {
				place[u] = len(users)
				users = append(users, u)
			}
		}
	}
	online := make([]bool, 0, len(users))
	for from := 0; from < len(users); from += atOnce {
		some, err := crowd.OnlineUsers(ctx, app, users[from:min(from+atOnce, len(users))])
		if err != nil {
			if ctx.Err() == nil {
				a.log.Warn("access: watchers hear of others later", "users", len(users), "err", err)
			}
			return
		}
		online = append(online, some...)
	}
	for s, w := range of {
		a.tellPresence(s, w, func(user string) bool { return online[place[user]] })
	}
}

// tellPresence tells a device what it does not know yet. What does not get
// through is told in full the next time.
func (a *Access) tellPresence(s *session, w *watch, online func(user string) bool) {
	a.watches.mu.Lock()
	defer a.watches.mu.Unlock()
	if a.watches.of[s] != w {
		return // gone, or it has changed its mind
	}
	news := map[string]bool{}
	for _, u := range w.users {
		if on := online(u); w.told == nil || w.told[u] != on {
			news[u] = on
		}
	}
	if len(news) == 0 {
		return
	}
	f := struct {
		ID    string          `json:"id"`
		Type  string          `json:"type"`
		Users map[string]bool `json:"users"`
	}{"im~p" + strconv.FormatUint(a.watches.names.Add(1), 36), "presence", news}
	payload, err := json.Marshal(f)
	if err != nil {
		a.log.Error("access: presence", "err", err)
		return
	}
	if w.told == nil {
		w.told = make(map[string]bool, len(w.users))
	}
	for u, on := range news {
		w.told[u] = on
	}
	m := im.Message{ID: f.ID, Payload: payload, Expires: time.Now().Add(fleeting)}
	w.conn.Deliver(wire(m), func(err error) {
		if err != nil {
			a.spawn(func() { a.watches.forget(w) }) // not here: the lock may be ours
		}
	})
}

// fleeting is how long presence is worth telling.
const fleeting = 5 * time.Second

func (w *watches) forget(one *watch) {
	w.mu.Lock()
	one.told = nil
	w.mu.Unlock()
}
