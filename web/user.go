package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"
)

// mostOfUser is how many devices of a user are looked at one by one.
const mostOfUser = 20

// userDevice is a device of a user with what is known of it besides.
type userDevice struct {
	device
	State deviceState
}

// wishes are what a user has said.
type wishes struct {
	Timezone   string `json:"timezone"`
	QuietHours *struct {
		From   string `json:"from"`
		To     string `json:"to"`
		Action string `json:"action"`
	} `json:"quiet_hours"`
}

// erasure is the work of erasing a user, as the API tells of it.
type erasure struct {
	State   string    `json:"state"`
	AskedAt time.Time `json:"asked_at"`
	EndedAt time.Time `json:"ended_at"`
	Stores  []struct {
		Store string `json:"store"`
		Found int    `json:"found"`
		Left  int    `json:"left"`
	} `json:"stores"`
}

type userView struct {
	listing
	ID      string
	List    []userDevice
	More    bool // there are more devices than are shown
	Wishes  *wishes
	Erasure *erasure
}

// Title is the user's own.
func (v userView) Title() string { return v.ID }

// Moves says that the page moves by itself.
func (userView) Moves() {}

// Online tells whether a device of the user is connected.
func (v userView) Online() bool {
	for _, d := range v.List {
		if d.State.Online {
			return true
		}
	}
	return false
}

// LastSeen is when any device of the user was seen last.
func (v userView) LastSeen() time.Time {
	var last time.Time
	for _, d := range v.List {
		if d.State.LastSeen.After(last) {
			last = d.State.LastSeen
		}
	}
	return last
}

// Erase is the button that erases the user.
func (v userView) Erase(csrf string) button {
	return button{App: v.App, CSRF: csrf, What: "user.erase", With: map[string]string{"id": v.ID}, Back: userPath(v.App, v.ID), Words: "Erase " + v.ID}
}

// userPath is the page of a user.
func userPath(app, user string) string { return within("/users/"+url.PathEscape(user), app) }

// user serves /users/{user}: a person's devices, what waits for them, and
// erasing them.
func (s *site) user(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := userView{listing: list(r, v.app, sess.roles.In(v.app), "/devices", "after"), ID: r.PathValue("user")}
	var answer struct {
		Devices []device `json:"devices"`
		Next    string   `json:"next"`
	}
	query := url.Values{"user": {page.ID}, "limit": {"20"}}
	if err := s.get(r, sess, v.app, apiPath(query, "devices"), &answer); err != nil {
		return err
	}
	page.More = answer.Next != ""
	for _, d := range answer.Devices[:min(len(answer.Devices), mostOfUser)] {
		of := userDevice{device: d}
		if err := s.get(r, sess, v.app, apiPath(nil, "devices", d.ID, "state"), &of.State); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		page.List = append(page.List, of)
	}
	if err := s.known(r, sess, v.app, apiPath(nil, "users", page.ID), &page.Wishes); err != nil {
		return err
	}
	if page.Admin() {
		if err := s.known(r, sess, v.app, verb(apiPath(nil, "users", page.ID), "erase"), &page.Erasure); err != nil {
			return err
		}
	}
	if len(page.List) == 0 && page.Wishes == nil && page.Erasure == nil {
		return ErrNotFound
	}
	s.render(w, r, sess, http.StatusOK, "user", page)
	return nil
}

// known is get for what need not be there.
func (s *site) known(r *http.Request, sess *session, app, path string, out any) error {
	if err := s.get(r, sess, app, path, out); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
