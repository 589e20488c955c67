package data

import (
	"context"
	"time"

	"github.com/herald-push/herald/internal/database"
)

// forgetAtOnce is how many messages of a conversation go in one transaction.
const forgetAtOnce = 500

// Forget removes what was said before a time, with its reactions, in up to limit
// conversations of an app that follow one by id, and returns the last of them;
// empty when there are no more. The numbers of what is left stay as they are.
//
// The messages of a conversation are in the order of their numbers, which is that
// of their times: from the first that is young enough on, all stay.
func (s *Store) Forget(ctx context.Context, app string, before time.Time, after string, limit int) (next string, forgotten int64, err error) {
	const old = `
		SELECT c.id, CASE WHEN coalesce((SELECT m.at FROM im_messages m WHERE m.app = c.app AND m.conversation = c.id ORDER BY m.seq LIMIT 1), $3) < $3 THEN 1 ELSE 0 END
		FROM im_conversations c WHERE c.app = $1 AND c.id > $2 ORDER BY c.id LIMIT $4`
	type page struct {
		id  string
		old bool
	}
	found, err := database.Collect(ctx, s.db.Read(), old, []any{app, after, before.UnixMicro(), limit}, func(scan database.Scanner) (p page, err error) {
		var is int
		err = scan(&p.id, &is)
		p.old = is != 0
		return p, err
	})
	if err != nil {
		return after, 0, fail("forget", err)
	}
	for _, p := range found {
		for again := p.old; again; {
			n, err := s.forgetSome(ctx, app, p.id, before)
			if err != nil {
				return after, forgotten, fail("forget", err)
			}
			forgotten += n
			again = n == forgetAtOnce
		}
	}
	if len(found) < limit {
		return "", forgotten, nil
	}
	return found[len(found)-1].id, forgotten, nil
}

// forgetSome forgets the first messages of a conversation, as far as they are
// from before a time.
func (s *Store) forgetSome(ctx context.Context, app, conversation string, before time.Time) (n int64, err error) {
	const (
		young = `
			SELECT coalesce(min(CASE WHEN k.at >= $3 THEN k.seq END), max(k.seq) + 1, 0)
			FROM (SELECT seq, at FROM im_messages WHERE app = $1 AND conversation = $2 ORDER BY seq LIMIT $4) AS k`
		messages  = `DELETE FROM im_messages WHERE app = $1 AND conversation = $2 AND seq < $3`
		reactions = `DELETE FROM im_reactions WHERE app = $1 AND conversation = $2 AND seq < $3`
	)
	err = s.db.Transact(ctx, func(tx database.Querier) error {
		var first int64
		if err := tx.QueryRow(ctx, young, app, conversation, before.UnixMicro(), forgetAtOnce).Scan(&first); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, reactions, app, conversation, first); err != nil {
			return err
		}
		res, err := tx.Exec(ctx, messages, app, conversation, first)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
