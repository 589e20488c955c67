package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/internal/strictjson"
	"github.com/herald-push/herald/internal/wording"
	"github.com/herald-push/herald/push"
)

const (
	maxTemplateID  = 64
	needTemplateID = `must be 1 to 64 letters, digits, "_" or "-"`
)

// templateRequest is the body of PUT /v1/templates/{template}.
type templateRequest struct {
	DefaultLocale string                     `json:"default_locale"`
	Variables     map[string]variableRequest `json:"variables"`
	Locales       map[string]contentRequest  `json:"locales"`
}

type variableRequest struct {
	Type    string          `json:"type"`
	Default json.RawMessage `json:"default"`
}

type contentRequest struct {
	Title     string                     `json:"title"`
	Body      string                     `json:"body"`
	Data      map[string]string          `json:"data"`
	Overrides map[string]json.RawMessage `json:"overrides"`
}

type previewRequest struct {
	Variables map[string]json.RawMessage `json:"variables"`
	Locale    string                     `json:"locale"`
}

type previewResponse struct {
	Locale string `json:"locale"` // the one that the content is from
	push.Content
}

type templatesResponse struct {
	Templates []*push.Template `json:"templates"`
	Next      string           `json:"next,omitempty"` // after= of the next page; "" on the last
}

var (
	templateForm = newForm[templateRequest]()
	previewForm  = newForm[previewRequest]()
)

// putTemplate serves PUT /v1/templates/{template}. All is checked here, so that
// a template that is kept can be filled in by whoever gives its variables.
func (s *Server) putTemplate(c echo.Context, who caller) error {
	req, fs, err := read(c, maxNotification, templateForm)
	if err != nil {
		return err
	}
	t := &push.Template{
		App: who.app, ID: c.Param("template"), DefaultLocale: req.DefaultLocale,
		Variables: make(map[string]push.Variable, len(req.Variables)), Locales: make(map[string]push.Content, len(req.Locales)),
	}
	if !spelled(t.ID, maxTemplateID, "") {
		fs.add("template", needTemplateID)
	}
	for name, v := range req.Variables {
		variable := push.Variable{Type: v.Type}
		if len(v.Default) > 0 {
			text := plainValue(&fs, "variables."+shorten(name)+".default", v.Default)
			variable.Default = &text
		}
		t.Variables[name] = variable
	}
	for _, locale := range slices.Sorted(maps.Keys(req.Locales)) {
		content := req.Locales[locale]
		s.checkOverrides(&fs, "locales."+shorten(locale), content.Overrides)
		t.Locales[locale] = push.Content(content)
	}
	if err := wording.Check(t); err != nil {
		merge(&fs, "", err)
	}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Templates.PutTemplate(c.Request().Context(), t); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, t)
}

// checkOverrides checks what a template says to providers alone.
func (s *Server) checkOverrides(fs *faults, field string, overrides map[string]json.RawMessage) {
	n := notificationRequest{Overrides: overrides}
	var own faults
	n.checkOverrides(&own, s.parts.Overrides)
	for _, f := range own {
		fs.add(field+"."+f.Field, f.Detail)
	}
}

// merge adds the faults of err, below a field; false if it is another error.
func merge(fs *faults, below string, err error) bool {
	var invalid *push.Invalid
	if !errors.As(err, &invalid) {
		return false
	}
	for _, f := range invalid.Faults {
		fs.add(below+f.Field, f.Detail)
	}
	return true
}

// plainValue reads a variable's value: a text, or a number as it is written.
func plainValue(fs *faults, field string, raw json.RawMessage) string {
	if c := raw[0]; c == '-' || '0' <= c && c <= '9' {
		return string(raw)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		fs.add(field, "must be a string or a number, not "+strictjson.Given(raw[0]))
	}
	return text
}

func plainValues(fs *faults, raw map[string]json.RawMessage) map[string]string {
	if len(raw) == 0 {
		return nil
	}
	values := make(map[string]string, len(raw))
	for name, v := range raw {
		values[name] = plainValue(fs, "variables."+shorten(name), v)
	}
	return values
}

// template reads the template of a request's path.
func (s *Server) template(c echo.Context, who caller) (*push.Template, error) {
	t, err := s.parts.Templates.Template(c.Request().Context(), who.app, c.Param("template"))
	if errors.Is(err, push.ErrNotFound) {
		return nil, notFound("template")
	}
	return t, err
}

// getTemplate serves GET /v1/templates/{template}.
func (s *Server) getTemplate(c echo.Context, who caller) error {
	t, err := s.template(c, who)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, t)
}

// listTemplates serves GET /v1/templates, by pages.
func (s *Server) listTemplates(c echo.Context, who caller) error {
	var fs faults
	limit := limitParam(&fs, c.QueryParam("limit"))
	if err := fs.err(); err != nil {
		return err
	}
	all, err := s.parts.Templates.Templates(c.Request().Context(), who.app, c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	res := templatesResponse{Templates: some(all)}
	if len(all) == limit {
		res.Next = all[limit-1].ID
	}
	return c.JSON(http.StatusOK, res)
}

// deleteTemplate serves DELETE /v1/templates/{template}.
func (s *Server) deleteTemplate(c echo.Context, who caller) error {
	err := s.parts.Templates.DeleteTemplate(c.Request().Context(), who.app, c.Param("template"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("template")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// previewTemplate serves POST /v1/templates/{template}:preview: what a device
// with a locale would read.
func (s *Server) previewTemplate(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, previewForm)
	if err != nil {
		return err
	}
	t, err := s.template(c, who)
	if err != nil {
		return err
	}
	app, err := s.app(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	values := plainValues(&fs, req.Variables)
	if err := fs.err(); err != nil {
		return err
	}
	locale, content, err := wording.Preview(t, values, req.Locale, app.Policy.Locale)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, previewResponse{locale, content})
}

// word fills a notification's content in from its template. The template's
// faults join the others.
func (r *notificationRequest) word(fs *faults, n *push.Notification, rules rules) error {
	if r.Template == "" {
		return nil
	}
	for field, given := range map[string]bool{"title": r.Title != "", "body": r.Body != ""} {
		if given {
			fs.add(field, "is the template's to say")
		}
	}
	n.Template, n.Variables, n.Data, n.Overrides = r.Template, plainValues(fs, r.Variables), r.Data, r.Overrides
	if rules.word == nil {
		return nil
	}
	if err := rules.word(n); err != nil && !merge(fs, "", err) {
		return fmt.Errorf("api: word notification: %w", err)
	}
	return nil
}
