package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/herald-push/herald/push"
)

// caller is who asks, once their key or token was found good.
type caller struct {
	app    string
	key    string // its id; "" for a device
	scopes []Scope
	device string // set when a device asks with its own token

	who, via, from string // as the audit writes them down; from is "" for the request's own
	house          bool   // may touch what all apps share
}

// viaKey is how a caller with an API key came in.
const viaKey = "key"

const (
	authTTL  = 10 * time.Second // how long a revoked key may still work elsewhere
	authMost = 10_000
)

// keyed guards a handler: the bearer's key must have the scope, or one of the
// others that will do, and its app must be within its rate. The handler's context ends with the request's time.
func (s *Server) keyed(scope Scope, h handler, or ...Scope) echo.HandlerFunc {
	return func(c echo.Context) error {
		return s.within(c, func(ctx context.Context) error {
			who, err := s.admit(ctx, c, scope, or...)
			if err != nil {
				return err
			}
			return h(c, who)
		})
	}
}

// unhurried is keyed for an answer that takes as long as there is to tell: only
// who asks is found out in the request's time.
func (s *Server) unhurried(scope Scope, h handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout)
		defer cancel()
		who, err := s.admit(ctx, c, scope)
		if err != nil {
			return err
		}
		return h(c, who)
	}
}

// admit finds who asks, if their key has one of the scopes and their app is
// within its rate.
func (s *Server) admit(ctx context.Context, c echo.Context, scope Scope, or ...Scope) (caller, error) {
	who, err := s.callerOf(ctx, bearer(c.Request()))
	if err != nil {
		return caller{}, err
	}
	if !slices.ContainsFunc(append(or, scope), func(s Scope) bool { return allows(who.scopes, s) }) {
		return caller{}, &refusal{
			status: http.StatusForbidden, code: "forbidden", detail: "the key lacks the scope " + string(scope),
			challenge: `Bearer realm="herald", error="insufficient_scope", scope="` + string(scope) + `"`,
		}
	}
	return who, s.charge(who.app, 1)
}

// within gives a request its time: a store that hangs becomes a 503.
func (s *Server) within(c echo.Context, h func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout)
	defer cancel()
	c.SetRequest(c.Request().WithContext(ctx))
	return h(ctx)
}

// bearer returns the credentials of the Authorization header, "" without.
func bearer(r *http.Request) string {
	scheme, rest, _ := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(rest)
}

// callerOf finds whose key it is. Every wrong key looks the same from outside.
func (s *Server) callerOf(ctx context.Context, text string) (caller, error) {
	if who, ok := actor(ctx); ok {
		return who, nil
	}
	if text == "" {
		return caller{}, &refusal{
			status: http.StatusUnauthorized, code: "unauthorized",
			detail: "an API key is needed: Authorization: Bearer hk_…", challenge: `Bearer realm="herald"`,
		}
	}
	id, ok := keyID(text)
	if !ok {
		return caller{}, errWrongKey()
	}
	hash := sha256.Sum256([]byte(text))
	who, err := s.callers.get(hash, func() (caller, error) {
		k, err := s.parts.Keys.Key(ctx, id)
		if err != nil {
			return caller{}, err
		}
		if subtle.ConstantTimeCompare(k.Hash[:], hash[:]) != 1 {
			return caller{}, push.ErrNotFound
		}
		house := k.App == s.cfg.HouseApp && allows(k.Scopes, ScopeAdmin)
		return caller{app: k.App, key: k.ID, scopes: k.Scopes, who: "key " + k.ID, via: viaKey, house: house}, nil
	})
	if errors.Is(err, push.ErrNotFound) {
		return caller{}, errWrongKey()
	}
	return who, err
}

func errWrongKey() error {
	return &refusal{
		status: http.StatusUnauthorized, code: "unauthorized", detail: "the key or token is wrong, expired or revoked",
		challenge: `Bearer realm="herald", error="invalid_token"`,
	}
}

// reporter finds who reports receipts: a device by its token, or a key with
// the scope device.
func (s *Server) reporter(ctx context.Context, r *http.Request) (caller, error) {
	who, err := s.holder(ctx, r)
	if err == nil && who.device == "" && !allows(who.scopes, ScopeDevice) {
		err = &refusal{status: http.StatusForbidden, code: "forbidden", detail: "the key lacks the scope device"}
	}
	return who, err
}

// holder finds whose key or device token came with a request.
func (s *Server) holder(ctx context.Context, r *http.Request) (caller, error) {
	text := bearer(r)
	if text == "" || strings.HasPrefix(text, keyPrefix) {
		return s.callerOf(ctx, text)
	}
	app, device, err := s.parts.Tokens.Verify(ctx, text)
	if errors.Is(err, push.ErrAway) || ctx.Err() != nil {
		return caller{}, err
	}
	if err != nil {
		return caller{}, errWrongKey()
	}
	return caller{app: app, device: device}, nil
}

// charge takes n from the app's rate, or says when to come again.
func (s *Server) charge(app string, n int) error {
	if s.cfg.Rate <= 0 {
		return nil
	}
	now := s.parts.Now()
	r := s.limiter(app).ReserveN(now, n)
	if !r.OK() {
		return &refusal{status: http.StatusTooManyRequests, code: "rate_limited", detail: "more at once than this app's rate ever allows", retryAfter: time.Minute}
	}
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return &refusal{status: http.StatusTooManyRequests, code: "rate_limited", detail: "this app sends faster than it may", retryAfter: wait}
	}
	return nil
}

func (s *Server) limiter(app string) *rate.Limiter {
	s.limits.Lock()
	defer s.limits.Unlock()
	l, ok := s.limits.of[app]
	if !ok {
		l = rate.NewLimiter(rate.Limit(s.cfg.Rate), s.cfg.Burst)
		s.limits.of[app] = l
	}
	return l
}

// ownApp lets a key see no app but its own; other apps are not there at all.
func ownApp(c echo.Context, who caller) error {
	if c.Param("app") != who.app {
		return notFound("app")
	}
	return nil
}
