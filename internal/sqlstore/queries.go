package sqlstore

import (
	"context"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// PutQuery keeps a question under its name, in place of the one before, and
// fills its time.
func (s *Store) PutQuery(ctx context.Context, q *push.SavedQuery) error {
	var f faults
	f.named("app", q.App)
	f.named("name", q.Name)
	f.text("text", q.Text)
	f.text("author", q.Author)
	if err := f.err(); err != nil {
		return fail("put query", err)
	}
	const query = `
		INSERT INTO saved_queries (app, name, text, author, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (app, name) DO UPDATE SET text = excluded.text, author = excluded.author, updated_at = excluded.updated_at`
	t := now()
	q.UpdatedAt = at(t)
	_, err := s.exec(ctx, "put query of app "+q.App, query, q.App, q.Name, q.Text, q.Author, t)
	return err
}

// Queries returns the questions that an app keeps, by name.
func (s *Store) Queries(ctx context.Context, app string) ([]push.SavedQuery, error) {
	const query = `SELECT app, name, text, author, updated_at FROM saved_queries WHERE app = $1 ORDER BY name`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app}, func(scan database.Scanner) (q push.SavedQuery, err error) {
		var updated int64
		err = scan(&q.App, &q.Name, &q.Text, &q.Author, &updated)
		q.UpdatedAt = at(updated)
		return q, err
	})
	return all, fail("queries of app "+app, err)
}

// DeleteQuery forgets a question.
func (s *Store) DeleteQuery(ctx context.Context, app, name string) error {
	const query = `DELETE FROM saved_queries WHERE app = $1 AND name = $2`
	return s.execOne(ctx, "delete query of app "+app, query, app, name)
}
