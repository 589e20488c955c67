package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald/push"
)

// EndSession keeps that a session of the pages is over, for all processes, until
// its cookie would have ended by itself. What is that old is forgotten here.
func (s *Store) EndSession(ctx context.Context, id string, until time.Time) error {
	if _, err := s.exec(ctx, "forget ended sessions", `DELETE FROM ended_sessions WHERE until_at < $1`, now()); err != nil {
		return err
	}
	const query = `INSERT INTO ended_sessions (id, until_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`
	_, err := s.exec(ctx, "end a session", query, id, until.UnixMicro())
	return err
}

// SessionEnded reports whether a session was ended, by whatever process.
func (s *Store) SessionEnded(ctx context.Context, id string) (bool, error) {
	const query = `SELECT 1 FROM ended_sessions WHERE id = $1`
	var one int
	err := fail("look for a session", s.db.Read().QueryRow(ctx, query, id).Scan(&one))
	if errors.Is(err, push.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
