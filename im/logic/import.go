package logic

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/herald-push/herald/im"
)

// Import brings what was said elsewhere, before: it gets numbers, but nobody is
// told of it and nobody rings, and who had read everything still has. The same
// message brought twice is there once. It ends at the first message that may not
// be; those before it stay.
func (l *Logic) Import(ctx context.Context, who im.Actor, i im.Import) (done im.Imported, err error) {
	for n := range i.Messages {
		if err := checkImported(&i, n); err != nil {
			return done, err
		}
	}
	done.Conversation = i.Conversation
	if len(i.Between) == 2 {
		done.Conversation = im.DirectID(i.Between[0], i.Between[1])
	}
	before, _, err := l.parts.Conversations.Conversation(ctx, who.App, done.Conversation, "")
	if refusal := (*im.Refusal)(nil); err != nil && (!errors.As(err, &refusal) || len(i.Between) == 0) {
		return done, err
	}
	if before != nil {
		done.Head = before.Head
	}
	had := done.Head
	for _, m := range i.Messages {
		d := &im.Draft{ChatMessage: m, RingAfter: never}
		d.App = who.App
		if len(i.Between) == 2 {
			d.To = i.Between[0]
			if d.To == m.Sender {
				d.To = i.Between[1]
			}
		} else {
			d.Conversation = i.Conversation
		}
		s, err := l.parts.Messages.Append(ctx, d)
		if err != nil {
			return done, errors.Join(err, l.haveRead(ctx, who.App, done.Conversation, had, done.Head))
		}
		if s.Repeated {
			done.Repeated++
			continue
		}
		done.Imported, done.Head = done.Imported+1, s.Seq
	}
	return done, l.haveRead(ctx, who.App, done.Conversation, had, done.Head)
}

// checkImported is [checkMessage] for the nth message of an import.
func checkImported(i *im.Import, n int) error {
	m := &i.Messages[n]
	err := checkMessage(m, "somebody")
	var r *im.Refusal
	switch {
	case errors.As(err, &r):
		return refuse(r.Code, fmt.Sprintf("messages[%d].%s", n, r.Field), "%s", r.Detail)
	case err != nil:
		return err
	case m.Sender == "" || len(m.Sender) > maxUser:
		return refuse("invalid", fmt.Sprintf("messages[%d].sender", n), "a user has 1 to %d bytes of UTF-8", maxUser)
	case len(i.Between) == 2 && (!slices.Contains(i.Between, m.Sender) || i.Between[0] == i.Between[1]):
		return refuse("invalid", fmt.Sprintf("messages[%d].sender", n), "is none of the two between whom it was said")
	}
	return nil
}

// haveRead moves the cursors of those who had read up to one number to another.
func (l *Logic) haveRead(ctx context.Context, app, conversation string, had, head uint64) error {
	if head == had {
		return nil
	}
	return l.eachMember(ctx, app, conversation, func(page []im.Member) error {
		var cursors []im.Cursor
		for _, m := range page {
			if m.Read >= had {
				cursors = append(cursors, im.Cursor{App: app, User: m.User, Conversation: conversation, Received: head, Read: head})
			}
		}
		return l.parts.Cursors.Advance(ctx, cursors...)
	})
}

// eachMember calls f with the members, page by page.
func (l *Logic) eachMember(ctx context.Context, app, conversation string, f func(page []im.Member) error) error {
	const size = 1000
	for after := ""; ; {
		page, err := l.parts.Members.Members(ctx, app, conversation, after, size)
		if err == nil {
			err = f(page)
		}
		if err != nil || len(page) < size {
			return err
		}
		after = page[size-1].User
	}
}

// Export tells all that is kept of a conversation: what it is, its members, and
// what was said in it, the oldest first.
func (l *Logic) Export(ctx context.Context, who im.Actor, id string, tell func(what string, thing any) error) error {
	c, _, err := l.Conversation(ctx, who, id)
	if err != nil {
		return err
	}
	if err := tell("conversation", c); err != nil {
		return err
	}
	err = l.eachMember(ctx, who.App, id, func(page []im.Member) error {
		for _, m := range page {
			if err := tell("member", m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	const size = 500
	for after := uint64(0); ; {
		page, err := l.parts.Messages.Following(ctx, who.App, id, after, size)
		if err != nil {
			return err
		}
		for _, m := range page {
			if err := tell("message", m); err != nil {
				return err
			}
			after = m.Seq
		}
		if len(page) < size {
			return nil
		}
	}
}
