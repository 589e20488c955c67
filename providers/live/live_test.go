package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/providers/live"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// router answers every delivery in the same way.
type router struct {
	attempts atomic.Int64
	answer   func(ctx context.Context) error
	payload  atomic.Pointer[[]byte]
}

func (r *router) Deliver(ctx context.Context, _, _, _ string, payload []byte, _ time.Time) error {
	r.attempts.Add(1)
	r.payload.Store(&payload)
	return r.answer(ctx)
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "Your parcel is on its way",
			Data: map[string]string{"order": "8812"}, CollapseKey: "order-8812",
			ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		ID: id, Device: "d1", Address: push.Address{Provider: push.Live, Token: "d1-live"},
	}
}

const (
	notHere providertest.Behaviour = "finds nobody"
	full    providertest.Behaviour = "finds the window full"
)

func TestProviderKeepsTheContract(t *testing.T) {
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	behaviours := map[providertest.Behaviour]func(context.Context) error{
		providertest.Accepts: func(context.Context) error { return nil },
		providertest.Hangs:   hang,
		providertest.Cuts:    func(context.Context) error { return im.ErrUnknown },
		notHere:              func(context.Context) error { return push.ErrUnreachable },
		full:                 func(context.Context) error { return fmt.Errorf("node 2: %w", im.ErrFull) },
	}
	tooLarge := delivery("n1.0.0")
	tooLarge.Body = strings.Repeat("x", live.Limit)
	providertest.Run(t, providertest.Harness{
		Name: push.Live,
		Start: func(_ *testing.T, b providertest.Behaviour) providertest.Fixture {
			answer, ok := behaviours[b]
			if !ok {
				return providertest.Fixture{}
			}
			r := &router{answer: answer}
			return providertest.Fixture{Provider: live.New(r), Attempts: func() int { return int(r.attempts.Load()) }}
		},
		Delivery: delivery,
		Refusals: map[providertest.Behaviour]error{notHere: push.ErrUnreachable, full: push.ErrUnreachable},
		TooLarge: tooLarge,
	})
}

func TestHandedOverIsWhatTheSocketTook(t *testing.T) {
	r := &router{answer: func(context.Context) error { return nil }}
	answer, err := live.New(r).Send(t.Context(), delivery("n1.0.0"))
	if err != nil || answer.Stage != push.HandedOver || answer.Bytes != len(*r.payload.Load()) {
		t.Errorf("Send() = %+v, %v", answer, err)
	}
}

func TestNothingIsSentThatCanNeverFit(t *testing.T) {
	r := &router{answer: func(context.Context) error { return nil }}
	d := delivery("n1.0.0")
	d.Body = strings.Repeat("x", live.Limit)
	_, err := live.New(r).Send(t.Context(), d)
	if !errors.Is(err, push.ErrRejected) || r.attempts.Load() != 0 {
		t.Errorf("Send() error = %v after %d attempts", err, r.attempts.Load())
	}
}

func TestPayloadIsWhatDevicesRead(t *testing.T) {
	sent := time.Date(2029, 12, 31, 23, 59, 59, 987_654_321, time.FixedZone("", 3600))
	d := delivery("n1.0.17")
	b, err := live.Encode(d.Notification, d.ID, sent)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": "n1.0.17", "notification": "n1", "title": "Shipped", "body": "Your parcel is on its way",
		"collapse_key": "order-8812", "sent_at": "2029-12-31T22:59:59.987Z", "expires_at": "2030-01-02T03:04:05.000Z",
	}
	data, _ := got["data"].(map[string]any)
	delete(got, "data")
	if !maps.Equal(got, want) || data["order"] != "8812" {
		t.Errorf("payload %s", b)
	}
	whole, err := live.Encode(d.Notification, d.ID, sent.Truncate(time.Second))
	if err != nil || len(whole) != len(b) {
		t.Errorf("on the full second the payload weighs %d, else %d, %v", len(whole), len(b), err)
	}
	bare, err := live.Encode(&push.Notification{ID: "n2"}, "n2.0.0", sent)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(bare, &fields); err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(fields)); !slices.Equal(keys, []string{"id", "notification", "sent_at"}) {
		t.Errorf("a bare notification has the fields %v", keys)
	}
}
