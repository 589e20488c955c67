package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald/internal/database"
)

// Credential is all that is ever shown of an app's credentials for a provider.
type Credential struct {
	Provider  string    `json:"provider"`
	Version   int64     `json:"version"` // counts the writes from 1, deletions too
	UpdatedAt time.Time `json:"updated_at"`

	// RetractedWhy is why Herald itself put them in force again in place of newer
	// ones; "" if somebody gave them.
	RetractedWhy string `json:"retracted_why,omitempty"`
}

// PutCredentials seals and keeps the credentials of an app for a provider, a
// JSON object.
func (s *Store) PutCredentials(ctx context.Context, app, provider string, secret []byte) (Credential, error) {
	what := "put credentials of app " + app
	var f faults
	f.named("provider", provider)
	if !json.Valid(secret) {
		f.add("credentials", "are not JSON")
	}
	if err := f.err(); err != nil {
		return Credential{}, fail(what, err)
	}
	const query = `
		INSERT INTO credentials (app, provider, sealed, version, updated_at, proven)
		VALUES ($1, $2, $3, 1, $4, 0)
		ON CONFLICT (app, provider) DO UPDATE
			SET sealed = excluded.sealed, version = credentials.version + 1, updated_at = excluded.updated_at,
				proven = 0, retracted_why = ''
		RETURNING provider, version, updated_at, retracted_why`
	sealed := s.sealer.Seal(secret, app, bindTo(provider))
	var c Credential
	err := s.transact(ctx, what, func(tx database.Querier) (err error) {
		if err := keepVersion(ctx, tx, app, provider); err != nil {
			return err
		}
		c, err = scanCredential(tx.QueryRow(ctx, query, app, provider, sealed, now()).Scan)
		return err
	})
	return c, err
}

// versionsKept is how many earlier credentials are kept of each app and provider.
const versionsKept = 5

// keepVersion keeps the credentials in force among the earlier ones.
func keepVersion(ctx context.Context, tx database.Querier, app, provider string) error {
	const keep = `
		INSERT INTO credential_versions (app, provider, version, sealed)
		SELECT app, provider, version, sealed FROM credentials
		WHERE app = $1 AND provider = $2 AND sealed IS NOT NULL`
	if _, err := tx.Exec(ctx, keep, app, provider); err != nil {
		return err
	}
	const forget = `
		DELETE FROM credential_versions WHERE app = $1 AND provider = $2 AND version NOT IN (
			SELECT version FROM credential_versions WHERE app = $1 AND provider = $2 ORDER BY version DESC LIMIT $3)`
	_, err := tx.Exec(ctx, forget, app, provider, versionsKept)
	return err
}

// RollBackCredentials puts the credentials before those in force in force again,
// under a new version, and forgets those in force. Doing it again goes back
// further. It returns push.ErrNotFound if there are none before.
func (s *Store) RollBackCredentials(ctx context.Context, app, provider string) (Credential, error) {
	return s.rollBack(ctx, app, provider, "", nil)
}

// rollBack does it for a reason of Herald's own, or "", if may finds nothing
// against it.
func (s *Store) rollBack(ctx context.Context, app, provider, why string, may func(tx database.Querier) error) (Credential, error) {
	const last = `
		SELECT version, sealed FROM credential_versions WHERE app = $1 AND provider = $2
		ORDER BY version DESC LIMIT 1`
	const restore = `
		UPDATE credentials SET sealed = $3, version = version + 1, updated_at = $4, proven = 1, retracted_why = $5
		WHERE app = $1 AND provider = $2
		RETURNING provider, version, updated_at, retracted_why`
	const spend = `DELETE FROM credential_versions WHERE app = $1 AND provider = $2 AND version = $3`
	var c Credential
	err := s.transact(ctx, "roll back credentials of app "+app+" for "+provider, func(tx database.Querier) (err error) {
		var version int64
		var sealed []byte
		if may != nil {
			if err := may(tx); err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, last, app, provider).Scan(&version, &sealed); err != nil {
			return err
		}
		if c, err = scanCredential(tx.QueryRow(ctx, restore, app, provider, sealed, now(), why).Scan); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, spend, app, provider, version)
		return err
	})
	return c, err
}

// Credentials returns an app's credentials for a provider with a version that
// is never the same for two writes.
func (s *Store) Credentials(ctx context.Context, app, provider string) (secret []byte, version int64, err error) {
	what := "credentials of app " + app + " for " + provider
	const query = `SELECT sealed, version FROM credentials WHERE app = $1 AND provider = $2 AND sealed IS NOT NULL`
	var sealed []byte
	if err := s.db.Read().QueryRow(ctx, query, app, provider).Scan(&sealed, &version); err != nil {
		return nil, 0, fail(what, err)
	}
	secret, err = s.sealer.Open(sealed, app, bindTo(provider))
	if err != nil {
		return nil, 0, fail(what, err)
	}
	return secret, version, nil
}

// Credential tells of an app's credentials for a provider without opening them.
func (s *Store) Credential(ctx context.Context, app, provider string) (Credential, error) {
	const query = `
		SELECT provider, version, updated_at, retracted_why FROM credentials
		WHERE app = $1 AND provider = $2 AND sealed IS NOT NULL`
	c, err := scanCredential(s.db.Read().QueryRow(ctx, query, app, provider).Scan)
	return c, fail("credentials of app "+app+" for "+provider, err)
}

// ListCredentials tells which providers an app has credentials for, by name.
func (s *Store) ListCredentials(ctx context.Context, app string) ([]Credential, error) {
	const query = `
		SELECT provider, version, updated_at, retracted_why FROM credentials
		WHERE app = $1 AND sealed IS NOT NULL ORDER BY provider`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app}, scanCredential)
	return all, fail("list credentials of app "+app, err)
}

// CredentialVersions returns the version of all credentials by app and provider,
// for a process that looks out for those changed by another.
func (s *Store) CredentialVersions(ctx context.Context) (map[string]map[string]int64, error) {
	const query = `SELECT app, provider, version FROM credentials WHERE sealed IS NOT NULL`
	versions := map[string]map[string]int64{}
	_, err := database.Collect(ctx, s.db.Read(), query, nil, func(scan database.Scanner) (struct{}, error) {
		var app, provider string
		var version int64
		if err := scan(&app, &provider, &version); err != nil {
			return struct{}{}, err
		}
		if versions[app] == nil {
			versions[app] = map[string]int64{}
		}
		versions[app][provider] = version
		return struct{}{}, nil
	})
	if err != nil {
		return nil, fail("credential versions", err)
	}
	return versions, nil
}

// DeleteCredentials forgets the credentials of an app for a provider, and the
// earlier ones too. Only the count of their versions stays.
func (s *Store) DeleteCredentials(ctx context.Context, app, provider string) error {
	const query = `
		UPDATE credentials SET sealed = NULL, version = version + 1, updated_at = $3
		WHERE app = $1 AND provider = $2 AND sealed IS NOT NULL RETURNING version`
	return s.transact(ctx, "delete credentials of app "+app+" for "+provider, func(tx database.Querier) error {
		var version int64
		if err := tx.QueryRow(ctx, query, app, provider, now()).Scan(&version); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM credential_versions WHERE app = $1 AND provider = $2`, app, provider)
		return err
	})
}

func scanCredential(scan database.Scanner) (Credential, error) {
	var c Credential
	var updated int64
	err := scan(&c.Provider, &c.Version, &updated, &c.RetractedWhy)
	c.UpdatedAt = at(updated)
	return c, err
}

func bindTo(provider string) string { return "credentials/" + provider }
