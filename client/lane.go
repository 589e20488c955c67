package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Lane is how the app fares with one provider, over all of Herald's workers.
type Lane struct {
	App      string `json:"app"`
	Provider string `json:"provider"`
	// State is "open", "closed" until a time, "probing" whether it is well
	// again, or "off" by an operator.
	State     string        `json:"state"`
	Why       string        `json:"why,omitempty"`
	Until     time.Time     `json:"until,omitzero"`
	Note      string        `json:"note,omitempty"` // what an operator should know, such as that earlier credentials are in force again
	Workers   int           `json:"workers"`        // that have used it lately
	Closed    int           `json:"closed"`         // on how many it is not open
	InFlight  int           `json:"in_flight"`
	Limit     int           `json:"limit"` // requests that may be in flight
	Waiting   int           `json:"waiting"`
	PerSecond float64       `json:"per_second"`      // deliveries that the provider takes
	Bound     float64       `json:"bound,omitempty"` // that may be begun a second; 0 is no bound
	Classes   []ClosedClass `json:"classes,omitempty"`
	Quotas    []QuotaUse    `json:"quotas,omitempty"`
}

// ClosedClass is a class that a lane does not take for a while.
type ClosedClass struct {
	Class Class     `json:"class"`
	Why   string    `json:"why"`
	Until time.Time `json:"until"`
}

// QuotaUse is how much of a provider's quota of the day is used.
type QuotaUse struct {
	Name      string    `json:"name"`
	PerDevice bool      `json:"per_device,omitempty"`
	Limit     int64     `json:"limit,omitempty"` // 0 is unknown
	Used      int64     `json:"used"`
	Refused   int64     `json:"refused,omitempty"` // deliveries that did not take this road for it
	PerSecond float64   `json:"per_second"`
	EndsAt    time.Time `json:"ends_at,omitzero"` // at this pace; zero if not today
	RenewsAt  time.Time `json:"renews_at"`
}

// Lanes lists how the app fares with its providers. It needs the scope read.
func (c *Client) Lanes(ctx context.Context) ([]Lane, error) {
	out, err := ask[lanes](ctx, c, http.MethodGet, "/v1/lanes", nil)
	return out.Lanes, err
}

type lanes struct {
	Lanes []Lane `json:"lanes"`
}

// SwitchLaneOff keeps a provider from being used until it is switched on. Others
// will read the reason. It needs the scope operate.
func (c *Client) SwitchLaneOff(ctx context.Context, provider, reason string) (Lane, error) {
	return c.switchLane(ctx, provider, laneSwitch{"off", reason})
}

// SwitchLaneOn undoes [Client.SwitchLaneOff].
func (c *Client) SwitchLaneOn(ctx context.Context, provider string) (Lane, error) {
	return c.switchLane(ctx, provider, laneSwitch{State: "open"})
}

type laneSwitch struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

func (c *Client) switchLane(ctx context.Context, provider string, s laneSwitch) (Lane, error) {
	return ask[Lane](ctx, c, http.MethodPut, "/v1/lanes/"+url.PathEscape(provider), s)
}
