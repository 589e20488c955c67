package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// OnTrial tells whether this version of an app's credentials for a provider is in
// force, has not been proven, and has earlier ones to go back to.
func (s *Store) OnTrial(ctx context.Context, app, provider string, version int64) (bool, error) {
	err := onTrial(ctx, s.db.Read(), app, provider, version)
	if errors.Is(err, push.ErrNotFound) {
		return false, nil
	}
	return err == nil, fail("trial of credentials of app "+app+" for "+provider, err)
}

func onTrial(ctx context.Context, q database.Querier, app, provider string, version int64) error {
	const query = `
		SELECT count(*) FROM credentials c
		WHERE c.app = $1 AND c.provider = $2 AND c.version = $3 AND c.sealed IS NOT NULL AND c.proven = 0
			AND EXISTS (SELECT 1 FROM credential_versions v WHERE v.app = c.app AND v.provider = c.provider)`
	var n int
	if err := q.QueryRow(ctx, query, app, provider, version).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("not on trial: %w", push.ErrNotFound)
	}
	return nil
}

// ProveCredentials ends the trial of a version: the service took a message with
// it. Another version's is not touched.
func (s *Store) ProveCredentials(ctx context.Context, app, provider string, version int64) error {
	const query = `UPDATE credentials SET proven = 1 WHERE app = $1 AND provider = $2 AND version = $3`
	_, err := s.exec(ctx, "prove credentials of app "+app+" for "+provider, query, app, provider, version)
	return err
}

// RetractCredentials puts the credentials before a version that is on trial in
// force again, and keeps why. It returns push.ErrNotFound if that version is not
// on trial any more: another process was faster, or it was proven.
func (s *Store) RetractCredentials(ctx context.Context, app, provider string, version int64, why string) (Credential, error) {
	return s.rollBack(ctx, app, provider, why, func(tx database.Querier) error {
		return onTrial(ctx, tx, app, provider, version)
	})
}
