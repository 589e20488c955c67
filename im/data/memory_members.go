package data

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/herald-push/herald/im"
)

// CreateConversation is [Store.CreateConversation].
func (m *Memory) CreateConversation(_ context.Context, c *im.Conversation, members []im.Member) error {
	r, leave := m.enter(c.App)
	defer leave()
	if r.talks[c.ID] != nil {
		return &im.Refusal{Code: "conflict", Field: "id", Detail: "a conversation of this id exists"}
	}
	c.CreatedAt = at(m.now().UnixMicro())
	made := *c
	made.Head, made.Members = 0, 0
	c.Members = r.put(r.newConv(made), members)
	return nil
}

// put gives members their roles and returns how many there are.
func (r *room) put(c *conv, members []im.Member) int {
	users := make([]string, len(members))
	for i, one := range members {
		users[i] = one.User
		p := c.members[one.User]
		if p == nil {
			p = r.add(c, im.Member{User: one.User})
			p.gone = true
		}
		if p.gone || p.Role == im.Asking {
			p.Joined, p.Received, p.Read = c.Head, c.Head, c.Head
		}
		p.Role, p.gone = one.Role, false
	}
	return r.recount(c, users)
}

func (r *room) recount(c *conv, users []string) int {
	r.bump(c, users...)
	c.roster++
	c.Members = 0
	for _, p := range c.members {
		if p.here() {
			c.Members++
		}
	}
	return c.Members
}

// PutMembers is [Store.PutMembers].
func (m *Memory) PutMembers(_ context.Context, app, conversation string, members []im.Member) (int, error) {
	r, leave := m.enter(app)
	defer leave()
	if c := r.talks[conversation]; c != nil {
		return r.put(c, members), nil
	}
	return 0, notFound("conversation")
}

// RemoveMembers is [Store.RemoveMembers].
func (m *Memory) RemoveMembers(_ context.Context, app, conversation string, users []string) (int, error) {
	r, leave := m.enter(app)
	defer leave()
	c := r.talks[conversation]
	if c == nil {
		return 0, notFound("conversation")
	}
	for _, u := range users {
		if p := c.members[u]; p != nil {
			p.gone, p.due, p.Role = true, time.Time{}, im.Plain
		}
	}
	return r.recount(c, slices.Clone(users)), nil
}

// SetConversation is [Store.SetConversation].
func (m *Memory) SetConversation(_ context.Context, now *im.Conversation) error {
	r, leave := m.enter(now.App)
	defer leave()
	if c := r.talks[now.ID]; c != nil {
		c.Title, c.Announcement, c.Join, c.Muted = now.Title, now.Announcement, now.Join, now.Muted
	}
	return nil
}

// SetMember is [Store.SetMember].
func (m *Memory) SetMember(_ context.Context, app, conversation string, now *im.Member) error {
	r, leave := m.enter(app)
	defer leave()
	p := r.parts[now.User][conversation]
	if p == nil {
		return nil
	}
	p.MutedUntil, p.Silent = at(micros(now.MutedUntil)), now.Silent
	if p.Silent {
		p.due = time.Time{}
	}
	return nil
}

// Conversation is [Store.Conversation].
func (m *Memory) Conversation(_ context.Context, app, id, user string) (*im.Conversation, *im.Member, error) {
	r, leave := m.enter(app)
	defer leave()
	c := r.talks[id]
	if c == nil {
		return nil, nil, notFound("conversation")
	}
	found := c.Conversation
	if p := c.members[user]; p != nil && !p.gone {
		me := p.Member
		return &found, &me, nil
	}
	return &found, nil, nil
}

// Members is [Store.Members].
func (m *Memory) Members(_ context.Context, app, id, after string, limit int) (found []im.Member, err error) {
	r, leave := m.enter(app)
	defer leave()
	c := r.talks[id]
	if c == nil {
		return nil, nil
	}
	for _, u := range slices.Sorted(maps.Keys(c.members)) {
		if p := c.members[u]; u > after && !p.gone && len(found) < limit {
			found = append(found, p.Member)
		}
	}
	return found, nil
}

// Changes is [Store.Changes].
func (m *Memory) Changes(_ context.Context, app, user string, after uint64, limit int) (changes []im.Change, next uint64, more bool, err error) {
	r, leave := m.enter(app)
	defer leave()
	var moved, large []*part
	for _, p := range r.parts[user] {
		switch {
		case p.version > after:
			moved = append(moved, p)
		case p.here() && p.in.Members > im.SmallGroup && p.in.Head > p.Read:
			large = append(large, p)
		}
	}
	slices.SortFunc(moved, func(a, b *part) int { return cmp.Compare(a.version, b.version) })
	if next = after; len(moved) > limit {
		cut := limit
		for cut < len(moved) && moved[cut].version == moved[cut-1].version {
			cut++ // what moved at once must not be parted
		}
		more = cut < len(moved)
		moved = moved[:cut]
	}
	for _, p := range moved {
		next = max(next, p.version)
	}
	if !more {
		moved = append(moved, large...)
	}
	for _, p := range moved {
		changes = append(changes, r.change(p))
	}
	return changes, next, more, nil
}

// change is a conversation as one of its users sees it.
func (r *room) change(p *part) im.Change {
	c := im.Change{Conversation: p.in.Conversation, Me: p.Member, Unread: p.unread(), Gone: p.gone}
	if c.Kind == im.Direct {
		for u := range p.in.members {
			if u != p.User {
				c.Peer = u
			}
		}
	}
	if last := p.in.message(c.Head); c.Head > p.Joined && p.here() && last != nil {
		own := *last
		c.Last = &own
	}
	return c
}

// Advance is [Store.Advance].
func (m *Memory) Advance(_ context.Context, cursors ...im.Cursor) error {
	type person struct{ app, user string }
	bumped := map[person]bool{}
	for _, one := range cursors {
		r, leave := m.enter(one.App)
		p := r.parts[one.User][one.Conversation]
		if p == nil || p.gone {
			leave()
			continue
		}
		read := min(one.Read, p.in.Head)
		received := min(max(one.Received, one.Read), p.in.Head)
		if read > p.Read {
			if who := (person{one.App, one.User}); !bumped[who] {
				bumped[who] = true
				r.seqs[one.User]++
			}
			p.Read, p.version = read, r.seqs[one.User]
		}
		p.Received = max(p.Received, received)
		if received >= p.in.Head {
			p.due = time.Time{}
		}
		leave()
	}
	return nil
}

// Due is [Store.Due].
func (m *Memory) Due(_ context.Context, lease time.Duration, limit int) (rings []im.Ring, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for app, r := range m.apps {
		for user, parts := range r.parts {
			for id, p := range parts {
				if p.due.IsZero() || p.due.After(now) || len(rings) == limit {
					continue
				}
				p.due = now.Add(lease)
				rings = append(rings, im.Ring{App: app, User: user, Conversation: id, Seq: p.in.Head, Unread: p.unread(), Badge: r.badge(user)})
			}
		}
	}
	return rings, nil
}

func (r *room) badge(user string) (n uint64) {
	for _, p := range r.parts[user] {
		if p.here() && !p.Silent {
			n += p.unread()
		}
	}
	return n
}

// Unread is [Store.Unread].
func (m *Memory) Unread(_ context.Context, app, user string) (uint64, error) {
	r, leave := m.enter(app)
	defer leave()
	return r.badge(user), nil
}

// Rung is [Store.Rung].
func (m *Memory) Rung(_ context.Context, rings []im.Ring, again time.Duration) error {
	for _, one := range rings {
		r, leave := m.enter(one.App)
		if p := r.parts[one.User][one.Conversation]; p != nil && !p.due.IsZero() {
			p.due = time.Time{}
			if p.in.Head > one.Seq {
				p.due = m.now().Add(again)
			}
		}
		leave()
	}
	return nil
}

// RingNow is [Store.RingNow].
func (m *Memory) RingNow(_ context.Context, app, conversation string, users []string) error {
	r, leave := m.enter(app)
	defer leave()
	now := m.now()
	for _, u := range users {
		if p := r.parts[u][conversation]; p != nil && p.due.After(now) {
			p.due = now
		}
	}
	return nil
}

// Befriend is [Store.Befriend].
func (m *Memory) Befriend(_ context.Context, app, user, friend, text string, check func(now im.FriendState) (mine, theirs im.FriendState, err error)) error {
	r, leave := m.enter(app)
	defer leave()
	var now im.FriendState
	if f := r.friends[user][friend]; f != nil {
		now = f.State
	}
	mine, theirs, err := check(now)
	if err != nil {
		return fail("befriend", err)
	}
	r.view(user, friend, mine, text, m.now())
	r.view(friend, user, theirs, text, m.now())
	return nil
}

// view sets how one user sees another.
func (r *room) view(of, to string, state im.FriendState, text string, now time.Time) {
	if state == "" {
		delete(r.friends[of], to)
		return
	}
	if r.friends[of] == nil {
		r.friends[of] = map[string]*im.Friend{}
	}
	f := r.friends[of][to]
	if f == nil {
		f = &im.Friend{User: to}
		r.friends[of][to] = f
	}
	f.State, f.Since, f.Text = state, at(now.UnixMicro()), cmp.Or(text, f.Text)
}

// Remark is [Store.Remark].
func (m *Memory) Remark(_ context.Context, app, user, friend, remark string) error {
	r, leave := m.enter(app)
	defer leave()
	f := r.friends[user][friend]
	if f == nil {
		return notFound("friend")
	}
	f.Remark = remark
	return nil
}

// Friends is [Store.Friends].
func (m *Memory) Friends(_ context.Context, app, user, after string, limit int) (found []im.Friend, err error) {
	r, leave := m.enter(app)
	defer leave()
	for _, id := range slices.Sorted(maps.Keys(r.friends[user])) {
		if id > after && len(found) < limit {
			found = append(found, *r.friends[user][id])
		}
	}
	return found, nil
}

// Block is [Store.Block].
func (m *Memory) Block(_ context.Context, app, user, blocked string, on bool) error {
	r, leave := m.enter(app)
	defer leave()
	if !on {
		delete(r.blocks[user], blocked)
		return nil
	}
	if r.blocks[user] == nil {
		r.blocks[user] = map[string]bool{}
	}
	r.blocks[user][blocked] = true
	return nil
}

// Blocked is [Store.Blocked].
func (m *Memory) Blocked(_ context.Context, app, user, after string, limit int) (found []string, err error) {
	r, leave := m.enter(app)
	defer leave()
	for _, id := range slices.Sorted(maps.Keys(r.blocks[user])) {
		if id > after && len(found) < limit {
			found = append(found, id)
		}
	}
	return found, nil
}

// EachOfUser is [Store.EachOfUser].
func (m *Memory) EachOfUser(_ context.Context, app, user string, tell func(what string, thing any) error) error {
	type told struct {
		what  string
		thing any
	}
	var all []told
	r, leave := m.enter(app)
	for _, id := range slices.Sorted(maps.Keys(r.parts[user])) {
		c := r.change(r.parts[user][id])
		c.Last = nil
		all = append(all, told{"conversation", c})
	}
	for _, id := range slices.Sorted(maps.Keys(r.talks)) {
		c := r.talks[id]
		for _, one := range c.messages {
			if one.Sender == user {
				own := *one
				all = append(all, told{"message", own})
			}
			for emoji, users := range c.reactions[one.Seq] {
				if users[user] {
					all = append(all, told{"reaction", Reaction{id, one.Seq, emoji}})
				}
			}
		}
	}
	for _, f := range r.friends[user] {
		all = append(all, told{"friend", *f})
	}
	for u := range r.blocks[user] {
		all = append(all, told{"block", Block{u}})
	}
	leave()
	for _, one := range all {
		if err := tell(one.what, one.thing); err != nil {
			return err
		}
	}
	return nil
}

// OfUser is [Store.OfUser].
func (m *Memory) OfUser(ctx context.Context, app, user string) (t Trace, err error) {
	err = m.EachOfUser(ctx, app, user, func(what string, _ any) error {
		*map[string]*int{"conversation": &t.Memberships, "message": &t.Messages, "reaction": &t.Reactions, "friend": &t.Friends, "block": &t.Blocks}[what]++
		return nil
	})
	r, leave := m.enter(app)
	defer leave()
	for other := range r.friends {
		if r.friends[other][user] != nil {
			t.Friends++
		}
	}
	for other := range r.blocks {
		if r.blocks[other][user] {
			t.Blocks++
		}
	}
	if r.seqs[user] > 0 {
		t.User = 1
	}
	return t, err
}
