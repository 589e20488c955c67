package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// What the API tells of an app's map.
type (
	corner struct {
		Lat float64 `json:"lat"`
		Lon float64 `json:"lon"`
	}
	circle struct {
		corner
		Radius float64 `json:"radius_m"`
	}
	mapFence struct {
		ID           string          `json:"id"`
		Name         string          `json:"name"`
		Circle       *circle         `json:"circle,omitempty"`
		Polygon      []corner        `json:"polygon,omitempty"`
		On           []string        `json:"on"`
		Dwell        int             `json:"dwell_seconds"`
		Cooldown     int             `json:"cooldown_seconds"`
		Accuracy     float64         `json:"max_accuracy_m,omitempty"`
		Schedule     json.RawMessage `json:"schedule,omitempty"`
		Notification json.RawMessage `json:"notification"`
	}
	mapPlace struct {
		ID      string   `json:"id"`
		Name    string   `json:"name"`
		Kind    string   `json:"kind"`
		Circle  *circle  `json:"circle,omitempty"`
		Polygon []corner `json:"polygon,omitempty"`
	}
	crowd struct {
		Devices uint64   `json:"devices"`
		Points  []corner `json:"points"`
	}
)

// Shape says in words where a fence is.
func (f mapFence) Shape() string { return shapeWords(f.Circle, f.Polygon) }

// Shape is described at that of a fence.
func (p mapPlace) Shape() string { return shapeWords(p.Circle, p.Polygon) }

func shapeWords(c *circle, polygon []corner) string {
	if c != nil {
		return decimal(c.Radius, 0) + " m around " + degrees(c.Lat) + ", " + degrees(c.Lon)
	}
	return count(uint64(len(polygon))) + " corners"
}

func degrees(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// mapView is the page of the map.
type mapView struct {
	listing
	Fences     []mapFence
	Places     []mapPlace
	Crowd      *crowd
	Fault      string // of the question who is where
	Edit       mapFence
	MoreFences bool
}

// mapMost is how many fences, and how many places, the page shows.
const mapMost = 1000

// maps serves /map: fences and places, and who is where.
func (s *site) maps(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := mapView{listing: list(r, v.app, sess.roles.In(v.app), "/map", "after", "lat", "lon", "radius_m", "place", "filter", "fence")}
	var fences struct {
		Fences []mapFence `json:"fences"`
		Next   string     `json:"next"`
	}
	var places struct {
		Places []mapPlace `json:"places"`
	}
	limit := url.Values{"limit": {strconv.Itoa(mapMost)}}
	if err := s.get(r, sess, v.app, apiPath(limit, "fences"), &fences); err != nil {
		return err
	}
	if err := s.get(r, sess, v.app, apiPath(limit, "places"), &places); err != nil {
		return err
	}
	page.Fences, page.Places, page.MoreFences = fences.Fences, places.Places, fences.Next != ""
	if id := page.On("fence"); id != "" {
		if err := s.get(r, sess, v.app, apiPath(nil, "fences", id), &page.Edit); err != nil {
			return err
		}
	}
	if err := s.preview(r, sess, v.app, &page); err != nil {
		return err
	}
	s.render(w, r, sess, http.StatusOK, "map", page)
	return nil
}

// preview asks who is where, if the viewer does.
func (s *site) preview(r *http.Request, sess *session, app string, page *mapView) error {
	to := map[string]any{}
	switch {
	case page.On("place") != "":
		to["place"] = page.On("place")
	case page.On("lat") != "" || page.On("lon") != "":
		to["near"] = map[string]any{"lat": decimals(page.On("lat")), "lon": decimals(page.On("lon")), "radius_m": decimals(page.On("radius_m"))}
	default:
		return nil
	}
	if filter := page.On("filter"); filter != "" {
		to["filter"] = filter
	}
	var found crowd
	err := s.ask(r, sess, app, http.MethodPost, "/v1/places/preview", map[string]any{"to": to}, &found)
	if no := (*refusal)(nil); errors.As(err, &no) && no.status == http.StatusUnprocessableEntity {
		page.Fault = no.words
		return nil
	}
	if err != nil {
		return err
	}
	page.Crowd = &found
	return nil
}

// decimals is a number as it was typed, or else the text, for the API to refuse.
func decimals(text string) any {
	if v, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
		return v
	}
	return text
}

// Data is what the map draws.
func (v mapView) Data() map[string]any {
	data := map[string]any{"fences": v.Fences, "places": v.Places, "edit": v.Edit.ID}
	if v.Crowd != nil {
		data["points"] = v.Crowd.Points
		if v.On("place") == "" {
			data["near"] = map[string]any{"lat": decimals(v.On("lat")), "lon": decimals(v.On("lon")), "radius_m": decimals(v.On("radius_m"))}
		}
	}
	return data
}

// Does tells whether the fence that is edited tells of a crossing; a new one of
// an entry.
func (v mapView) Does(crossing string) bool {
	return slices.Contains(v.Edit.On, crossing) || v.Edit.ID == "" && crossing == "enter"
}

// Centre is where the fence that is edited is, "" for one without a middle.
func (v mapView) Centre() (c struct{ Lat, Lon, Radius string }) {
	if at := v.Edit.Circle; at != nil {
		c.Lat, c.Lon, c.Radius = degrees(at.Lat), degrees(at.Lon), degrees(at.Radius)
	}
	return c
}

// Corners are those of the fence that is edited, as JSON.
func (v mapView) Corners() string { return asText(v.Edit.Polygon, len(v.Edit.Polygon) > 0) }

// Notification is what the fence that is edited sends, as JSON.
func (v mapView) Notification() string {
	if len(v.Edit.Notification) == 0 {
		return `{"title": "Welcome", "class": "marketing"}`
	}
	return asText(v.Edit.Notification, true)
}

// Schedule is when the fence that is edited is in force, as JSON.
func (v mapView) Schedule() string { return asText(v.Edit.Schedule, len(v.Edit.Schedule) > 0) }

func asText(value any, there bool) string {
	text, err := json.MarshalIndent(value, "", "  ")
	if !there || err != nil {
		return ""
	}
	return string(text)
}

// Do is a button about one fence.
func (v mapView) Do(csrf, what, words, id string) button {
	b := v.Form(csrf, what)
	b.With, b.Words, b.Label = map[string]string{"id": id}, words, words+": "+id
	return b
}

// Form is the form of a fence.
func (v mapView) Form(csrf, what string) button {
	return button{App: v.App, CSRF: csrf, What: what, Back: within("/map", v.App)}
}

// fenceBody is a fence as it was typed.
func fenceBody(f url.Values) map[string]any {
	body := map[string]any{
		"name": f.Get("name"), "on": listOf(f["on"]), "notification": jsonOf(f.Get("notification")),
		"dwell_seconds": number(orZero(f.Get("dwell_seconds"))), "cooldown_seconds": number(orZero(f.Get("cooldown_seconds"))),
	}
	if text := strings.TrimSpace(f.Get("polygon")); text != "" {
		body["polygon"] = jsonOf(text)
	} else {
		body["circle"] = map[string]any{"lat": decimals(f.Get("lat")), "lon": decimals(f.Get("lon")), "radius_m": decimals(f.Get("radius_m"))}
	}
	if text := strings.TrimSpace(f.Get("schedule")); text != "" {
		body["schedule"] = jsonOf(text)
	}
	if text := strings.TrimSpace(f.Get("max_accuracy_m")); text != "" {
		body["max_accuracy_m"] = decimals(text)
	}
	return body
}

func orZero(text string) string {
	if strings.TrimSpace(text) == "" {
		return "0"
	}
	return text
}
