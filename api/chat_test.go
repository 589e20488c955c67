package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/herald-push/herald/im"
)

// chatWorld answers as the floor below would for user ann in the group team.
type chatWorld struct{}

func (chatWorld) said(m im.ChatMessage) im.Said {
	m.Seq, m.At = 7, noon
	if m.Kind == "" {
		m.Kind = im.KindText
	}
	return im.Said{ChatMessage: m}
}

func (w chatWorld) Send(_ context.Context, who im.Actor, m im.ChatMessage, to string) (im.Said, error) {
	if to == "eve" {
		return im.Said{}, &im.Refusal{Code: "blocked", Field: "to", Detail: "the other user does not want messages from the sender"}
	}
	if to != "" {
		m.Conversation = "d-" + who.User + "-" + to
	}
	return w.said(m), nil
}

func (w chatWorld) Notify(_ context.Context, who im.Actor, m im.ChatMessage, to string) (im.Said, error) {
	m.Conversation = "s-" + who.User + "-" + to
	return w.said(m), nil
}

func (chatWorld) Import(_ context.Context, _ im.Actor, i im.Import) (im.Imported, error) {
	if i.Messages[0].Body == nil {
		return im.Imported{}, &im.Refusal{Code: "invalid", Field: "messages[0].body", Detail: "must be a JSON object"}
	}
	return im.Imported{Conversation: "team", Imported: len(i.Messages), Head: 7}, nil
}

func (w chatWorld) Export(ctx context.Context, who im.Actor, conversation string, tell func(string, any) error) error {
	c, me, err := w.Conversation(ctx, who, conversation)
	if err != nil {
		return err
	}
	last, err := w.History(ctx, who, conversation, 0, 0, 1)
	return errors.Join(err, tell("conversation", c), tell("member", me), tell("message", last[0]))
}

func (w chatWorld) Edit(_ context.Context, who im.Actor, conversation string, seq uint64, body json.RawMessage) (im.Said, error) {
	return w.said(im.ChatMessage{Conversation: conversation, Sender: who.User, ClientID: "made", Kind: im.KindEdit, Body: body, Target: seq}), nil
}

func (w chatWorld) Recall(_ context.Context, who im.Actor, conversation string, seq uint64) (im.Said, error) {
	return w.said(im.ChatMessage{Conversation: conversation, Sender: who.User, ClientID: "made", Kind: im.KindRecall, Body: json.RawMessage(`{}`), Target: seq}), nil
}

func (chatWorld) React(context.Context, im.Actor, string, uint64, string, bool) error { return nil }

func (w chatWorld) History(_ context.Context, _ im.Actor, conversation string, _, _ uint64, _ int) ([]im.ChatMessage, error) {
	s := w.said(im.ChatMessage{Conversation: conversation, Sender: "bob", ClientID: "c", Body: json.RawMessage(`{"text":"Hi"}`)})
	s.Reactions = map[string]int{"👍": 2}
	return []im.ChatMessage{s.ChatMessage}, nil
}

func (w chatWorld) Changes(ctx context.Context, who im.Actor, _ uint64, _ int) ([]im.Change, uint64, bool, error) {
	last, _ := w.History(ctx, who, "team", 0, 0, 1)
	return []im.Change{{Conversation: *w.team("team"), Me: w.ann(), Unread: 2, Last: &last[0]}}, 9, false, nil
}

func (chatWorld) Unread(context.Context, im.Actor) (uint64, error)                 { return 2, nil }
func (chatWorld) Mark(context.Context, im.Actor, string, uint64, uint64) error     { return nil }
func (chatWorld) Typing(context.Context, im.Actor, string) error                   { return nil }
func (chatWorld) Silence(context.Context, im.Actor, string, bool) error            { return nil }
func (chatWorld) Join(context.Context, im.Actor, string) (bool, error)             { return true, nil }
func (chatWorld) SetRole(context.Context, im.Actor, string, string, im.Role) error { return nil }
func (chatWorld) Mute(context.Context, im.Actor, string, string, time.Time) error  { return nil }
func (chatWorld) Remove(context.Context, im.Actor, string, string) error           { return nil }
func (chatWorld) Answer(context.Context, im.Actor, string, bool) error             { return nil }
func (chatWorld) Unfriend(context.Context, im.Actor, string) error                 { return nil }
func (chatWorld) Remark(context.Context, im.Actor, string, string) error           { return nil }
func (chatWorld) Block(context.Context, im.Actor, string, bool) error              { return nil }
func (chatWorld) EraseUser(context.Context, im.Actor, string) (int64, error)       { return 12, nil }
func (chatWorld) ann() im.Member                                                   { return im.Member{User: "ann", Role: im.Owner, Received: 6, Read: 5} }

func (chatWorld) team(id string) *im.Conversation {
	return &im.Conversation{ID: id, Kind: im.Group, Title: "Team", Join: im.JoinInvite, Head: 7, Members: 2, CreatedAt: noon}
}

func (w chatWorld) CreateGroup(context.Context, im.Actor, im.Conversation, []string) (*im.Conversation, error) {
	return w.team("g-1"), nil
}

func (w chatWorld) Conversation(_ context.Context, _ im.Actor, id string) (*im.Conversation, *im.Member, error) {
	if id != "team" {
		return nil, nil, &im.Refusal{Code: "not_found", Field: "conversation", Detail: "there is no such conversation"}
	}
	me := w.ann()
	return w.team(id), &me, nil
}

func (w chatWorld) SetGroup(_ context.Context, _ im.Actor, id string, change func(*im.Conversation)) (*im.Conversation, error) {
	c := w.team(id)
	change(c)
	return c, nil
}

func (w chatWorld) Members(context.Context, im.Actor, string, string, int) ([]im.Member, error) {
	return []im.Member{w.ann(), {User: "bob", Role: im.Plain, Joined: 2, MutedUntil: noon}}, nil
}

func (w chatWorld) Add(_ context.Context, _ im.Actor, id string, _ []string) (*im.Conversation, error) {
	return w.team(id), nil
}

func (chatWorld) Ask(context.Context, im.Actor, string, string) (im.FriendState, error) {
	return im.Requested, nil
}

func (chatWorld) Friends(context.Context, im.Actor, string, int) ([]im.Friend, error) {
	return []im.Friend{{User: "bob", State: im.Waiting, Text: "It is me", Since: noon}}, nil
}

func (chatWorld) Blocked(context.Context, im.Actor, string, int) ([]string, error) {
	return []string{"eve"}, nil
}

func (chatWorld) Online(_ context.Context, _ im.Actor, users []string) ([]bool, error) {
	on := make([]bool, len(users))
	on[0] = true
	return on, nil
}
