package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald/internal/database"
)

// GatewayService is what an app declares of a business.
type GatewayService struct {
	App, Service string
	Declaration  json.RawMessage
	Revision     int64 // counts the writes, from 1
	By           string
	UpdatedAt    time.Time
}

// PutGatewayService writes a declaration whole and sets its revision and time.
func (s *Store) PutGatewayService(ctx context.Context, g *GatewayService) error {
	var f faults
	f.named("service", g.Service)
	if err := f.err(); err != nil {
		return fail("put service", err)
	}
	const query = `
		INSERT INTO gateway_services (app, service, declaration, revision, made_by, updated_at) VALUES ($1, $2, $3, 1, $4, $5)
		ON CONFLICT (app, service) DO UPDATE SET declaration = excluded.declaration, revision = gateway_services.revision + 1,
			made_by = excluded.made_by, updated_at = excluded.updated_at
		RETURNING revision`
	now := now()
	err := s.db.Write().QueryRow(ctx, query, g.App, g.Service, string(g.Declaration), g.By, now).Scan(&g.Revision)
	g.UpdatedAt = at(now)
	return fail("put service of app "+g.App, err)
}

// GatewayServices lists the declarations of all apps.
func (s *Store) GatewayServices(ctx context.Context) ([]GatewayService, error) {
	const query = `SELECT app, service, declaration, revision, made_by, updated_at FROM gateway_services ORDER BY app, service`
	all, err := database.Collect(ctx, s.db.Read(), query, nil, func(scan database.Scanner) (g GatewayService, err error) {
		var updated int64
		var text []byte
		err = scan(&g.App, &g.Service, &text, &g.Revision, &g.By, &updated)
		g.Declaration, g.UpdatedAt = text, at(updated)
		return g, err
	})
	return all, fail("services", err)
}

// DeleteGatewayService forgets a declaration; push.ErrNotFound.
func (s *Store) DeleteGatewayService(ctx context.Context, app, service string) error {
	var revision int64
	err := s.db.Write().QueryRow(ctx, `DELETE FROM gateway_services WHERE app = $1 AND service = $2 RETURNING revision`, app, service).Scan(&revision)
	return fail("delete service of app "+app, err)
}

func bindGateway(name string) string { return "gateway/" + name }

// PutGatewaySecret seals and keeps a secret that a back end asks for.
func (s *Store) PutGatewaySecret(ctx context.Context, app, name string, secret []byte) error {
	var f faults
	f.named("secret", name)
	if err := f.err(); err != nil {
		return fail("put secret", err)
	}
	const query = `
		INSERT INTO gateway_secrets (app, name, sealed, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (app, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at`
	_, err := s.db.Write().Exec(ctx, query, app, name, s.sealer.Seal(secret, app, bindGateway(name)), now())
	return fail("put secret of app "+app, err)
}

// GatewaySecret opens a secret; push.ErrNotFound.
func (s *Store) GatewaySecret(ctx context.Context, app, name string) ([]byte, error) {
	what := "secret " + name + " of app " + app
	var sealed []byte
	err := s.db.Read().QueryRow(ctx, `SELECT sealed FROM gateway_secrets WHERE app = $1 AND name = $2`, app, name).Scan(&sealed)
	if err != nil {
		return nil, fail(what, err)
	}
	secret, err := s.sealer.Open(sealed, app, bindGateway(name))
	return secret, fail(what, err)
}

// GatewaySecretNames lists an app's secrets by name, and nothing more of them.
func (s *Store) GatewaySecretNames(ctx context.Context, app string) ([]string, error) {
	const query = `SELECT name FROM gateway_secrets WHERE app = $1 ORDER BY name`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app}, func(scan database.Scanner) (name string, err error) {
		err = scan(&name)
		return name, err
	})
	return all, fail("secrets of app "+app, err)
}

// DeleteGatewaySecret forgets a secret; push.ErrNotFound.
func (s *Store) DeleteGatewaySecret(ctx context.Context, app, name string) error {
	var gone string
	err := s.db.Write().QueryRow(ctx, `DELETE FROM gateway_secrets WHERE app = $1 AND name = $2 RETURNING name`, app, name).Scan(&gone)
	return fail("delete secret of app "+app, err)
}

// GatewayEvent is something that a business reported.
type GatewayEvent struct {
	App, Service, Event, ID string
	Digest                  string // of the body
	Body                    []byte
	State, Detail           string
	Replays                 int
	ReceivedAt              time.Time
}

// eventLife is how long events can be played again. Their signatures are too old
// to be taken long before that.
const eventLife = 7 * 24 * time.Hour

const eventColumns = `app, service, event, id, digest, body, state, detail, replays, received_at`

// PutGatewayEvent writes an event unless there is one of its id, which is
// returned then. Events of last week are forgotten on the way.
func (s *Store) PutGatewayEvent(ctx context.Context, e *GatewayEvent) (before *GatewayEvent, err error) {
	var f faults
	f.named("id", e.ID)
	if err := f.err(); err != nil {
		return nil, fail("put event", err)
	}
	const put = `
		INSERT INTO gateway_events (` + eventColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (app, service, event, id) DO NOTHING RETURNING id`
	const forget = `DELETE FROM gateway_events WHERE app = $1 AND service = $2 AND received_at < $3`
	err = s.transact(ctx, "put event of app "+e.App, func(tx database.Querier) error {
		before = nil
		if _, err := tx.Exec(ctx, forget, e.App, e.Service, e.ReceivedAt.Add(-eventLife).UnixMicro()); err != nil {
			return err
		}
		put, err := database.Collect(ctx, tx, put, []any{
			e.App, e.Service, e.Event, e.ID, e.Digest, string(e.Body), e.State, e.Detail, e.Replays, e.ReceivedAt.UnixMicro(),
		}, func(scan database.Scanner) (id string, err error) { err = scan(&id); return id, err })
		if err != nil || len(put) == 1 {
			return err
		}
		before, err = scanEvent(tx.QueryRow(ctx, eventByID, e.App, e.Service, e.Event, e.ID).Scan)
		return err
	})
	return before, err
}

const eventByID = `SELECT ` + eventColumns + ` FROM gateway_events WHERE app = $1 AND service = $2 AND event = $3 AND id = $4`

// SetGatewayEvent notes what became of an event.
func (s *Store) SetGatewayEvent(ctx context.Context, e *GatewayEvent) error {
	const query = `
		UPDATE gateway_events SET state = $5, detail = $6, replays = $7
		WHERE app = $1 AND service = $2 AND event = $3 AND id = $4`
	_, err := s.db.Write().Exec(ctx, query, e.App, e.Service, e.Event, e.ID, e.State, e.Detail, e.Replays)
	return fail("note event of app "+e.App, err)
}

// GatewayEvent returns one event; push.ErrNotFound.
func (s *Store) GatewayEvent(ctx context.Context, app, service, event, id string) (*GatewayEvent, error) {
	e, err := scanEvent(s.db.Read().QueryRow(ctx, eventByID, app, service, event, id).Scan)
	return e, fail("event of app "+app, err)
}

// GatewayEvents lists the newest events of a service.
func (s *Store) GatewayEvents(ctx context.Context, app, service string, limit int) ([]*GatewayEvent, error) {
	const query = `SELECT ` + eventColumns + ` FROM gateway_events WHERE app = $1 AND service = $2 ORDER BY received_at DESC, id LIMIT $3`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app, service, limit}, scanEvent)
	return all, fail("events of app "+app, err)
}

func scanEvent(scan database.Scanner) (*GatewayEvent, error) {
	var e GatewayEvent
	var received int64
	var body []byte
	err := scan(&e.App, &e.Service, &e.Event, &e.ID, &e.Digest, &body, &e.State, &e.Detail, &e.Replays, &received)
	e.Body, e.ReceivedAt = body, at(received)
	return &e, err
}
