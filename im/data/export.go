package data

import (
	"context"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// exportPage is how many rows of a user are in memory at once.
const exportPage = 500

// Reaction is an emoji that a user has put to a message.
type Reaction struct {
	Conversation string `json:"conversation"`
	Seq          uint64 `json:"seq"`
	Emoji        string `json:"emoji"`
}

// Block is whom a user keeps from writing to them.
type Block struct {
	User string `json:"user"`
}

// EachOfUser tells all that chat keeps as a user's own: the conversations they
// are or were in, the messages that they have said, reactions, friends with
// requests, blocks. What others have said is theirs. It reads in pages and ends
// with the first error of tell.
func (s *Store) EachOfUser(ctx context.Context, app, user string, tell func(what string, thing any) error) error {
	if user == "" || !database.Storable(user) {
		return nil
	}
	return firstFault(
		func() error {
			return inPages("conversation", tell, func(last im.Change) ([]im.Change, error) {
				return s.memberships(ctx, app, user, last.ID)
			})
		},
		func() error {
			return inPages("message", tell, func(last im.ChatMessage) ([]im.ChatMessage, error) {
				return s.spoken(ctx, app, user, last.ClientID)
			})
		},
		func() error {
			return inPages("reaction", tell, func(last Reaction) ([]Reaction, error) {
				return s.reactionsOf(ctx, app, user, last)
			})
		},
		func() error {
			return inPages("friend", tell, func(last im.Friend) ([]im.Friend, error) {
				return s.Friends(ctx, app, user, last.User, exportPage)
			})
		},
		func() error {
			return inPages("block", tell, func(last Block) ([]Block, error) {
				ids, err := s.Blocked(ctx, app, user, last.User, exportPage)
				blocks := make([]Block, len(ids))
				for i, id := range ids {
					blocks[i] = Block{id}
				}
				return blocks, err
			})
		},
	)
}

func firstFault(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// inPages tells each thing of pages that follow the last thing of the one before.
func inPages[T any](what string, tell func(what string, thing any) error, following func(last T) ([]T, error)) error {
	var last T
	for {
		found, err := following(last)
		if err != nil {
			return err
		}
		for _, thing := range found {
			if err := tell(what, thing); err != nil {
				return err
			}
		}
		if len(found) < exportPage {
			return nil
		}
		last = found[len(found)-1]
	}
}

// memberships lists the conversations that a user is or was in, by id, with the
// other user of direct ones and without what was said last.
func (s *Store) memberships(ctx context.Context, app, user, after string) ([]im.Change, error) {
	const query = `SELECT ` + conversationColumns + ` FROM im_members m
		JOIN im_conversations c ON c.app = m.app AND c.id = m.conversation
		WHERE m.app = $1 AND m.user_id = $2 AND m.conversation > $3 ORDER BY m.conversation LIMIT $4`
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, user, after, exportPage}, conversation(app, user))
	if err != nil {
		return nil, fail("memberships", err)
	}
	all, err := s.dress(ctx, app, user, found)
	for i := range all {
		all[i].Last = nil
	}
	return all, err
}

// spoken lists what a user has said, by the ids that their devices gave: that is
// the order of the index.
func (s *Store) spoken(ctx context.Context, app, user, after string) ([]im.ChatMessage, error) {
	const query = `SELECT ` + messageColumns + ` FROM im_messages m
		WHERE m.app = $1 AND m.sender = $2 AND m.client_id > $3 ORDER BY m.client_id LIMIT $4`
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, user, after, exportPage}, message(app))
	return found, fail("messages of a user", err)
}

func (s *Store) reactionsOf(ctx context.Context, app, user string, after Reaction) ([]Reaction, error) {
	const query = `SELECT conversation, seq, emoji FROM im_reactions
		WHERE app = $1 AND user_id = $2 AND (conversation, seq, emoji) > ($3, CAST($4 AS BIGINT), $5)
		ORDER BY conversation, seq, emoji LIMIT $6`
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, user, after.Conversation, after.Seq, after.Emoji, exportPage},
		func(scan database.Scanner) (r Reaction, err error) {
			err = scan(&r.Conversation, &r.Seq, &r.Emoji)
			return r, err
		})
	return found, fail("reactions of a user", err)
}
