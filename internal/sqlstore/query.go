package sqlstore

import (
	"context"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// texts reads rows of one text each.
func texts(scan database.Scanner) (text string, err error) {
	err = scan(&text)
	return text, err
}

// exec runs one statement that changes something and counts the rows.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	res, err := s.db.Write().Exec(ctx, query, args...)
	if err != nil {
		return 0, fail(what, err)
	}
	n, err := res.RowsAffected()
	return n, fail(what, err)
}

// execOne is exec for a row that must be there.
func (s *Store) execOne(ctx context.Context, what, query string, args ...any) error {
	n, err := s.exec(ctx, what, query, args...)
	if err == nil && n == 0 {
		err = fail(what, push.ErrNotFound)
	}
	return err
}
