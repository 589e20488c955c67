package data

import (
	"context"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// CreateConversation makes a group or a system conversation with its first
// members. An id that is taken is refused.
func (s *Store) CreateConversation(ctx context.Context, c *im.Conversation, members []im.Member) error {
	const create = `
		INSERT INTO im_conversations (app, id, kind, title, announcement, join_policy, muted, members, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8) ON CONFLICT (app, id) DO NOTHING`
	c.CreatedAt = at(s.now().UnixMicro())
	err := s.db.Transact(ctx, func(tx database.Querier) error {
		res, err := tx.Exec(ctx, create, c.App, c.ID, c.Kind, c.Title, c.Announcement, c.Join, flag(c.Muted), c.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return firstOf(err, &im.Refusal{Code: "conflict", Field: "id", Detail: "a conversation of this id exists"})
		}
		c.Members, err = putMembers(ctx, tx, c.App, c.ID, members)
		return err
	})
	return fail("create conversation", err)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

// PutMembers adds users to a conversation or gives them another role. Whoever
// comes new, or comes again, sees what is said from now on.
func (s *Store) PutMembers(ctx context.Context, app, conversation string, members []im.Member) (total int, err error) {
	err = s.changing(app, []string{conversation}, func() error {
		return s.db.Transact(ctx, func(tx database.Querier) error {
			total, err = putMembers(ctx, tx, app, conversation, members)
			return err
		})
	})
	return total, fail("put members", err)
}

func putMembers(ctx context.Context, tx database.Querier, app, conversation string, members []im.Member) (total int, err error) {
	const (
		put = `
			WITH k AS MATERIALIZED (SELECT value->>0 AS who, value->>1 AS role FROM json_each($1)),
				c AS (SELECT head FROM im_conversations WHERE app = $2 AND id = $3)
			INSERT INTO im_members (app, conversation, user_id, role, joined, received, read)
			SELECT $2, $3, k.who, k.role, c.head, c.head, c.head FROM k, c WHERE true
			ON CONFLICT (app, conversation, user_id) DO UPDATE SET role = excluded.role, gone = 0,
				joined = CASE WHEN im_members.gone = 1 OR im_members.role = 'asking' THEN excluded.joined ELSE im_members.joined END,
				received = CASE WHEN im_members.gone = 1 OR im_members.role = 'asking' THEN excluded.received ELSE im_members.received END,
				read = CASE WHEN im_members.gone = 1 OR im_members.role = 'asking' THEN excluded.read ELSE im_members.read END`
	)
	rows, users := make([][2]string, len(members)), make([]string, len(members))
	for i, m := range members {
		rows[i], users[i] = [2]string{m.User, string(m.Role)}, m.User
	}
	if _, err := tx.Exec(ctx, put, asJSON(rows), app, conversation); err != nil {
		return 0, err
	}
	return recount(ctx, tx, app, conversation, users)
}

// bump counts a change for each user of a list.
func bump(ctx context.Context, tx database.Querier, list, app string) error {
	_, err := database.Collect(ctx, tx, bumpUsers, []any{list, app}, func(scan database.Scanner) (struct{}, error) {
		var user string
		var seq int64
		return struct{}{}, scan(&user, &seq)
	})
	return err
}

// recount counts the members again, and lets the given ones' devices know that
// something changed.
func recount(ctx context.Context, tx database.Querier, app, conversation string, users []string) (total int, err error) {
	const (
		move = `
			UPDATE im_members AS m SET version = (SELECT u.seq FROM im_users u WHERE u.app = m.app AND u.user_id = m.user_id)
			WHERE m.app = $2 AND m.conversation = $3 AND m.user_id IN (SELECT value FROM json_each_text($1))`
		count = `
			UPDATE im_conversations AS c SET roster = c.roster + 1, members = (SELECT count(*) FROM im_members m
				WHERE m.app = c.app AND m.conversation = c.id AND m.gone = 0 AND m.role <> 'asking')
			WHERE c.app = $1 AND c.id = $2 RETURNING members`
	)
	list := database.List(users)
	if err := bump(ctx, tx, list, app); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, move, list, app, conversation); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, count, app, conversation).Scan(&total)
	if database.Missing(err) {
		err = notFound("conversation")
	}
	return total, err
}

// RemoveMembers takes users out of a conversation. What they have seen they
// keep; what follows they do not get.
func (s *Store) RemoveMembers(ctx context.Context, app, conversation string, users []string) (total int, err error) {
	const remove = `
		UPDATE im_members SET gone = 1, ring_due = 0, role = 'member' WHERE app = $1 AND conversation = $2
			AND user_id IN (SELECT value FROM json_each_text($3))`
	err = s.changing(app, []string{conversation}, func() error {
		return s.db.Transact(ctx, func(tx database.Querier) error {
			if _, err := tx.Exec(ctx, remove, app, conversation, database.List(users)); err != nil {
				return err
			}
			total, err = recount(ctx, tx, app, conversation, users)
			return err
		})
	})
	return total, fail("remove members", err)
}

// SetConversation changes title, announcement, way in and whether all are
// muted.
func (s *Store) SetConversation(ctx context.Context, c *im.Conversation) error {
	const set = `UPDATE im_conversations SET title = $3, announcement = $4, join_policy = $5, muted = $6 WHERE app = $1 AND id = $2`
	err := s.changing(c.App, []string{c.ID}, func() error {
		_, err := s.db.Write().Exec(ctx, set, c.App, c.ID, c.Title, c.Announcement, c.Join, flag(c.Muted))
		return err
	})
	return fail("set conversation", err)
}

// SetMember changes until when a member is muted, and whether the conversation
// rings for them.
func (s *Store) SetMember(ctx context.Context, app, conversation string, m *im.Member) error {
	const set = `UPDATE im_members SET muted_until = $4, silent = $5,
			ring_due = CASE WHEN CAST($5 AS BIGINT) = 1 THEN 0 ELSE ring_due END
		WHERE app = $1 AND conversation = $2 AND user_id = $3`
	err := s.changing(app, []string{conversation}, func() error {
		_, err := s.db.Write().Exec(ctx, set, app, conversation, m.User, micros(m.MutedUntil), flag(m.Silent))
		return err
	})
	return fail("set member", err)
}

// Conversation returns a conversation, and the user's part in it; nil if the
// user is no member. What is not there is refused.
func (s *Store) Conversation(ctx context.Context, app, id, user string) (*im.Conversation, *im.Member, error) {
	const find = `SELECT ` + conversationColumns + ` FROM im_conversations c
		LEFT JOIN im_members m ON m.app = c.app AND m.conversation = c.id AND m.user_id = $3
		WHERE c.app = $1 AND c.id = $2`
	found, err := database.Collect(ctx, s.db.Read(), find, []any{app, id, user}, conversation(app, user))
	if err == nil && len(found) == 0 {
		return nil, nil, notFound("conversation")
	}
	if err != nil {
		return nil, nil, fail("conversation", err)
	}
	if found[0].Gone {
		return &found[0].Conversation, nil, nil
	}
	return &found[0].Conversation, &found[0].Me, nil
}

// Members returns up to limit members in the order of their ids, after one.
func (s *Store) Members(ctx context.Context, app, id, after string, limit int) ([]im.Member, error) {
	const list = `SELECT user_id, role, joined, received, read, muted_until, silent FROM im_members
		WHERE app = $1 AND conversation = $2 AND gone = 0 AND user_id > $3 ORDER BY user_id LIMIT $4`
	found, err := database.Collect(ctx, s.db.Read(), list, []any{app, id, after, limit}, func(scan database.Scanner) (m im.Member, err error) {
		var muted int64
		var silent int
		err = scan(&m.User, &m.Role, &m.Joined, &m.Received, &m.Read, &muted, &silent)
		m.MutedUntil, m.Silent = at(muted), silent != 0
		return m, err
	})
	return found, fail("members", err)
}

// conversationColumns are what [conversation] reads, of im_conversations AS c
// and im_members AS m, which may be missing.
const conversationColumns = `c.id, c.kind, c.title, c.announcement, c.join_policy, c.muted, c.head, c.members, c.created_at,
	coalesce(m.role, ''), coalesce(m.joined, 0), coalesce(m.received, 0), coalesce(m.read, 0),
	coalesce(m.muted_until, 0), coalesce(m.silent, 0), coalesce(m.gone, 1), coalesce(m.version, 0)`

// seen is a conversation as one user sees it.
type seen struct {
	im.Change
	version uint64
}

func conversation(app, user string) func(database.Scanner) (seen, error) {
	return func(scan database.Scanner) (seen, error) {
		v := seen{Change: im.Change{Conversation: im.Conversation{App: app}, Me: im.Member{User: user}}}
		c, me := &v.Conversation, &v.Me
		var muted, silent, gone int
		var created, until int64
		err := scan(&c.ID, &c.Kind, &c.Title, &c.Announcement, &c.Join, &muted, &c.Head, &c.Members, &created,
			&me.Role, &me.Joined, &me.Received, &me.Read, &until, &silent, &gone, &v.version)
		c.Muted, c.CreatedAt = muted != 0, at(created)
		me.MutedUntil, me.Silent, v.Gone = at(until), silent != 0, gone != 0
		v.Unread = c.Head - min(c.Head, max(me.Read, me.Joined))
		return v, err
	}
}
