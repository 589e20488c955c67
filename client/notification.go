package client

import "time"

// Class says how much may be risked and spent on a notification.
type Class string

// The message classes; Transactional is the default.
const (
	OTP           Class = "otp"
	Transactional Class = "transactional"
	Chat          Class = "chat"
	Call          Class = "call"
	Marketing     Class = "marketing"
)

// Stage is a rung of the receipt ladder, or a way off it.
type Stage string

// The ladder, lowest rung first, and the ways off it.
const (
	Accepted   Stage = "accepted"
	HandedOver Stage = "handed_over"
	Delivered  Stage = "delivered"
	Displayed  Stage = "displayed"
	Clicked    Stage = "clicked"

	Failed     Stage = "failed"
	Unknown    Stage = "unknown"
	Expired    Stage = "expired"
	Cancelled  Stage = "cancelled"
	Suppressed Stage = "suppressed"
)

// Notification is what is asked: reach these people with this, before then.
type Notification struct {
	// ID makes sending again safe, within 24 hours: 1 to 64 letters, digits,
	// "_", "-" or ":". The client makes one if it is empty.
	ID    string   `json:"id,omitempty"`
	To    Audience `json:"to"`
	Class Class    `json:"class,omitempty"`
	// Title or Body is needed. With Data they have at most 4,096 bytes.
	Title       string            `json:"title,omitempty"`
	Body        string            `json:"body,omitempty"`
	Data        map[string]string `json:"data,omitempty"`
	CollapseKey string            `json:"collapse_key,omitempty"`
	// Campaign is what this is part of; the record's numbers can be asked for by it.
	Campaign   string    `json:"campaign,omitempty"`
	TTLSeconds int       `json:"ttl_seconds,omitempty"` // default a day
	Route      *Route    `json:"route,omitempty"`       // default: Herald decides
	DeliverAt  time.Time `json:"deliver_at,omitzero"`   // default now; at most 30 days ahead
	// Overrides say something to one provider alone, by its name: an object of
	// the provider's own options, such as {"apns": {"push_type": "background"}}.
	Overrides map[string]any `json:"overrides,omitempty"`

	// DeliverAtLocal is a time without a zone, such as "2026-03-01T09:00": each
	// device gets it when its own clock shows it. Instead of DeliverAt.
	DeliverAtLocal string `json:"deliver_at_local,omitempty"`
	// QuietHours is what becomes of it in quiet hours. Default: what the app says.
	QuietHours QuietAction `json:"quiet_hours,omitempty"`
	Digest     *Digest     `json:"digest,omitempty"` // default: it goes alone
	// Template is the app's template that says title, body and data, in each
	// device's language, with Variables: texts or numbers. Instead of Title and
	// Body.
	Template  string         `json:"template,omitempty"`
	Variables map[string]any `json:"variables,omitempty"`
	// RatePerMinute bounds how many deliveries are begun in a minute. Default:
	// as fast as it goes.
	RatePerMinute int `json:"rate_per_minute,omitempty"`
}

// QuietAction is what becomes of a notification in quiet hours.
type QuietAction string

// Hold sends it when they end, Drop never, Silence without sound or vibration.
const (
	Hold    QuietAction = "hold"
	Drop    QuietAction = "drop"
	Silence QuietAction = "silent"
)

// Digest collects notifications of one key for one user over a window that the
// first opens, and sends one for all when it ends.
type Digest struct {
	Key           string `json:"key"`
	WindowSeconds int    `json:"window_seconds"`
	Template      string `json:"template,omitempty"` // default: a plain summary
}

// Audience names who is to be reached; exactly one field is
// set, but for Filter.
type Audience struct {
	Device  string   `json:"device,omitempty"`
	Devices []string `json:"devices,omitempty"`
	User    string   `json:"user,omitempty"`
	Users   []string `json:"users,omitempty"`
	Tag     string   `json:"tag,omitempty"`
	All     bool     `json:"all,omitempty"`
	// Near, Polygon and Place are all devices that were last seen there.
	Near    *Circle    `json:"near,omitempty"`
	Polygon []Location `json:"polygon,omitempty"`
	Place   string     `json:"place,omitempty"`
	// Filter is an expression such as `platform = "ios" and app_version >= 2.10`,
	// in the language of docs/scheduling.md: alone, or beside Tag, All, Near,
	// Polygon or Place.
	Filter string `json:"filter,omitempty"`
}

// Route is what the caller wishes about the roads to a device.
type Route struct {
	Roads       []string `json:"roads,omitempty"`        // provider names, or "auto"
	Until       Stage    `json:"until,omitempty"`        // Accepted, Delivered (default) or Displayed
	WaitSeconds int      `json:"wait_seconds,omitempty"` // before the next road; by default what Herald has learned
	Parallel    int      `json:"parallel,omitempty"`     // roads at once to begin with; the class has a default
}

// State says where a notification is on its way.
type State string

// The states of a notification.
const (
	Scheduled State = "scheduled"
	Queued    State = "queued"
	Sending   State = "sending"
	Paused    State = "paused"
	Done      State = "done"
	TakenBack State = "cancelled"
)

// Progress is the state of a notification with its counts.
type Progress struct {
	ID         string    `json:"id"`
	State      State     `json:"state"`
	Class      Class     `json:"class"`
	AcceptedAt time.Time `json:"accepted_at"`
	DeliverAt  time.Time `json:"deliver_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at"`
	// Audience is how many devices are meant, as counted when the first of them
	// were read; Counts.Deliveries grows towards it. 0 before.
	Audience int      `json:"audience,omitempty"`
	Counts   Counts   `json:"counts"`
	Outcomes Outcomes `json:"outcomes"`
}

// Counts are deliveries, each counted on every rung it has reached.
type Counts struct {
	Deliveries int `json:"deliveries"`
	Accepted   int `json:"accepted"`
	Delivered  int `json:"delivered"`
	Displayed  int `json:"displayed"`
	Clicked    int `json:"clicked"`
	Failed     int `json:"failed"`
	Unknown    int `json:"unknown"`
	Expired    int `json:"expired"`
	Cancelled  int `json:"cancelled"`
	Suppressed int `json:"suppressed"`
	PaidTwice  int `json:"paid_twice"` // an SMS was paid for, and then an earlier road proved to have arrived
}

// Outcomes are the same deliveries, each in one place alone: at any time they
// add up to Counts.Deliveries.
type Outcomes struct {
	Delivered  int `json:"delivered"`
	Failed     int `json:"failed"`
	Expired    int `json:"expired"`
	Cancelled  int `json:"cancelled"`
	Suppressed int `json:"suppressed"`
	Waiting    int `json:"waiting"` // no last word yet: not tried, in hand, or taken by a provider and not proven so far
}

// Result is what became of one item of a batch or one reported receipt.
type Result struct {
	Index   int      `json:"index"`
	ID      string   `json:"id,omitempty"`
	Status  int      `json:"status"`            // 202 if it was taken
	Problem *Problem `json:"problem,omitempty"` // nil if it was taken
}

// Plan is what would come of a notification if it were sent now.
type Plan struct {
	Devices  int               `json:"devices"`
	Roads    []PlannedRoad     `json:"roads"`
	Payloads []PlannedPayload  `json:"payloads"`
	Sample   []PlannedDelivery `json:"sample"`
}

// PlannedRoad is how many devices begin with a provider; "" reaches none.
type PlannedRoad struct {
	Provider string `json:"provider"`
	Devices  int    `json:"devices"`
}

// PlannedPayload is what the notification weighs with one provider.
type PlannedPayload struct {
	Provider string `json:"provider"`
	Bytes    int    `json:"bytes"`
	Limit    int    `json:"limit,omitempty"` // 0 if the provider has none
	// Shortened are the fields that would be cut to fit: body, title.
	Shortened []string `json:"shortened,omitempty"`
	// Segments is how many short messages a text takes, CostMicros what they
	// cost a device, in millionths of the app's currency.
	Segments   int   `json:"segments,omitempty"`
	CostMicros int64 `json:"cost_micros,omitempty"`

	Fault string `json:"fault,omitempty"` // why the provider would never take it
}

// PlannedDelivery is one device with the roads to it, in the order of trial.
type PlannedDelivery struct {
	Device string        `json:"device"`
	Roads  []PlannedStep `json:"roads"`
	// Decision is how the first road would be chosen, in numbers.
	Decision *Decision `json:"decision,omitempty"`
}

// PlannedStep is one road with the reason it stands where it does.
type PlannedStep struct {
	Provider string `json:"provider"`
	Why      string `json:"why"`
	Skipped  string `json:"skipped,omitempty"` // why it would be passed over
}

// Page is a part of a notification's deliveries.
type Page struct {
	Deliveries []Trace `json:"deliveries"`
	Next       string  `json:"next,omitempty"` // Query.After of the next page; "" on the last
}

// Trace is one delivery's whole story, oldest evidence first.
type Trace struct {
	ID       string    `json:"id"`
	Device   string    `json:"device"`
	Stage    Stage     `json:"stage"` // the highest rung proven
	Attempts []Attempt `json:"attempts"`
	Receipts []Proof   `json:"receipts"`
}

// Attempt is one try of a delivery through one provider.
type Attempt struct {
	Number     int       `json:"number"`
	Provider   string    `json:"provider"`
	ProviderID string    `json:"provider_id,omitempty"`
	Stage      Stage     `json:"stage"`
	Kind       string    `json:"kind,omitempty"`
	Code       string    `json:"code,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	Why        string    `json:"why"` // why this road was taken
	Decision   *Decision `json:"decision,omitempty"`
	At         time.Time `json:"at"`
	TookMillis float64   `json:"took_ms"`
	CostMicros int64     `json:"cost_micros,omitempty"`
}

// Decision is how the road of an attempt was chosen, in numbers.
type Decision struct {
	Policy     string      `json:"policy"`
	Propensity float64     `json:"propensity"` // with which the road was to be chosen
	Explored   bool        `json:"explored"`   // another road had a higher value
	Online     bool        `json:"online"`
	Wished     string      `json:"wished,omitempty"` // what the selector would have taken, where it was not heard
	Roads      []Candidate `json:"roads"`
}

// Candidate is one road that a decision weighed.
type Candidate struct {
	Provider   string  `json:"provider"`
	Score      float64 `json:"score"` // the chance less the cost
	Propensity float64 `json:"propensity"`
	Chance     float64 `json:"chance"`            // that it arrives within its time to live
	Seconds    float64 `json:"seconds,omitempty"` // in which half of what arrives has; 0 is not known
	Cost       float64 `json:"cost,omitempty"`    // in the worth of one message that arrives
}

// Proof is one piece of evidence that came after an attempt.
type Proof struct {
	Stage      Stage     `json:"stage"`
	Source     string    `json:"source"`
	Provider   string    `json:"provider,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	At         time.Time `json:"at"`
	ReceivedAt time.Time `json:"received_at"`
	AfterMs    float64   `json:"after_ms"` // from acceptance by the API
}
