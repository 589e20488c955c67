package web

import (
	"fmt"
	"net/http"
	"time"
)

// chatView is what chat.html shows.
type chatView struct {
	App, User string
	Apps      []App
	May       bool // whether this session may speak for a user
}

// chatPage serves /demo/chat, a page in which a user of an app talks to others.
func (s *site) chatPage(w http.ResponseWriter, r *http.Request, sess *session) error {
	if !s.playable() {
		return ErrNotFound
	}
	v, apps, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	user := r.URL.Query().Get("user")
	if user == "" {
		user = "ann"
	}
	if !deviceName.MatchString(user) {
		return ErrNotFound
	}
	s.render(w, r, sess, http.StatusOK, "chat", chatView{App: v.app, User: user, Apps: apps, May: sess.may(v.app, Admin)})
	return nil
}

// connectUser serves POST /demo/chat?app=&user=: it registers a device for the
// user and answers a fresh token, good for the connection and the API alike.
func (s *site) connectUser(w http.ResponseWriter, r *http.Request, sess *session) error {
	user := r.URL.Query().Get("user")
	return s.connect(w, r, sess, user, "chat-"+user)
}

// connect registers a device, of a user if one is named, and answers all it
// needs to connect.
func (s *site) connect(w http.ResponseWriter, r *http.Request, sess *session, user, device string) error {
	if !s.playable() {
		return ErrNotFound
	}
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Admin); err != nil {
		return err
	}
	if !deviceName.MatchString(device) {
		return ErrNotFound
	}
	if err := s.Devices.Register(r.Context(), v.app, user, device); err != nil {
		return fmt.Errorf("web: register device %s: %w", device, err)
	}
	token, expires, err := s.Tokens.Mint(r.Context(), v.app, device)
	if err != nil {
		return fmt.Errorf("web: mint token of device %s: %w", device, err)
	}
	return writeJSON(w, connection{s.WebSocket, device, v.app + "/" + device, token, expires})
}

// connection is all a device needs to connect.
type connection struct {
	URL       string    `json:"url"`
	ClientID  string    `json:"client_id"`
	Username  string    `json:"username"`
	Password  string    `json:"password"`
	ExpiresAt time.Time `json:"expires_at"`
}
