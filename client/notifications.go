package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Send hands a notification over. When it returns without an error the
// notification is durable, and nothing may have been sent yet. It may be called
// again with the same ID and content, from anywhere, without sending twice.
func (c *Client) Send(ctx context.Context, n Notification) (Progress, error) {
	if n.ID == "" {
		n.ID = rand.Text()
	}
	return ask[Progress](ctx, c, http.MethodPost, "/v1/notifications", n)
}

// Batch hands up to 1,000 notifications over. Each has a result, in the order
// given; an error is for the batch as a whole, of which nothing is known then.
func (c *Client) Batch(ctx context.Context, ns []Notification) ([]Result, error) {
	ns = slices.Clone(ns)
	for i := range ns {
		if ns[i].ID == "" {
			ns[i].ID = rand.Text()
		}
	}
	in := struct {
		Notifications []Notification `json:"notifications"`
	}{ns}
	out, err := ask[results](ctx, c, http.MethodPost, "/v1/notifications:batch", in)
	return out.Results, err
}

type results struct {
	Results []Result `json:"results"`
}

// Validate says what would happen to a notification, and sends nothing.
func (c *Client) Validate(ctx context.Context, n Notification) (Plan, error) {
	return ask[Plan](ctx, c, http.MethodPost, "/v1/notifications:validate", n)
}

// Progress answers state and counts of a notification.
func (c *Client) Progress(ctx context.Context, id string) (Progress, error) {
	return ask[Progress](ctx, c, http.MethodGet, "/v1/notifications/"+url.PathEscape(id), nil)
}

// Cancel takes back what has not been sent. What had left stays left, as the
// counts say.
func (c *Client) Cancel(ctx context.Context, id string) (Progress, error) {
	return ask[Progress](ctx, c, http.MethodDelete, "/v1/notifications/"+url.PathEscape(id), nil)
}

// Pause begins nothing more of a notification until [Client.Resume].
func (c *Client) Pause(ctx context.Context, id string) (Progress, error) {
	return ask[Progress](ctx, c, http.MethodPost, "/v1/notifications/"+url.PathEscape(id)+":pause", nil)
}

// Resume goes on where a notification was paused.
func (c *Client) Resume(ctx context.Context, id string) (Progress, error) {
	return ask[Progress](ctx, c, http.MethodPost, "/v1/notifications/"+url.PathEscape(id)+":resume", nil)
}

// Query chooses among a notification's deliveries. Its zero value is the first
// page of all of them.
type Query struct {
	Device string // only this device
	After  string // [Page.Next] of the page before
	Limit  int    // 1 to 1,000; default 100
}

// Deliveries tells the story of each delivery of a notification, by pages.
func (c *Client) Deliveries(ctx context.Context, id string, q Query) (Page, error) {
	values := url.Values{}
	if q.Device != "" {
		values.Set("device", q.Device)
	}
	if q.After != "" {
		values.Set("after", q.After)
	}
	if q.Limit != 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	path := "/v1/notifications/" + url.PathEscape(id) + "/deliveries"
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return ask[Page](ctx, c, http.MethodGet, path, nil)
}
