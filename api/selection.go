package api

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// mostRules bounds the rules of a selection and the roads of an order.
const mostRules = 32

// selectionForm reads the body of PUT /v1/apps/{app}/selection.
var selectionForm = newForm[push.Selection]()

// selectionResponse is who chooses, and how an A/B fares.
type selectionResponse struct {
	push.Selection
	Sides []push.Side `json:"sides"`
}

// getSelection serves GET /v1/apps/{app}/selection.
func (s *Server) getSelection(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	app, err := s.parts.Apps.App(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.selection(app))
}

// putSelection serves PUT /v1/apps/{app}/selection: it is replaced whole.
// Workers obey within seconds.
func (s *Server) putSelection(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	req, fs, err := read(c, maxSmall, selectionForm)
	if err != nil {
		return err
	}
	if len(req.Rules) > mostRules {
		fs.addf("rules", "must be at most %d", mostRules)
	}
	for i := range req.Rules {
		s.checkRule(&fs, fmt.Sprintf("rules[%d]", i), &req.Rules[i])
	}
	if err := fs.err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	app, err := s.parts.Apps.App(ctx, who.app)
	if err != nil {
		return err
	}
	app.Policy.Selection = req
	if err := s.parts.Apps.PutApp(ctx, app); err != nil {
		return err
	}
	s.apps.clear()
	return c.JSON(http.StatusOK, s.selection(app))
}

func (s *Server) checkRule(fs *faults, at string, r *push.SelectionRule) {
	if r.Class != "" && !r.Class.Known() {
		fs.addf(at+".class", "%q is none of otp, transactional, chat, call, marketing", shorten(string(r.Class)))
	}
	if !r.Mode.Known() {
		fs.addf(at+".mode", "%q is none of auto, static, shadow, ab", shorten(string(r.Mode)))
	}
	switch {
	case r.Mode == push.ModeAB && (r.Share <= 0 || r.Share >= 1):
		fs.add(at+".share", "must be between 0 and 1: the part of the devices that the selector decides for")
	case r.Mode != push.ModeAB && r.Share != 0:
		fs.add(at+".share", "goes with the mode ab alone")
	}
	if len(r.Order) > mostRules {
		fs.addf(at+".order", "must be at most %d", mostRules)
	}
	for i, provider := range r.Order {
		if _, ok := s.parts.Providers[provider]; !ok {
			fs.addf(fmt.Sprintf("%s.order[%d]", at, i), "%q is no provider", shorten(provider))
		}
	}
}

func (s *Server) selection(app push.App) selectionResponse {
	out := selectionResponse{Selection: app.Policy.Selection, Sides: []push.Side{}}
	out.Rules = some(out.Rules)
	if s.parts.Sides != nil {
		out.Sides = some(s.parts.Sides(app))
	}
	return out
}
