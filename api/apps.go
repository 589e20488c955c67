package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// appRequest is the body of PUT /v1/apps/{app}.
type appRequest struct {
	Name   string `json:"name"`
	Policy struct {
		SMSClasses []push.Class       `json:"sms_classes"`
		Timezone   string             `json:"timezone"`
		Locale     string             `json:"locale"`
		QuietHours *quietHoursRequest `json:"quiet_hours"`
		Caps       []capRequest       `json:"caps"`
		SMSBudget  int                `json:"sms_budget_micros_per_day"`
		Chat       chatPolicyRequest  `json:"chat"`
	} `json:"policy"`
}

// chatPolicyRequest is the part of an app's policy that is about chat.
type chatPolicyRequest struct {
	KeepDays   int    `json:"keep_days"`
	Unscreened string `json:"unscreened"`
}

func (r chatPolicyRequest) check(fs *faults) push.ChatPolicy {
	const century = 36_500
	if r.KeepDays < 0 || r.KeepDays > century {
		fs.addf("policy.chat.keep_days", "must be 0 to %d; 0 keeps messages for ever", century)
	}
	switch r.Unscreened {
	case "", push.PassUnscreened, push.RefuseUnscreened:
	default:
		fs.addf("policy.chat.unscreened", "%q is none of pass, refuse", shorten(r.Unscreened))
	}
	return push.ChatPolicy{KeepDays: r.KeepDays, Unscreened: r.Unscreened}
}

type keyRequest struct {
	Name   string  `json:"name"`
	Scopes []Scope `json:"scopes"`
}

// keyResponse shows a key; its text only when it was made just now.
type keyResponse struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Scopes    []Scope   `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	Key       string    `json:"key,omitempty"`
}

type keysResponse struct {
	Keys []keyResponse `json:"keys"`
}

var (
	appForm = newForm[appRequest]()
	keyForm = newForm[keyRequest]()
)

// app reads an app through the cache: what another process changes is seen
// after a moment.
func (s *Server) app(ctx context.Context, id string) (push.App, error) {
	return s.apps.get(id, func() (push.App, error) { return s.parts.Apps.App(ctx, id) })
}

// getApp serves GET /v1/apps/{app}.
func (s *Server) getApp(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	app, err := s.parts.Apps.App(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	app.Policy.SMSClasses = some(app.Policy.SMSClasses)
	return c.JSON(http.StatusOK, app)
}

// putApp serves PUT /v1/apps/{app}: name and policy are replaced whole.
func (s *Server) putApp(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	req, fs, err := read(c, maxSmall, appForm)
	if err != nil {
		return err
	}
	if req.Name == "" || !printable(req.Name, maxText) {
		fs.addf("name", "must be 1 to %d bytes without control characters", maxText)
	}
	for i, class := range req.Policy.SMSClasses {
		if !class.Known() {
			fs.addf(fmt.Sprintf("policy.sms_classes[%d]", i), "%q is none of otp, transactional, chat, call, marketing", shorten(string(class)))
		}
	}
	checkTimezone(&fs, "policy.timezone", req.Policy.Timezone)
	if l := req.Policy.Locale; l != "" && !spelled(l, 35, "") {
		fs.add("policy.locale", "must be a language tag of BCP 47, such as en-GB")
	}
	if req.Policy.SMSBudget < 0 {
		fs.add("policy.sms_budget_micros_per_day", "must not be negative; 0 is no bound")
	}
	policy := push.Policy{
		Locale:     req.Policy.Locale,
		SMSClasses: some(req.Policy.SMSClasses), Timezone: req.Policy.Timezone,
		QuietHours: req.Policy.QuietHours.check(&fs, "policy.quiet_hours", false),
		Caps:       checkCaps(&fs, req.Policy.Caps),
		SMSBudget:  int64(req.Policy.SMSBudget),
		Chat:       req.Policy.Chat.check(&fs),
	}
	if err := fs.err(); err != nil {
		return err
	}
	before, err := s.parts.Apps.App(c.Request().Context(), who.app)
	if err != nil && !errors.Is(err, push.ErrNotFound) {
		return err
	}
	policy.Selection = before.Policy.Selection // it has a path of its own
	app := push.App{ID: who.app, Name: req.Name, Policy: policy}
	if err := s.parts.Apps.PutApp(c.Request().Context(), app); err != nil {
		return err
	}
	s.apps.clear()
	return c.JSON(http.StatusOK, app)
}

// createKey serves POST /v1/apps/{app}/keys. The answer is the only place
// where the key's text is ever seen.
func (s *Server) createKey(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	req, fs, err := read(c, maxSmall, keyForm)
	if err != nil {
		return err
	}
	if !printable(req.Name, maxText) {
		fs.addf("name", "must be at most %d bytes without control characters", maxText)
	}
	req.checkScopes(&fs)
	if err := fs.err(); err != nil {
		return err
	}
	k, text := NewKey(who.app, req.Name, req.Scopes, s.parts.Now())
	if err := s.parts.Keys.PutKey(c.Request().Context(), k); err != nil {
		return err
	}
	shown := showKey(k)
	shown.Key = text
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(http.StatusCreated, shown)
}

func (r *keyRequest) checkScopes(fs *faults) {
	if len(r.Scopes) == 0 {
		fs.add("scopes", "is missing: some of send, read, device, operate, admin")
	}
	for i, scope := range r.Scopes {
		if !scope.known() {
			fs.addf(fmt.Sprintf("scopes[%d]", i), "%q is none of send, read, device, operate, admin", shorten(string(scope)))
		}
	}
}

func showKey(k Key) keyResponse {
	return keyResponse{ID: k.ID, Name: k.Name, Scopes: some(k.Scopes), CreatedAt: k.CreatedAt}
}

// listKeys serves GET /v1/apps/{app}/keys.
func (s *Server) listKeys(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	keys, err := s.parts.Keys.Keys(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	res := keysResponse{Keys: make([]keyResponse, len(keys))}
	for i, k := range keys {
		res.Keys[i] = showKey(k)
	}
	return c.JSON(http.StatusOK, res)
}

// getKey is one key, for the audit.
func (s *Server) getKey(c echo.Context, who caller) error {
	k, err := s.parts.Keys.Key(c.Request().Context(), c.Param("key"))
	if err != nil {
		return err
	}
	if k.App != who.app {
		return notFound("key")
	}
	return c.JSON(http.StatusOK, showKey(k))
}

// deleteKey serves DELETE /v1/apps/{app}/keys/{key}. This process refuses the
// key at once, others after [authTTL] at the latest.
func (s *Server) deleteKey(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	err := s.parts.Keys.DeleteKey(c.Request().Context(), who.app, c.Param("key"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("key")
	}
	if err != nil {
		return err
	}
	s.callers.clear()
	return c.NoContent(http.StatusNoContent)
}
