package data

import (
	"context"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// Befriend changes how two users stand. mine and theirs are the states of the
// two views; an empty one removes the view. The check sees the view that user
// has now, and decides in the same transaction.
func (s *Store) Befriend(ctx context.Context, app, user, friend, text string, check func(now im.FriendState) (mine, theirs im.FriendState, err error)) error {
	const (
		find = `SELECT state FROM im_friends WHERE app = $1 AND user_id = $2 AND friend = $3`
		put  = `INSERT INTO im_friends (app, user_id, friend, state, text, since) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (app, user_id, friend) DO UPDATE SET state = excluded.state, since = excluded.since,
				text = CASE WHEN excluded.text <> '' THEN excluded.text ELSE im_friends.text END`
		remove = `DELETE FROM im_friends WHERE app = $1 AND user_id = $2 AND friend = $3`
	)
	err := s.changing(app, []string{im.DirectID(user, friend)}, func() error {
		return s.db.Transact(ctx, func(tx database.Querier) error {
			now, err := database.Collect(ctx, tx, find, []any{app, user, friend}, texts)
			if err != nil {
				return err
			}
			state := im.FriendState("")
			if len(now) > 0 {
				state = im.FriendState(now[0])
			}
			mine, theirs, err := check(state)
			if err != nil {
				return err
			}
			for _, view := range []struct {
				of, to string
				state  im.FriendState
			}{{user, friend, mine}, {friend, user, theirs}} {
				if view.state == "" {
					_, err = tx.Exec(ctx, remove, app, view.of, view.to)
				} else {
					_, err = tx.Exec(ctx, put, app, view.of, view.to, view.state, text, s.now().UnixMicro())
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	return fail("befriend", err)
}

// Remark keeps a user's own name for a friend.
func (s *Store) Remark(ctx context.Context, app, user, friend, remark string) error {
	res, err := s.db.Write().Exec(ctx, `UPDATE im_friends SET remark = $4 WHERE app = $1 AND user_id = $2 AND friend = $3`, app, user, friend, remark)
	if err != nil {
		return fail("remark", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return fail("remark", firstOf(err, notFound("friend")))
	}
	return nil
}

// Friends lists a user's friends and open requests by id.
func (s *Store) Friends(ctx context.Context, app, user, after string, limit int) ([]im.Friend, error) {
	const list = `SELECT friend, state, remark, text, since FROM im_friends
		WHERE app = $1 AND user_id = $2 AND friend > $3 ORDER BY friend LIMIT $4`
	found, err := database.Collect(ctx, s.db.Read(), list, []any{app, user, after, limit}, func(scan database.Scanner) (f im.Friend, err error) {
		var since int64
		err = scan(&f.User, &f.State, &f.Remark, &f.Text, &since)
		f.Since = at(since)
		return f, err
	})
	return found, fail("friends", err)
}

// Block keeps another user from writing to this one, or lets them again.
func (s *Store) Block(ctx context.Context, app, user, blocked string, on bool) error {
	query := `DELETE FROM im_blocks WHERE app = $1 AND user_id = $2 AND blocked = $3`
	if on {
		query = `INSERT INTO im_blocks (app, user_id, blocked) VALUES ($1, $2, $3) ON CONFLICT (app, user_id, blocked) DO NOTHING`
	}
	err := s.changing(app, []string{im.DirectID(user, blocked)}, func() error {
		_, err := s.db.Write().Exec(ctx, query, app, user, blocked)
		return err
	})
	return fail("block", err)
}

// Blocked lists whom a user has blocked, by id.
func (s *Store) Blocked(ctx context.Context, app, user, after string, limit int) ([]string, error) {
	const list = `SELECT blocked FROM im_blocks WHERE app = $1 AND user_id = $2 AND blocked > $3 ORDER BY blocked LIMIT $4`
	found, err := database.Collect(ctx, s.db.Read(), list, []any{app, user, after, limit}, texts)
	return found, fail("blocked", err)
}
