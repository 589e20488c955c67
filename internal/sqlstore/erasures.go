package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

const erasureColumns = `app, user_id, state, asked_at, ended_at, tries, devices, stores`

func scanErasure(scan database.Scanner) (e push.Erasure, err error) {
	var asked, ended int64
	var devices, stores string
	if err := scan(&e.App, &e.User, &e.State, &asked, &ended, &e.Tries, &devices, &stores); err != nil {
		return e, err
	}
	e.AskedAt, e.EndedAt = at(asked), at(ended)
	if err := json.Unmarshal([]byte(devices), &e.Devices); err != nil {
		return e, err
	}
	return e, json.Unmarshal([]byte(stores), &e.Stores)
}

// AskErasure has a user erased by whoever calls [Store.TakeErasure]. One that is
// under way goes on; one that has ended begins anew, with the devices that it
// knew.
func (s *Store) AskErasure(ctx context.Context, app, user string) (push.Erasure, error) {
	var f faults
	f.named("user", user)
	if err := f.err(); err != nil {
		return push.Erasure{}, fail("ask for an erasure", err)
	}
	const query = `
		INSERT INTO erasures (app, user_id, state, asked_at, due_at) VALUES ($1, $2, 'running', $3, $3)
		ON CONFLICT (app, user_id) DO UPDATE SET
			state = 'running', asked_at = excluded.asked_at, due_at = excluded.due_at, ended_at = 0, tries = 0, stores = '[]'
		WHERE erasures.state <> 'running'`
	if _, err := s.exec(ctx, "ask for an erasure in app "+app, query, app, user, now()); err != nil {
		return push.Erasure{}, err
	}
	return s.Erasure(ctx, app, user)
}

// Erasure returns how far the erasure of a user is; push.ErrNotFound if nobody
// has asked for it.
func (s *Store) Erasure(ctx context.Context, app, user string) (push.Erasure, error) {
	const query = `SELECT ` + erasureColumns + ` FROM erasures WHERE app = $1 AND user_id = $2`
	e, err := scanErasure(s.db.Write().QueryRow(ctx, query, app, user).Scan)
	return e, fail("erasure in app "+app, err)
}

// TakeErasure returns an erasure that is to be worked on, and keeps it from
// others for a while; push.ErrNotFound if there is none.
func (s *Store) TakeErasure(ctx context.Context, lease time.Duration) (push.Erasure, error) {
	const query = `
		UPDATE erasures SET due_at = $2, tries = tries + 1
		WHERE state = 'running' AND due_at <= $1
			AND (app, user_id) = (SELECT app, user_id FROM erasures WHERE state = 'running' AND due_at <= $1 ORDER BY due_at LIMIT 1)
		RETURNING ` + erasureColumns
	t := now()
	e, err := scanErasure(s.db.Write().QueryRow(ctx, query, t, t+lease.Microseconds()).Scan)
	return e, fail("take an erasure", err)
}

// KeepErasure writes down how far an erasure is. If it is not over, others may
// take it after a while.
func (s *Store) KeepErasure(ctx context.Context, e *push.Erasure, lease time.Duration) error {
	const query = `UPDATE erasures SET state = $3, ended_at = $4, due_at = $5, devices = $6, stores = $7 WHERE app = $1 AND user_id = $2`
	t, ended := now(), int64(0)
	if e.State != push.Erasing {
		ended = t
	}
	e.EndedAt = at(ended)
	return s.execOne(ctx, "keep an erasure of app "+e.App, query, e.App, e.User, string(e.State), ended, t+lease.Microseconds(),
		asJSON(e.Devices), asJSON(e.Stores))
}

// HoldErasure keeps an erasure that is under way from others for a while more.
func (s *Store) HoldErasure(ctx context.Context, e *push.Erasure, lease time.Duration) error {
	const query = `UPDATE erasures SET due_at = $3 WHERE app = $1 AND user_id = $2 AND state = 'running'`
	return s.execOne(ctx, "hold an erasure of app "+e.App, query, e.App, e.User, now()+lease.Microseconds())
}
