package webhooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/herald-push/herald/push"
)

// deliveryData is the data of the events delivery.* and attempt.failed.
type deliveryData struct {
	App          string      `json:"app"`
	Notification string      `json:"notification"`
	Delivery     string      `json:"delivery"`
	Device       string      `json:"device"`
	Class        push.Class  `json:"class"`
	Stage        push.Stage  `json:"stage"`
	Source       push.Source `json:"source"`
	Provider     string      `json:"provider,omitempty"`
	ProviderID   string      `json:"provider_id,omitempty"`
	Attempt      int         `json:"attempt,omitempty"`
	Kind         string      `json:"kind,omitempty"`
	Code         string      `json:"code,omitempty"`
	Detail       string      `json:"detail,omitempty"`
	At           time.Time   `json:"at"`
	AfterMs      int64       `json:"after_ms"` // from acceptance by the API
	CostMicros   int64       `json:"cost_micros,omitempty"`
}

// deathData is the data of address.dead. The address itself is a secret.
type deathData struct {
	App      string      `json:"app"`
	Device   string      `json:"device"`
	Provider string      `json:"provider"`
	Fate     push.Fate   `json:"fate"`
	Why      string      `json:"why,omitempty"`
	Code     string      `json:"code,omitempty"`
	Source   push.Source `json:"source"`
	Since    time.Time   `json:"since,omitzero"`
	Delivery string      `json:"delivery,omitempty"`
}

// EventID names a happening of a type by what makes it that one, so that it has
// the same id however often it is told.
func EventID(app, event, what string) string {
	sum := sha256.Sum256([]byte(app + "\x00" + event + "\x00" + what))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// Record emits what receipts mean to apps. It must come before whatever says
// that the receipts were taken, for then they do not come again.
func (h *Hooks) Record(ctx context.Context, rs ...push.Receipt) error {
	var events []push.Event
	var app string
	any := false
	for i := range rs {
		r := &rs[i]
		if i == 0 || r.App != app { // receipts of an app come together
			app, any = r.App, h.Any(r.App)
		}
		if !any {
			continue
		}
		for _, kind := range meanings(r) {
			if kind != "" && h.Wants(r.App, kind) {
				events = append(events, ofReceipt(r, kind))
			}
		}
	}
	return h.Emit(ctx, events...)
}

// meanings are the types of event that a receipt stands for. Who saw or opened
// a message has it, even if no receipt ever said so.
func meanings(r *push.Receipt) [2]string {
	switch r.Stage {
	case push.Delivered:
		return [2]string{push.EventDelivered}
	case push.Displayed:
		return [2]string{push.EventDelivered, push.EventDisplayed}
	case push.Clicked:
		return [2]string{push.EventDelivered, push.EventClicked}
	case push.Failed, push.Unknown, push.Expired, push.Cancelled, push.Suppressed:
		if r.Source == push.Herald { // the last word on the delivery
			return [2]string{"delivery." + string(r.Stage)}
		}
		if r.Stage == push.Failed {
			return [2]string{push.EventAttemptFailed}
		}
	}
	return [2]string{}
}

// ofReceipt makes the event. Of a type a delivery has one, an attempt one of
// attempt.failed.
func ofReceipt(r *push.Receipt, kind string) push.Event {
	what := r.Delivery
	if kind == push.EventAttemptFailed {
		what = r.ID
	}
	return push.Event{
		ID: EventID(r.App, kind, what), App: r.App, Type: kind, At: r.ReceivedAt,
		Data: deliveryData{
			App: r.App, Notification: r.Notification, Delivery: r.Delivery, Device: r.Device, Class: r.Class, Stage: r.Stage,
			Source: r.Source, Provider: r.Provider, ProviderID: r.ProviderID, Attempt: r.Attempt, Kind: r.Kind, Code: r.Code,
			Detail: r.Detail, At: r.At.UTC(), AfterMs: r.SinceAccepted.Milliseconds(), CostMicros: r.CostMicros,
		},
	}
}

// Bury emits what became of dead addresses.
func (h *Hooks) Bury(ctx context.Context, ds []push.Death) error {
	var events []push.Event
	for i := range ds {
		d := &ds[i]
		if !h.Wants(d.App, push.EventAddressDead) {
			continue
		}
		events = append(events, push.Event{
			ID:  EventID(d.App, push.EventAddressDead, d.Device+"\x00"+d.Address.Provider+"\x00"+d.Delivery),
			App: d.App, Type: push.EventAddressDead, At: h.now(),
			Data: deathData{
				App: d.App, Device: d.Device, Provider: d.Address.Provider, Fate: d.Fate, Why: d.Why, Code: d.Code,
				Source: d.Source, Since: d.Since, Delivery: d.Delivery,
			},
		})
	}
	return h.Emit(ctx, events...)
}
