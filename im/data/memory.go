package data

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
)

// Memory keeps the conversations of all apps as long as the process lives. It
// keeps the same contract as [Store], and is for tests and for what nobody must
// find again.
type Memory struct {
	now func() time.Time

	mu   sync.Mutex
	apps map[string]*room
}

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{now: time.Now, apps: map[string]*room{}} }

// Run waits until ctx ends: here everything is said at once.
func (m *Memory) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// room is what one app's users say and are.
type room struct {
	talks   map[string]*conv
	parts   map[string]map[string]*part // user → conversation
	seqs    map[string]uint64           // user → how many changes they have seen
	said    map[key]*im.ChatMessage
	friends map[string]map[string]*im.Friend
	blocks  map[string]map[string]bool
}

// conv is one conversation.
type conv struct {
	im.Conversation
	roster    uint64
	members   map[string]*part
	messages  []*im.ChatMessage                     // by number; the first ones may be forgotten
	reactions map[uint64]map[string]map[string]bool // number → emoji → user
}

// part is one user's part in one conversation.
type part struct {
	im.Member
	in      *conv
	gone    bool
	version uint64
	due     time.Time // of the ring; zero is never
}

// here reports whether the part is a member's who sees and says things.
func (p *part) here() bool { return !p.gone && p.Role != im.Asking }

// unread is how much was said since the user looked.
func (p *part) unread() uint64 { return p.in.Head - min(p.in.Head, max(p.Read, p.Joined)) }

// ringBy sees to it that the ring comes at a time, or as early as it would.
func (p *part) ringBy(due time.Time) {
	if p.due.IsZero() || p.due.After(due) {
		p.due = due
	}
}

// enter locks and finds the app.
func (m *Memory) enter(app string) (r *room, leave func()) {
	m.mu.Lock()
	if r = m.apps[app]; r == nil {
		r = &room{
			talks: map[string]*conv{}, parts: map[string]map[string]*part{}, seqs: map[string]uint64{}, said: map[key]*im.ChatMessage{},
			friends: map[string]map[string]*im.Friend{}, blocks: map[string]map[string]bool{},
		}
		m.apps[app] = r
	}
	return r, m.mu.Unlock
}

// add makes a user a part of a conversation.
func (r *room) add(c *conv, m im.Member) *part {
	p := &part{Member: m, in: c}
	c.members[m.User] = p
	if r.parts[m.User] == nil {
		r.parts[m.User] = map[string]*part{}
	}
	r.parts[m.User][c.ID] = p
	return p
}

// bump counts one change for each of the users, once, and lets their parts in the
// conversation have it.
func (r *room) bump(c *conv, users ...string) {
	slices.Sort(users)
	for _, u := range slices.Compact(users) {
		r.seqs[u]++
		if p := c.members[u]; p != nil {
			p.version = r.seqs[u]
		}
	}
}

func (r *room) newConv(c im.Conversation) *conv {
	made := &conv{Conversation: c, members: map[string]*part{}, reactions: map[uint64]map[string]map[string]bool{}}
	r.talks[c.ID] = made
	return made
}

// message finds one that is still kept.
func (c *conv) message(seq uint64) *im.ChatMessage {
	i, ok := slices.BinarySearchFunc(c.messages, seq, func(m *im.ChatMessage, seq uint64) int { return cmp.Compare(m.Seq, seq) })
	if !ok {
		return nil
	}
	return c.messages[i]
}

// shown is a copy with its reactions.
func (c *conv) shown(m *im.ChatMessage) im.ChatMessage {
	own := *m
	own.Body, own.Mentions = slices.Clone(m.Body), slices.Clone(m.Mentions)
	for emoji, users := range c.reactions[m.Seq] {
		if own.Reactions == nil {
			own.Reactions = map[string]int{}
		}
		own.Reactions[emoji] = len(users)
	}
	return own
}

// Append is [Store.Append].
func (m *Memory) Append(_ context.Context, d *im.Draft) (im.Said, error) {
	r, leave := m.enter(d.App)
	defer leave()
	if d.To != "" {
		d.Conversation = im.DirectID(d.Sender, d.To)
	}
	k := key{d.Sender, d.ClientID}
	if first := r.said[k]; first != nil {
		err := sameWords(d, first)
		return im.Said{ChatMessage: *first, Repeated: true}, err
	}
	now := at(m.now().UnixMicro())
	c := r.talks[d.Conversation]
	if c == nil && d.To == "" {
		return im.Said{}, notFound("conversation")
	}
	if c == nil {
		c = r.newConv(im.Conversation{App: d.App, ID: d.Conversation, Kind: im.Direct, Members: 2, CreatedAt: now})
		defer func() { // a refused message makes nothing
			if c.Head == 0 {
				r.drop(c)
			}
		}()
		r.add(c, im.Member{User: d.Sender, Role: im.Plain})
		r.add(c, im.Member{User: d.To, Role: im.Plain})
	}
	if d.Check != nil {
		if err := d.Check(r.facts(c, d)); err != nil {
			return im.Said{}, fail("append", err)
		}
	}
	return r.say(c, d, now), nil
}

func (r *room) drop(c *conv) {
	delete(r.talks, c.ID)
	for u := range c.members {
		delete(r.parts[u], c.ID)
	}
}

func (r *room) facts(c *conv, d *im.Draft) *im.Facts {
	f := &im.Facts{Conversation: im.Conversation{App: d.App, ID: c.ID, Kind: c.Kind, Muted: c.Muted, Head: c.Head, Members: c.Members}}
	if me := c.members[d.Sender]; me != nil && !me.gone {
		f.Sender = &im.Member{User: d.Sender, Role: me.Role, MutedUntil: me.MutedUntil}
	}
	if c.Kind == im.Direct {
		for u := range c.members {
			if u == d.Sender {
				continue
			}
			f.Blocked = f.Blocked || r.blocks[u][d.Sender]
			friend := r.friends[u][d.Sender]
			f.Friends = f.Friends || friend != nil && friend.State == im.Friends
		}
	}
	if t := c.message(about(d)); t != nil {
		own := *t
		f.Target = &own
	}
	return f
}

// say numbers a message that may be said and tells the members' parts.
func (r *room) say(c *conv, d *im.Draft, now time.Time) im.Said {
	said := d.ChatMessage
	c.Head++
	said.Seq = c.Head
	if said.At.IsZero() {
		said.At = now
	}
	kept := said
	c.messages = append(c.messages, &kept)
	r.said[key{d.Sender, d.ClientID}] = &kept
	if t := c.message(d.Target); t != nil {
		switch d.Kind {
		case im.KindRecall:
			t.Body, t.Recalled = []byte(`{}`), true
		case im.KindEdit:
			t.Body, t.EditedAt = d.Body, said.At
		}
	}
	s := im.Said{ChatMessage: said, Roster: c.roster}
	due := now.Add(d.RingAfter)
	if c.Members <= im.SmallGroup {
		for u, p := range c.members {
			if p.gone {
				continue
			}
			s.Hearers = append(s.Hearers, u)
			if !p.Silent && p.Role != im.Asking {
				p.ringBy(due)
			}
		}
		r.bump(c, slices.Clone(s.Hearers)...)
	}
	for _, who := range d.Mentions {
		for u, p := range c.members {
			if !p.gone && (who == "*" || who == u) {
				p.ringBy(due)
			}
		}
	}
	if me := c.members[d.Sender]; me != nil {
		me.Received, me.Read, me.due = max(me.Received, said.Seq), max(me.Read, said.Seq), time.Time{}
	}
	return s
}

// History is [Store.History].
func (m *Memory) History(_ context.Context, app, conversation string, after, before uint64, limit int) ([]im.ChatMessage, error) {
	found := m.between(app, conversation, after, before)
	return found[max(0, len(found)-limit):], nil
}

// Following is [Store.Following].
func (m *Memory) Following(_ context.Context, app, conversation string, after uint64, limit int) ([]im.ChatMessage, error) {
	found := m.between(app, conversation, after, 0)
	return found[:min(limit, len(found))], nil
}

func (m *Memory) between(app, conversation string, after, before uint64) (found []im.ChatMessage) {
	r, leave := m.enter(app)
	defer leave()
	c := r.talks[conversation]
	if c == nil {
		return nil
	}
	for _, one := range c.messages {
		if one.Seq > after && (before == 0 || one.Seq < before) {
			found = append(found, c.shown(one))
		}
	}
	return found
}

// React is [Store.React].
func (m *Memory) React(_ context.Context, app, conversation string, seq uint64, user, emoji string, on bool) error {
	r, leave := m.enter(app)
	defer leave()
	c := r.talks[conversation]
	if !on {
		if c != nil {
			delete(c.reactions[seq][emoji], user)
			if len(c.reactions[seq][emoji]) == 0 {
				delete(c.reactions[seq], emoji)
			}
		}
		return nil
	}
	if c == nil || c.message(seq) == nil || c.message(seq).Recalled {
		return notFound("message")
	}
	if c.reactions[seq] == nil {
		c.reactions[seq] = map[string]map[string]bool{}
	}
	if c.reactions[seq][emoji] == nil {
		c.reactions[seq][emoji] = map[string]bool{}
	}
	c.reactions[seq][emoji][user] = true
	return nil
}

// Forget is [Store.Forget].
func (m *Memory) Forget(_ context.Context, app string, before time.Time, after string, limit int) (next string, forgotten int64, err error) {
	r, leave := m.enter(app)
	defer leave()
	ids := slices.Sorted(maps.Keys(r.talks))
	ids = slices.DeleteFunc(ids, func(id string) bool { return id <= after })
	more := len(ids) > limit
	for _, id := range ids[:min(limit, len(ids))] {
		c := r.talks[id]
		for len(c.messages) > 0 && c.messages[0].At.Before(before) {
			old := c.messages[0]
			delete(r.said, key{old.Sender, old.ClientID})
			delete(c.reactions, old.Seq)
			c.messages = c.messages[1:]
			forgotten++
		}
		next = id
	}
	if !more {
		next = ""
	}
	return next, forgotten, nil
}

// EraseUser is [Store.EraseUser].
func (m *Memory) EraseUser(_ context.Context, app, user string) (emptied int64, err error) {
	r, leave := m.enter(app)
	defer leave()
	for _, c := range r.talks {
		for _, one := range c.messages {
			if one.Sender == user {
				delete(r.said, key{user, one.ClientID})
				one.Sender, one.ClientID, one.Body, one.Mentions, one.Recalled = "", one.MessageID(), []byte(`{}`), nil, true
				emptied++
			}
		}
		for _, emojis := range c.reactions {
			for emoji, users := range emojis {
				if delete(users, user); len(users) == 0 {
					delete(emojis, emoji)
				}
			}
		}
		if p := c.members[user]; p != nil {
			if p.here() {
				c.Members--
			}
			delete(c.members, user)
		}
	}
	delete(r.parts, user)
	delete(r.seqs, user)
	delete(r.friends, user)
	delete(r.blocks, user)
	for other := range r.friends {
		delete(r.friends[other], user)
	}
	for other := range r.blocks {
		delete(r.blocks[other], user)
	}
	return emptied, nil
}
