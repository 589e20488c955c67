package api

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/places"
	"github.com/herald-push/herald/push"
)

// placeWorld is where devices are, and what is on the map. Reports are read by
// the room itself; who is where is made up, for the room has tests of its own.
type placeWorld struct {
	*places.Places
	devices *world

	mu       sync.Mutex
	consents map[string]push.Consent
	fences   map[string]push.Fence
	places   map[string]push.Place
	reported []push.Position
	forgot   []string
	query    places.Query
	changed  int
}

func newPlaceWorld(w *world) *placeWorld {
	p := &placeWorld{devices: w, consents: map[string]push.Consent{"d1": {App: "demo", Device: "d1", Mode: push.PlaceExact, UpdatedAt: noon}}}
	var err error
	p.Places, err = places.New(places.DefaultConfig(), places.Parts{
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Now: func() time.Time { return noon },
	})
	if err != nil {
		panic(err)
	}
	circle := push.Shape{Circle: &push.Circle{Lat: 52.52, Lon: 13.405, Radius: 200}}
	p.places = map[string]push.Place{
		"shop-1": {App: "demo", ID: "shop-1", Name: "Shop", Kind: "shop", Shape: circle, CreatedAt: noon, UpdatedAt: noon},
		"shop-9": {App: "demo", ID: "shop-9", Name: "Another", Shape: circle, CreatedAt: noon, UpdatedAt: noon},
	}
	p.fences = map[string]push.Fence{"home": {
		App: "demo", ID: "home", Shape: circle, On: []push.Crossing{push.Exit}, Request: json.RawMessage(`{"title":"Bye"}`), CreatedAt: noon, UpdatedAt: noon,
	}}
	return p
}

func (p *placeWorld) known(device string) bool {
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	_, ok := p.devices.devices["demo/"+device]
	return ok || device == "d9"
}

func (p *placeWorld) Report(_ context.Context, app, device string, points []push.Position) (int, error) {
	consent, err := p.Consent(context.Background(), app, device)
	if err != nil {
		return 0, err
	}
	if consent.Mode == push.PlaceOff {
		return 0, places.ErrNoConsent
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reported = append(p.reported, points...)
	return len(points), nil
}

func (p *placeWorld) Consent(_ context.Context, app, device string) (push.Consent, error) {
	if !p.known(device) {
		return push.Consent{}, push.ErrNotFound
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.consents[device]; ok {
		return c, nil
	}
	return push.Consent{App: app, Device: device, Mode: push.PlaceOff}, nil
}

func (p *placeWorld) PutConsent(_ context.Context, c *push.Consent) error {
	if !p.known(c.Device) {
		return push.ErrNotFound
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.UpdatedAt = noon
	p.consents[c.Device] = *c
	return nil
}

func (p *placeWorld) Forget(_ context.Context, _ string, devices ...string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgot = append(p.forgot, devices...)
	return len(devices), nil
}

func (p *placeWorld) Nearby(_ context.Context, _ string, q places.Query) ([]places.Neighbour, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.query = q
	return []places.Neighbour{
		{Type: "person", User: "u-2", Lat: 52.52, Lon: 13.41, Distance: 338},
		{Type: "place", ID: "shop-1", Name: "Shop", Kind: "shop", Lat: 52.53, Lon: 13.405, Distance: 1112},
	}, "bmV4dA", nil
}

func (p *placeWorld) Preview(context.Context, string, push.Audience, int) (int, []push.Location, error) {
	return 1234, []push.Location{{Lat: 52.52, Lon: 13.41}}, nil
}

func (p *placeWorld) HasPlace(_ context.Context, _, id string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.places[id]
	return ok, nil
}

func (p *placeWorld) Changed(context.Context, string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed++
	return nil
}

func (p *placeWorld) PutFence(_ context.Context, f *push.Fence) error {
	f.CreatedAt, f.UpdatedAt = noon, noon
	return putOn(p, p.fences, f.ID, *f)
}

func (p *placeWorld) Fence(_ context.Context, _, id string) (*push.Fence, error) {
	return getOn(p, p.fences, id)
}

func (p *placeWorld) Fences(_ context.Context, _, after string, limit int) ([]*push.Fence, error) {
	return listOn(p, p.fences, after, limit)
}

func (p *placeWorld) DeleteFence(_ context.Context, _, id string) error {
	return deleteOn(p, p.fences, id)
}

func (p *placeWorld) PutPlace(_ context.Context, one *push.Place) error {
	one.CreatedAt, one.UpdatedAt = noon, noon
	return putOn(p, p.places, one.ID, *one)
}

func (p *placeWorld) Place(_ context.Context, _, id string) (*push.Place, error) {
	return getOn(p, p.places, id)
}

func (p *placeWorld) DeletePlace(_ context.Context, _, id string) error {
	return deleteOn(p, p.places, id)
}

// placeMap has the method that an embedded field's name is in the way of.
type placeMap struct{ *placeWorld }

func (m placeMap) Places(_ context.Context, _, after string, limit int) ([]*push.Place, error) {
	return listOn(m.placeWorld, m.places, after, limit)
}

func putOn[T any](p *placeWorld, all map[string]T, id string, one T) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all[id] = one
	return nil
}

func getOn[T any](p *placeWorld, all map[string]T, id string) (*T, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, ok := all[id]; ok {
		return &one, nil
	}
	return nil, push.ErrNotFound
}

func listOn[T any](p *placeWorld, all map[string]T, after string, limit int) (list []*T, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for id := range all {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cmp.Compare[string])
	for _, id := range ids[:min(limit, len(ids))] {
		one := all[id]
		list = append(list, &one)
	}
	return list, nil
}

func deleteOn[T any](p *placeWorld, all map[string]T, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := all[id]; !ok {
		return push.ErrNotFound
	}
	delete(all, id)
	return nil
}
