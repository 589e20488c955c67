// Package live is Herald's own road: it hands deliveries to devices that hold a
// connection open. To the rest of the house it is one more provider.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald/push"
)

// Limit is the largest payload in bytes. The connection's packet limit of
// 64 KiB leaves this much after its own fields.
const Limit = 60 << 10

// Router finds the connection of a device, on whatever node it is.
type Router interface {
	// Deliver hands payload to the device and returns nil once it is written to
	// the device's socket. An error that is [push.ErrUnreachable], or whose
	// method Unreachable() bool answers true, means that it was not and will not
	// be; after any other, such as ctx's, it may have been.
	Deliver(ctx context.Context, app, device, id string, payload []byte, expires time.Time) error
}

// Provider implements providers.Provider over a [Router].
type Provider struct {
	router Router
	now    func() time.Time
}

// New returns the provider. It needs no credentials and serves every app.
func New(router Router) *Provider { return &Provider{router: router, now: time.Now} }

// Send implements providers.Provider. A nil error means that the bytes left for
// the device ([push.HandedOver]); proof of arrival comes as a receipt. The
// message must lie in the device's inbox before it is sent: what finds the
// connection's window full, or the connection just being made, goes out from
// there.
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	payload, err := p.encode(d)
	if err != nil {
		return push.Answer{}, err
	}
	if err := ctx.Err(); err != nil {
		return push.Answer{}, &push.Error{Provider: push.Live, Kind: push.ErrUnavailable, Err: err}
	}
	err = p.router.Deliver(ctx, d.App, d.Device, d.ID, payload, d.ExpiresAt)
	if err == nil {
		return push.Answer{ID: d.ID, Stage: push.HandedOver, Bytes: len(payload)}, nil
	}
	return push.Answer{}, &push.Error{Provider: push.Live, Kind: kind(err), Err: err}
}

func kind(err error) error {
	var sayer interface{ Unreachable() bool }
	if errors.Is(err, push.ErrUnreachable) || errors.As(err, &sayer) && sayer.Unreachable() {
		return push.ErrUnreachable
	}
	return push.ErrUnknown
}

// Weigh implements providers.Provider.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	payload, err := p.encode(d)
	return push.Payload{Bytes: len(payload), Limit: Limit}, err
}

func (p *Provider) encode(d *push.Delivery) ([]byte, error) {
	payload, err := Encode(d.Notification, d.ID, p.now())
	if err != nil {
		return nil, &push.Error{Provider: push.Live, Kind: push.ErrRejected, Err: err}
	}
	if len(payload) > Limit {
		return payload, &push.Error{
			Provider: push.Live, Kind: push.ErrRejected, Code: "too_large",
			Detail: fmt.Sprintf("payload of %d bytes, limit %d", len(payload), Limit),
		}
	}
	return payload, nil
}

// message is what a device reads on its inbox: docs/protocol.md.
type message struct {
	ID           string            `json:"id"` // the delivery: reported back in receipts, and what repeats are dropped by
	Notification string            `json:"notification"`
	Title        string            `json:"title,omitempty"`
	Body         string            `json:"body,omitempty"`
	Data         map[string]string `json:"data,omitempty"`
	CollapseKey  string            `json:"collapse_key,omitempty"`
	Silent       bool              `json:"silent,omitempty"` // to be shown without sound or vibration
	SentAt       string            `json:"sent_at"`
	ExpiresAt    string            `json:"expires_at,omitempty"`
}

// stamp is RFC 3339 with milliseconds always there, so that a payload weighs the
// same at every moment.
const stamp = "2006-01-02T15:04:05.000Z07:00"

// Encode writes the payload of a delivery as devices read it. It is the one
// source of the format: the inbox holds the same bytes.
func Encode(n *push.Notification, delivery string, sentAt time.Time) ([]byte, error) {
	m := message{
		ID:           delivery,
		Notification: n.ID,
		Title:        n.Title,
		Body:         n.Body,
		Data:         n.Data,
		CollapseKey:  n.CollapseKey,
		Silent:       n.Silent,
		SentAt:       sentAt.UTC().Format(stamp),
	}
	if !n.ExpiresAt.IsZero() {
		m.ExpiresAt = n.ExpiresAt.UTC().Format(stamp)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("live: encode %s: %w", delivery, err)
	}
	return b, nil
}
