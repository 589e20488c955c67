package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Position is where a device is, or was.
type Position struct {
	Lat      float64   `json:"lat"`
	Lon      float64   `json:"lon"`
	Accuracy float64   `json:"accuracy_m,omitempty"` // metres
	At       time.Time `json:"at,omitzero"`          // within the last day; default now
}

// ReportPositions tells where a device was, up to 1,000 positions at a time, and
// returns how many were newer than what Herald knew. Without the consent of the
// device's person it is a [*Problem] with the code "no_consent".
func (c *Client) ReportPositions(ctx context.Context, device string, ps ...Position) (kept int, err error) {
	in := struct {
		Positions []Position `json:"positions"`
	}{ps}
	out, err := ask[struct {
		Kept int `json:"kept"`
	}](ctx, c, http.MethodPost, devicePath(device)+"/positions", in)
	return out.Kept, err
}

// ForgetPositions makes Herald forget where a device is and was.
func (c *Client) ForgetPositions(ctx context.Context, device string) error {
	return c.call(ctx, http.MethodDelete, devicePath(device)+"/positions", nil, nil)
}

// Consent is what a device's person agrees to about where it is.
type Consent struct {
	Device    string    `json:"device,omitempty"`
	Mode      string    `json:"mode"`   // off, coarse or exact
	Nearby    bool      `json:"nearby"` // others may find the person, at a blurred position
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Consent reads what a device's person agrees to.
func (c *Client) Consent(ctx context.Context, device string) (Consent, error) {
	return ask[Consent](ctx, c, http.MethodGet, devicePath(device)+"/consent", nil)
}

// PutConsent says what a device's person agrees to from now on.
func (c *Client) PutConsent(ctx context.Context, device string, agreed Consent) (Consent, error) {
	in := Consent{Mode: agreed.Mode, Nearby: agreed.Nearby}
	return ask[Consent](ctx, c, http.MethodPut, devicePath(device)+"/consent", in)
}

// Circle is all that is no farther from a point than its radius in metres.
type Circle struct {
	Lat    float64 `json:"lat"`
	Lon    float64 `json:"lon"`
	Radius float64 `json:"radius_m"`
}

// NearbyQuery asks who and what is near.
type NearbyQuery struct {
	Lat, Lon float64
	Radius   float64 // metres; default 5,000
	Type     string  // person or place; default both
	Kind     string  // of places, with commas between them
	Cursor   string  // Next of the page before
	Limit    int     // default 100
}

// Neighbour is somebody or something nearby.
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
}

// NearbyPage is a part of who and what is near, the nearest first.
type NearbyPage struct {
	Found []Neighbour `json:"found"`
	Next  string      `json:"next,omitempty"`
}

// Nearby finds who agreed to be found, and the app's places.
func (c *Client) Nearby(ctx context.Context, q NearbyQuery) (NearbyPage, error) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	values := url.Values{"lat": {number(q.Lat)}, "lon": {number(q.Lon)}}
	for name, text := range map[string]string{"type": q.Type, "kind": q.Kind, "cursor": q.Cursor} {
		if text != "" {
			values.Set(name, text)
		}
	}
	if q.Radius != 0 {
		values.Set("radius_m", number(q.Radius))
	}
	if q.Limit != 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	return ask[NearbyPage](ctx, c, http.MethodGet, "/v1/places/nearby?"+values.Encode(), nil)
}

// Crowd is how many devices are somewhere, and about where some of them are.
type Crowd struct {
	Devices int        `json:"devices"`
	Points  []Location `json:"points"`
}

// PreviewPlaces counts the devices of an audience by place.
func (c *Client) PreviewPlaces(ctx context.Context, to Audience) (Crowd, error) {
	return ask[Crowd](ctx, c, http.MethodPost, "/v1/places/preview", map[string]Audience{"to": to})
}

// Place is a part of the earth with a name: a circle, or a polygon.
type Place struct {
	ID        string            `json:"id,omitempty"`
	Name      string            `json:"name"`
	Kind      string            `json:"kind,omitempty"`
	Circle    *Circle           `json:"circle,omitempty"`
	Polygon   []Location        `json:"polygon,omitempty"`
	Data      map[string]string `json:"data,omitempty"`
	CreatedAt time.Time         `json:"created_at,omitzero"`
	UpdatedAt time.Time         `json:"updated_at,omitzero"`
}

// PutPlace makes the place p.ID, or replaces it.
func (c *Client) PutPlace(ctx context.Context, p Place) (Place, error) {
	path := "/v1/places/" + url.PathEscape(p.ID)
	p.ID, p.CreatedAt, p.UpdatedAt = "", time.Time{}, time.Time{}
	return ask[Place](ctx, c, http.MethodPut, path, p)
}

// Place reads a place.
func (c *Client) Place(ctx context.Context, id string) (Place, error) {
	return ask[Place](ctx, c, http.MethodGet, "/v1/places/"+url.PathEscape(id), nil)
}

// DeletePlace forgets a place.
func (c *Client) DeletePlace(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/places/"+url.PathEscape(id), nil, nil)
}

// PlacePage is a part of the places.
type PlacePage struct {
	Places []Place `json:"places"`
	Next   string  `json:"next,omitempty"` // after of the next page; "" on the last
}

// Places lists places by id, by pages, as [Client.Schedules] does.
func (c *Client) Places(ctx context.Context, after string, limit int) (PlacePage, error) {
	return ask[PlacePage](ctx, c, http.MethodGet, "/v1/places?"+pageValues(after, limit), nil)
}

// OpeningTime is when a fence is in force: "09:00" to "18:00" on some days.
type OpeningTime struct {
	Days     []string `json:"days,omitempty"` // mon to sun; default all
	From     string   `json:"from"`
	To       string   `json:"to"`
	Timezone string   `json:"timezone"` // IANA
}

// Fence sends a notification to a device that comes, stays or goes.
type Fence struct {
	ID              string       `json:"id,omitempty"`
	Name            string       `json:"name,omitempty"`
	Circle          *Circle      `json:"circle,omitempty"`
	Polygon         []Location   `json:"polygon,omitempty"`
	On              []string     `json:"on"` // enter, exit, dwell
	DwellSeconds    int          `json:"dwell_seconds,omitempty"`
	CooldownSeconds int          `json:"cooldown_seconds,omitempty"` // for how long a device is not told the same again
	MaxAccuracy     float64      `json:"max_accuracy_m,omitempty"`   // reports that are less exact do not count
	Schedule        *OpeningTime `json:"schedule,omitempty"`         // default: always
	// Notification is a [Notification] as JSON, without id, to and times.
	Notification json.RawMessage `json:"notification"`
	CreatedAt    time.Time       `json:"created_at,omitzero"`
	UpdatedAt    time.Time       `json:"updated_at,omitzero"`
}

// PutFence makes the fence f.ID, or replaces it.
func (c *Client) PutFence(ctx context.Context, f Fence) (Fence, error) {
	path := "/v1/fences/" + url.PathEscape(f.ID)
	f.ID, f.CreatedAt, f.UpdatedAt = "", time.Time{}, time.Time{}
	return ask[Fence](ctx, c, http.MethodPut, path, f)
}

// Fence reads a fence.
func (c *Client) Fence(ctx context.Context, id string) (Fence, error) {
	return ask[Fence](ctx, c, http.MethodGet, "/v1/fences/"+url.PathEscape(id), nil)
}

// DeleteFence takes a fence down. What it has sent stays sent.
func (c *Client) DeleteFence(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/fences/"+url.PathEscape(id), nil, nil)
}

// FencePage is a part of the fences.
type FencePage struct {
	Fences []Fence `json:"fences"`
	Next   string  `json:"next,omitempty"` // after of the next page; "" on the last
}

// Fences lists fences by id, by pages, as [Client.Schedules] does.
func (c *Client) Fences(ctx context.Context, after string, limit int) (FencePage, error) {
	return ask[FencePage](ctx, c, http.MethodGet, "/v1/fences?"+pageValues(after, limit), nil)
}

func pageValues(after string, limit int) string {
	values := url.Values{}
	if after != "" {
		values.Set("after", after)
	}
	if limit != 0 {
		values.Set("limit", strconv.Itoa(limit))
	}
	return values.Encode()
}
