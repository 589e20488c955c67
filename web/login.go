package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// loginForm is what login.html shows.
type loginForm struct {
	Next  string
	Fault string
	SSO   string // what people sign in with besides a key; "" for nothing
}

func (s *site) loginForm(next, fault string) loginForm {
	f := loginForm{Next: next, Fault: fault}
	if s.sso != nil {
		f.SSO = s.sso.cfg.Name
	}
	return f
}

// loginPage serves the form, or signs in whoever comes with a one-time link.
// Somebody who is signed in already spends nothing by following a link again.
func (s *site) loginPage(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	sess := s.sessions.read(r)
	if sess != nil && sess.Name != "" {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	form := s.loginForm(next, "")
	if token := r.URL.Query().Get("token"); token != "" && r.Method == http.MethodGet {
		who, err := s.Login.Link(r.Context(), token)
		if err == nil {
			s.welcome(w, r, who, "link", next)
			return
		}
		form.Fault = s.refusal(r, err, "This link was used or is too old. A new one is printed when herald starts.")
	}
	if sess == nil {
		sess = s.sessions.start(w, Identity{})
	}
	s.render(w, r, sess, http.StatusOK, "login", form)
}

// login serves the form's answer: an API key.
func (s *site) login(w http.ResponseWriter, r *http.Request) {
	sess := s.sessions.read(r)
	if sess == nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	if !sess.allows(w, r) {
		s.fail(w, r, sess, errForged)
		return
	}
	next := localPath(r.PostFormValue("next"))
	who, err := s.Login.Key(r.Context(), strings.TrimSpace(r.PostFormValue("key")))
	if err != nil {
		fault := s.refusal(r, err, "This key is not known or may not read.")
		s.render(w, r, sess, http.StatusForbidden, "login", s.loginForm(next, fault))
		return
	}
	s.welcome(w, r, who, "key", next)
}

// refusal logs why a login failed and says it in words that help.
func (s *site) refusal(r *http.Request, err error, denied string) string {
	if errors.Is(err, ErrDenied) {
		s.Log.WarnContext(r.Context(), "login refused", "from", r.RemoteAddr)
		return denied
	}
	s.Log.ErrorContext(r.Context(), "login failed", "err", err)
	return "The store does not answer. Try again in a moment."
}

func (s *site) welcome(w http.ResponseWriter, r *http.Request, who Identity, by, next string) {
	if who.Name == "" {
		who.Name = "operator"
	}
	if s.Visits != nil {
		if err := s.Visits.Came(r.Context(), who, by, peer(r)); err != nil {
			s.Log.ErrorContext(r.Context(), "login failed: it cannot be written down", "who", who.Name, "err", err)
			s.loginAgain(w, r, http.StatusServiceUnavailable, "The store does not answer. Try again in a moment.")
			return
		}
	}
	s.sessions.start(w, who)
	s.Log.InfoContext(r.Context(), "signed in", "who", who.Name, "by", by, "from", r.RemoteAddr)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *site) logout(w http.ResponseWriter, r *http.Request, sess *session) error {
	if s.Visits != nil {
		if err := s.Visits.Left(r.Context(), sess.Identity, sess.ID, time.Unix(sess.Expires, 0), peer(r)); err != nil {
			return fmt.Errorf("web: sign out: %w", err)
		}
	}
	s.sessions.end(w, sess)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// localPath keeps a redirect on this site: a path that browsers could read as
// another host ("//evil", "/\evil") becomes "/".
func localPath(p string) string {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\r\n\t") || strings.HasPrefix(p, "/login") {
		return "/"
	}
	return p
}
