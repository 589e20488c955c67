package sqlstore

import (
	"context"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// PutCorrection writes what an app says an answer of a provider's service means,
// in place of what it said before.
func (s *Store) PutCorrection(ctx context.Context, c push.Correction) error {
	what := "put a correction of app " + c.App
	var f faults
	f.named("provider", c.Provider)
	f.text("code", c.Code)
	f.text("means", c.Means)
	if (c.Status == 0) == (c.Code == "") {
		f.add("code", "goes with no status, and a status with no code")
	}
	if push.KindNamed(c.Kind) == nil {
		f.add("kind", "is no kind of failure")
	}
	if err := f.err(); err != nil {
		return fail(what, err)
	}
	const query = `
		INSERT INTO corrections (app, provider, status, code, kind, retry_after_seconds, scope, means, made_by, made_at)
		SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM apps WHERE id = $1
		ON CONFLICT (app, provider, status, code) DO UPDATE SET
			kind = excluded.kind, retry_after_seconds = excluded.retry_after_seconds, scope = excluded.scope,
			means = excluded.means, made_by = excluded.made_by, made_at = excluded.made_at`
	return s.execOne(ctx, what, query, c.App, c.Provider, c.Status, c.Code, c.Kind, c.RetryAfterSeconds,
		string(c.Scope), c.Means, c.By, c.At.UnixMicro())
}

// Corrections are an app's for one provider: those of words first.
func (s *Store) Corrections(ctx context.Context, app, provider string) ([]push.Correction, error) {
	const query = `
		SELECT status, code, kind, retry_after_seconds, scope, means, made_by, made_at FROM corrections
		WHERE app = $1 AND provider = $2 ORDER BY status, code`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app, provider}, func(scan database.Scanner) (push.Correction, error) {
		c := push.Correction{App: app, Provider: provider}
		var made int64
		err := scan(&c.Status, &c.Code, &c.Kind, &c.RetryAfterSeconds, &c.Scope, &c.Means, &c.By, &made)
		c.At = at(made)
		return c, err
	})
	return all, fail("corrections of app "+app+" for "+provider, err)
}

// DeleteCorrection takes one back; [push.ErrNotFound] if it is not there.
func (s *Store) DeleteCorrection(ctx context.Context, app, provider string, status int, code string) error {
	const query = `DELETE FROM corrections WHERE app = $1 AND provider = $2 AND status = $3 AND code = $4`
	return s.execOne(ctx, "delete a correction of app "+app, query, app, provider, status, code)
}
