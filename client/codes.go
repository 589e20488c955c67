package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Codes is which answer of a service means what to Herald.
type Codes struct {
	Source string `json:"source"` // where the service documents its answers
	Date   string `json:"date"`   // when that was read, YYYY-MM-DD
	Codes  []Code `json:"codes"`

	// Corrections are what the app says in their place.
	Corrections []Correction `json:"corrections"`
}

// Code is one row: of the rows that fit an answer, the first counts.
type Code struct {
	Status            int    `json:"status,omitempty"` // HTTP status; 0 is any
	Code              string `json:"code,omitempty"`   // the service's own word; "" is any
	Kind              string `json:"kind"`             // what Herald makes of it, such as "throttled"
	RetryAfterSeconds int    `json:"retry_after_seconds,omitempty"`
	Scope             string `json:"scope,omitempty"` // "origin" or "token" where it binds less than the provider
	Means             string `json:"means"`
}

// Codes reads the error table of a provider.
func (c *Client) Codes(ctx context.Context, provider string) (Codes, error) {
	return ask[Codes](ctx, c, http.MethodGet, "/v1/providers/"+url.PathEscape(provider)+"/codes", nil)
}

// Correction is what an app says that an answer means, in place of the table.
// Given to [Client.CorrectCode] it needs a Kind alone.
type Correction struct {
	Status            int       `json:"status,omitempty"`
	Code              string    `json:"code,omitempty"`
	Kind              string    `json:"kind"`
	RetryAfterSeconds int       `json:"retry_after_seconds,omitempty"`
	Scope             string    `json:"scope,omitempty"`
	Means             string    `json:"means,omitempty"`   // "" keeps the table's words
	By                string    `json:"by,omitempty"`      // the id of the key that said so
	At                time.Time `json:"at,omitzero"`       //
	BuiltIn           []Code    `json:"built_in,omitzero"` // the rows it takes the place of
}

// CorrectCode says what an answer of a provider's service means when this app
// sends. The code is the service's own word, or a status such as "http-503".
func (c *Client) CorrectCode(ctx context.Context, provider, code string, n Correction) (Correction, error) {
	n = Correction{Kind: n.Kind, RetryAfterSeconds: n.RetryAfterSeconds, Scope: n.Scope, Means: n.Means}
	return ask[Correction](ctx, c, http.MethodPut, correctionPath(provider, code), n)
}

// DropCorrection goes by the built-in table again.
func (c *Client) DropCorrection(ctx context.Context, provider, code string) error {
	return c.call(ctx, http.MethodDelete, correctionPath(provider, code), nil, nil)
}

func correctionPath(provider, code string) string {
	return "/v1/providers/" + url.PathEscape(provider) + "/codes/" + url.PathEscape(code)
}
