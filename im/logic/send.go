package logic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/herald-push/herald/im"
)

// Bounds of what may be said.
const (
	maxBody     = 16 << 10 // bytes of JSON, whatever the kind
	maxText     = 5_000    // characters
	maxID       = 64       // bytes of a client id or a conversation's
	maxUser     = 128
	maxMentions = 50
)

// Send says a message. What it may not be is an [*im.Refusal].
func (l *Logic) Send(ctx context.Context, who im.Actor, m im.ChatMessage, to string) (im.Said, error) {
	if err := checkMessage(&m, to); err != nil {
		return im.Said{}, err
	}
	d := &im.Draft{ChatMessage: m, To: to, RingAfter: l.cfg.RingAfter}
	d.App, d.Sender, d.Target = who.App, who.User, 0
	if !who.Service {
		if !l.limits.allow(who) {
			return im.Said{}, refuse("rate_limited", "", "at most %v messages a second, and %d at once", l.cfg.Rate, l.cfg.Burst)
		}
		d.Check = l.mayPost
		if err := l.screen(ctx, d); err != nil {
			return im.Said{}, err
		}
	}
	return l.say(ctx, d, who)
}

// Notify says something to a user in the name of a service account, in a
// conversation of those two, which begins with it and in which nobody answers.
func (l *Logic) Notify(ctx context.Context, who im.Actor, m im.ChatMessage, to string) (im.Said, error) {
	if !who.Service {
		return im.Said{}, refuse("not_allowed", "system", "only services speak so")
	}
	if err := checkMessage(&m, to); err != nil {
		return im.Said{}, err
	}
	d := &im.Draft{ChatMessage: m, RingAfter: l.cfg.RingAfter}
	d.App, d.Sender, d.Conversation = who.App, who.User, im.SystemID(who.User, to)
	s, err := l.say(ctx, d, who)
	if !refused(err, "not_found") {
		return s, err
	}
	c := &im.Conversation{App: who.App, ID: d.Conversation, Kind: im.System, Title: who.User}
	err = l.parts.Conversations.CreateConversation(ctx, c, []im.Member{{User: to, Role: im.Plain}})
	if err != nil && !refused(err, "conflict") { // another process was first
		return im.Said{}, err
	}
	return l.say(ctx, d, who)
}

// refused reports whether an error is a refusal with a code.
func refused(err error, code string) bool {
	var r *im.Refusal
	return errors.As(err, &r) && r.Code == code
}

// screen lets the app's own judgement pass over what a user wants to say.
func (l *Logic) screen(ctx context.Context, d *im.Draft) error {
	if l.parts.Screen == nil {
		return nil
	}
	if err := l.parts.Screen.Screen(ctx, d); err != nil {
		return err
	}
	return checkBody(d.Kind, d.Body) // it may be another now
}

// say makes a draft durable and lets it be heard.
func (l *Logic) say(ctx context.Context, d *im.Draft, who im.Actor) (im.Said, error) {
	s, err := l.parts.Messages.Append(ctx, d)
	if err != nil {
		return im.Said{}, err
	}
	if l.parts.Witness != nil {
		l.parts.Witness.Said(ctx, &s.ChatMessage)
	}
	if !s.Repeated {
		l.carry(ctx, &said{s, who.Service})
	}
	return s, nil
}

// announce says something in Herald's own name, such as who came and went.
func (l *Logic) announce(ctx context.Context, app, conversation, event string, fields map[string]any) error {
	body := map[string]any{"event": event}
	for k, v := range fields {
		body[k] = v
	}
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("im/logic: announce: %w", err)
	}
	_, err = l.say(ctx, &im.Draft{RingAfter: never, ChatMessage: im.ChatMessage{
		App: app, Conversation: conversation, ClientID: newID(), Kind: im.KindSystem, Body: text,
	}}, im.Actor{App: app, Service: true})
	return err
}

// Recall takes a message back: its body is gone for everybody. Its sender may
// for a while, who runs the group and services may always.
func (l *Logic) Recall(ctx context.Context, who im.Actor, conversation string, seq uint64) (im.Said, error) {
	return l.amend(ctx, who, conversation, seq, im.KindRecall, json.RawMessage(`{}`))
}

// Edit gives a message another body. Only its sender may, for a while.
func (l *Logic) Edit(ctx context.Context, who im.Actor, conversation string, seq uint64, body json.RawMessage) (im.Said, error) {
	if err := checkBody(im.KindCustom, body); err != nil {
		return im.Said{}, err
	}
	return l.amend(ctx, who, conversation, seq, im.KindEdit, body)
}

func (l *Logic) amend(ctx context.Context, who im.Actor, conversation string, seq uint64, kind string, body json.RawMessage) (im.Said, error) {
	d := &im.Draft{RingAfter: never, ChatMessage: im.ChatMessage{
		App: who.App, Conversation: conversation, Sender: who.User, ClientID: newID(), Kind: kind, Body: body, Target: seq,
	}}
	if kind == im.KindEdit && !who.Service {
		if err := l.screen(ctx, d); err != nil {
			return im.Said{}, err
		}
	}
	d.Check = func(f *im.Facts) error { return l.mayAmend(who, kind, f) }
	return l.say(ctx, d, who)
}

// mayPost judges a user's message.
func (l *Logic) mayPost(f *im.Facts) error {
	c, me := &f.Conversation, f.Sender
	switch {
	case me == nil || me.Role == im.Asking:
		return refuse("not_a_member", "conversation", "the sender is not a member of the conversation")
	case c.Kind == im.System:
		return refuse("read_only", "conversation", "a service speaks here; nobody answers")
	case f.Blocked:
		return refuse("blocked", "to", "the other user does not want messages from the sender")
	case c.Kind == im.Direct && l.cfg.FriendsOnly && !f.Friends:
		return refuse("not_friends", "to", "only friends may write to each other")
	case me.Role.Runs():
		return nil
	case c.Muted:
		return refuse("muted", "conversation", "nobody but those who run the group may speak now")
	case l.now().Before(me.MutedUntil):
		return refuse("muted", "conversation", "the sender may not speak before %s", me.MutedUntil.Format("2006-01-02T15:04:05Z07:00"))
	}
	return nil
}

// mayAmend judges a recall or an edit.
func (l *Logic) mayAmend(who im.Actor, kind string, f *im.Facts) error {
	t := f.Target
	if t == nil {
		return refuse("not_found", "seq", "there is no such message")
	}
	mine := t.Sender == who.User && who.User != ""
	switch {
	case t.Kind == im.KindRecall || t.Kind == im.KindEdit || t.Kind == im.KindSystem:
		return refuse("not_allowed", "seq", "a message of kind %s stays as it is", t.Kind)
	case t.Recalled:
		return refuse("recalled", "seq", "the message was recalled before")
	case who.Service:
		return nil
	case f.Sender == nil:
		return refuse("not_a_member", "conversation", "the user is not a member of the conversation")
	case kind == im.KindRecall && !mine && f.Sender.Role.Runs():
		return nil
	case !mine:
		return refuse("not_allowed", "seq", "the message is somebody else's")
	case l.now().Sub(t.At) > l.cfg.ChangeWithin:
		return refuse("too_late", "seq", "a message can be changed for %v", l.cfg.ChangeWithin)
	}
	return nil
}

// kinds are what a user may say, each with the fields that its body must have.
var kinds = map[string][]string{
	im.KindText: {"text"}, im.KindImage: {"url"}, im.KindFile: {"url", "name"}, im.KindVoice: {"url"},
	im.KindLocation: {"lat", "lon"}, im.KindCard: {"title"}, im.KindCustom: nil,
}

// checkMessage finds what no conversation could take.
func checkMessage(m *im.ChatMessage, to string) error {
	if m.Kind == "" {
		m.Kind = im.KindText
	}
	switch {
	case (to == "") == (m.Conversation == ""):
		return refuse("invalid", "to", "name exactly one of to and conversation")
	case len(to) > maxUser || !utf8.ValidString(to):
		return refuse("invalid", "to", "a user has 1 to %d bytes of UTF-8", maxUser)
	case to != "" && to == m.Sender:
		return refuse("invalid", "to", "nobody writes to themselves")
	case m.ClientID == "" || len(m.ClientID) > maxID || !utf8.ValidString(m.ClientID):
		return refuse("invalid", "client_id", "is needed, of 1 to %d bytes: by it a message that is sent again is said once", maxID)
	case len(m.Mentions) > maxMentions:
		return refuse("invalid", "mentions", "%d of them, at most %d", len(m.Mentions), maxMentions)
	}
	if _, known := kinds[m.Kind]; !known {
		return refuse("invalid", "kind", "%.32q is none of text, image, file, voice, location, card, custom", m.Kind)
	}
	return checkBody(m.Kind, m.Body)
}

func checkBody(kind string, body json.RawMessage) error {
	if len(body) > maxBody {
		return refuse("too_large", "body", "%d bytes, at most %d", len(body), maxBody)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return refuse("invalid", "body", "must be a JSON object")
	}
	for _, name := range kinds[kind] {
		if len(fields[name]) == 0 || string(fields[name]) == "null" || string(fields[name]) == `""` {
			return refuse("invalid", "body."+name, "a message of kind %s needs it", kind)
		}
	}
	if kind != im.KindText {
		return nil
	}
	var text string
	if err := json.Unmarshal(fields["text"], &text); err != nil {
		return refuse("invalid", "body.text", "must be a text")
	}
	if n := utf8.RuneCountInString(text); n > maxText {
		return refuse("too_large", "body.text", "%d characters, at most %d", n, maxText)
	}
	return nil
}
