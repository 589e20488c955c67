package push

import "time"

// Lane is the way of one app to one provider, as all workers together see it.
type Lane struct {
	App      string    `json:"app"`
	Provider string    `json:"provider"`
	State    LaneState `json:"state"`
	// Why is why it is not open, Until when it is tried again; zero if nobody
	// can tell.
	Why   string    `json:"why,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Note is what an operator should know of an open lane, too: such as that
	// earlier credentials are in force again.
	Note string `json:"note,omitempty"`
	// Workers have used it in the last seconds; on Closed of them it is closed.
	Workers  int `json:"workers"`
	Closed   int `json:"closed"`
	InFlight int `json:"in_flight"`
	Limit    int `json:"limit"` // requests that may be in flight
	Waiting  int `json:"waiting"`
	// PerSecond is how many deliveries the provider takes now, Bound how many
	// may be begun a second; 0 is no bound.
	PerSecond float64 `json:"per_second"`
	Bound     float64 `json:"bound,omitempty"`
	// Classes are closed though the lane is open for others.
	Classes []ClosedClass `json:"classes,omitempty"`
	Quotas  []QuotaUse    `json:"quotas,omitempty"`
}

// LaneState says whether a lane takes deliveries.
type LaneState string

// The states of a lane.
const (
	LaneOpen    LaneState = "open"
	LaneClosed  LaneState = "closed"  // until a time: the provider fails, throttles or refuses us
	LaneProbing LaneState = "probing" // one request tries whether it is well again
	LaneOff     LaneState = "off"     // an operator's decision
)

// ClosedClass is a class that a lane does not take for a while.
type ClosedClass struct {
	Class Class     `json:"class"`
	Why   string    `json:"why"`
	Until time.Time `json:"until"`
}

// QuotaUse is how much of a day's quota has been used.
type QuotaUse struct {
	Name      string `json:"name"`
	PerDevice bool   `json:"per_device,omitempty"`
	Limit     int64  `json:"limit,omitempty"` // 0 is unknown
	Used      int64  `json:"used"`            // of one counted for each device: by all of them
	// Refused counts what took another road since the day began because the
	// quota was used up.
	Refused   int64   `json:"refused,omitempty"`
	PerSecond float64 `json:"per_second"` // how fast it is used now
	// EndsAt is when the quota will be used up at this pace; zero if not today.
	EndsAt time.Time `json:"ends_at,omitzero"`
	// RenewsAt is when the service's next day begins.
	RenewsAt time.Time `json:"renews_at"`
}

// LaneSwitch is an operator's decision to keep a lane off.
type LaneSwitch struct {
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}
