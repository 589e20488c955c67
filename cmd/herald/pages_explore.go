package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// explorer answers people's own questions from ClickHouse, and keeps them in SQL.
type explorer struct{ house *house }

// Sources implements [web.Explorer].
func (e explorer) Sources(ctx context.Context) ([]web.Source, error) {
	if e.house.record == nil {
		return nil, web.ErrAway
	}
	views, err := e.house.record.Explorable(ctx)
	if err != nil {
		return nil, pageError(err)
	}
	sources := make([]web.Source, len(views))
	for i, v := range views {
		sources[i] = web.Source{Name: v.Name, About: v.About, Columns: columnsOnPage(v.Columns)}
	}
	return sources, nil
}

func columnsOnPage(all []analytics.Column) []web.Column {
	out := make([]web.Column, len(all))
	for i, c := range all {
		out[i] = web.Column(c)
	}
	return out
}

// Ask implements [web.Explorer].
func (e explorer) Ask(ctx context.Context, app, sql string) (web.Answer, error) {
	if e.house.record == nil {
		return web.Answer{}, web.ErrAway
	}
	a, err := e.house.record.Ask(ctx, app, sql, analytics.DefaultLimits())
	if err != nil {
		return web.Answer{}, wrongOrPageError(err)
	}
	return web.Answer{Columns: columnsOnPage(a.Columns), Rows: a.Rows, Cut: a.Cut, Took: a.Took}, nil
}

// Saved implements [web.Explorer].
func (e explorer) Saved(ctx context.Context, app string) ([]web.SavedQuery, error) {
	all, err := e.house.store.Queries(ctx, app)
	if err != nil {
		return nil, pageError(err)
	}
	out := make([]web.SavedQuery, len(all))
	for i, q := range all {
		out[i] = web.SavedQuery{Name: q.Name, SQL: q.Text, Author: q.Author, UpdatedAt: q.UpdatedAt}
	}
	return out, nil
}

// Save implements [web.Explorer].
func (e explorer) Save(ctx context.Context, by web.Actor, q web.SavedQuery) error {
	kept := push.SavedQuery{App: by.App, Name: q.Name, Text: q.SQL, Author: by.Who.Name}
	return e.noted(ctx, by, "query.put", q.Name, kept, func() error { return e.house.store.PutQuery(ctx, &kept) })
}

// Forget implements [web.Explorer].
func (e explorer) Forget(ctx context.Context, by web.Actor, name string) error {
	return e.noted(ctx, by, "query.delete", name, nil, func() error { return e.house.store.DeleteQuery(ctx, by.App, name) })
}

// noted makes a change and writes it into the audit, before and after.
func (e explorer) noted(ctx context.Context, by web.Actor, action, target string, what any, change func() error) error {
	after, err := json.Marshal(what)
	if err != nil {
		return err
	}
	entry := push.Change{
		ID: uuid.Must(uuid.NewV7()).String(), App: by.App, At: time.Now().UTC(), Who: by.Who.Name, Via: by.Who.Kind, From: by.From,
		Action: action, Target: target,
	}
	if err := e.house.store.BeginChange(ctx, &entry); err != nil {
		return pageError(err)
	}
	err = wrongOrPageError(change())
	status := http.StatusOK
	if err != nil {
		status, after = http.StatusUnprocessableEntity, nil
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if lost := e.house.store.EndChange(closing, entry.ID, status, after); lost != nil {
		e.house.log.ErrorContext(ctx, "the audit does not know how a change ended", "change", entry.ID, "action", action, "err", lost)
	}
	return err
}

// wrongOrPageError puts what is wrong with a question into words for its author.
func wrongOrPageError(err error) error {
	var invalid *push.Invalid
	if errors.As(err, &invalid) && len(invalid.Faults) > 0 {
		return &web.Wrong{Words: invalid.Faults[0].Field + ": " + invalid.Faults[0].Detail}
	}
	return pageError(err)
}
