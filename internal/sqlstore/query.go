package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/herald-push/herald/push"
)

// scanner reads the columns of the row at hand.
type scanner func(dest ...any) error

// collect runs a query and makes a T of every row.
func collect[T any](ctx context.Context, q querier, query string, args []any, read func(scanner) (T, error)) ([]T, error) {
	rows, err := q.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the story
	var all []T
	for rows.Next() {
		one, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// texts reads rows of one text each.
func texts(scan scanner) (text string, err error) {
	err = scan(&text)
	return text, err
}

// exec runs one statement that changes something and counts the rows.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	res, err := s.write.exec(ctx, query, args...)
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

// list is the parameter of json_each and json_each_text. What no database could
// keep is left out: no row is named so, and PostgreSQL would refuse the query.
func list(names []string) string {
	kept := make([]string, 0, len(names))
	for _, name := range names {
		if storable(name) {
			kept = append(kept, name)
		}
	}
	text, _ := json.Marshal(kept) // texts never fail
	return string(text)
}
