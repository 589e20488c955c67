package main

import (
	"context"
	"strconv"
	"time"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/gateway"
	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/sqlstore"
)

// wireGateway opens the way to businesses.
func (h *house) wireGateway(ctx context.Context) (err error) {
	if h.calls, err = analytics.NewCalls(h.record, h.log, h.metrics); err != nil {
		return err
	}
	kept := businesses{h.store}
	h.gateway = gateway.New(h.cfg.Gateway, gateway.Parts{
		Services: kept, Secrets: h.store, Seen: kept, Metrics: h.metrics, Log: h.log, Record: h.recordCall,
	})
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := h.gateway.Load(ctx); err != nil {
		h.log.ErrorContext(ctx, "not every service's declaration is in force", "err", err)
	}
	if h.access != nil {
		h.access.Ask(callDoor{h.gateway})
	}
	return nil
}

// recordCall writes a call down, to be looked at in ClickHouse.
func (h *house) recordCall(e gateway.Event) {
	version, _ := strconv.Atoi(e.Version) // a declaration's versions are numbers
	h.calls.Record(analytics.Call{
		App: e.App, Service: e.Service, Operation: e.Operation, Version: version, Device: e.Device, At: e.At, Took: e.Took,
		Code: e.Code, Cached: e.Cached, Partial: e.Partial, Bytes: e.Bytes, Exchange: e.Exchange,
	})
}

// callsByHour is what the record says of calls; nil where there is none.
func (h *house) callsByHour() api.CallsByHour {
	if h.record == nil {
		return nil
	}
	return func(ctx context.Context, app, service string, from, to time.Time) ([]api.CallsHour, error) {
		found, err := h.record.CallsByHour(ctx, app, service, from, to)
		hours := make([]api.CallsHour, len(found))
		for i, f := range found {
			hours[i] = api.CallsHour(f)
		}
		return hours, err
	}
}

// callDoor is the way from a live connection to businesses: the call and the
// answer are those of the API.
type callDoor struct{ gateway *gateway.Gateway }

// Call implements [access.Calls].
func (d callDoor) Call(ctx context.Context, who im.Session, service, operation string, body []byte) (int, []byte) {
	return api.AnswerCall(ctx, d.gateway, gateway.DeviceCaller(who.App, who.Device, who.User), service, operation, body)
}

// Refuse implements [access.Calls].
func (d callDoor) Refuse(status int, code, detail string) []byte {
	return api.RefuseCall(status, code, detail)
}

// businesses is what the gateway and its API have of the database.
type businesses struct{ store *sqlstore.Store }

// GatewayServices implements [gateway.Services].
func (b businesses) GatewayServices(ctx context.Context) ([]gateway.Kept, error) {
	all, err := b.store.GatewayServices(ctx)
	kept := make([]gateway.Kept, len(all))
	for i, s := range all {
		kept[i] = gateway.Kept(s)
	}
	return kept, err
}

// PutService implements [api.Businesses], as the next ones do.
func (b businesses) PutService(ctx context.Context, app, service string, declaration []byte, by string) (int64, error) {
	s := sqlstore.GatewayService{App: app, Service: service, Declaration: declaration, By: by}
	err := b.store.PutGatewayService(ctx, &s)
	return s.Revision, err
}

func (b businesses) DeleteService(ctx context.Context, app, service string) error {
	return b.store.DeleteGatewayService(ctx, app, service)
}

func (b businesses) PutSecret(ctx context.Context, app, name string, secret []byte) error {
	return b.store.PutGatewaySecret(ctx, app, name, secret)
}

func (b businesses) SecretNames(ctx context.Context, app string) ([]string, error) {
	return b.store.GatewaySecretNames(ctx, app)
}

func (b businesses) DeleteSecret(ctx context.Context, app, name string) error {
	return b.store.DeleteGatewaySecret(ctx, app, name)
}

// PutInbound implements [gateway.Seen], as the next ones do.
func (b businesses) PutInbound(ctx context.Context, e *gateway.InboundEvent) (*gateway.InboundEvent, error) {
	before, err := b.store.PutGatewayEvent(ctx, rowOf(e))
	if err != nil || before == nil {
		return nil, err
	}
	return eventOf(before), nil
}

func (b businesses) SetInbound(ctx context.Context, e *gateway.InboundEvent) error {
	return b.store.SetGatewayEvent(ctx, rowOf(e))
}

func (b businesses) InboundEvent(ctx context.Context, app, service, event, id string) (*gateway.InboundEvent, error) {
	e, err := b.store.GatewayEvent(ctx, app, service, event, id)
	if err != nil {
		return nil, err
	}
	return eventOf(e), nil
}

func (b businesses) InboundEvents(ctx context.Context, app, service string, limit int) ([]*gateway.InboundEvent, error) {
	rows, err := b.store.GatewayEvents(ctx, app, service, limit)
	all := make([]*gateway.InboundEvent, len(rows))
	for i, e := range rows {
		all[i] = eventOf(e)
	}
	return all, err
}

func rowOf(e *gateway.InboundEvent) *sqlstore.GatewayEvent {
	return &sqlstore.GatewayEvent{
		App: e.App, Service: e.Service, Event: e.Event, ID: e.ID, Digest: e.Digest, Body: e.Body,
		State: e.State, Detail: e.Detail, Replays: e.Replays, ReceivedAt: e.ReceivedAt,
	}
}

func eventOf(e *sqlstore.GatewayEvent) *gateway.InboundEvent {
	return &gateway.InboundEvent{
		App: e.App, Service: e.Service, Event: e.Event, ID: e.ID, Digest: e.Digest, Body: e.Body,
		State: e.State, Detail: e.Detail, Replays: e.Replays, ReceivedAt: e.ReceivedAt,
	}
}
