package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/sqlstore"
	geo "github.com/herald-push/herald/places"
	"github.com/herald-push/herald/push"
)

// wirePlaces makes the room that knows where devices are.
func (h *house) wirePlaces() (err error) {
	text, err := h.cfg.Sealing.text()
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(strings.TrimSpace(text)))
	mac.Write([]byte("places")) // the key itself is for sealing alone
	h.whereabouts, err = geo.New(h.cfg.Places, geo.Parts{
		Redis: h.redis, Store: h.store, Bell: fenceBell{h}, Secret: mac.Sum(nil), Log: h.log, Metrics: h.metrics,
	})
	return err
}

// audiences is the store of devices, with those audiences that are asked of
// Redis: who is somewhere.
type audiences struct {
	*sqlstore.Store
	where *geo.Places
}

// Page implements [redisstore.Source].
func (a audiences) Page(ctx context.Context, app string, to push.Audience, after string, limit int) ([]string, error) {
	if geo.IsPlace(to) {
		return a.where.Page(ctx, app, to, after, limit)
	}
	return a.Store.Page(ctx, app, to, after, limit)
}

// Count implements [redisstore.Source].
func (a audiences) Count(ctx context.Context, app string, to push.Audience) (int, error) {
	if geo.IsPlace(to) {
		return a.where.Count(ctx, app, to)
	}
	return a.Store.Count(ctx, app, to)
}

var _ redisstore.Source = audiences{}

// fenceBell sends what fences send.
type fenceBell struct{ house *house }

// Ring implements [geo.Bell].
func (b fenceBell) Ring(ctx context.Context, id, device string, what push.Crossing, at time.Time, f *push.Fence) error {
	n := *f.Notification
	n.App, n.ID, n.To = f.App, id, push.Audience{Device: device}
	n.Data = map[string]string{}
	for k, v := range f.Notification.Data {
		n.Data[k] = v
	}
	n.Data["fence"], n.Data["crossing"] = f.ID, string(what)
	n.AcceptedAt = time.Now().UTC()
	n.ExpiresAt = n.AcceptedAt.Add(time.Duration(f.TTLSeconds) * time.Second)
	if n.Template != "" {
		if err := b.house.book.Word(ctx, &n); err != nil {
			return err
		}
	}
	_, err := b.house.scheduler.Enqueue(ctx, &n, sha256.Sum256([]byte(id)))
	if errors.Is(err, push.ErrConflict) {
		return nil // the caller has sent something by this id
	}
	return err
}

// uplink is what devices say on the live connection about where they are.
type uplink struct{ house *house }

// Report implements [access.Positions].
func (u uplink) Report(ctx context.Context, who im.Session, payload []byte) (retry bool, err error) {
	points, err := u.house.whereabouts.ReadReport(payload)
	if err == nil {
		_, err = u.house.whereabouts.Report(ctx, who.App, who.Device, points)
	}
	if err == nil {
		return false, nil
	}
	said, ok := refusalOf(err)
	if !ok {
		return true, err
	}
	frame, err2 := json.Marshal(said)
	if err2 != nil {
		return true, err2
	}
	// A device that cannot be told has gone.
	_ = u.house.router.Deliver(ctx, who.App, who.Device, said.ID, frame, time.Now().Add(time.Minute))
	return false, err
}

// refusal is the frame that tells a device why what it said is not taken.
type refusal struct {
	ID     string       `json:"id"`
	Type   string       `json:"type"` // refused
	Topic  string       `json:"topic"`
	Code   string       `json:"code"`
	Field  string       `json:"field,omitempty"`
	Detail string       `json:"detail"`
	Faults []push.Fault `json:"faults,omitempty"`
}

// refusalOf says why a report is refused; ok is false for Herald's own trouble.
func refusalOf(err error) (r refusal, ok bool) {
	// An id of chat's passing frames: its acknowledgement is evidence of nothing.
	r = refusal{ID: "im~" + uuid.NewString(), Type: "refused", Topic: "positions"}
	invalid := (*push.Invalid)(nil)
	switch {
	case errors.As(err, &invalid):
		r.Code, r.Field, r.Detail, r.Faults = "invalid", invalid.Faults[0].Field, invalid.Faults[0].Detail, invalid.Faults
	case errors.Is(err, geo.ErrNoConsent):
		r.Code, r.Detail = "no_consent", geo.ErrNoConsent.Error()
	case errors.Is(err, push.ErrNotFound):
		r.Code, r.Detail = "not_found", "the device is registered no longer"
	default:
		return r, false
	}
	return r, true
}
