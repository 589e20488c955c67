package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDC lets people in through an OpenID Connect provider: authorization code
// flow with PKCE. What they may do is not the provider's to say but
// [Login.Roles]', by their e-mail address.
type OIDC struct {
	Issuer       string // such as "https://accounts.example.com"
	ClientID     string
	ClientSecret string // may be empty for a public client
	// Redirect is our address behind /login/oidc/callback, as it is registered
	// there: "https://push.example.com/login/oidc/callback".
	Redirect string
	Name     string       // what the button says; default: the issuer's host
	Client   *http.Client // default: one with a timeout of 10 s
}

// validate names every fault.
func (c *OIDC) validate() error {
	var errs []error
	for field, value := range map[string]string{"issuer": c.Issuer, "redirect": c.Redirect} {
		if u, err := url.Parse(value); err != nil || u.Host == "" {
			errs = append(errs, fmt.Errorf("web.oidc.%s: is not an address", field))
		}
	}
	if c.ClientID == "" {
		errs = append(errs, errors.New("web.oidc.client_id: is missing"))
	}
	return errors.Join(errs...)
}

// flowLife is how long somebody may take to sign in at the provider.
const flowLife = 10 * time.Minute

// flow is a sign-in under way. It is kept in the cookie of the session before
// login, so that only the browser that began it can end it.
type flow struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
	Next     string `json:"x"`
	Expires  int64  `json:"e"`
}

// sso asks the provider about itself when it is first needed, and again after
// that has failed: a provider that is away stops no one else.
type sso struct {
	cfg OIDC
	now func() time.Time

	mu       sync.Mutex
	provider *oidc.Provider
}

func newSSO(c OIDC, now func() time.Time) *sso {
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if u, err := url.Parse(c.Issuer); c.Name == "" && err == nil {
		c.Name = u.Host
	}
	return &sso{cfg: c, now: now}
}

func (o *sso) discover(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		// The provider fetches keys later on by this context: it must not end
		// with the request.
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), o.cfg.Client), o.cfg.Issuer)
		if err != nil {
			return nil, fmt.Errorf("web: discover %s: %w", o.cfg.Issuer, err)
		}
		o.provider = p
	}
	return o.provider, nil
}

func (o *sso) oauth(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: o.cfg.ClientID, ClientSecret: o.cfg.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: o.cfg.Redirect, Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
}

// begin returns where the browser goes, and what it must bring back.
func (o *sso) begin(ctx context.Context, next string) (string, *flow, error) {
	p, err := o.discover(ctx)
	if err != nil {
		return "", nil, err
	}
	f := &flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next, Expires: o.now().Add(flowLife).Unix()}
	return o.oauth(p).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), f, nil
}

// finish turns what the browser brought back into somebody. A stranger, a
// forged answer and one that is too late are [ErrDenied].
func (o *sso) finish(ctx context.Context, f *flow, q url.Values) (Identity, error) {
	switch {
	case f == nil || o.now().Unix() >= f.Expires:
		return Identity{}, fmt.Errorf("%w: no sign-in is under way in this browser", ErrDenied)
	case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.State)) != 1:
		return Identity{}, fmt.Errorf("%w: the answer belongs to another sign-in", ErrDenied)
	case q.Get("error") != "":
		return Identity{}, fmt.Errorf("%w: the provider says %.60q", ErrDenied, q.Get("error"))
	}
	p, err := o.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, o.cfg.Client)
	token, err := o.oauth(p).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		if errors.As(err, new(*oauth2.RetrieveError)) {
			return Identity{}, fmt.Errorf("%w: the provider refused the code", ErrDenied)
		}
		return Identity{}, fmt.Errorf("web: exchange code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: o.cfg.ClientID, Now: o.now}).Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: the id token does not hold: %w", ErrDenied, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return Identity{}, fmt.Errorf("%w: the id token belongs to another sign-in", ErrDenied)
	}
	var claims struct {
		Email    string `json:"email"`
		Verified *bool  `json:"email_verified"`
	}
	if err := id.Claims(&claims); err != nil || claims.Email == "" {
		return Identity{}, fmt.Errorf("%w: the provider names no e-mail address", ErrDenied)
	}
	// An address that nobody has verified may be anybody's.
	if claims.Verified != nil && !*claims.Verified {
		return Identity{}, fmt.Errorf("%w: the e-mail address is not verified", ErrDenied)
	}
	email := strings.ToLower(claims.Email)
	return Identity{Kind: "person", Subject: email, Name: email}, nil
}

// beginOIDC serves GET /login/oidc: off to the provider.
func (s *site) beginOIDC(w http.ResponseWriter, r *http.Request) {
	if s.sso == nil {
		http.NotFound(w, r)
		return
	}
	to, f, err := s.sso.begin(r.Context(), localPath(r.URL.Query().Get("next")))
	if err != nil {
		s.Log.ErrorContext(r.Context(), "sign-in cannot begin", "err", err)
		s.loginAgain(w, r, http.StatusBadGateway, "The sign-in service does not answer. Try again in a moment, or use a key.")
		return
	}
	s.sessions.begin(w, f)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// endOIDC serves GET /login/oidc/callback: back from the provider.
func (s *site) endOIDC(w http.ResponseWriter, r *http.Request) {
	if s.sso == nil {
		http.NotFound(w, r)
		return
	}
	var f *flow
	if sess := s.sessions.read(r); sess != nil {
		f = sess.Flow
	}
	who, err := s.sso.finish(r.Context(), f, r.URL.Query())
	if errors.Is(err, ErrDenied) {
		s.Log.WarnContext(r.Context(), "login refused", "from", r.RemoteAddr, "err", err)
		s.loginAgain(w, r, http.StatusForbidden, "You were not signed in. Try once more; if it stays so, ask an admin.")
		return
	}
	if err != nil {
		s.Log.ErrorContext(r.Context(), "login failed", "err", err)
		s.loginAgain(w, r, http.StatusBadGateway, "The sign-in service does not answer. Try again in a moment, or use a key.")
		return
	}
	roles, err := s.Login.Roles(r.Context(), who)
	if err != nil || roles.Most() == Nobody {
		s.Log.WarnContext(r.Context(), "login refused: no member of any app", "who", who.Name, "err", err)
		s.loginAgain(w, r, http.StatusForbidden, who.Name+" is no member of any app. An admin can add you under Settings, Members.")
		return
	}
	s.welcome(w, r, who, "oidc", f.Next)
}

// loginAgain shows the form with a reason, in a session of its own.
func (s *site) loginAgain(w http.ResponseWriter, r *http.Request, code int, fault string) {
	s.render(w, r, s.sessions.start(w, Identity{}), code, "login", s.loginForm("/", fault))
}
