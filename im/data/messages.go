package data

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// message reads rows of messageColumns.
func message(app string) func(database.Scanner) (im.ChatMessage, error) {
	return func(scan database.Scanner) (im.ChatMessage, error) {
		m := im.ChatMessage{App: app}
		var body, mentions string
		var said, edited int64
		var recalled int
		err := scan(&m.Conversation, &m.Seq, &m.Sender, &m.ClientID, &m.Kind, &body, &m.ReplyTo, &mentions, &m.Target, &said, &edited, &recalled)
		if err != nil {
			return m, err
		}
		m.Body, m.At, m.EditedAt, m.Recalled = json.RawMessage(body), at(said), at(edited), recalled != 0
		if mentions == "[]" {
			return m, nil
		}
		return m, json.Unmarshal([]byte(mentions), &m.Mentions)
	}
}

// History returns up to limit messages of a conversation with the numbers in
// (after, before), the latest ones, oldest first; before 0 is no bound. Nobody
// is asked for leave.
func (s *Store) History(ctx context.Context, app, conversation string, after, before uint64, limit int) ([]im.ChatMessage, error) {
	const query = `SELECT ` + messageColumns + ` FROM im_messages m
		WHERE m.app = $1 AND m.conversation = $2 AND m.seq > $3 AND m.seq < $4 ORDER BY m.seq DESC LIMIT $5`
	return s.messages(ctx, query, true, app, conversation, after, bound(before), limit)
}

// Following is [Store.History] with the earliest ones instead.
func (s *Store) Following(ctx context.Context, app, conversation string, after uint64, limit int) ([]im.ChatMessage, error) {
	const query = `SELECT ` + messageColumns + ` FROM im_messages m
		WHERE m.app = $1 AND m.conversation = $2 AND m.seq > $3 ORDER BY m.seq LIMIT $4`
	return s.messages(ctx, query, false, app, conversation, after, limit)
}

// bound is the end of a range of numbers as the databases know numbers.
func bound(before uint64) int64 {
	const most = 1<<63 - 1
	if before == 0 || before > most {
		return most
	}
	return int64(before)
}

func (s *Store) messages(ctx context.Context, query string, turn bool, app, conversation string, args ...any) ([]im.ChatMessage, error) {
	found, err := database.Collect(ctx, s.db.Read(), query, append([]any{app, conversation}, args...), message(app))
	if err != nil {
		return nil, fail("messages", err)
	}
	if turn {
		slices.Reverse(found)
	}
	return found, s.addReactions(ctx, app, conversation, found)
}

// addReactions counts what was put to the messages.
func (s *Store) addReactions(ctx context.Context, app, conversation string, ms []im.ChatMessage) error {
	if len(ms) == 0 {
		return nil
	}
	const query = `SELECT seq, emoji, count(*) FROM im_reactions
		WHERE app = $1 AND conversation = $2 AND seq >= $3 AND seq <= $4 GROUP BY seq, emoji`
	first := ms[0].Seq
	_, err := database.Collect(ctx, s.db.Read(), query, []any{app, conversation, first, ms[len(ms)-1].Seq}, func(scan database.Scanner) (struct{}, error) {
		var seq uint64
		var emoji string
		var n int
		if err := scan(&seq, &emoji, &n); err != nil {
			return struct{}{}, err
		}
		if i, ok := slices.BinarySearchFunc(ms, seq, func(m im.ChatMessage, seq uint64) int { return int(int64(m.Seq) - int64(seq)) }); ok {
			if ms[i].Reactions == nil {
				ms[i].Reactions = make(map[string]int)
			}
			ms[i].Reactions[emoji] = n
		}
		return struct{}{}, nil
	})
	return fail("reactions", err)
}

// React puts an emoji of a user to a message, or takes it away. To do what is
// done already is no fault.
func (s *Store) React(ctx context.Context, app, conversation string, seq uint64, user, emoji string, on bool) error {
	const (
		put = `INSERT INTO im_reactions (app, conversation, seq, user_id, emoji)
			SELECT app, conversation, seq, $4, $5 FROM im_messages
			WHERE app = $1 AND conversation = $2 AND seq = $3 AND recalled = 0
			ON CONFLICT (app, conversation, seq, user_id, emoji) DO NOTHING`
		there = `SELECT 1 FROM im_messages WHERE app = $1 AND conversation = $2 AND seq = $3 AND recalled = 0`
		take  = `DELETE FROM im_reactions WHERE app = $1 AND conversation = $2 AND seq = $3 AND user_id = $4 AND emoji = $5`
	)
	if !on {
		_, err := s.db.Write().Exec(ctx, take, app, conversation, seq, user, emoji)
		return fail("take reaction", err)
	}
	var one int
	if err := s.db.Read().QueryRow(ctx, there, app, conversation, seq).Scan(&one); database.Missing(err) {
		return notFound("message")
	} else if err != nil {
		return fail("put reaction", err)
	}
	_, err := s.db.Write().Exec(ctx, put, app, conversation, seq, user, emoji)
	return fail("put reaction", err)
}

// EraseUser forgets what a user said and was: bodies, memberships, friends,
// blocks and reactions. The numbers of the messages stay taken. It returns how
// many messages it emptied; afterwards there is nothing left to find.
func (s *Store) EraseUser(ctx context.Context, app, user string) (int64, error) {
	if user == "" {
		return 0, errors.New("im/data: erase: no user")
	}
	var emptied int64
	err := s.changing(app, nil, func() error {
		return s.db.Transact(ctx, func(tx database.Querier) error {
			res, err := tx.Exec(ctx, `UPDATE im_messages SET body = '{}', mentions = '[]', recalled = 1, sender = '', client_id = conversation || ':' || CAST(seq AS TEXT)
			WHERE app = $1 AND sender = $2`, app, user)
			if err != nil {
				return err
			}
			if emptied, err = res.RowsAffected(); err != nil {
				return err
			}
			for _, query := range []string{
				`UPDATE im_conversations SET members = members - 1 WHERE app = $1
				AND id IN (SELECT conversation FROM im_members WHERE app = $1 AND user_id = $2 AND gone = 0 AND role <> 'asking')`,
				`DELETE FROM im_members WHERE app = $1 AND user_id = $2`,
				`DELETE FROM im_reactions WHERE app = $1 AND user_id = $2`,
				`DELETE FROM im_friends WHERE app = $1 AND (user_id = $2 OR friend = $2)`,
				`DELETE FROM im_blocks WHERE app = $1 AND (user_id = $2 OR blocked = $2)`,
				`DELETE FROM im_users WHERE app = $1 AND user_id = $2`,
			} {
				if _, err := tx.Exec(ctx, query, app, user); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return emptied, fail("erase user", err)
}
