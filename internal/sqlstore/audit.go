package sqlstore

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// BeginChange writes down that a change is about to be made. Whoever makes it
// calls [Store.EndChange] when they know how it ended; until then its status
// is 0.
func (s *Store) BeginChange(ctx context.Context, c *push.Change) error {
	const query = `
		INSERT INTO audit (id, app, at, who, via, origin, action, target, status, before, after)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	_, err := s.exec(ctx, "write down a change of app "+c.App, query, c.ID, c.App, c.At.UnixMicro(),
		c.Who, c.Via, c.From, c.Action, c.Target, c.Status, string(c.Before), string(c.After))
	return err
}

// EndChange writes down how a change ended.
func (s *Store) EndChange(ctx context.Context, id string, status int, after json.RawMessage) error {
	const query = `UPDATE audit SET status = $2, after = $3 WHERE id = $1`
	return s.execOne(ctx, "write down how a change ended", query, id, status, string(after))
}

// Changes lists an app's changes that a query narrows, the newest first. Those
// of all apps, such as a member's, are among them.
func (s *Store) Changes(ctx context.Context, app string, q push.ChangeQuery) ([]push.Change, error) {
	const query = `
		SELECT id, app, at, who, via, origin, action, target, status, before, after FROM audit
		WHERE app IN ($1, '*') AND (id < $2 OR $2 = '') AND at >= $3 AND at < $4
			AND who LIKE $5 ESCAPE '!' AND action LIKE $6 ESCAPE '!' AND target LIKE $7 ESCAPE '!'
		ORDER BY id DESC LIMIT $8`
	since, until := int64(0), int64(1)<<62
	if !q.Since.IsZero() {
		since = q.Since.UnixMicro()
	}
	if !q.Until.IsZero() {
		until = q.Until.UnixMicro()
	}
	for _, text := range []string{q.Before, q.Who, q.Action, q.Target} {
		if !database.Storable(text) {
			return nil, nil
		}
	}
	args := []any{app, q.Before, since, until, anywhere(q.Who), anywhere(q.Action), anywhere(q.Target), q.Limit}
	all, err := database.Collect(ctx, s.db.Read(), query, args, scanChange)
	return all, fail("changes of app "+app, err)
}

// anywhere is a LIKE pattern for texts that contain part.
func anywhere(part string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(part) + "%"
}

func scanChange(scan database.Scanner) (c push.Change, err error) {
	var when int64
	var before, after string
	err = scan(&c.ID, &c.App, &when, &c.Who, &c.Via, &c.From, &c.Action, &c.Target, &c.Status, &before, &after)
	c.At = at(when)
	if before != "" {
		c.Before = json.RawMessage(before)
	}
	if after != "" {
		c.After = json.RawMessage(after)
	}
	return c, err
}
