package logic

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald/im"
)

// Bounds of a group's words.
const (
	maxTitle        = 100   // characters
	maxAnnouncement = 2_000 // characters
	maxAdded        = 500   // users added in one request
)

// CreateGroup makes a group owned by the user, with its first members. Without
// an id it gets one.
func (l *Logic) CreateGroup(ctx context.Context, who im.Actor, c im.Conversation, users []string) (*im.Conversation, error) {
	if c.ID == "" {
		c.ID = "g-" + newID()
	}
	if c.Join == "" {
		c.Join = im.JoinInvite
	}
	c.App, c.Kind, c.Head = who.App, im.Group, 0
	if err := checkGroup(&c); err != nil {
		return nil, err
	}
	members := []im.Member{{User: who.User, Role: im.Owner}}
	for _, user := range users {
		if user != who.User {
			members = append(members, im.Member{User: user, Role: im.Plain})
		}
	}
	if err := l.checkUsers(len(members), users); err != nil {
		return nil, err
	}
	if err := l.parts.Conversations.CreateConversation(ctx, &c, members); err != nil {
		return nil, err
	}
	return &c, l.announce(ctx, c.App, c.ID, "created", map[string]any{"user": who.User, "title": c.Title})
}

func checkGroup(c *im.Conversation) error {
	switch {
	case len(c.ID) > maxID || !plainID(c.ID):
		return refuse("invalid", "id", "has 1 to %d of A-Z a-z 0-9 - _", maxID)
	case utf8.RuneCountInString(c.Title) > maxTitle:
		return refuse("invalid", "title", "more than %d characters", maxTitle)
	case utf8.RuneCountInString(c.Announcement) > maxAnnouncement:
		return refuse("invalid", "announcement", "more than %d characters", maxAnnouncement)
	case c.Join != im.JoinOpen && c.Join != im.JoinApproval && c.Join != im.JoinInvite:
		return refuse("invalid", "join", "%.32q is none of open, approval, invite", string(c.Join))
	}
	return nil
}

func plainID(id string) bool {
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return id != ""
}

func (l *Logic) checkUsers(total int, users []string) error {
	if total > l.cfg.MaxMembers {
		return refuse("too_many", "members", "a group has at most %d", l.cfg.MaxMembers)
	}
	for _, u := range users {
		if u == "" || len(u) > maxUser || !utf8.ValidString(u) {
			return refuse("invalid", "members", "a user has 1 to %d bytes of UTF-8", maxUser)
		}
	}
	return nil
}

// Conversation tells a member, or a service, what a conversation is.
func (l *Logic) Conversation(ctx context.Context, who im.Actor, id string) (*im.Conversation, *im.Member, error) {
	c, me, err := l.parts.Conversations.Conversation(ctx, who.App, id, who.User)
	if err == nil && me == nil && !who.Service {
		err = refuse("not_found", "conversation", "there is no such conversation")
	}
	return c, me, err
}

// SetGroup changes a group's words, way in and general silence. Who runs it may.
func (l *Logic) SetGroup(ctx context.Context, who im.Actor, id string, change func(*im.Conversation)) (*im.Conversation, error) {
	c, _, err := l.running(ctx, who, id)
	if err != nil {
		return nil, err
	}
	change(c)
	if err := checkGroup(c); err != nil {
		return nil, err
	}
	if err := l.parts.Conversations.SetConversation(ctx, c); err != nil {
		return nil, err
	}
	return c, l.announce(ctx, who.App, id, "changed", map[string]any{
		"user": who.User, "title": c.Title, "announcement": c.Announcement, "muted": c.Muted,
	})
}

// running is a group that the actor may change.
func (l *Logic) running(ctx context.Context, who im.Actor, id string) (*im.Conversation, *im.Member, error) {
	c, me, err := l.Conversation(ctx, who, id)
	switch {
	case err != nil:
		return nil, nil, err
	case c.Kind != im.Group:
		return nil, nil, refuse("not_allowed", "conversation", "only groups can be changed")
	case !who.Service && !me.Role.Runs():
		return nil, nil, refuse("not_allowed", "conversation", "only owner and admins may")
	}
	return c, me, nil
}

// Members lists members by id, after one.
func (l *Logic) Members(ctx context.Context, who im.Actor, id, after string, limit int) ([]im.Member, error) {
	if _, _, err := l.Conversation(ctx, who, id); err != nil {
		return nil, err
	}
	return l.parts.Members.Members(ctx, who.App, id, after, limit)
}

// Add brings users into a group: members may where it is open or by invitation,
// those who run it always.
func (l *Logic) Add(ctx context.Context, who im.Actor, id string, users []string) (*im.Conversation, error) {
	c, me, err := l.Conversation(ctx, who, id)
	switch {
	case err != nil:
		return nil, err
	case c.Kind != im.Group:
		return nil, refuse("not_allowed", "conversation", "only groups take members")
	case len(users) == 0 || len(users) > maxAdded:
		return nil, refuse("invalid", "members", "1 to %d at a time", maxAdded)
	case !who.Service && me.Role == im.Asking:
		return nil, refuse("not_allowed", "conversation", "whoever waits to be let in brings nobody")
	case !who.Service && !me.Role.Runs() && c.Join == im.JoinApproval:
		return nil, refuse("not_allowed", "conversation", "here those who run the group let people in")
	}
	if err := l.checkUsers(c.Members+len(users), users); err != nil {
		return nil, err
	}
	members := make([]im.Member, 0, len(users))
	for _, u := range users {
		if _, old, err := l.parts.Conversations.Conversation(ctx, who.App, id, u); err != nil {
			return nil, err
		} else if old == nil || old.Role == im.Asking {
			members = append(members, im.Member{User: u, Role: im.Plain})
		}
	}
	if len(members) == 0 {
		return c, nil
	}
	if c.Members, err = l.parts.Members.PutMembers(ctx, who.App, id, members); err != nil {
		return nil, err
	}
	return c, l.announce(ctx, who.App, id, "joined", map[string]any{"by": who.User, "users": names(members)})
}

func names(members []im.Member) []string {
	users := make([]string, len(members))
	for i, m := range members {
		users[i] = m.User
	}
	return users
}

// Join lets a user into an open group, or has them wait where those who run it
// decide; waits tells which.
func (l *Logic) Join(ctx context.Context, who im.Actor, id string) (waits bool, err error) {
	c, me, err := l.parts.Conversations.Conversation(ctx, who.App, id, who.User)
	if err != nil {
		return false, err
	}
	m := im.Member{User: who.User, Role: im.Plain}
	switch {
	case c.Kind != im.Group || c.Join == im.JoinInvite && me == nil:
		return false, refuse("not_found", "conversation", "there is no such conversation")
	case me != nil:
		return me.Role == im.Asking, nil
	case c.Members >= l.cfg.MaxMembers:
		return false, refuse("too_many", "conversation", "the group is full")
	case c.Join == im.JoinApproval:
		m.Role = im.Asking
	}
	if _, err := l.parts.Members.PutMembers(ctx, who.App, id, []im.Member{m}); err != nil {
		return false, err
	}
	if m.Role == im.Asking {
		return true, nil
	}
	return false, l.announce(ctx, who.App, id, "joined", map[string]any{"users": []string{who.User}})
}

// Remove takes a user out of a group, or lets them go. The owner goes last.
func (l *Logic) Remove(ctx context.Context, who im.Actor, id, user string) error {
	c, me, err := l.Conversation(ctx, who, id)
	if err != nil {
		return err
	}
	them, err := l.other(ctx, who, id, user)
	switch {
	case err != nil:
		return err
	case c.Kind != im.Group:
		return refuse("not_allowed", "conversation", "only groups are left")
	case user != who.User && !who.Service && !above(me.Role, them.Role):
		return refuse("not_allowed", "user", "only those above a member may remove them")
	case them.Role == im.Owner && c.Members > 1:
		return refuse("not_allowed", "user", "the owner hands the group over before leaving it")
	}
	if _, err := l.parts.Members.RemoveMembers(ctx, who.App, id, []string{user}); err != nil {
		return err
	}
	event := "left"
	if user != who.User {
		event = "removed"
	}
	return l.announce(ctx, who.App, id, event, map[string]any{"by": who.User, "users": []string{user}})
}

// other is another user's part in a conversation.
func (l *Logic) other(ctx context.Context, who im.Actor, id, user string) (*im.Member, error) {
	_, them, err := l.parts.Conversations.Conversation(ctx, who.App, id, user)
	if err == nil && them == nil {
		err = refuse("not_found", "user", "there is no such member")
	}
	return them, err
}

// above tells whether one role may decide about another.
func above(mine, theirs im.Role) bool {
	return mine == im.Owner && theirs != im.Owner || mine == im.Admin && !theirs.Runs()
}

// SetRole gives a member another role. Only the owner may; who makes another
// one owner becomes an admin.
func (l *Logic) SetRole(ctx context.Context, who im.Actor, id, user string, role im.Role) error {
	if role != im.Plain && role != im.Admin && role != im.Owner {
		return refuse("invalid", "role", "%.32q is none of member, admin, owner", string(role))
	}
	_, me, err := l.running(ctx, who, id)
	if err != nil {
		return err
	}
	them, err := l.other(ctx, who, id, user)
	switch {
	case err != nil:
		return err
	case !who.Service && me.Role != im.Owner && !(them.Role == im.Asking && role == im.Plain):
		return refuse("not_allowed", "role", "only the owner may; admins let in who asks")
	case them.Role == im.Owner && role != im.Owner:
		return refuse("not_allowed", "role", "make another member owner instead")
	}
	changed := []im.Member{{User: user, Role: role}}
	if role == im.Owner && me != nil && me.Role == im.Owner && user != who.User {
		changed = append(changed, im.Member{User: who.User, Role: im.Admin})
	}
	if _, err := l.parts.Members.PutMembers(ctx, who.App, id, changed); err != nil {
		return err
	}
	if them.Role == im.Asking {
		return l.announce(ctx, who.App, id, "joined", map[string]any{"by": who.User, "users": []string{user}})
	}
	return l.announce(ctx, who.App, id, "role", map[string]any{"by": who.User, "users": []string{user}, "role": role})
}

// Mute forbids a member to speak until a time; the zero time lets them again.
func (l *Logic) Mute(ctx context.Context, who im.Actor, id, user string, until time.Time) error {
	_, me, err := l.running(ctx, who, id)
	if err != nil {
		return err
	}
	them, err := l.other(ctx, who, id, user)
	switch {
	case err != nil:
		return err
	case !who.Service && !above(me.Role, them.Role):
		return refuse("not_allowed", "user", "only those above a member may mute them")
	}
	them.MutedUntil = until
	return l.parts.Members.SetMember(ctx, who.App, id, them)
}

// Silence is a user's own wish whether a conversation rings.
func (l *Logic) Silence(ctx context.Context, who im.Actor, id string, silent bool) error {
	me, err := l.member(ctx, who, id)
	if err != nil {
		return err
	}
	me.Silent = silent
	return l.parts.Members.SetMember(ctx, who.App, id, me)
}
