package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Template is the content of notifications in several languages. Texts have
// places for variables, plurals and choices: docs/scheduling.md.
type Template struct {
	ID string `json:"id,omitempty"` // 1 to 64 letters, digits, "_" or "-"
	// DefaultLocale is for devices whose language the template lacks.
	DefaultLocale string              `json:"default_locale"`
	Variables     map[string]Variable `json:"variables,omitempty"`
	Locales       map[string]Content  `json:"locales"` // by language tag

	// Herald fills in the rest.
	Version   int       `json:"version,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Variable is one that a template's texts may use.
type Variable struct {
	Type    string  `json:"type,omitempty"`    // "string" (default) or "number"
	Default *string `json:"default,omitempty"` // one without must be given
}

// Content is what a notification says in one language.
type Content struct {
	Title     string            `json:"title"`
	Body      string            `json:"body,omitempty"`
	Data      map[string]string `json:"data,omitempty"`
	Overrides map[string]any    `json:"overrides,omitempty"`
}

// PutTemplate makes the template t.ID, or replaces it. It is checked whole: what
// is kept can be filled in.
func (c *Client) PutTemplate(ctx context.Context, t Template) (Template, error) {
	path := templatePath(t.ID)
	t.ID, t.Version, t.CreatedAt, t.UpdatedAt = "", 0, time.Time{}, time.Time{}
	return ask[Template](ctx, c, http.MethodPut, path, t)
}

// Template reads a template.
func (c *Client) Template(ctx context.Context, id string) (Template, error) {
	return ask[Template](ctx, c, http.MethodGet, templatePath(id), nil)
}

// TemplatePage is a part of the templates.
type TemplatePage struct {
	Templates []Template `json:"templates"`
	Next      string     `json:"next,omitempty"` // after of the next page; "" on the last
}

// Templates lists templates by id, by pages: after is [TemplatePage.Next] of the
// page before, limit 1 to 1,000.
func (c *Client) Templates(ctx context.Context, after string, limit int) (TemplatePage, error) {
	values := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		values.Set("after", after)
	}
	return ask[TemplatePage](ctx, c, http.MethodGet, "/v1/templates?"+values.Encode(), nil)
}

// DeleteTemplate forgets a template. What was worded by it stays as it is.
func (c *Client) DeleteTemplate(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, templatePath(id), nil, nil)
}

// Preview is a template's content as a device reads it.
type Preview struct {
	Locale string `json:"locale"` // the one that the content is from
	Content
}

// PreviewTemplate tells what a device with a locale would read. Values are
// texts or numbers.
func (c *Client) PreviewTemplate(ctx context.Context, id, locale string, variables map[string]any) (Preview, error) {
	in := struct {
		Variables map[string]any `json:"variables,omitempty"`
		Locale    string         `json:"locale,omitempty"`
	}{variables, locale}
	return ask[Preview](ctx, c, http.MethodPost, templatePath(id)+":preview", in)
}

func templatePath(id string) string { return "/v1/templates/" + url.PathEscape(id) }
