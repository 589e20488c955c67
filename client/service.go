package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ServiceCall asks a business for something. Input is whatever the operation takes.
type ServiceCall struct {
	Version int          `json:"version,omitempty"` // of the contract; 0 leaves it to Herald, so say it
	Input   any          `json:"input,omitempty"`
	Page    *ServicePage `json:"page,omitempty"`
	ETag    string       `json:"etag,omitempty"` // of the answer that one has
}

// ServicePage says which page is wanted. Cursor is Next of the answer before.
type ServicePage struct {
	Cursor string `json:"cursor,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// ServiceAnswer is what a business answered, in the form of the version that was asked.
type ServiceAnswer struct {
	Version int             `json:"version"`
	Output  json.RawMessage `json:"output,omitempty"`
	Page    struct {
		Next string `json:"next"` // "" on the last page
	} `json:"page,omitzero"`
	Partial []struct { // parts that could not be had
		Part string `json:"part"`
		Code string `json:"code"`
	} `json:"partial,omitempty"`
	Deprecated *struct {
		Since  string `json:"since"`
		Sunset string `json:"sunset,omitempty"` // from this day on the version is answered no more
		Use    int    `json:"use,omitempty"`
	} `json:"deprecated,omitempty"`
	Cached      string `json:"cached,omitempty"` // hit, stale or ""
	ETag        string `json:"etag"`
	NotModified bool   `json:"not_modified,omitempty"` // Output is the one that one has
}

// Call asks service.operation, such as "jobs.search", and is made once: whether
// it may be repeated is known to who calls. What goes wrong at the business is
// a [*Problem] whose Code is one of docs/gateway.md or of the service.
func (c *Client) Call(ctx context.Context, name string, what ServiceCall) (ServiceAnswer, error) {
	service, operation, ok := strings.Cut(name, ".")
	if !ok {
		return ServiceAnswer{}, fmt.Errorf("client: %q is not service.operation", name)
	}
	once := *c
	once.Tries = 1
	return ask[ServiceAnswer](ctx, &once, http.MethodPost, "/v1/services/"+url.PathEscape(service)+"/"+url.PathEscape(operation), what)
}
