package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/push"
)

// exportCmd writes down all that is kept of a person.
type exportCmd struct {
	personFlags
	User string `required:"" placeholder:"ID" help:"The app's id of the person."`
	App  string `default:"demo" help:"The app."`

	Devices []string `placeholder:"ID" help:"Devices that were theirs and whose rows are gone already."`
}

func (e *exportCmd) Run(ctx context.Context, std streams) error {
	places, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer places.close()
	out := bufio.NewWriter(std.out)
	err = api.WriteExport(out, func(tell func(string, any) error) error {
		return places.export(ctx, e.App, e.User, e.Devices, tell)
	})
	if err != nil {
		return fmt.Errorf("the export of user %s of app %s is not whole: %w", e.User, e.App, err)
	}
	return out.Flush()
}

// places are the house's stores of people. They are the house's to close.
func (h *house) places() *places {
	return &places{sql: h.store, chat: h.chatData, redis: h.redis, record: h.record, spool: filepath.Join(h.cfg.Data, "spool")}
}

// Export implements [api.Persons].
func (p *places) Export(ctx context.Context, app, user string, tell func(what string, thing any) error) error {
	return p.export(ctx, app, user, nil, tell)
}

// AskErasure implements [api.Persons].
func (p *places) AskErasure(ctx context.Context, app, user string) (push.Erasure, error) {
	return p.sql.AskErasure(ctx, app, user)
}

// Erasure implements [api.Persons].
func (p *places) Erasure(ctx context.Context, app, user string) (push.Erasure, error) {
	return p.sql.Erasure(ctx, app, user)
}

// leftOut says that an export lacks something that Herald keeps.
type leftOut struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// export tells all that the stores keep of a user, and the events of devices
// that were theirs.
func (p *places) export(ctx context.Context, app, user string, known []string, tell func(what string, thing any) error) error {
	if user == "" {
		return errors.New("user: is missing")
	}
	rows, err := p.sql.OfUser(ctx, app, user)
	if err != nil {
		return err
	}
	if p.record != nil { // one that is away is better known before the first line
		if err := p.record.Ping(ctx); err != nil {
			return err
		}
	}
	if err := p.sql.EachOfUser(ctx, app, user, tell); err != nil {
		return err
	}
	if err := p.chat.EachOfUser(ctx, app, user, tell); errors.Is(err, im.ErrAway) {
		return fmt.Errorf("%w: %w", push.ErrAway, err)
	} else if err != nil {
		return err
	}
	devices := union(rows.Devices, known)
	switch {
	case len(devices) == 0:
		return nil
	case p.record == nil:
		return tell("left_out", leftOut{"receipt", "this Herald has no ClickHouse; attempts and proofs wait in the spools of its machines"})
	}
	if err := p.record.EachOfDevices(ctx, app, devices, func(r push.Receipt) error { return tell("receipt", r) }); err != nil {
		return err
	}
	return p.record.EachCallOfDevices(ctx, app, devices, func(c analytics.Call) error { return tell("call", c) })
}
