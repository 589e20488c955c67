package client

import (
	"context"
	"net/http"
	"net/url"
)

// Selection is who chooses the roads of an app.
type Selection struct {
	// Kill takes the choice from the selector at once, whatever the rules say.
	Kill bool `json:"kill"`
	// Rules are by class; the first that fits counts.
	Rules []SelectionRule `json:"rules"`
	// Sides tells how both sides of an A/B fare; it is only read.
	Sides []SelectionSide `json:"sides,omitzero"`
}

// SelectionRule is who chooses for one class: "auto" is the selector, "static" a
// fixed order, "shadow" a fixed order while the selector's wish is recorded,
// "ab" the selector for a share of the devices.
type SelectionRule struct {
	Class Class    `json:"class,omitempty"` // empty: every class
	Mode  string   `json:"mode"`
	Order []string `json:"order,omitempty"`
	Share float64  `json:"share,omitempty"`
}

// SelectionSide is how the attempts of one side of an A/B fared.
type SelectionSide struct {
	Class    Class  `json:"class"`
	Policy   string `json:"policy"`
	Attempts int    `json:"attempts"`
	Arrived  int    `json:"arrived"`
	Guard    string `json:"guard,omitempty"` // why the selector's side was given up
}

// Selection tells who chooses. It needs the scope read.
func (c *Client) Selection(ctx context.Context, app string) (Selection, error) {
	return ask[Selection](ctx, c, http.MethodGet, "/v1/apps/"+url.PathEscape(app)+"/selection", nil)
}

// SetSelection says who chooses, whole. Workers obey within five seconds. It
// needs the scope admin.
func (c *Client) SetSelection(ctx context.Context, app string, s Selection) (Selection, error) {
	s.Sides = nil
	return ask[Selection](ctx, c, http.MethodPut, "/v1/apps/"+url.PathEscape(app)+"/selection", s)
}
