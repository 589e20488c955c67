package client

import (
	"context"
	"net/http"
	"net/url"
)

// Codes is which answer of a service means what to Herald.
type Codes struct {
	Source string `json:"source"` // where the service documents its answers
	Date   string `json:"date"`   // when that was read, YYYY-MM-DD
	Codes  []Code `json:"codes"`
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
