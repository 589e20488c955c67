package places

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/herald-push/herald/push"
)

// Query asks who and what is near a point.
type Query struct {
	Circle push.Circle
	People bool     // those who may be found
	Kinds  []string // of named places
	Places bool     // named places of any kind
	Self   string   // the device that asks, which does not find its own person
	After  string   // the cursor of the page before
	Limit  int
}

// Neighbour is somebody or something that was found.
type Neighbour struct {
	Type     string            `json:"type"` // person or place
	User     string            `json:"user,omitempty"`
	ID       string            `json:"id,omitempty"`
	Name     string            `json:"name,omitempty"`
	Kind     string            `json:"kind,omitempty"`
	Data     map[string]string `json:"data,omitempty"`
	Lat      float64           `json:"lat"`
	Lon      float64           `json:"lon"`
	Distance float64           `json:"distance_m"`

	exact  float64 // the distance before it was rounded
	tie    string  // the order of those at one distance
	device string
}

// nearbyMost is how many are found behind each other, whatever the pages.
const nearbyMost = 2000

// MaxNearby is how far may be searched, in metres.
const MaxNearby = 100_000

// Nearby finds the nearest first. People are found where they are shown, never
// where they are: no number of questions from no number of points tells more.
// next is the cursor of the page behind this one, "" if there is none.
func (p *Places) Nearby(ctx context.Context, app string, q Query) (found []Neighbour, next string, err error) {
	a, err := p.ready(ctx, app)
	if err != nil {
		return nil, "", err
	}
	g := newRegion(push.Shape{Circle: &q.Circle})
	ranges := spans(cover(g.bounds, audienceCells))
	from := point{q.Circle.Lat, q.Circle.Lon}
	var all []Neighbour
	if q.Places || len(q.Kinds) > 0 {
		for _, n := range a.places.within(g, ranges) {
			if q.Places || slices.Contains(q.Kinds, n.Kind) {
				all = append(all, Neighbour{
					Type: "place", ID: n.ID, Name: n.Name, Kind: n.Kind, Data: n.Data,
					Lat: n.middle.lat, Lon: n.middle.lon, exact: distance(from, n.middle), tie: "p" + n.ID,
				})
			}
		}
	}
	if q.People {
		lots, err := p.index.search(ctx, app, 0, shards, g, ranges, keyNearby)
		if err != nil {
			return nil, "", err
		}
		for _, lot := range lots {
			for _, f := range lot {
				if f.device != q.Self {
					all = append(all, Neighbour{
						Type: "person", Lat: f.lat, Lon: f.lon, device: f.device,
						exact: distance(from, f.point), tie: "d" + p.pseudonym(app, f.device),
					})
				}
			}
		}
	}
	slices.SortFunc(all, closer)
	return p.pageOf(ctx, app, q, all[:min(len(all), nearbyMost)])
}

func closer(a, b Neighbour) int {
	if a.exact != b.exact {
		return compare(a.exact, b.exact)
	}
	return compare(a.tie, b.tie)
}

// pageOf cuts the page behind a cursor out of all who were found. Somebody who
// has several devices is found once, at the nearest, whatever the page.
func (p *Places) pageOf(ctx context.Context, app string, q Query, all []Neighbour) (page []Neighbour, next string, err error) {
	after, err := readCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	seen := map[string]bool{}
	if q.Self != "" {
		own, err := p.users(ctx, app, []Neighbour{{Type: "person", device: q.Self}})
		if err != nil {
			return nil, "", err
		}
		seen[own[0]] = true
	}
	const atOnce = 256
	for part := range slices.Chunk(all, atOnce) {
		users, err := p.users(ctx, app, part)
		if err != nil {
			return nil, "", err
		}
		for i, n := range part {
			if n.Type == "person" {
				if n.User = users[i]; n.User == "" || seen[n.User] {
					continue // nobody's, or seen at a nearer device
				}
				seen[n.User] = true
			}
			if after != nil && closer(n, *after) <= 0 {
				continue
			}
			if len(page) == q.Limit {
				return page, cursorOf(page[len(page)-1]), nil
			}
			n.Distance = math.Round(n.exact)
			page = append(page, n)
		}
	}
	return page, "", nil
}

// users are whose devices the people of a list have, "" for nobody's.
func (p *Places) users(ctx context.Context, app string, list []Neighbour) ([]string, error) {
	var ids []string
	var at []int
	for i, n := range list {
		if n.Type == "person" {
			ids, at = append(ids, n.device), append(at, i)
		}
	}
	users := make([]string, len(list))
	if len(ids) == 0 {
		return users, nil
	}
	devices, err := p.parts.Store.Devices(ctx, app, ids)
	if err != nil {
		return nil, fmt.Errorf("places: %w", err)
	}
	for i, d := range devices {
		if d != nil {
			users[at[i]] = d.User
		}
	}
	return users, nil
}

// pseudonym stands for a device in a cursor: its id is nobody else's business.
func (p *Places) pseudonym(app, device string) string {
	return base64.RawURLEncoding.EncodeToString(p.mac(app, device)[:9])
}

// cursorOf is a place in the order of distances.
func cursorOf(n Neighbour) string {
	b := binary.BigEndian.AppendUint64(nil, math.Float64bits(n.exact))
	return base64.RawURLEncoding.EncodeToString(append(b, n.tie...))
}

// readCursor reads one; nil for the first page.
func readCursor(text string) (*Neighbour, error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 9 {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "cursor", Detail: "is none that was given out here"}}}
	}
	return &Neighbour{exact: math.Float64frombits(binary.BigEndian.Uint64(b)), tie: string(b[8:])}, nil
}
