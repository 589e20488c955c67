package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// extras is what a process shows beyond what it is configured to.
type extras struct {
	WebSocket  string // where the device page connects; empty turns it off
	Sandbox    string // the sandbox's control API; empty turns its page off
	LoginToken string // signs in whoever follows the link of `herald dev`
	Redis      string // which one, in words
	RedisNote  string // what is worse than it could be about it
	ClickHouse string // which one, in words
}

// pages makes the dashboards.
func (h *house) pages(x extras) (http.Handler, error) {
	key, err := h.sessionKey()
	if err != nil {
		return nil, err
	}
	oidc, err := h.cfg.Dashboard.OIDC.open(h.cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	door := login{h.store, x.LoginToken, h.cfg.Dashboard.Admins}
	c := web.Config{
		Key:           key,
		WebSocket:     x.WebSocket,
		Sandbox:       x.Sandbox,
		Login:         door,
		Visits:        visits{h.store, door},
		OIDC:          oidc,
		Secure:        strings.HasPrefix(h.cfg.PublicURL, "https://"),
		Apps:          tenants{h.store},
		Numbers:       numbers{h.record, h},
		Notifications: stories{h},
		Lanes:         lanesPage{h},
		API:           h.apiFor,
		Explorer:      explorer{h},
		Profiles:      profiles(),
		Status:        func(context.Context) web.Status { return h.status(x) },
		Log:           h.log,
		Done:          h.stopping,
	}
	if x.WebSocket != "" {
		c.Devices, c.Tokens = guests{h}, h.tokens
	}
	return web.New(c)
}

// sessionKey signs the cookies of the dashboards. It is derived from the
// sealing key, so that people stay signed in over restarts and on every node.
func (h *house) sessionKey() ([]byte, error) {
	secret, err := h.cfg.Sealing.text()
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, []byte(strings.TrimSpace(secret)), nil, "herald: sessions of the dashboards", 32)
	if err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	return key, nil
}

func (h *house) status(x extras) web.Status {
	s := h.writer.Status()
	status := web.Status{
		Spool:      int64(s.Spool.Recorded) - int64(s.Rows),
		SpoolBytes: s.Spool.Bytes,
		Lag:        time.Duration(s.LagSeconds * float64(time.Second)),
		ClickHouse: x.ClickHouse,
		Redis:      x.Redis, RedisWarning: x.RedisNote,
	}
	switch s.ClickHouse {
	case "none":
		status.ClickHouse = ""
	case "away":
		status.ClickHouseErr = s.Fault
	}
	return status
}

// sameSecret compares in a time that tells nothing about either.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// tenants lists the apps.
type tenants struct{ store *sqlstore.Store }

// Apps implements [web.Apps].
func (t tenants) Apps(ctx context.Context) ([]web.App, error) {
	apps, err := t.store.Apps(ctx)
	if err != nil {
		return nil, pageError(err)
	}
	all := make([]web.App, len(apps))
	for i, app := range apps {
		all[i] = web.App{ID: app.ID, Name: app.Name}
	}
	return all, nil
}

// guests lets the browser play a device of its own, and the demo's phone.
type guests struct{ house *house }

// Register implements [web.Devices].
func (g guests) Register(ctx context.Context, app, user, device string) error {
	live := push.Address{Provider: push.Live, Token: device}
	d, err := g.house.store.Device(ctx, app, device)
	switch {
	case errors.Is(err, push.ErrNotFound):
		d = &push.Device{App: app, ID: device, User: user, Platform: "web"}
	case err != nil:
		return pageError(err)
	}
	if _, ok := d.Address(push.Live); ok {
		return nil
	}
	d.Addresses = append(d.Addresses, live)
	return pageError(devices{g.house.store, g.house.devices, g.house.router.Dismiss, g.house.whereabouts}.PutDevice(ctx, d))
}

// pageError puts an error into the pages' words.
func pageError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, push.ErrNotFound):
		return errors.Join(web.ErrNotFound, err)
	case errors.Is(err, push.ErrAway):
		return errors.Join(web.ErrAway, err)
	default:
		return err
	}
}
