package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// templateBody is what is kept of a template as JSON.
type templateBody struct {
	DefaultLocale string                   `json:"default_locale"`
	Variables     map[string]push.Variable `json:"variables,omitempty"`
	Locales       map[string]push.Content  `json:"locales"`
}

// PutTemplate writes a template whole. It sets its version and times.
func (s *Store) PutTemplate(ctx context.Context, t *push.Template) error {
	var f faults
	f.named("template", t.ID)
	body, err := json.Marshal(templateBody{t.DefaultLocale, t.Variables, t.Locales})
	if err != nil {
		f.add("locales", "cannot be written as JSON")
	}
	if err := f.err(); err != nil {
		return fail("put template", err)
	}
	const query = `
		INSERT INTO templates (app, id, body, version, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4)
		ON CONFLICT (app, id) DO UPDATE SET body = excluded.body, version = templates.version + 1, updated_at = excluded.updated_at
		RETURNING version, created_at`
	now := now()
	var created int64
	err = s.db.Write().QueryRow(ctx, query, t.App, t.ID, string(body), now).Scan(&t.Version, &created)
	t.CreatedAt, t.UpdatedAt = at(created), at(now)
	return fail("put template of app "+t.App, err)
}

const templateColumns = `id, body, version, created_at, updated_at`

func templateOf(app string) func(database.Scanner) (*push.Template, error) {
	return func(scan database.Scanner) (*push.Template, error) {
		t := &push.Template{App: app}
		var text []byte
		var created, updated int64
		if err := scan(&t.ID, &text, &t.Version, &created, &updated); err != nil {
			return nil, err
		}
		var body templateBody
		err := json.Unmarshal(text, &body)
		t.DefaultLocale, t.Variables, t.Locales = body.DefaultLocale, body.Variables, body.Locales
		t.CreatedAt, t.UpdatedAt = at(created), at(updated)
		return t, err
	}
}

// Template returns one template.
func (s *Store) Template(ctx context.Context, app, id string) (*push.Template, error) {
	const query = `SELECT ` + templateColumns + ` FROM templates WHERE app = $1 AND id = $2`
	t, err := templateOf(app)(s.db.Read().QueryRow(ctx, query, app, id).Scan)
	return t, fail("template of app "+app, err)
}

// Templates returns templates of an app by id, for pages: after is the last id
// of the page before, "" for the first.
func (s *Store) Templates(ctx context.Context, app, after string, limit int) ([]*push.Template, error) {
	const query = `SELECT ` + templateColumns + ` FROM templates WHERE app = $1 AND id > $2 ORDER BY id LIMIT $3`
	if !database.Storable(after) {
		return nil, nil
	}
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app, after, limit}, templateOf(app))
	return all, fail("templates of app "+app, err)
}

// DeleteTemplate forgets a template. Notifications that were worded by it keep
// their words.
func (s *Store) DeleteTemplate(ctx context.Context, app, id string) error {
	const query = `DELETE FROM templates WHERE app = $1 AND id = $2`
	return s.execOne(ctx, "delete template of app "+app, query, app, id)
}
