package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/places"
	"github.com/herald-push/herald/push"
)

// Whereabouts knows where devices are.
type Whereabouts interface {
	// ReadReport reads what a device sends; its faults are a [push.Invalid].
	ReadReport(raw []byte) ([]push.Position, error)
	// Report returns once the positions are kept, and how many were news.
	// [places.ErrNoConsent], [push.ErrNotFound].
	Report(ctx context.Context, app, device string, points []push.Position) (kept int, err error)
	Consent(ctx context.Context, app, device string) (push.Consent, error)
	PutConsent(ctx context.Context, c *push.Consent) error
	// Forget removes where devices are and were.
	Forget(ctx context.Context, app string, devices ...string) (int, error)
	Nearby(ctx context.Context, app string, q places.Query) (found []places.Neighbour, next string, err error)
	// Preview is how many devices an audience by place has, and where some are.
	Preview(ctx context.Context, app string, to push.Audience, most int) (n int, some []push.Location, err error)
	// HasPlace tells whether an app has a place of that name.
	HasPlace(ctx context.Context, app, id string) (bool, error)
	// Changed is told when an app's fences or places are other than before.
	Changed(ctx context.Context, app string) error
}

// Map keeps fences and places. What is not there is [push.ErrNotFound]. Lists
// are ordered by id, beginning behind after.
type Map interface {
	PutFence(ctx context.Context, f *push.Fence) error
	Fence(ctx context.Context, app, id string) (*push.Fence, error)
	Fences(ctx context.Context, app, after string, limit int) ([]*push.Fence, error)
	DeleteFence(ctx context.Context, app, id string) error
	PutPlace(ctx context.Context, p *push.Place) error
	Place(ctx context.Context, app, id string) (*push.Place, error)
	Places(ctx context.Context, app, after string, limit int) ([]*push.Place, error)
	DeletePlace(ctx context.Context, app, id string) error
}

// Limits of what is on a map.
const (
	maxFenceID  = 40
	maxPlaceID  = 64
	maxPlace    = 128 << 10 // bytes of a fence or a place
	maxDwell    = 7 * 86_400
	maxCooldown = 30 * 86_400 // as long as a silent device is remembered
	maxPreview  = 500         // points
)

// placeRoutes are all about where devices are.
func (s *Server) placeRoutes() {
	e := s.echo
	e.POST("/v1/devices/:device/positions", s.reportPositions)
	e.DELETE("/v1/devices/:device/positions", s.placed(s.forgetPositions))
	e.GET("/v1/devices/:device/consent", s.placed(s.getConsent))
	e.PUT("/v1/devices/:device/consent", s.placed(s.putConsent))

	e.GET("/v1/places/nearby", s.nearby)
	e.POST("/v1/places/preview", s.keyed(ScopeRead, s.previewPlace))
	e.GET("/v1/places", s.keyed(ScopeRead, s.listPlaces))
	e.PUT("/v1/places/:place", s.keyed(ScopeSend, s.audited("place.put", s.getPlace, s.putPlace)))
	e.GET("/v1/places/:place", s.keyed(ScopeRead, s.getPlace))
	e.DELETE("/v1/places/:place", s.keyed(ScopeSend, s.audited("place.delete", s.getPlace, s.deletePlace)))

	e.GET("/v1/fences", s.keyed(ScopeRead, s.listFences))
	e.PUT("/v1/fences/:fence", s.keyed(ScopeSend, s.audited("fence.put", s.getFence, s.putFence)))
	e.GET("/v1/fences/:fence", s.keyed(ScopeRead, s.getFence))
	e.DELETE("/v1/fences/:fence", s.keyed(ScopeSend, s.audited("fence.delete", s.getFence, s.deleteFence)))
}

// placed guards what a device does with its own token, and an app's server with
// a key of the scope device.
func (s *Server) placed(h handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		return s.within(c, func(ctx context.Context) error {
			who, err := s.reporter(ctx, c.Request())
			if err != nil {
				return err
			}
			if err := s.charge(who.app, 1); err != nil {
				return err
			}
			id := c.Param("device")
			if who.device != "" && who.device != id {
				return &refusal{status: http.StatusForbidden, code: "forbidden", detail: "the token is another device's"}
			}
			if !validDeviceID(id) {
				return notFound("device")
			}
			return h(c, who)
		})
	}
}

// reportPositions serves POST /v1/devices/{device}/positions.
func (s *Server) reportPositions(c echo.Context) error {
	return s.placed(func(c echo.Context, who caller) error {
		raw, err := body(c, places.MaxReport)
		if err != nil {
			return err
		}
		points, err := s.parts.Whereabouts.ReadReport(raw)
		if err != nil {
			return err
		}
		kept, err := s.parts.Whereabouts.Report(c.Request().Context(), who.app, c.Param("device"), points)
		if err != nil {
			return orNoDevice(err)
		}
		return c.JSON(http.StatusOK, map[string]int{"kept": kept})
	})(c)
}

func orNoDevice(err error) error {
	if errors.Is(err, push.ErrNotFound) {
		return notFound("device")
	}
	return err
}

// forgetPositions serves DELETE /v1/devices/{device}/positions: what was kept of
// where the device is goes; what its person agrees to stays as it is.
func (s *Server) forgetPositions(c echo.Context, who caller) error {
	ctx := c.Request().Context()
	consent, err := s.parts.Whereabouts.Consent(ctx, who.app, c.Param("device"))
	if err != nil {
		return orNoDevice(err)
	}
	consent.App = who.app
	if err := s.parts.Whereabouts.PutConsent(ctx, &consent); err != nil {
		return orNoDevice(err)
	}
	if _, err := s.parts.Whereabouts.Forget(ctx, who.app, consent.Device); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// getConsent serves GET /v1/devices/{device}/consent.
func (s *Server) getConsent(c echo.Context, who caller) error {
	consent, err := s.parts.Whereabouts.Consent(c.Request().Context(), who.app, c.Param("device"))
	if err != nil {
		return orNoDevice(err)
	}
	return c.JSON(http.StatusOK, consent)
}

type consentRequest struct {
	Mode   push.PlaceMode `json:"mode"`
	Nearby bool           `json:"nearby"`
}

var consentForm = newForm[consentRequest]()

// putConsent serves PUT /v1/devices/{device}/consent.
func (s *Server) putConsent(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, consentForm)
	if err != nil {
		return err
	}
	switch req.Mode {
	case push.PlaceOff:
		if req.Nearby {
			fs.add("nearby", "needs a mode other than off: who tells nobody where they are is found by nobody")
		}
	case push.PlaceCoarse, push.PlaceExact:
	default:
		fs.addf("mode", "%q is none of off, coarse, exact", shorten(string(req.Mode)))
	}
	if err := fs.err(); err != nil {
		return err
	}
	consent := push.Consent{App: who.app, Device: c.Param("device"), Mode: req.Mode, Nearby: req.Nearby}
	if err := s.parts.Whereabouts.PutConsent(c.Request().Context(), &consent); err != nil {
		return orNoDevice(err)
	}
	return c.JSON(http.StatusOK, consent)
}

type nearbyResponse struct {
	Found []places.Neighbour `json:"found"`
	Next  string             `json:"next,omitempty"`
}

// nearby serves GET /v1/places/nearby, to devices and to keys.
func (s *Server) nearby(c echo.Context) error {
	return s.within(c, func(ctx context.Context) error {
		who, err := s.holder(ctx, c.Request())
		if err != nil {
			return err
		}
		if who.device == "" && !allows(who.scopes, ScopeRead) {
			return &refusal{status: http.StatusForbidden, code: "forbidden", detail: "the key lacks the scope read"}
		}
		if err := s.charge(who.app, 1); err != nil {
			return err
		}
		q, err := nearbyQuery(c, who)
		if err != nil {
			return err
		}
		found, next, err := s.parts.Whereabouts.Nearby(ctx, who.app, q)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, nearbyResponse{some(found), next})
	})
}

func nearbyQuery(c echo.Context, who caller) (places.Query, error) {
	var fs faults
	number := func(name, other string) float64 {
		text := c.QueryParam(name)
		if text == "" {
			text = other
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			fs.add(name, "must be a number")
		}
		return v
	}
	q := places.Query{Self: who.device, After: c.QueryParam("cursor"), Limit: limitParam(&fs, c.QueryParam("limit"))}
	q.Circle = push.Circle{Lat: number("lat", ""), Lon: number("lon", ""), Radius: number("radius_m", "5000")}
	places.CheckPoint(fs.add, "", q.Circle.Lat, q.Circle.Lon)
	if !(q.Circle.Radius > 0 && q.Circle.Radius <= places.MaxNearby) {
		fs.addf("radius_m", "must be more than 0 and at most %d metres", places.MaxNearby)
	}
	switch types := c.QueryParam("type"); types {
	case "":
		q.People, q.Places = true, true
	case "person":
		q.People = true
	case "place":
		q.Places = true
	default:
		fs.addf("type", "%q is none of person, place", shorten(types))
	}
	if kinds := c.QueryParam("kind"); kinds != "" {
		q.Kinds, q.Places, q.People = strings.Split(kinds, ","), false, c.QueryParam("type") == "person"
	}
	return q, fs.err()
}

type whoRequest struct {
	To *audienceRequest `json:"to"`
}

var whoForm = newForm[whoRequest]()

type whoResponse struct {
	Devices int             `json:"devices"`
	Points  []push.Location `json:"points"`
}

// previewPlace serves POST /v1/places/preview: how many devices are there, and
// about where some of them are.
func (s *Server) previewPlace(c echo.Context, who caller) error {
	req, fs, err := read(c, maxNotification, whoForm)
	if err != nil {
		return err
	}
	to := req.To.check(&fs)
	if !fs.has("to") && !places.IsPlace(to) {
		fs.add("to", "must name near, polygon or place")
	}
	if err := s.checkPlace(c.Request().Context(), who.app, to, &fs); err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	n, points, err := s.parts.Whereabouts.Preview(c.Request().Context(), who.app, to, maxPreview)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, whoResponse{n, some(points)})
}

// checkPlace makes sure that the place of an audience is there.
func (s *Server) checkPlace(ctx context.Context, app string, to push.Audience, fs *faults) error {
	if to.Place == "" || fs.has("to.place") {
		return nil
	}
	there, err := s.parts.Whereabouts.HasPlace(ctx, app, to.Place)
	if err == nil && !there {
		fs.addf("to.place", "%q is no place of this app", shorten(to.Place))
	}
	return err
}

// circleRequest and cornersRequest are shapes as callers write them.
type circleRequest struct {
	Lat    *float64 `json:"lat"`
	Lon    *float64 `json:"lon"`
	Radius *float64 `json:"radius_m"`
}

// given is a number that must be there.
func given(fs *faults, field string, v *float64) float64 {
	if v == nil {
		fs.add(field, "is missing")
		return 0
	}
	return *v
}

func (r *circleRequest) circle(fs *faults, prefix string) *push.Circle {
	c := push.Circle{Lat: given(fs, prefix+"lat", r.Lat), Lon: given(fs, prefix+"lon", r.Lon), Radius: given(fs, prefix+"radius_m", r.Radius)}
	places.CheckCircle(fs.add, prefix, c)
	return &c
}

func cornersOf(fs *faults, field string, list []locationRequest) []push.Location {
	corners := make([]push.Location, len(list))
	for i, l := range list {
		at := fmt.Sprintf("%s[%d].", field, i)
		corners[i] = push.Location{Lat: given(fs, at+"lat", l.Lat), Lon: given(fs, at+"lon", l.Lon)}
	}
	if fs.has(field) {
		return corners
	}
	return places.CheckPolygon(fs.add, field, corners)
}

// shapeRequest is a part of the earth, of which exactly one is given.
type shapeRequest struct {
	circle  *circleRequest
	polygon *[]locationRequest
}

func (r shapeRequest) shape(fs *faults) (shape push.Shape) {
	switch {
	case (r.circle == nil) == (r.polygon == nil):
		if !fs.has("circle") && !fs.has("polygon") {
			fs.add("circle", "exactly one of circle and polygon is needed")
		}
	case r.circle != nil:
		shape.Circle = r.circle.circle(fs, "circle.")
	default:
		shape.Polygon = cornersOf(fs, "polygon", *r.polygon)
	}
	return shape
}

type placeRequest struct {
	Name    string             `json:"name"`
	Kind    string             `json:"kind"`
	Circle  *circleRequest     `json:"circle"`
	Polygon *[]locationRequest `json:"polygon"`
	Data    map[string]string  `json:"data"`
}

var placeForm = newForm[placeRequest]()

// putPlace serves PUT /v1/places/{place}.
func (s *Server) putPlace(c echo.Context, who caller) error {
	req, fs, err := read(c, maxPlace, placeForm)
	if err != nil {
		return err
	}
	p := &push.Place{App: who.app, ID: c.Param("place"), Name: req.Name, Kind: req.Kind, Data: req.Data}
	if !spelled(p.ID, maxPlaceID, "") || p.ID == "nearby" || p.ID == "preview" {
		fs.add("place", `must be 1 to 64 letters, digits, "_" or "-", and neither nearby nor preview`)
	}
	if req.Name == "" && !fs.has("name") {
		fs.add("name", "is missing")
	}
	if !printable(req.Name, maxText) {
		fs.addf("name", "must be at most %d bytes without control characters", maxText)
	}
	if req.Kind != "" && !spelled(req.Kind, maxTag, "") {
		fs.add("kind", `must be 1 to 64 letters, digits, "_" or "-"`)
	}
	p.Shape = shapeRequest{req.Circle, req.Polygon}.shape(&fs)
	size := 0
	for k, v := range req.Data {
		size += len(k) + len(v)
	}
	if size > maxContent {
		fs.addf("data", "must have at most %d bytes", maxContent)
	}
	if err := fs.err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := s.parts.Map.PutPlace(ctx, p); err != nil {
		return err
	}
	s.mapChanged(ctx, who.app)
	return c.JSON(http.StatusOK, p)
}

// mapChanged has this process follow a change at once; others do within seconds.
func (s *Server) mapChanged(ctx context.Context, app string) {
	if err := s.parts.Whereabouts.Changed(ctx, app); err != nil {
		s.log.WarnContext(ctx, "a change of the map counts within seconds, not at once", "app", app, "err", err)
	}
}

// getPlace serves GET /v1/places/{place}.
func (s *Server) getPlace(c echo.Context, who caller) error {
	p, err := s.parts.Map.Place(c.Request().Context(), who.app, c.Param("place"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("place")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, p)
}

// listPlaces serves GET /v1/places, by pages.
func (s *Server) listPlaces(c echo.Context, who caller) error {
	return listOnMap(c, who, "places", s.parts.Map.Places, func(p *push.Place) string { return p.ID })
}

func listOnMap[T any](c echo.Context, who caller, name string, list func(context.Context, string, string, int) ([]T, error), id func(T) string) error {
	var fs faults
	limit := limitParam(&fs, c.QueryParam("limit"))
	if err := fs.err(); err != nil {
		return err
	}
	all, err := list(c.Request().Context(), who.app, c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	res := map[string]any{name: some(all)}
	if len(all) == limit {
		res["next"] = id(all[limit-1])
	}
	return c.JSON(http.StatusOK, res)
}

// deletePlace serves DELETE /v1/places/{place}.
func (s *Server) deletePlace(c echo.Context, who caller) error {
	return s.deleteOnMap(c, who, "place", s.parts.Map.DeletePlace)
}

func (s *Server) deleteOnMap(c echo.Context, who caller, what string, remove func(ctx context.Context, app, id string) error) error {
	ctx := c.Request().Context()
	err := remove(ctx, who.app, c.Param(what))
	if errors.Is(err, push.ErrNotFound) {
		return notFound(what)
	}
	if err != nil {
		return err
	}
	s.mapChanged(ctx, who.app)
	return c.NoContent(http.StatusNoContent)
}

// fenceRequest is the body of PUT /v1/fences/{fence}.
type fenceRequest struct {
	Name            string             `json:"name"`
	Circle          *circleRequest     `json:"circle"`
	Polygon         *[]locationRequest `json:"polygon"`
	On              []string           `json:"on"`
	DwellSeconds    *int               `json:"dwell_seconds"`
	CooldownSeconds *int               `json:"cooldown_seconds"`
	MaxAccuracy     *float64           `json:"max_accuracy_m"`
	Schedule        *openingRequest    `json:"schedule"`
	Notification    json.RawMessage    `json:"notification"`
}

type openingRequest struct {
	Days     []string `json:"days"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Timezone string   `json:"timezone"`
}

var fenceForm = newForm[fenceRequest]()

// putFence serves PUT /v1/fences/{fence}.
func (s *Server) putFence(c echo.Context, who caller) error {
	req, fs, err := read(c, maxNotification, fenceForm)
	if err != nil {
		return err
	}
	f := &push.Fence{App: who.app, ID: c.Param("fence"), Name: req.Name}
	if !spelled(f.ID, maxFenceID, "") {
		fs.add("fence", `must be 1 to 40 letters, digits, "_" or "-"`)
	}
	if !printable(req.Name, maxText) {
		fs.addf("name", "must be at most %d bytes without control characters", maxText)
	}
	f.Shape = shapeRequest{req.Circle, req.Polygon}.shape(&fs)
	req.rules(&fs, f)
	ctx := c.Request().Context()
	if err := s.fenced(ctx, f, req.Notification, &fs); err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Map.PutFence(ctx, f); err != nil {
		return err
	}
	s.mapChanged(ctx, who.app)
	return c.JSON(http.StatusOK, f)
}

// rules checks when a fence sends something.
func (r *fenceRequest) rules(fs *faults, f *push.Fence) {
	if len(r.On) == 0 && !fs.has("on") {
		fs.add("on", "is missing: any of enter, exit, dwell")
	}
	for i, on := range r.On {
		switch what := push.Crossing(on); {
		case what != push.Enter && what != push.Exit && what != push.Dwell:
			fs.addf(fmt.Sprintf("on[%d]", i), "%q is none of enter, exit, dwell", shorten(on))
		case !slices.Contains(f.On, what):
			f.On = append(f.On, what)
		}
	}
	seconds := func(field string, v *int, most int) int {
		if v == nil {
			return 0
		}
		if *v < 0 || *v > most {
			fs.addf(field, "must be 0 to %d, not %d", most, *v)
		}
		return *v
	}
	f.DwellSeconds = seconds("dwell_seconds", r.DwellSeconds, maxDwell)
	f.CooldownSeconds = seconds("cooldown_seconds", r.CooldownSeconds, maxCooldown)
	if slices.Contains(f.On, push.Dwell) && f.DwellSeconds == 0 {
		fs.add("dwell_seconds", "is missing: how long is dwelling?")
	}
	if r.MaxAccuracy != nil {
		if f.MaxAccuracy = *r.MaxAccuracy; !(f.MaxAccuracy > 0) {
			fs.add("max_accuracy_m", "must be more than 0 metres, or left out")
		}
	}
	if r.Schedule != nil {
		o := push.OpeningTime(*r.Schedule)
		f.Schedule = &o
		places.CheckHours(fs.add, f.Schedule)
	}
}

// fenced checks what a fence sends, as if it were sent now.
func (s *Server) fenced(ctx context.Context, f *push.Fence, raw json.RawMessage, fs *faults) error {
	n, req, err := s.later(ctx, f.App, raw, fs, "fence", true)
	if n == nil || err != nil {
		return err
	}
	n.To, req.To = push.Audience{}, nil
	f.Notification, f.TTLSeconds = n, *req.TTLSeconds
	if f.Request, err = json.Marshal(req); err != nil {
		return fmt.Errorf("api: notification of a fence: %w", err)
	}
	return nil
}

// getFence serves GET /v1/fences/{fence}.
func (s *Server) getFence(c echo.Context, who caller) error {
	f, err := s.parts.Map.Fence(c.Request().Context(), who.app, c.Param("fence"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("fence")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, f)
}

// listFences serves GET /v1/fences, by pages.
func (s *Server) listFences(c echo.Context, who caller) error {
	return listOnMap(c, who, "fences", s.parts.Map.Fences, func(f *push.Fence) string { return f.ID })
}

// deleteFence serves DELETE /v1/fences/{fence}.
func (s *Server) deleteFence(c echo.Context, who caller) error {
	return s.deleteOnMap(c, who, "fence", s.parts.Map.DeleteFence)
}
