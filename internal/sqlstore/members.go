package sqlstore

import (
	"context"
	"slices"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

const memberColumns = `app, email, role, created_at, updated_at`

func scanMember(scan database.Scanner) (m push.Member, err error) {
	var created, updated int64
	err = scan(&m.App, &m.Email, &m.Role, &created, &updated)
	m.CreatedAt, m.UpdatedAt = at(created), at(updated)
	return m, err
}

// PutMember gives a person a role in an app and fills the member's times.
func (s *Store) PutMember(ctx context.Context, m *push.Member) error {
	var f faults
	f.named("app", m.App)
	f.named("email", m.Email)
	if !slices.Contains(push.MemberRoles[:], m.Role) {
		f.add("role", "is none of viewer, analyst, operator, admin")
	}
	if err := f.err(); err != nil {
		return fail("put member", err)
	}
	const query = `
		INSERT INTO members (app, email, role, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
		ON CONFLICT (email, app) DO UPDATE SET role = excluded.role, updated_at = excluded.updated_at`
	if _, err := s.exec(ctx, "put member of app "+m.App, query, m.App, m.Email, m.Role, now()); err != nil {
		return err
	}
	kept, err := s.Member(ctx, m.App, m.Email)
	if err == nil {
		*m = kept
	}
	return err
}

// Member returns one member of an app.
func (s *Store) Member(ctx context.Context, app, email string) (push.Member, error) {
	const query = `SELECT ` + memberColumns + ` FROM members WHERE app = $1 AND email = $2`
	m, err := scanMember(s.db.Read().QueryRow(ctx, query, app, email).Scan)
	return m, fail("member of app "+app, err)
}

// Members returns the members of an app, and those of all apps, by address.
func (s *Store) Members(ctx context.Context, app string) ([]push.Member, error) {
	const query = `SELECT ` + memberColumns + ` FROM members WHERE app IN ($1, '*') ORDER BY email, app`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app}, scanMember)
	return all, fail("members of app "+app, err)
}

// MemberOf returns what a person is in which apps.
func (s *Store) MemberOf(ctx context.Context, email string) ([]push.Member, error) {
	const query = `SELECT ` + memberColumns + ` FROM members WHERE email = $1 ORDER BY app`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{email}, scanMember)
	return all, fail("memberships", err)
}

// DeleteMember takes a person's role in an app away.
func (s *Store) DeleteMember(ctx context.Context, app, email string) error {
	const query = `DELETE FROM members WHERE app = $1 AND email = $2`
	return s.execOne(ctx, "delete member of app "+app, query, app, email)
}
