package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// visits keeps who comes to the pages and who leaves in SQL and in the audit, so
// that it holds for every process.
type visits struct {
	store *sqlstore.Store
	login login
}

// Came implements [web.Visits].
func (v visits) Came(ctx context.Context, who web.Identity, by, from string) error {
	return v.note(ctx, "session.begin", who, by, from)
}

// Left implements [web.Visits].
func (v visits) Left(ctx context.Context, who web.Identity, session string, until time.Time, from string) error {
	if err := v.store.EndSession(ctx, session, until); err != nil {
		return pageError(err)
	}
	return v.note(ctx, "session.end", who, who.Kind, from)
}

// Gone implements [web.Visits].
func (v visits) Gone(ctx context.Context, session string) (bool, error) {
	gone, err := v.store.SessionEnded(ctx, session)
	return gone, pageError(err)
}

// note writes into the audit of every app that somebody may see something of.
func (v visits) note(ctx context.Context, action string, who web.Identity, by, from string) error {
	roles, err := v.login.Roles(ctx, who)
	if err != nil {
		return err
	}
	if all, ok := roles[web.AllApps]; ok { // whoever may see all is noted once
		roles = web.Roles{web.AllApps: all}
	}
	for app, role := range roles {
		as, err := json.Marshal(map[string]string{"role": role.String()})
		if err != nil {
			return err
		}
		err = v.store.BeginChange(ctx, &push.Change{
			ID: uuid.Must(uuid.NewV7()).String(), App: app, At: time.Now().UTC(), Who: who.Name, Via: by, From: from,
			Action: action, Target: "/login", Status: http.StatusOK, After: as,
		})
		if err != nil {
			return pageError(err)
		}
	}
	return nil
}
