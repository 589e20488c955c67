package data

import (
	"context"

	"github.com/herald-push/herald/internal/database"
)

// Trace is what chat keeps of a user.
type Trace struct {
	Messages    int `json:"messages"` // that they have said
	Memberships int `json:"memberships"`
	Reactions   int `json:"reactions"`
	Friends     int `json:"friends"` // both ways, with requests
	Blocks      int `json:"blocks"`  // both ways
	User        int `json:"user"`
}

// OfUser counts what chat keeps of a user.
func (s *Store) OfUser(ctx context.Context, app, user string) (t Trace, err error) {
	const query = `
		SELECT
			(SELECT count(*) FROM im_messages WHERE app = $1 AND sender = $2),
			(SELECT count(*) FROM im_members WHERE app = $1 AND user_id = $2),
			(SELECT count(*) FROM im_reactions WHERE app = $1 AND user_id = $2),
			(SELECT count(*) FROM im_friends WHERE app = $1 AND (user_id = $2 OR friend = $2)),
			(SELECT count(*) FROM im_blocks WHERE app = $1 AND (user_id = $2 OR blocked = $2)),
			(SELECT count(*) FROM im_users WHERE app = $1 AND user_id = $2)`
	if user == "" || !database.Storable(user) {
		return t, nil
	}
	err = s.db.Read().QueryRow(ctx, query, app, user).Scan(&t.Messages, &t.Memberships, &t.Reactions, &t.Friends, &t.Blocks, &t.User)
	return t, fail("count a user", err)
}
