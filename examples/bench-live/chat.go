//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/im/logic"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// book is a database of devices that counts who looks into it. A device's user
// has the same name.
type book struct {
	redisstore.Source

	reads atomic.Int64
}

// Devices implements [redisstore.Source].
func (b *book) Devices(_ context.Context, app string, ids []string) ([]*push.Device, error) {
	b.reads.Add(1)
	found := make([]*push.Device, len(ids))
	for i, id := range ids {
		found[i] = &push.Device{App: app, ID: id, User: id}
	}
	return found, nil
}

// chat is the two upper floors of messaging on a node of the bench.
type chat struct {
	*logic.Logic

	book  book
	cache *redisstore.Devices // nil without Redis
	kept  *data.Store         // nil where nobody talks
	dir   string
}

// openChat opens them over SQLite in a folder of their own.
func openChat(ctx context.Context, router *routing.Router) (*chat, error) {
	dir, err := os.MkdirTemp("", "bench-live-")
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	kept, err := data.Open(ctx, "sqlite:"+filepath.Join(dir, "im.db"), data.DefaultConfig(), log)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	cfg := logic.DefaultConfig()
	cfg.Rate, cfg.Burst, cfg.RingAfter = 1e6, 1e6, time.Hour
	c := &chat{kept: kept, dir: dir}
	c.Logic = logic.New(cfg, logic.Parts{
		Messages: kept, Conversations: kept, Members: kept, Cursors: kept, Rings: kept, Friends: kept,
		Live: reach{router}, Bell: reach{router}, Log: log,
	})
	return c, nil
}

func (c *chat) close() {
	if c.kept != nil {
		_ = errors.Join(c.kept.Close(), os.RemoveAll(c.dir)) // a folder of ours for the bench
	}
}

// reach leads to the connected devices; nobody rings.
type reach struct{ router *routing.Router }

// Hand implements [logic.Live].
func (r reach) Hand(ctx context.Context, app string, users []string, m im.Message, missed func([]string)) error {
	return r.router.Spread(ctx, app, users, m, missed)
}

// Online implements [logic.Live].
func (r reach) Online(ctx context.Context, app string, users []string) ([]bool, error) {
	return r.router.OnlineUsers(ctx, app, users)
}

// Ring implements [logic.Bell].
func (reach) Ring(context.Context, im.Ring, *im.ChatMessage, *im.Conversation) error { return nil }

// User implements [access.Chat].
func (c *chat) User(ctx context.Context, app, device string) (string, error) {
	if c.cache == nil {
		return device, nil
	}
	return c.cache.Owner(ctx, app, device)
}

// Say implements [access.Chat].
func (c *chat) Say(context.Context, im.Session, []byte) (bool, error) {
	return false, errors.New("the devices of the bench say nothing")
}

// words is a text that tells when it was to be said.
func words(at time.Time) json.RawMessage {
	return fmt.Appendf(nil, `{"text":"%020d and some eighty characters more, for that is about what people write to each other"}`, at.UnixNano())
}

// talk says o.N messages to o.First connected users in turn, at o.Rate a second
// whatever becomes of them, each from somebody who is not connected. It returns
// how long it took until all were committed.
func (c *chat) talk(o order) (map[string]float64, error) {
	const atOnce = 4096
	room := make(chan struct{}, atOnce)
	begin, run := time.Now(), time.Now().UnixNano()
	var all sync.WaitGroup
	var failed atomic.Int64
	for i := range o.N {
		at := begin
		if o.Rate > 0 {
			at = begin.Add(time.Duration(i) * time.Second / time.Duration(o.Rate))
			if wait := time.Until(at); wait > 500*time.Microsecond {
				time.Sleep(wait) // what is late is said at once, and counted from when it was due
			}
		}
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			who := im.Actor{App: app, User: "s" + strconv.Itoa(i%o.First)}
			m := im.ChatMessage{Sender: who.User, ClientID: fmt.Sprintf("%x-%d", run, i), Body: words(at)}
			if _, err := c.Send(context.Background(), who, m, device(i%o.First)); err != nil {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n > 0 {
		return nil, fmt.Errorf("%d of %d messages were not said", n, o.N)
	}
	return map[string]float64{"seconds": time.Since(begin).Seconds()}, nil
}

// group makes a group of the first o.N users, and crowd says one thing in it.
func (c *chat) group(o order) error {
	members := make([]im.Member, o.N)
	for i := range members {
		members[i] = im.Member{User: device(i), Role: im.Plain}
	}
	members[0].Role = im.Owner
	return c.kept.CreateConversation(context.Background(), &im.Conversation{App: app, ID: "crowd", Kind: im.Group, Join: im.JoinInvite}, members)
}

func (c *chat) crowd() error {
	now := time.Now()
	who := im.Actor{App: app, User: device(0)}
	_, err := c.Send(context.Background(), who, im.ChatMessage{
		Conversation: "crowd", Sender: who.User, ClientID: strconv.FormatInt(now.UnixNano(), 36), Body: words(now),
	}, "")
	return err
}
