package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/scheduler"
)

// desk is what operators look at, gathered from the rooms that know it.
type desk struct {
	*scheduler.Scheduler
	house *house
}

const (
	listsSince  = 7 * 24 * time.Hour  // how far back a list looks unless it is told
	roadsSince  = 30 * 24 * time.Hour // and what is told of a device's roads
	recentOfOne = 20
	mostOwned   = 1000 // devices of a user that are looked for
	// mostRounds bounds how often a list asks for more because a state, which
	// the record does not know, has sorted out much.
	mostRounds = 8
)

// Notifications implements [api.Desk].
func (d desk) Notifications(ctx context.Context, app string, q push.NotificationQuery) (found []push.Progress, next string, err error) {
	if q.Until.IsZero() {
		q.Until = time.Now().Add(time.Minute)
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-listsSince)
	}
	devices, narrowed, err := d.devicesOf(ctx, app, q)
	if err != nil || narrowed && len(devices) == 0 {
		return nil, "", err
	}
	at, behind, err := parseBefore(q.Before)
	if err != nil {
		return nil, "", err
	}
	want := q.Limit
	for range mostRounds {
		q.Limit = want + 1
		page := q
		if !at.IsZero() && at.Before(page.Until) {
			page.Until = at.Add(time.Millisecond)
		}
		heads, err := d.heads(ctx, app, page, devices)
		if err != nil {
			return nil, "", err
		}
		fresh := slices.DeleteFunc(heads, func(h head) bool { return h.at.Equal(at) && h.id <= behind })
		for _, h := range fresh {
			at, behind = h.at, h.id
			p, err := d.progress(ctx, app, h)
			if err != nil {
				return nil, "", err
			}
			if p != nil && (q.State == "" || p.State == q.State) && (q.Class == "" || p.Class == q.Class) {
				found = append(found, *p)
			}
			if len(found) == want {
				return found, formatBefore(at, behind), nil
			}
		}
		if len(heads) < want {
			return found, "", nil
		}
	}
	return found, formatBefore(at, behind), nil
}

// devicesOf are whose deliveries are looked for; narrowed is false for anybody's.
func (d desk) devicesOf(ctx context.Context, app string, q push.NotificationQuery) (devices []string, narrowed bool, err error) {
	if q.Device != "" {
		devices = append(devices, q.Device)
	}
	if q.User != "" {
		owned, err := d.house.store.Page(ctx, app, push.Audience{User: q.User}, "", mostOwned)
		if err != nil {
			return nil, true, err
		}
		devices = append(devices, owned...)
	}
	return devices, q.Device != "" || q.User != "", nil
}

// head is a notification of a list before its progress was asked for.
type head struct {
	id  string
	at  time.Time // to the millisecond
	row *analytics.RecentRow
}

// heads are the newest notifications of two lists, the record's and the
// campaigns', each once.
func (d desk) heads(ctx context.Context, app string, q push.NotificationQuery, devices []string) ([]head, error) {
	byID := map[string]head{}
	if len(devices) == 0 {
		noted, err := d.Campaigns(ctx, app, q.Since, q.Until.Add(-time.Millisecond), q.Limit)
		if err != nil {
			return nil, err
		}
		for _, n := range noted {
			if strings.Contains(strings.ToLower(n.ID), strings.ToLower(q.ID)) {
				byID[n.ID] = head{id: n.ID, at: n.At}
			}
		}
	}
	if d.house.record != nil {
		rows, err := d.house.record.Find(ctx, app, q, devices)
		if err != nil && len(byID) == 0 {
			return nil, err
		}
		for i, row := range rows {
			byID[row.Notification] = head{row.Notification, row.AcceptedAt.UTC().Truncate(time.Millisecond), &rows[i]}
		}
	}
	all := make([]head, 0, len(byID))
	for _, h := range byID {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b head) int { return cmp.Or(b.at.Compare(a.at), strings.Compare(a.id, b.id)) })
	return all[:min(len(all), q.Limit)], nil
}

// progress is how far a notification has come; what was forgotten has what the
// record says, and nil is what nobody knows any more.
func (d desk) progress(ctx context.Context, app string, h head) (*push.Progress, error) {
	p, err := d.Progress(ctx, app, h.id)
	if err == nil {
		return &p, nil
	}
	if !errors.Is(err, push.ErrNotFound) {
		return nil, err
	}
	if h.row == nil {
		return nil, nil
	}
	c := push.Counts{
		Deliveries: int(h.row.Deliveries), Accepted: int(h.row.Accepted), Delivered: int(h.row.Delivered), Displayed: int(h.row.Displayed),
		Clicked: int(h.row.Clicked), Failed: int(h.row.Failed), Unknown: int(h.row.Unknown), Expired: int(h.row.Expired),
		Cancelled: int(h.row.Cancelled), Suppressed: int(h.row.Suppressed),
	}
	return &push.Progress{
		ID: h.id, State: push.Done, Class: push.Class(h.row.Class), AcceptedAt: h.row.AcceptedAt.UTC(),
		Audience: c.Deliveries, Counts: c, Outcomes: c.Outcomes(),
	}, nil
}

func formatBefore(at time.Time, id string) string {
	return strconv.FormatInt(at.UnixMilli(), 10) + "." + id
}

func parseBefore(text string) (time.Time, string, error) {
	if text == "" {
		return time.Time{}, "", nil
	}
	ms, id, ok := strings.Cut(text, ".")
	n, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil {
		return time.Time{}, "", &push.Invalid{Faults: []push.Fault{{Field: "before", Detail: "is no next of an earlier page"}}}
	}
	return time.UnixMilli(n).UTC(), id, nil
}

// DeviceList implements [api.Desk].
func (d desk) DeviceList(ctx context.Context, app, prefix, user, after string, limit int) ([]*push.Device, error) {
	if user == "" {
		return d.house.store.List(ctx, app, prefix, after, limit)
	}
	ids, err := d.house.store.Page(ctx, app, push.Audience{User: user}, after, limit)
	if err != nil {
		return nil, err
	}
	found, err := d.house.store.Devices(ctx, app, ids)
	return slices.DeleteFunc(found, func(d *push.Device) bool { return d == nil }), err
}

// DeviceState implements [api.Desk]. What the record would say is missing while
// it is away.
func (d desk) DeviceState(ctx context.Context, device *push.Device) (push.DeviceState, error) {
	app, id := device.App, device.ID
	state := push.DeviceState{LastSeen: device.UpdatedAt}
	online, err := d.house.router.Online(ctx, app, []string{id})
	if err != nil {
		return state, err
	}
	state.Online = online[0]
	if state.Inbox, err = d.letters(ctx, app, id); err != nil {
		return state, err
	}
	plan, err := d.Plan(ctx, &push.Notification{
		App: app, ID: "a-look-at-" + id, To: push.Audience{Device: id}, Class: push.Transactional, Title: "–",
		AcceptedAt: time.Now().UTC(), ExpiresAt: time.Now().Add(time.Hour).UTC(),
	})
	if err == nil && len(plan.Sample) > 0 {
		state.Ranked = plan.Sample[0].Roads
	}
	if d.house.record == nil {
		return state, nil
	}
	now := time.Now()
	if state.Roads, err = d.house.record.DeviceRoads(ctx, app, id, now.Add(-roadsSince)); err == nil {
		state.Recent, err = d.house.record.DeviceRecent(ctx, app, id, now.Add(-listsSince), recentOfOne)
	}
	if err != nil {
		d.house.log.WarnContext(ctx, "a device's evidence cannot be read", "device", id, "err", err)
	}
	for _, r := range state.Roads {
		if r.LastProof.After(state.LastSeen) {
			state.LastSeen = r.LastProof
		}
	}
	return state, nil
}

// letters are what waits in a device's inbox, the oldest first, without what
// they say.
func (d desk) letters(ctx context.Context, app, device string) ([]push.InboxLetter, error) {
	waiting, err := redisstore.NewInbox(d.house.redis).List(ctx, app, device)
	if err != nil {
		return nil, err
	}
	letters := make([]push.InboxLetter, 0, len(waiting))
	for delivery, payload := range waiting {
		l := push.InboxLetter{Delivery: delivery, Bytes: len(payload)}
		var about struct {
			SentAt    time.Time `json:"sent_at"`
			ExpiresAt time.Time `json:"expires_at"`
		}
		if json.Unmarshal([]byte(payload), &about) == nil {
			l.SentAt, l.ExpiresAt = about.SentAt, about.ExpiresAt
		}
		letters = append(letters, l)
	}
	slices.SortFunc(letters, func(a, b push.InboxLetter) int {
		return cmp.Or(a.SentAt.Compare(b.SentAt), strings.Compare(a.Delivery, b.Delivery))
	})
	return letters, nil
}

// Nodes implements [api.Desk].
func (d desk) Nodes(ctx context.Context) ([]push.Node, error) {
	return redisstore.NewNodes(d.house.redis).List(ctx)
}

// Drain implements [api.Desk].
func (d desk) Drain(ctx context.Context, node string, on bool) error {
	rate := 0
	if on {
		rate = d.house.cfg.LongConn.EvictRate
	}
	heard, err := routing.Drain(ctx, routing.NewRedis(d.house.redis, routing.DefaultConfig()), node, rate)
	if err == nil && !heard {
		err = fmt.Errorf("node %q does not listen: %w", node, push.ErrAway)
	}
	return err
}
