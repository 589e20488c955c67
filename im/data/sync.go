package data

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// Changes returns up to limit conversations whose view has changed for a user
// since a cursor, oldest change first, and the cursor that follows; more says
// whether there are others. Large groups, which move no cursor, come with the
// last page if they have something unread.
func (s *Store) Changes(ctx context.Context, app, user string, after uint64, limit int) (changes []im.Change, next uint64, more bool, err error) {
	const moved = `SELECT ` + conversationColumns + ` FROM im_members m
		JOIN im_conversations c ON c.app = m.app AND c.id = m.conversation
		WHERE m.app = $1 AND m.user_id = $2 AND m.version > $3 ORDER BY m.version LIMIT $4`
	found, err := database.Collect(ctx, s.db.Read(), moved, []any{app, user, after, limit + 1}, conversation(app, user))
	if err != nil {
		return nil, after, false, fail("changes", err)
	}
	if more = len(found) > limit; more {
		// What moved in one transaction has one version, and must not be parted.
		cut := limit
		for cut > 0 && found[cut-1].version == found[limit].version {
			cut--
		}
		if cut == 0 {
			return s.Changes(ctx, app, user, after, 4*limit)
		}
		found = found[:cut]
	}
	next = after
	for i := range found {
		next = max(next, found[i].version)
	}
	if !more {
		large, err := s.large(ctx, app, user)
		if err != nil {
			return nil, after, false, err
		}
		found = append(found, large...)
	}
	changes, err = s.dress(ctx, app, user, found)
	return changes, next, more, err
}

// large finds the unread large groups of a user.
func (s *Store) large(ctx context.Context, app, user string) ([]seen, error) {
	query := `SELECT ` + conversationColumns + fmt.Sprintf(` FROM im_members m
		JOIN im_conversations c ON c.app = m.app AND c.id = m.conversation
		WHERE m.app = $1 AND m.user_id = $2 AND m.gone = 0 AND m.role <> 'asking' AND c.members > %d AND c.head > m.read`, im.SmallGroup)
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, user}, conversation(app, user))
	return found, fail("large groups", err)
}

// dress adds to each conversation its latest message and, where it is direct,
// the other user.
func (s *Store) dress(ctx context.Context, app, user string, found []seen) ([]im.Change, error) {
	const (
		latest = `
			WITH k AS MATERIALIZED (SELECT value->>0 AS conversation, CAST(value->>1 AS BIGINT) AS seq FROM json_each($1))
			SELECT ` + messageColumns + ` FROM k JOIN im_messages m ON m.app = $2 AND m.conversation = k.conversation AND m.seq = k.seq`
		peers = `
			SELECT conversation, user_id FROM im_members WHERE app = $2 AND user_id <> $3
			AND conversation IN (SELECT value FROM json_each_text($1))`
	)
	var heads [][2]any
	var direct []string
	place := make(map[string]int, len(found))
	changes := make([]im.Change, 0, len(found))
	for i := range found {
		c := &found[i].Change
		if _, twice := place[c.ID]; twice {
			continue
		}
		place[c.ID] = len(changes)
		changes = append(changes, *c)
		if c.Kind == im.Direct {
			direct = append(direct, c.ID)
		}
		if c.Head > c.Me.Joined && !c.Gone && c.Me.Role != im.Asking {
			heads = append(heads, [2]any{c.ID, c.Head})
		}
	}
	if len(heads) > 0 {
		last, err := database.Collect(ctx, s.db.Read(), latest, []any{asJSON(heads), app}, message(app))
		if err != nil {
			return nil, fail("latest messages", err)
		}
		for i := range last {
			changes[place[last[i].Conversation]].Last = &last[i]
		}
	}
	if len(direct) > 0 {
		_, err := database.Collect(ctx, s.db.Read(), peers, []any{database.List(direct), app, user}, func(scan database.Scanner) (struct{}, error) {
			var id, peer string
			err := scan(&id, &peer)
			changes[place[id]].Peer = peer
			return struct{}{}, err
		})
		if err != nil {
			return nil, fail("peers", err)
		}
	}
	return changes, nil
}

// Advance moves cursors on, never back, and never past what was said. Whoever
// has taken everything is not rung for.
func (s *Store) Advance(ctx context.Context, cursors ...im.Cursor) error {
	const (
		// What every message's acknowledgement costs: one row, and no index but for
		// those who were to be rung for.
		receive = `
			UPDATE im_members AS m SET
				received = CASE WHEN k.received > m.received THEN k.received ELSE m.received END,
				ring_due = CASE WHEN k.received >= k.head THEN 0 ELSE m.ring_due END
			FROM ` + clampedCursors + ` AS k
			WHERE m.app = k.app AND m.conversation = k.id AND m.user_id = k.who AND m.gone = 0`
		bump = `
			INSERT INTO im_users (app, user_id, seq)
			SELECT k.app, k.who, 1 FROM ` + clampedCursors + ` AS k
			JOIN im_members m ON m.app = k.app AND m.conversation = k.id AND m.user_id = k.who AND m.read < k.read
			WHERE true GROUP BY k.app, k.who ORDER BY k.app, k.who
			ON CONFLICT (app, user_id) DO UPDATE SET seq = im_users.seq + 1`
		read = `
			UPDATE im_members AS m SET read = k.read,
				version = (SELECT u.seq FROM im_users u WHERE u.app = m.app AND u.user_id = m.user_id)
			FROM ` + clampedCursors + ` AS k
			WHERE m.app = k.app AND m.conversation = k.id AND m.user_id = k.who AND m.gone = 0 AND m.read < k.read`
	)
	received, looked := foldCursors(cursors)
	if len(received) == 0 {
		return nil
	}
	err := s.db.Transact(ctx, func(tx database.Querier) error {
		if _, err := tx.Exec(ctx, receive, asJSON(received)); err != nil || len(looked) == 0 {
			return err
		}
		list := asJSON(looked)
		if _, err := tx.Exec(ctx, bump, list); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, read, list)
		return err
	})
	return fail("advance", err)
}

// clampedCursors are the rows of $1 with the heads of their conversations, past
// which no number goes.
const clampedCursors = `(SELECT c.app AS app, c.id AS id, c.head AS head, v.value->>1 AS who,
		CASE WHEN CAST(v.value->>3 AS BIGINT) > c.head THEN c.head ELSE CAST(v.value->>3 AS BIGINT) END AS received,
		CASE WHEN CAST(v.value->>4 AS BIGINT) > c.head THEN c.head ELSE CAST(v.value->>4 AS BIGINT) END AS read
	FROM json_each($1) v CROSS JOIN im_conversations c WHERE c.app = v.value->>0 AND c.id = v.value->>2)`

// foldCursors makes one row of what is said of one member: an UPDATE takes one.
// looked are those of which something was read.
func foldCursors(cursors []im.Cursor) (received, looked [][5]any) {
	type member struct{ app, user, conversation string }
	best := make(map[member]im.Cursor, len(cursors))
	for _, c := range cursors {
		k := member{c.App, c.User, c.Conversation}
		b := best[k]
		c.Read = max(c.Read, b.Read)
		c.Received = max(c.Received, b.Received, c.Read) // what was read was received
		best[k] = c
	}
	received = make([][5]any, 0, len(best))
	for _, c := range best {
		row := [5]any{c.App, c.User, c.Conversation, bound(c.Received+1) - 1, bound(c.Read+1) - 1}
		received = append(received, row)
		if c.Read > 0 {
			looked = append(looked, row)
		}
	}
	return received, looked
}

// ripen makes rings due for those who have not taken by now what they were to
// take.
func (s *Store) ripen(ctx context.Context, now int64) error {
	const (
		atOnce = 64 // transactions of messages
		ready  = `SELECT id, app, due, members FROM im_waits WHERE due <= $1 ORDER BY due LIMIT $2`
		ring   = `
			WITH k AS MATERIALIZED (SELECT value->>0 AS id, value->>1 AS who, CAST(value->>2 AS BIGINT) AS seq FROM json_each($1))
			UPDATE im_members AS m SET ring_due = $3
			FROM k WHERE m.app = $2 AND m.conversation = k.id AND m.user_id = k.who AND m.received < k.seq AND m.rung < k.seq
				AND m.silent = 0 AND m.gone = 0 AND m.role <> 'asking' AND (m.ring_due = 0 OR m.ring_due > $3)`
		drop = `DELETE FROM im_waits WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each_text($1))`
	)
	type wait struct {
		id, due      int64
		app, members string
	}
	for again := true; again; {
		waits, err := database.Collect(ctx, s.db.Read(), ready, []any{now, atOnce}, func(scan database.Scanner) (w wait, err error) {
			return w, scan(&w.id, &w.app, &w.due, &w.members)
		})
		if err != nil || len(waits) == 0 {
			return err
		}
		again = len(waits) == atOnce
		ids := make([]int64, len(waits))
		err = s.db.Transact(ctx, func(tx database.Querier) error {
			for i, w := range waits {
				ids[i] = w.id
				if _, err := tx.Exec(ctx, ring, w.members, w.app, w.due); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, drop, asJSON(ids))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Due takes up to limit rings whose time has come. They are the caller's until
// lease has passed; by then it has called [Store.Rung], or they are due again.
func (s *Store) Due(ctx context.Context, lease time.Duration, limit int) ([]im.Ring, error) {
	const take = `
		UPDATE im_members AS m SET ring_due = $2
		FROM (SELECT app AS a, conversation AS c, user_id AS u FROM im_members
			WHERE ring_due > 0 AND ring_due <= $1 ORDER BY ring_due LIMIT $3) AS k
		WHERE m.app = k.a AND m.conversation = k.c AND m.user_id = k.u AND m.ring_due > 0 AND m.ring_due <= $1
		RETURNING app, conversation, user_id`
	now := s.now()
	if err := s.ripen(ctx, now.UnixMicro()); err != nil {
		return nil, fail("waits", err)
	}
	rings, err := database.Collect(ctx, s.db.Write(), take, []any{now.UnixMicro(), now.Add(lease).UnixMicro(), limit}, func(scan database.Scanner) (r im.Ring, err error) {
		return r, scan(&r.App, &r.Conversation, &r.User)
	})
	if err != nil {
		return nil, fail("due rings", err)
	}
	if err := s.unread(ctx, rings); err != nil {
		return nil, err
	}
	return rings, s.badges(ctx, rings)
}

// unread fills in how far each conversation is, and how much of it the user has
// not read.
func (s *Store) unread(ctx context.Context, rings []im.Ring) error {
	const heads = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS app, value->>1 AS id, value->>2 AS who FROM json_each($1))
		SELECT k.app, k.id, k.who, c.head, c.head - CASE WHEN m.read > m.joined THEN m.read ELSE m.joined END FROM k
		JOIN im_conversations c ON c.app = k.app AND c.id = k.id
		JOIN im_members m ON m.app = k.app AND m.conversation = k.id AND m.user_id = k.who`
	if len(rings) == 0 {
		return nil
	}
	type place struct{ app, conversation, user string }
	at := make(map[place]int, len(rings))
	rows := make([][3]string, len(rings))
	for i, r := range rings {
		rows[i] = [3]string{r.App, r.Conversation, r.User}
		at[place{r.App, r.Conversation, r.User}] = i
	}
	_, err := database.Collect(ctx, s.db.Read(), heads, []any{asJSON(rows)}, func(scan database.Scanner) (struct{}, error) {
		var p place
		var head, unread uint64
		err := scan(&p.app, &p.conversation, &p.user, &head, &unread)
		if i, ok := at[p]; ok {
			rings[i].Seq, rings[i].Unread = head, unread
		}
		return struct{}{}, err
	})
	return fail("unread of rings", err)
}

// badges counts what each user has unread in all.
func (s *Store) badges(ctx context.Context, rings []im.Ring) error {
	const count = `
		WITH k AS MATERIALIZED (SELECT DISTINCT value->>0 AS app, value->>1 AS who FROM json_each($1))
		SELECT m.app, m.user_id, CAST(sum(c.head - CASE WHEN m.read > m.joined THEN m.read ELSE m.joined END) AS BIGINT) FROM k
		JOIN im_members m ON m.app = k.app AND m.user_id = k.who AND m.gone = 0 AND m.silent = 0 AND m.role <> 'asking'
		JOIN im_conversations c ON c.app = m.app AND c.id = m.conversation
		GROUP BY m.app, m.user_id`
	if len(rings) == 0 {
		return nil
	}
	type user struct{ app, id string }
	users := make([][2]string, len(rings))
	for i, r := range rings {
		users[i] = [2]string{r.App, r.User}
	}
	badge := make(map[user]uint64, len(rings))
	_, err := database.Collect(ctx, s.db.Read(), count, []any{asJSON(users)}, func(scan database.Scanner) (struct{}, error) {
		var u user
		var n uint64
		err := scan(&u.app, &u.id, &n)
		badge[u] = n
		return struct{}{}, err
	})
	for i, r := range rings {
		rings[i].Badge = badge[user{r.App, r.User}]
	}
	return fail("badges", err)
}

// Unread counts what a user has unread in all conversations that ring.
func (s *Store) Unread(ctx context.Context, app, user string) (uint64, error) {
	rings := []im.Ring{{App: app, User: user}}
	err := s.badges(ctx, rings)
	return rings[0].Badge, err
}

// Rung says that the rings were passed on. A conversation in which more was
// said meanwhile rings again after again.
func (s *Store) Rung(ctx context.Context, rings []im.Ring, again time.Duration) error {
	const done = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS app, value->>1 AS id, value->>2 AS who, CAST(value->>3 AS BIGINT) AS seq FROM json_each($1))
		UPDATE im_members AS m SET ring_due = CASE WHEN c.head > k.seq THEN CAST($2 AS BIGINT) ELSE 0 END,
			rung = CASE WHEN k.seq > m.rung THEN k.seq ELSE m.rung END
		FROM k
		JOIN im_conversations c ON c.app = k.app AND c.id = k.id
		WHERE m.app = k.app AND m.conversation = k.id AND m.user_id = k.who AND m.ring_due > 0`
	if len(rings) == 0 {
		return nil
	}
	rows := make([][4]any, len(rings))
	for i, r := range rings {
		rows[i] = [4]any{r.App, r.Conversation, r.User, r.Seq}
	}
	_, err := s.db.Write().Exec(ctx, done, asJSON(rows), s.now().Add(again).UnixMicro())
	return fail("rung", err)
}

// RingNow makes rings due at once: nobody of these users has a device that is
// connected.
func (s *Store) RingNow(ctx context.Context, app, conversation string, users []string) error {
	const now = `
		UPDATE im_members AS m SET ring_due = $4
		FROM im_conversations c
		WHERE c.app = $1 AND c.id = $2 AND m.app = $1 AND m.conversation = $2 AND m.user_id IN (SELECT value FROM json_each_text($3))
			AND (m.ring_due > $4 OR m.ring_due = 0 AND m.received < c.head AND m.rung < c.head
				AND m.silent = 0 AND m.gone = 0 AND m.role <> 'asking')`
	_, err := s.db.Write().Exec(ctx, now, app, conversation, database.List(users), s.now().UnixMicro())
	return fail("ring now", err)
}
