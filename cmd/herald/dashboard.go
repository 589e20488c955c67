package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// DashboardConfig says who may see the pages besides those with a key.
type DashboardConfig struct {
	// OIDC lets people sign in. What they may is their role in the app, by their
	// e-mail address.
	OIDC OIDCConfig `yaml:"oidc"`
	// Admins are the addresses of those who are admin of every app: the first
	// ones, who make others members.
	Admins []string `yaml:"admins"`
}

// OIDCConfig names an OpenID Connect provider. Without an issuer nobody signs in
// so. The address of return to register there is public_url with
// /login/oidc/callback behind it.
type OIDCConfig struct {
	Issuer       string `yaml:"issuer"`
	ClientID     string `yaml:"client_id"`
	ClientSecret string `yaml:"client_secret"`
	// ClientSecretFile is read instead, so that the secret stands in no
	// configuration.
	ClientSecretFile string `yaml:"client_secret_file"`
	Name             string `yaml:"name"` // what the button says; default: the issuer's host
}

// Validate reports every fault at once.
func (c DashboardConfig) Validate() error {
	var errs []error
	if u, err := url.Parse(c.OIDC.Issuer); c.OIDC.Issuer != "" && (err != nil || u.Host == "") {
		errs = append(errs, fmt.Errorf("dashboard.oidc.issuer: %q is not an https:// address", c.OIDC.Issuer))
	}
	if c.OIDC.Issuer != "" && c.OIDC.ClientID == "" {
		errs = append(errs, errors.New("dashboard.oidc.client_id: missing"))
	}
	if c.OIDC.ClientSecret != "" && c.OIDC.ClientSecretFile != "" {
		errs = append(errs, errors.New("dashboard.oidc: give one of client_secret and client_secret_file"))
	}
	for i, a := range c.Admins {
		if !strings.Contains(a, "@") {
			errs = append(errs, fmt.Errorf("dashboard.admins[%d]: %q is no e-mail address", i, a))
		}
	}
	return errors.Join(errs...)
}

// open makes what the pages need of it; nil where nobody signs in so.
func (c OIDCConfig) open(publicURL string) (*web.OIDC, error) {
	if c.Issuer == "" {
		return nil, nil
	}
	if publicURL == "" {
		return nil, errors.New("public_url: missing; dashboard.oidc needs it as the address of return")
	}
	secret := c.ClientSecret
	if c.ClientSecretFile != "" {
		text, err := os.ReadFile(c.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("dashboard.oidc.client_secret_file: %w", err)
		}
		secret = strings.TrimSpace(string(text))
	}
	return &web.OIDC{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: secret, Name: c.Name,
		Redirect: strings.TrimSuffix(publicURL, "/") + "/login/oidc/callback",
		Client:   &http.Client{Timeout: 10 * time.Second},
	}, nil
}

// login lets people in by an API key, by the link that `herald dev` prints, or
// by their membership.
type login struct {
	store  *sqlstore.Store
	token  string
	admins []string
}

// Link implements [web.Login]. The link of `herald dev` is good while it runs.
func (l login) Link(_ context.Context, token string) (web.Identity, error) {
	if l.token == "" || !sameSecret(l.token, token) {
		return web.Identity{}, web.ErrDenied
	}
	return web.Identity{Kind: "link", Name: "operator"}, nil
}

// Key implements [web.Login].
func (l login) Key(ctx context.Context, text string) (web.Identity, error) {
	app, scopes, err := l.store.FindKey(ctx, text)
	if errors.Is(err, push.ErrNotFound) {
		return web.Identity{}, web.ErrDenied
	}
	if err != nil {
		return web.Identity{}, pageError(err)
	}
	if roleOf(scopes) == web.Nobody {
		return web.Identity{}, web.ErrDenied
	}
	_, rest, _ := strings.Cut(text, "_")
	id, _, _ := strings.Cut(rest, "_")
	return web.Identity{Kind: "key", Subject: id, Name: "key " + id + " of " + app}, nil
}

// Roles implements [web.Login].
func (l login) Roles(ctx context.Context, who web.Identity) (web.Roles, error) {
	switch who.Kind {
	case "link":
		if l.token == "" { // a session of herald dev, with the same sealing key
			return nil, nil
		}
		return web.Roles{web.AllApps: web.Admin}, nil
	case "key":
		key, err := l.store.Key(ctx, who.Subject)
		if errors.Is(err, push.ErrNotFound) {
			return nil, nil // revoked
		}
		if err != nil {
			return nil, pageError(err)
		}
		return web.Roles{key.App: roleOf(key.Scopes)}, nil
	case "person":
		return l.person(ctx, who.Subject)
	default:
		return nil, nil
	}
}

func (l login) person(ctx context.Context, email string) (web.Roles, error) {
	of, err := l.store.MemberOf(ctx, email)
	if err != nil {
		return nil, pageError(err)
	}
	roles := web.Roles{}
	for _, m := range of {
		roles[m.App] = web.RoleNamed(m.Role)
	}
	if slices.ContainsFunc(l.admins, func(a string) bool { return strings.EqualFold(a, email) }) {
		roles[web.AllApps] = web.Admin
	}
	return roles, nil
}

// roleOf is what a key's scopes mean on the pages.
func roleOf(scopes []string) web.Role {
	for _, is := range []struct {
		scope api.Scope
		role  web.Role
	}{{api.ScopeAdmin, web.Admin}, {api.ScopeOperate, web.Operator}, {api.ScopeRead, web.Viewer}} {
		if slices.Contains(scopes, string(is.scope)) {
			return is.role
		}
	}
	return web.Nobody
}

// apiFor serves the API in the name of somebody on the pages.
func (h *house) apiFor(a web.Actor) http.Handler {
	server, ok := h.door.(*api.Server)
	if !ok {
		return http.NotFoundHandler()
	}
	return server.As(api.Actor{
		App: a.App, Scopes: scopesOf(a.Role), Who: a.Who.Name, Via: a.Who.Kind, From: a.From, House: a.House,
	})
}

// scopesOf is what a role on the pages may ask of the API.
func scopesOf(role web.Role) []api.Scope {
	switch role {
	case web.Admin:
		return []api.Scope{api.ScopeAdmin, api.ScopeOperate, api.ScopeRead}
	case web.Operator:
		return []api.Scope{api.ScopeOperate, api.ScopeRead}
	case web.Viewer, web.Analyst:
		return []api.Scope{api.ScopeRead}
	default:
		return nil
	}
}
