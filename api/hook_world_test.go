package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald/push"
)

// hookWorld has one webhook, "wh_1" of the app "demo".
type hookWorld struct{}

const hookSecret = "whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"

func (hookWorld) hook() push.Webhook {
	return push.Webhook{
		App: "demo", ID: "wh_1", URL: "https://shop.example.com/herald", Events: []string{push.EventFailed, push.EventAddressDead},
		Batch: 1, Enabled: true, CreatedAt: noon, UpdatedAt: noon,
	}
}

func (hookWorld) CreateWebhook(_ context.Context, w *push.Webhook) (string, error) {
	if w.URL == "" || len(w.Events) == 0 {
		return "", &push.Invalid{Faults: []push.Fault{{Field: "url", Detail: "is missing"}, {Field: "events", Detail: "is missing"}}}
	}
	w.ID, w.CreatedAt, w.UpdatedAt = "wh_2", noon, noon
	return hookSecret, nil
}

func (h hookWorld) ChangeWebhook(ctx context.Context, w *push.Webhook) error {
	if _, err := h.Webhook(ctx, w.App, w.ID); err != nil {
		return err
	}
	w.CreatedAt, w.UpdatedAt = noon, noon
	return nil
}

func (h hookWorld) Webhook(_ context.Context, app, id string) (push.Webhook, error) {
	if app != "demo" || id != "wh_1" {
		return push.Webhook{}, push.ErrNotFound
	}
	return h.hook(), nil
}

func (h hookWorld) Webhooks(_ context.Context, app string) ([]push.Webhook, error) {
	if app != "demo" {
		return nil, nil
	}
	return []push.Webhook{h.hook()}, nil
}

func (h hookWorld) DeleteWebhook(ctx context.Context, app, id string) error {
	_, err := h.Webhook(ctx, app, id)
	return err
}

func (h hookWorld) RotateWebhook(ctx context.Context, app, id string, overlap time.Duration) (string, push.Webhook, error) {
	w, err := h.Webhook(ctx, app, id)
	w.OldSecretUntil = noon.Add(overlap)
	return hookSecret, w, err
}

func (h hookWorld) TestWebhook(ctx context.Context, app, id string) (push.WebhookTry, error) {
	_, err := h.Webhook(ctx, app, id)
	return push.WebhookTry{Status: 503, Error: "503 Service Unavailable", TookMs: 12}, err
}

func (h hookWorld) WebhookDeliveries(ctx context.Context, app, id string, q push.WebhookQuery) ([]push.WebhookDelivery, string, error) {
	_, err := h.Webhook(ctx, app, id)
	d := push.WebhookDelivery{
		Event: "evt_1", Type: push.EventFailed, State: push.WebhookDead, CreatedAt: noon, Tries: 19, LastAt: noon.Add(72 * time.Hour),
		Status: 500, Error: "500 Internal Server Error", TookMs: 7,
		Body: json.RawMessage(`{"id":"evt_1","type":"delivery.failed","timestamp":"2026-03-01T12:00:00Z","data":{"delivery":"n1.0.0"}}`),
	}
	if q.State != "" && q.State != d.State {
		return nil, "", err
	}
	return []push.WebhookDelivery{d}, "", err
}

func (h hookWorld) ReplayWebhook(ctx context.Context, app, id string, q push.WebhookQuery) (int, error) {
	_, err := h.Webhook(ctx, app, id)
	if q.State == push.WebhookDead {
		return 3, err
	}
	return 1, err
}
