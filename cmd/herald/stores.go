package main

import (
	"context"
	"fmt"

	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/internal/wording"
	geo "github.com/herald-push/herald/places"
	"github.com/herald-push/herald/push"
)

// Here the SQL store is fitted to what the rooms ask for. Each room has words
// of its own for keys and credentials, so that none knows the store.

// devices is the store of the API's devices with the cache that workers read.
type devices struct {
	*sqlstore.Store
	cache   *redisstore.Devices
	dismiss func(ctx context.Context, app, device string) error
	where   *geo.Places
}

// PutDevice implements [api.Devices]. A device that is another user's now has
// to come in anew, if it is connected.
func (d devices) PutDevice(ctx context.Context, device *push.Device) error {
	before, err := d.cache.Owner(ctx, device.App, device.ID)
	if err != nil {
		return err
	}
	moved, err := d.Store.PutDevice(ctx, device)
	if err != nil {
		return err
	}
	if err := d.drop(ctx, device.App, append(moved, device.ID)...); err != nil || before == device.User {
		return err
	}
	return d.dismiss(ctx, device.App, device.ID)
}

// DeleteDevice implements [api.Devices].
func (d devices) DeleteDevice(ctx context.Context, app, id string) error {
	if err := d.Store.DeleteDevice(ctx, app, id); err != nil {
		return err
	}
	if err := d.drop(ctx, app, id); err != nil {
		return err
	}
	if _, err := d.where.Forget(ctx, app, id); err != nil {
		return err
	}
	return d.dismiss(ctx, app, id)
}

// drop fails the request if the cache cannot be told: the caller asks again,
// and writing a device twice does no harm, while a worker that sends to an old
// address does.
func (d devices) drop(ctx context.Context, app string, ids ...string) error {
	if err := d.cache.Changed(ctx, app, ids...); err != nil {
		return fmt.Errorf("drop devices from the cache: %w", err)
	}
	return nil
}

// keys is the store of the API's keys.
type keys struct{ store *sqlstore.Store }

func (k keys) PutKey(ctx context.Context, key api.Key) error {
	stored := sqlstore.Key{ID: key.ID, App: key.App, Name: key.Name, Hash: key.Hash, CreatedAt: key.CreatedAt}
	for _, scope := range key.Scopes {
		stored.Scopes = append(stored.Scopes, string(scope))
	}
	return k.store.PutKey(ctx, stored)
}

func (k keys) Key(ctx context.Context, id string) (api.Key, error) {
	stored, err := k.store.Key(ctx, id)
	if err != nil {
		return api.Key{}, err
	}
	return apiKey(stored), nil
}

func (k keys) Keys(ctx context.Context, app string) ([]api.Key, error) {
	stored, err := k.store.Keys(ctx, app)
	if err != nil {
		return nil, err
	}
	var good []api.Key
	for _, key := range stored {
		if key.RevokedAt.IsZero() {
			good = append(good, apiKey(key))
		}
	}
	return good, nil
}

func (k keys) DeleteKey(ctx context.Context, app, id string) error {
	return k.store.RevokeKey(ctx, app, id)
}

func apiKey(stored sqlstore.Key) api.Key {
	key := api.Key{ID: stored.ID, App: stored.App, Name: stored.Name, Hash: stored.Hash, CreatedAt: stored.CreatedAt}
	for _, scope := range stored.Scopes {
		key.Scopes = append(key.Scopes, api.Scope(scope))
	}
	return key
}

// scopes lists what a key may be allowed.
func scopes() []string {
	var all []string
	for _, scope := range api.Scopes {
		all = append(all, string(scope))
	}
	return all
}

// credentials is the store of the apps' provider credentials, and tells the
// open providers of this process when some change.
type credentials struct {
	store   *sqlstore.Store
	changed func(app, provider string)
}

func (c credentials) PutCredentials(ctx context.Context, app, provider string, secret []byte) (api.CredentialsInfo, error) {
	stored, err := c.store.PutCredentials(ctx, app, provider, secret)
	if err != nil {
		return api.CredentialsInfo{}, err
	}
	c.changed(app, provider)
	return credentialsInfo(stored), nil
}

func (c credentials) CredentialsInfo(ctx context.Context, app, provider string) (api.CredentialsInfo, error) {
	stored, err := c.store.Credential(ctx, app, provider)
	if err != nil {
		return api.CredentialsInfo{}, err
	}
	return credentialsInfo(stored), nil
}

func (c credentials) DeleteCredentials(ctx context.Context, app, provider string) error {
	if err := c.store.DeleteCredentials(ctx, app, provider); err != nil {
		return err
	}
	c.changed(app, provider)
	return nil
}

func (c credentials) RollBackCredentials(ctx context.Context, app, provider string) (api.CredentialsInfo, error) {
	stored, err := c.store.RollBackCredentials(ctx, app, provider)
	if err != nil {
		return api.CredentialsInfo{}, err
	}
	c.changed(app, provider)
	return credentialsInfo(stored), nil
}

func credentialsInfo(c sqlstore.Credential) api.CredentialsInfo {
	return api.CredentialsInfo{Provider: c.Provider, Version: int(c.Version), UpdatedAt: c.UpdatedAt, RetractedWhy: c.RetractedWhy}
}

// corrections is the store of what apps correct in tables of codes, and tells
// the open providers of this process when some change.
type corrections struct {
	*sqlstore.Store
	changed func(app, provider string)
}

// PutCorrection implements [api.Corrections].
func (c corrections) PutCorrection(ctx context.Context, n push.Correction) error {
	if err := c.Store.PutCorrection(ctx, n); err != nil {
		return err
	}
	c.changed(n.App, n.Provider)
	return nil
}

// DeleteCorrection implements [api.Corrections].
func (c corrections) DeleteCorrection(ctx context.Context, app, provider string, status int, code string) error {
	if err := c.Store.DeleteCorrection(ctx, app, provider, status, code); err != nil {
		return err
	}
	c.changed(app, provider)
	return nil
}

// templates is the store of the apps' templates, and tells this process's book
// when some change.
type templates struct {
	*sqlstore.Store
	book *wording.Book
}

// PutTemplate implements [api.Templates].
func (t templates) PutTemplate(ctx context.Context, tpl *push.Template) error {
	if err := t.Store.PutTemplate(ctx, tpl); err != nil {
		return err
	}
	t.book.Changed(tpl.App, tpl.ID)
	return nil
}

// DeleteTemplate implements [api.Templates].
func (t templates) DeleteTemplate(ctx context.Context, app, id string) error {
	if err := t.Store.DeleteTemplate(ctx, app, id); err != nil {
		return err
	}
	t.book.Changed(app, id)
	return nil
}
