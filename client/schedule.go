package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Schedule sends a notification again and again.
type Schedule struct {
	ID string `json:"id"` // 1 to 40 letters, digits, "_" or "-"
	// Cron is minute, hour, day of month, month and day of week by the clock in
	// Timezone; or a word such as "@daily".
	Cron     string `json:"cron"`
	Timezone string `json:"timezone,omitempty"` // default: the app's, or UTC
	// Notification is without ID, DeliverAt and DeliverAtLocal.
	Notification Notification `json:"notification"`

	// Herald fills in the rest.
	Next      []time.Time `json:"next,omitzero"` // the next five times
	NextAt    time.Time   `json:"next_at,omitzero"`
	LastAt    time.Time   `json:"last_at,omitzero"` // for which it fired last
	CreatedAt time.Time   `json:"created_at,omitzero"`
	UpdatedAt time.Time   `json:"updated_at,omitzero"`
}

// PutSchedule makes a schedule, or replaces the one with its id.
func (c *Client) PutSchedule(ctx context.Context, s Schedule) (Schedule, error) {
	in := Schedule{ID: s.ID, Cron: s.Cron, Timezone: s.Timezone, Notification: s.Notification}
	return ask[Schedule](ctx, c, http.MethodPost, "/v1/schedules", in)
}

// Schedule reads one schedule.
func (c *Client) Schedule(ctx context.Context, id string) (Schedule, error) {
	return ask[Schedule](ctx, c, http.MethodGet, "/v1/schedules/"+url.PathEscape(id), nil)
}

// SchedulePage is a part of the schedules.
type SchedulePage struct {
	Schedules []Schedule `json:"schedules"`
	Next      string     `json:"next,omitempty"` // after of the next page; "" on the last
}

// Schedules lists schedules by id, by pages: after is [SchedulePage.Next] of the
// page before, limit 1 to 1,000.
func (c *Client) Schedules(ctx context.Context, after string, limit int) (SchedulePage, error) {
	values := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		values.Set("after", after)
	}
	return ask[SchedulePage](ctx, c, http.MethodGet, "/v1/schedules?"+values.Encode(), nil)
}

// DeleteSchedule ends a schedule. What it has sent stays sent.
func (c *Client) DeleteSchedule(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/schedules/"+url.PathEscape(id), nil, nil)
}

// User is how a person wishes to be reached. UpdatedAt is Herald's to say.
type User struct {
	ID         string      `json:"id,omitempty"`
	Timezone   string      `json:"timezone,omitempty"` // for devices that have none
	QuietHours *QuietHours `json:"quiet_hours,omitempty"`
	UpdatedAt  time.Time   `json:"updated_at,omitzero"`
}

// QuietHours are a part of each day by the clock where the device is, such as
// "22:00" to "07:00".
type QuietHours struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// PutUser says how the user u.ID wishes to be reached, whole.
func (c *Client) PutUser(ctx context.Context, u User) (User, error) {
	path := "/v1/users/" + url.PathEscape(u.ID)
	u.ID, u.UpdatedAt = "", time.Time{}
	return ask[User](ctx, c, http.MethodPut, path, u)
}

// User reads how a user wishes to be reached; a [*Problem] with status 404 for
// one who has said nothing.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	return ask[User](ctx, c, http.MethodGet, "/v1/users/"+url.PathEscape(id), nil)
}

// DeleteUser forgets how a user wishes to be reached.
func (c *Client) DeleteUser(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/users/"+url.PathEscape(id), nil, nil)
}
