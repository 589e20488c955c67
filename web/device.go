package web

import (
	"net/http"
	"regexp"
)

// deviceName is what a page may call itself: the characters that a device id
// may have everywhere, in MQTT client ids and in Redis keys.
var deviceName = regexp.MustCompile(`^[A-Za-z0-9_:-]{1,64}$`)

// deviceView is what device.html shows.
type deviceView struct {
	App, Device string
	Apps        []App
	May         bool // whether this session may play a device
}

// devicePage serves /demo/device, a page that is a device.
func (s *site) devicePage(w http.ResponseWriter, r *http.Request, sess *session) error {
	if !s.playable() {
		return ErrNotFound
	}
	v, apps, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	device := r.URL.Query().Get("device")
	if device == "" {
		device = "browser-1"
	}
	if !deviceName.MatchString(device) {
		return ErrNotFound
	}
	s.render(w, r, sess, http.StatusOK, "device", deviceView{App: v.app, Device: device, Apps: apps, May: sess.may(v.app, Admin)})
	return nil
}

// connectDevice serves POST /demo/device?app=&device=: it registers the device
// and answers a fresh token. The module asks again before the token expires.
func (s *site) connectDevice(w http.ResponseWriter, r *http.Request, sess *session) error {
	return s.connect(w, r, sess, "", r.URL.Query().Get("device"))
}
