package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Webhook is an endpoint of an app that is told of events by signed calls
// (standardwebhooks.com).
type Webhook struct {
	ID          string   `json:"id,omitempty"`
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Events      []string `json:"events"` // types such as "delivery.failed", or "*"
	// Batch is how many events a call may carry; 0 is one.
	Batch int `json:"batch,omitempty"`
	// Enabled is true where nobody says otherwise.
	Enabled     *bool  `json:"enabled,omitempty"`
	DisabledWhy string `json:"disabled_why,omitempty"`

	// Herald fills in the rest. Secret is there only when it was made just now.
	FailingSince   time.Time `json:"failing_since,omitzero"`
	OldSecretUntil time.Time `json:"old_secret_until,omitzero"`
	Secret         string    `json:"secret,omitempty"`
	CreatedAt      time.Time `json:"created_at,omitzero"`
	UpdatedAt      time.Time `json:"updated_at,omitzero"`
}

// written is what of a webhook an app may choose.
func (w Webhook) written() Webhook {
	return Webhook{URL: w.URL, Description: w.Description, Events: w.Events, Batch: w.Batch, Enabled: w.Enabled, DisabledWhy: w.DisabledWhy}
}

// WebhookTry is what came of one call.
type WebhookTry struct {
	OK     bool   `json:"ok"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	TookMs int64  `json:"took_ms"`
}

// WebhookDelivery is one event on its way to one endpoint.
type WebhookDelivery struct {
	Event     string          `json:"event"` // its id
	Type      string          `json:"type"`
	State     string          `json:"state"` // pending, delivered or dead
	CreatedAt time.Time       `json:"created_at"`
	Tries     int             `json:"tries"`
	LastAt    time.Time       `json:"last_at,omitzero"`
	NextAt    time.Time       `json:"next_at,omitzero"`
	Status    int             `json:"status,omitempty"`
	Error     string          `json:"error,omitempty"`
	TookMs    int64           `json:"took_ms,omitempty"`
	Body      json.RawMessage `json:"body"`
}

// WebhookQuery selects deliveries of an endpoint; the zero value selects all,
// or to a replay all dead letters.
type WebhookQuery struct {
	State string    `json:"state,omitempty"`
	Type  string    `json:"type,omitempty"`
	Event string    `json:"event,omitempty"`
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	After string    `json:"-"` // [WebhookDeliveryPage.Next] of the page before
	Limit int       `json:"-"` // 0 is 100
}

// WebhookDeliveryPage is a part of the deliveries.
type WebhookDeliveryPage struct {
	Deliveries []WebhookDelivery `json:"deliveries"`
	Next       string            `json:"next,omitempty"`
}

// CreateWebhook makes an endpoint. Its secret is in this answer alone.
func (c *Client) CreateWebhook(ctx context.Context, w Webhook) (Webhook, error) {
	return ask[Webhook](ctx, c, http.MethodPost, "/v1/webhooks", w.written())
}

// PutWebhook writes the endpoint w.ID whole, but for its secret.
func (c *Client) PutWebhook(ctx context.Context, w Webhook) (Webhook, error) {
	return ask[Webhook](ctx, c, http.MethodPut, webhookPath(w.ID), w.written())
}

// Webhook reads one endpoint.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	return ask[Webhook](ctx, c, http.MethodGet, webhookPath(id), nil)
}

// Webhooks lists the app's endpoints, oldest first.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	all, err := ask[struct {
		Webhooks []Webhook `json:"webhooks"`
	}](ctx, c, http.MethodGet, "/v1/webhooks", nil)
	return all.Webhooks, err
}

// DeleteWebhook forgets an endpoint with everything that was on its way there.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, webhookPath(id), nil, nil)
}

// RotateWebhook gives an endpoint a new secret. The old one signs too for the
// overlap, whole seconds of it.
func (c *Client) RotateWebhook(ctx context.Context, id string, overlap time.Duration) (Webhook, error) {
	in := map[string]int{"overlap_seconds": int(overlap.Seconds())}
	return ask[Webhook](ctx, c, http.MethodPost, webhookPath(id)+":rotate", in)
}

// TestWebhook calls an endpoint now. What it makes of that is no error.
func (c *Client) TestWebhook(ctx context.Context, id string) (WebhookTry, error) {
	return ask[WebhookTry](ctx, c, http.MethodPost, webhookPath(id)+":test", nil)
}

// ReplayWebhook has an endpoint hear again of what a query selects, and returns
// how much that is.
func (c *Client) ReplayWebhook(ctx context.Context, id string, q WebhookQuery) (int, error) {
	done, err := ask[struct {
		Replayed int `json:"replayed"`
	}](ctx, c, http.MethodPost, webhookPath(id)+":replay", q)
	return done.Replayed, err
}

// WebhookDeliveries lists what went or is to go to an endpoint, newest first.
func (c *Client) WebhookDeliveries(ctx context.Context, id string, q WebhookQuery) (WebhookDeliveryPage, error) {
	values := url.Values{}
	for name, value := range map[string]string{"state": q.State, "type": q.Type, "event": q.Event, "after": q.After} {
		if value != "" {
			values.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": q.From, "until": q.Until} {
		if !at.IsZero() {
			values.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	path := webhookPath(id) + "/deliveries"
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return ask[WebhookDeliveryPage](ctx, c, http.MethodGet, path, nil)
}

func webhookPath(id string) string { return "/v1/webhooks/" + url.PathEscape(id) }
