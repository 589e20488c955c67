package web

import (
	"context"
	"fmt"
	"time"
)

// Lanes knows how an app fares with each provider now.
type Lanes interface {
	Lanes(ctx context.Context, app string) ([]Lane, error)
}

// Lane is one row of the table of lanes.
type Lane struct {
	Provider string
	State    string // open, closed, probing or off
	// Why is why it is not open, or not for everybody; Until when that ends.
	Why       string
	Until     time.Time
	Note      string // what an operator should know, of an open lane, too
	InFlight  uint64
	Limit     uint64
	Waiting   uint64
	PerSecond float64 // deliveries that the provider takes
	Bound     float64 // that may be begun a second; 0 is no bound
	Quotas    []LaneQuota
}

// LaneQuota is how much of a provider's quota of the day is used.
type LaneQuota struct {
	Name        string
	PerDevice   bool
	Limit, Used uint64 // Limit is 0 where nobody knows it
	Refused     uint64
	EndsAt      time.Time // at this pace; zero if not today
	RenewsAt    time.Time
}

// Words says how the quota stands, shortly.
func (q LaneQuota) Words() string {
	text := count(q.Used) + " used"
	switch {
	case q.PerDevice:
		text = count(q.Limit) + " a device"
	case q.Limit > 0:
		text = count(q.Used) + " of " + count(q.Limit)
	}
	if q.Refused > 0 {
		text += fmt.Sprintf(", %s went elsewhere", count(q.Refused))
	}
	switch {
	case !q.PerDevice && q.Limit > 0 && q.Used >= q.Limit:
		text += ", used up until " + q.RenewsAt.UTC().Format("15:04") + " UTC"
	case !q.EndsAt.IsZero():
		text += ", ends at " + q.EndsAt.UTC().Format("15:04") + " UTC at this pace"
	}
	return text
}

// Dot is the class of the mark before the state.
func (l Lane) Dot() string {
	switch l.State {
	case "open":
		return "good"
	case "off", "probing":
		return "warn"
	default:
		return "bad"
	}
}
