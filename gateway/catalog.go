package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/herald-push/herald/push"
)

// Services keeps the declarations that apps gave through the API.
type Services interface {
	GatewayServices(ctx context.Context) ([]Kept, error)
}

// Kept is a declaration as it is stored.
type Kept struct {
	App         string          `json:"-"`
	Service     string          `json:"service"`
	Declaration json.RawMessage `json:"declaration"`
	Revision    int64           `json:"revision"` // counts the writes, from 1
	By          string          `json:"by"`       // the key that wrote it
	UpdatedAt   time.Time       `json:"updated_at"`
}

// catalog is all services, by app and name. It is never changed.
type catalog struct {
	services map[string]map[string]*service
}

func (c *catalog) service(app, name string) *service { return c.services[app][name] }

// Load reads folder and store. What is faulty is told, and its earlier form
// stays in force; the rest counts at once.
func (g *Gateway) Load(ctx context.Context) error {
	g.loading.Lock()
	defer g.loading.Unlock()
	old := g.catalog.Load()
	next := &catalog{services: map[string]map[string]*service{}}
	var errs []error
	put := func(d Declaration, raw []byte, rules Rules, from string) {
		if d.App == "" || d.Service == "" {
			errs = append(errs, fmt.Errorf("%s: app and service are needed", from))
			return
		}
		if there := next.service(d.App, d.Service); there != nil {
			errs = append(errs, fmt.Errorf("%s: service %s of app %s is declared in %s too", from, d.Service, d.App, there.from))
			return
		}
		s := old.service(d.App, d.Service)
		if digest := sha256.Sum256(raw); s == nil || s.digest != digest || s.from != from {
			fresh, err := compile(d, rules)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", from, err))
			} else {
				fresh.digest, fresh.from = digest, from
				s = fresh
			}
		}
		if s != nil {
			if next.services[d.App] == nil {
				next.services[d.App] = map[string]*service{}
			}
			next.services[d.App][d.Service] = s
		}
	}
	keep := func(from string) { // what a file that cannot be read said before
		for app, services := range old.services {
			for name, s := range services {
				if s.from != from || next.service(app, name) != nil {
					continue
				}
				if next.services[app] == nil {
					next.services[app] = map[string]*service{}
				}
				next.services[app][name] = s
			}
		}
	}
	errs = append(errs, g.loadFolder(put, keep)...)
	if err := g.loadStore(ctx, put); err != nil {
		return errors.Join(append(errs, err)...) // without the store nothing may seem deleted
	}
	g.catalog.Store(next)
	return errors.Join(errs...)
}

type putter func(d Declaration, raw []byte, rules Rules, from string)

func (g *Gateway) loadFolder(put putter, keep func(from string)) (errs []error) {
	if g.cfg.Folder == "" {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(g.cfg.Folder, "*.y*ml"))
	if err != nil {
		return []error{fmt.Errorf("gateway.folder: %w", err)}
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("gateway: %w", err))
			keep(filepath.Base(name))
			continue
		}
		d, err := ParseYAML(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Base(name), err))
			keep(filepath.Base(name))
			continue
		}
		put(d, text, Rules{AllowPrivate: true, Trusted: true, Secrets: g.parts.Secrets}, filepath.Base(name))
	}
	return errs
}

func (g *Gateway) loadStore(ctx context.Context, put putter) error {
	if g.parts.Services == nil {
		return nil
	}
	all, err := g.parts.Services.GatewayServices(ctx)
	if err != nil {
		return fmt.Errorf("gateway: declarations: %w", err)
	}
	for _, k := range all {
		d, err := ParseJSON(k.Declaration)
		if err != nil {
			return fmt.Errorf("gateway: service %s of app %s: %w", k.Service, k.App, err)
		}
		d.App = k.App
		put(d, k.Declaration, g.Rules(), "the API")
	}
	return nil
}

// Rules are what declarations of apps may do here.
func (g *Gateway) Rules() Rules {
	return Rules{AllowPrivate: g.cfg.AllowPrivate, Secrets: g.parts.Secrets}
}

// About is a service as it is listed.
type About struct {
	Service  string         `json:"service"`
	Title    string         `json:"title,omitempty"`
	From     string         `json:"from"` // a file's name, or "the API"
	Versions []VersionAbout `json:"versions"`
	Events   []string       `json:"events,omitempty"`
}

// VersionAbout is a version as it is listed.
type VersionAbout struct {
	Version    int      `json:"version"`
	Deprecated string   `json:"deprecated,omitempty"`
	Sunset     string   `json:"sunset,omitempty"`
	Operations []string `json:"operations"`
}

// List tells of an app's services that are in force, by name.
func (g *Gateway) List(app string) []About {
	all := []About{}
	services := g.catalog.Load().services[app]
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s := services[name]
		a := About{Service: name, Title: s.declaration.Title, From: s.from, Events: slices.Sorted(maps.Keys(s.inbound)), Versions: []VersionAbout{}}
		for _, v := range s.versions {
			a.Versions = append(a.Versions, VersionAbout{
				v.number, s.declaration.Versions[v.id].Deprecated, s.declaration.Versions[v.id].Sunset, slices.Sorted(maps.Keys(v.operations)),
			})
		}
		slices.SortFunc(a.Versions, func(x, y VersionAbout) int { return x.Version - y.Version })
		all = append(all, a)
	}
	return all
}

// Declared is the declaration in force; [push.ErrNotFound].
func (g *Gateway) Declared(app, service string) (Declaration, error) {
	s := g.catalog.Load().service(app, service)
	if s == nil {
		return Declaration{}, fmt.Errorf("gateway: service %s: %w", service, push.ErrNotFound)
	}
	return s.declaration, nil
}
