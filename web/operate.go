package web

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// routeOperate serves the pages of operators and admins, which ask the API for
// all that they show, and POST /act, which asks it for what they change.
func (s *site) routeOperate(mux *http.ServeMux) {
	mux.Handle("GET /devices", s.private(s.devices))
	mux.Handle("GET /devices/{device}", s.private(s.install))
	mux.Handle("GET /users/{user}", s.private(s.user))
	mux.Handle("GET /queues", s.private(s.queues))
	mux.Handle("GET /queues/{queue}/tasks/{task}", s.private(s.task))
	mux.Handle("GET /live", s.private(s.live))
	mux.Handle("GET /services", s.private(s.services))
	mux.Handle("GET /services/{service}", s.private(s.service))
	mux.Handle("GET /map", s.private(s.maps))
	mux.Handle("GET /audit", s.private(s.audit))
	mux.Handle("GET /settings", s.private(s.settings))
	mux.Handle("GET /settings/webhooks/{webhook}", s.private(s.hook))
	mux.Handle("POST /apps", s.private(s.createApp))
	mux.Handle("POST /act", s.private(s.change))
}

// progress is a notification as the API tells of it.
type progress struct {
	ID         string            `json:"id"`
	State      string            `json:"state"`
	Class      string            `json:"class"`
	AcceptedAt time.Time         `json:"accepted_at"`
	Audience   uint64            `json:"audience"`
	Counts     Counts            `json:"counts"`
	Outcomes   map[string]uint64 `json:"outcomes"`
}

// Begun and Of are as in [notificationView].
func (p progress) Begun() uint64 {
	c := p.Counts
	return min(p.Of(), c.Accepted+c.Failed+c.Unknown+c.Expired+c.Cancelled+c.Suppressed)
}

// Of is described at Begun.
func (p progress) Of() uint64 { return max(p.Audience, p.Counts.Deliveries) }

type notificationsView struct {
	listing
	List            []progress
	Classes, States []string
	Command         string
}

// Moves says that the page moves by itself.
func (notificationsView) Moves() {}

// notifications serves /notifications: the list, and the search.
func (s *site) notifications(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := notificationsView{
		listing: list(r, v.app, sess.roles.In(v.app), "/notifications", "before", "id", "class", "state", "device", "user", "since", "until"),
		Classes: []string{"otp", "transactional", "chat", "call", "marketing"},
		States:  []string{"scheduled", "queued", "sending", "paused", "done", "cancelled"},
		Command: s.Command,
	}
	var answer struct {
		Notifications []progress `json:"notifications"`
		Next          string     `json:"next"`
	}
	file, limit := wantsFile(r)
	q := page.asked(limit)
	for _, key := range []string{"since", "until"} { // a browser's field has neither seconds nor zone
		if t, err := time.Parse("2006-01-02T15:04", q.Get(key)); err == nil {
			q.Set(key, t.Format(time.RFC3339))
		}
	}
	if err := page.refuse(s.get(r, sess, v.app, apiPath(q, "notifications"), &answer)); err != nil {
		return err
	}
	page.List, page.Next = answer.Notifications, answer.Next
	if file {
		t := table{Heads: []string{"id", "class", "state", "accepted_at", "audience", "deliveries", "accepted", "delivered", "displayed", "clicked", "failed", "expired", "cancelled", "suppressed", "waiting"}}
		for _, n := range page.List {
			c := n.Counts
			t.Rows = append(t.Rows, []any{n.ID, n.Class, n.State, n.AcceptedAt, n.Of(), c.Deliveries, c.Accepted, c.Delivered, c.Displayed, c.Clicked, c.Failed, c.Expired, c.Cancelled, c.Suppressed, c.Waiting()})
		}
		return writeFile(w, "notifications", t)
	}
	s.render(w, r, sess, http.StatusOK, "notifications", page)
	return nil
}

// device is a device as the API tells of it.
type device struct {
	ID         string    `json:"id"`
	User       string    `json:"user"`
	Platform   string    `json:"platform"`
	Maker      string    `json:"maker"`
	Model      string    `json:"model"`
	OS         string    `json:"os"`
	AppVersion string    `json:"app_version"`
	Country    string    `json:"country"`
	Carrier    string    `json:"carrier"`
	Locale     string    `json:"locale"`
	Timezone   string    `json:"timezone"`
	Tags       []string  `json:"tags"`
	Addresses  []address `json:"addresses"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// address is where a provider finds a device. Only the end of its token is
// shown: with the whole one could be written to.
type address struct {
	Provider    string `json:"provider"`
	Token       string `json:"token"`
	Topic       string `json:"topic"`
	Environment string `json:"environment"`
}

// Short is how people tell tokens apart.
func (a address) Short() string {
	if runes := []rune(a.Token); len(runes) > 10 {
		return "…" + string(runes[len(runes)-6:])
	}
	return "…" + a.Token[max(0, len(a.Token)-3):]
}

// Roads names the providers of a device's addresses.
func (d device) Roads() string {
	var names []string
	for _, a := range d.Addresses {
		names = append(names, a.Provider)
	}
	return strings.Join(names, ", ")
}

type devicesView struct {
	listing
	List []device
}

// devices serves /devices: the list, and the search by id or user.
func (s *site) devices(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := devicesView{listing: list(r, v.app, sess.roles.In(v.app), "/devices", "after", "prefix", "user")}
	var answer struct {
		Devices []device `json:"devices"`
		Next    string   `json:"next"`
	}
	file, limit := wantsFile(r)
	if err := page.refuse(s.get(r, sess, v.app, apiPath(page.asked(limit), "devices"), &answer)); err != nil {
		return err
	}
	page.List, page.Next = answer.Devices, answer.Next
	if file {
		t := table{Heads: []string{"id", "user", "platform", "maker", "model", "os", "app_version", "country", "roads", "updated_at"}}
		for _, d := range page.List {
			t.Rows = append(t.Rows, []any{d.ID, d.User, d.Platform, d.Maker, d.Model, d.OS, d.AppVersion, d.Country, d.Roads(), d.UpdatedAt})
		}
		return writeFile(w, "devices", t)
	}
	s.render(w, r, sess, http.StatusOK, "devices", page)
	return nil
}

// deviceState is what the API knows of a device beyond its registration.
type deviceState struct {
	Online   bool      `json:"online"`
	LastSeen time.Time `json:"last_seen"`
	Roads    []struct {
		Provider  string    `json:"provider"`
		Attempts  uint64    `json:"attempts"`
		Delivered uint64    `json:"delivered"`
		Failed    uint64    `json:"failed"`
		P50       float64   `json:"p50_ms"`
		LastTried time.Time `json:"last_tried"`
		LastProof time.Time `json:"last_proof"`
		LastError string    `json:"last_error"`
	} `json:"roads"`
	Ranked []struct {
		Provider string `json:"provider"`
		Why      string `json:"why"`
		Skipped  string `json:"skipped"`
	} `json:"ranked"`
	Inbox []struct {
		Delivery  string    `json:"delivery"`
		Bytes     int64     `json:"bytes"`
		SentAt    time.Time `json:"sent_at"`
		ExpiresAt time.Time `json:"expires_at"`
	} `json:"inbox"`
	Recent []struct {
		Notification string    `json:"notification"`
		Class        string    `json:"class"`
		Stage        string    `json:"stage"`
		Provider     string    `json:"provider"`
		AcceptedAt   time.Time `json:"accepted_at"`
	} `json:"recent"`
}

type installView struct {
	listing
	Device device
	State  deviceState
}

// Title is the device's own.
func (v installView) Title() string { return v.Device.ID }

// Moves says that the page moves by itself.
func (installView) Moves() {}

// Health says in words how an address fares.
func (v installView) Health(provider string) (words string) {
	for _, r := range v.State.Roads {
		if r.Provider != provider {
			continue
		}
		switch {
		case r.Delivered > 0 && r.Failed == 0:
			return "good"
		case r.Delivered > 0:
			return "some failures"
		case r.Failed > 0:
			return "failing"
		default:
			return "no proof yet"
		}
	}
	return "not tried"
}

// Dot is the mark of a health.
func (v installView) Dot(health string) string {
	switch health {
	case "good":
		return "good"
	case "failing":
		return "bad"
	case "some failures":
		return "warn"
	default:
		return ""
	}
}

func (s *site) install(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	id := r.PathValue("device")
	page := installView{listing: list(r, v.app, sess.roles.In(v.app), "/devices", "after")}
	if err := s.get(r, sess, v.app, apiPath(nil, "devices", id), &page.Device); err != nil {
		return err
	}
	if err := s.get(r, sess, v.app, apiPath(nil, "devices", id, "state"), &page.State); err != nil {
		return err
	}
	s.render(w, r, sess, http.StatusOK, "install", page)
	return nil
}

// errNoAct is a form that asks for nothing we know.
var errNoAct = errors.New("web: no such change")
