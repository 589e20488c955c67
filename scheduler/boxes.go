package scheduler

import (
	"context"
	"fmt"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// fillInboxes lays what the live connection should bring into the inboxes of
// the devices that have one, connected or not, and notes when to look whether
// it was fetched.
func (r *round) fillInboxes(ctx context.Context, ds []*delivery) error {
	var letters []redisstore.Letter
	for _, d := range ds {
		if d.device == nil || d.parcel.ending != "" || !usesLive(d.Notification) {
			continue
		}
		if _, ok := d.device.Address(push.Live); !ok {
			continue
		}
		d.boxed = true
		if d.seen.Attempt > 0 {
			continue // it was laid there before the first attempt
		}
		payload, err := r.w.parts.Letter(d.Notification, d.ID, r.now)
		if err != nil {
			return fmt.Errorf("scheduler: encode letter %s: %w", d.ID, err)
		}
		letters = append(letters, redisstore.Letter{
			App: d.App, Device: d.Device, Delivery: d.ID, Payload: payload, Expires: d.ExpiresAt,
		})
	}
	if len(letters) == 0 {
		return nil
	}
	if err := r.w.inbox.Put(ctx, letters); err != nil {
		return fmt.Errorf("scheduler: fill inboxes: %w", err)
	}
	return nil
}

// clearInboxes takes back the letters of notifications that have ended, which
// no device should fetch any more.
func (r *round) clearInboxes(ctx context.Context) error {
	var letters []redisstore.Letter
	for _, p := range r.parcels {
		if p.ending == "" || !usesLive(p.n) {
			continue
		}
		for _, s := range p.slots {
			if !s.Cell.Stage.Reaches(push.Delivered) {
				letters = append(letters, redisstore.Letter{
					App: p.n.App, Device: s.Cell.Device, Delivery: push.DeliveryID(p.n.ID, p.chunk.Number, s.Index),
				})
			}
		}
	}
	if len(letters) == 0 {
		return nil
	}
	if err := r.w.inbox.Drop(ctx, letters); err != nil {
		return fmt.Errorf("scheduler: clear inboxes: %w", err)
	}
	return nil
}
