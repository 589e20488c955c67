package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// tokenSecret is what the sealed signing secret of an app is bound to.
const tokenSecret = "device tokens"

// CreateApp makes an app with a new secret for its device tokens. An app that
// is there already stays as it is.
func (s *Store) CreateApp(ctx context.Context, app push.App) error {
	return s.putApp(ctx, app, `ON CONFLICT (id) DO NOTHING`)
}

// PutApp makes an app, or gives one that is there this name and policy.
func (s *Store) PutApp(ctx context.Context, app push.App) error {
	return s.putApp(ctx, app, `ON CONFLICT (id) DO UPDATE SET name = excluded.name, policy = excluded.policy`)
}

func (s *Store) putApp(ctx context.Context, app push.App, onConflict string) error {
	var f faults
	f.named("id", app.ID)
	f.text("name", app.Name)
	policy := policyJSON(&f, app.Policy)
	if err := f.err(); err != nil {
		return fail("put app", err)
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails: it ends the program instead
	query := `
		INSERT INTO apps (id, name, policy, token_secret, created_at)
		VALUES ($1, $2, $3, $4, $5) ` + onConflict
	_, err := s.exec(ctx, "put app "+app.ID, query,
		app.ID, app.Name, policy, s.sealer.Seal(secret, app.ID, tokenSecret), now())
	return err
}

// SetPolicy replaces what an app allows.
func (s *Store) SetPolicy(ctx context.Context, app string, policy push.Policy) error {
	var f faults
	text := policyJSON(&f, policy)
	if err := f.err(); err != nil {
		return fail("set policy", err)
	}
	const query = `UPDATE apps SET policy = $2 WHERE id = $1`
	return s.execOne(ctx, "set policy of app "+app, query, app, text)
}

// App returns one app.
func (s *Store) App(ctx context.Context, id string) (push.App, error) {
	const query = `SELECT name, policy FROM apps WHERE id = $1`
	app := push.App{ID: id}
	var policy []byte
	err := s.db.Read().QueryRow(ctx, query, id).Scan(&app.Name, &policy)
	if err == nil {
		err = json.Unmarshal(policy, &app.Policy)
	}
	if err != nil {
		return push.App{}, fail("app "+id, err)
	}
	return app, nil
}

// Apps returns all apps, ordered by id.
func (s *Store) Apps(ctx context.Context) ([]push.App, error) {
	const query = `SELECT id, name, policy FROM apps ORDER BY id`
	apps, err := database.Collect(ctx, s.db.Read(), query, nil, func(scan database.Scanner) (app push.App, err error) {
		var policy []byte
		if err = scan(&app.ID, &app.Name, &policy); err == nil {
			err = json.Unmarshal(policy, &app.Policy)
		}
		return app, err
	})
	return apps, fail("apps", err)
}

// TokenSecret returns the secret that signs the app's device tokens.
func (s *Store) TokenSecret(ctx context.Context, app string) ([]byte, error) {
	const query = `SELECT token_secret FROM apps WHERE id = $1`
	var sealed []byte
	err := s.db.Read().QueryRow(ctx, query, app).Scan(&sealed)
	if err != nil {
		return nil, fail("token secret of app "+app, err)
	}
	secret, err := s.sealer.Open(sealed, app, tokenSecret)
	return secret, fail("token secret of app "+app, err)
}

// policyJSON writes no classes as an empty list, for people who read the table.
func policyJSON(f *faults, p push.Policy) string {
	if p.SMSClasses == nil {
		p.SMSClasses = []push.Class{}
	}
	for _, c := range p.SMSClasses {
		f.text("policy.sms_classes", string(c))
	}
	text, err := json.Marshal(p)
	if err != nil {
		f.add("policy", "cannot be written as JSON")
	}
	return string(text)
}
