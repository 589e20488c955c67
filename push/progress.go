package push

import "time"

// State says where a notification is on its way.
type State string

// The states of a notification.
const (
	Scheduled State = "scheduled" // waits for its deliver_at
	Queued    State = "queued"    // durable, no worker has taken it yet
	Sending   State = "sending"   // some deliveries have no outcome yet
	Paused    State = "paused"    // nothing more is begun until it is resumed
	Done      State = "done"      // every delivery has an outcome; late receipts may still raise it
	TakenBack State = "cancelled" // taken back; what had left before stays left
)

// Progress is the state of a notification with its counts.
type Progress struct {
	ID         string    `json:"id"`
	State      State     `json:"state"`
	Class      Class     `json:"class"`
	AcceptedAt time.Time `json:"accepted_at"`
	DeliverAt  time.Time `json:"deliver_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at"`
	// Audience is how many devices are meant, as far as that is known: counted
	// when the first of them are read, while Counts.Deliveries grows towards it.
	Audience int      `json:"audience,omitempty"`
	Counts   Counts   `json:"counts"`
	Outcomes Outcomes `json:"outcomes"`
}

// Counts are deliveries, each counted on every rung it has reached: one that
// was clicked is in Accepted, Delivered, Displayed and Clicked.
type Counts struct {
	Deliveries int `json:"deliveries"` // the audience, as far as it is expanded
	Accepted   int `json:"accepted"`   // some provider took it
	Delivered  int `json:"delivered"`
	Displayed  int `json:"displayed"`
	Clicked    int `json:"clicked"`
	Failed     int `json:"failed"`
	Unknown    int `json:"unknown"`
	Expired    int `json:"expired"`
	Cancelled  int `json:"cancelled"`
	Suppressed int `json:"suppressed"`
	// PaidTwice are those that an SMS was paid for although an earlier road had
	// reached the device: its proof came after the SMS had left.
	PaidTwice int `json:"paid_twice"`
}

// Outcomes are the same deliveries, each in one place alone: at any time they
// add up to [Counts.Deliveries].
type Outcomes struct {
	Delivered  int `json:"delivered"` // it arrived: proven by the device, its app or the vendor
	Failed     int `json:"failed"`
	Expired    int `json:"expired"`
	Cancelled  int `json:"cancelled"`
	Suppressed int `json:"suppressed"`
	Waiting    int `json:"waiting"` // no last word yet: not tried, in hand, or taken by a provider and not proven so far
}

// Outcomes sorts the deliveries by what became of them.
func (c Counts) Outcomes() Outcomes {
	return Outcomes{
		Delivered: c.Delivered, Failed: c.Failed, Expired: c.Expired, Cancelled: c.Cancelled, Suppressed: c.Suppressed,
		Waiting: c.Deliveries - c.Delivered - c.Failed - c.Expired - c.Cancelled - c.Suppressed,
	}
}

// Trace is one delivery's whole story, oldest evidence first.
type Trace struct {
	ID       string    `json:"id"`
	Device   string    `json:"device"`
	Stage    Stage     `json:"stage"` // the highest rung proven; "" if nothing was tried yet
	Attempts []Attempt `json:"attempts"`
	Receipts []Proof   `json:"receipts"`
}

// Attempt is one try of a delivery through one provider.
type Attempt struct {
	Number     int    `json:"number"` // from 1, all providers together
	Provider   string `json:"provider"`
	ProviderID string `json:"provider_id,omitempty"`
	Stage      Stage  `json:"stage"` // accepted, handed_over, failed or unknown
	Kind       string `json:"kind,omitempty"`
	Code       string `json:"code,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Why        string `json:"why"` // why this road was taken
	// Decision is the same in numbers; nil where there was nothing to decide.
	Decision   *Decision `json:"decision,omitempty"`
	At         time.Time `json:"at"`
	TookMillis float64   `json:"took_ms"`
	CostMicros int64     `json:"cost_micros,omitempty"`
}

// Proof is one piece of evidence that came after an attempt, or an outcome
// without one.
type Proof struct {
	Stage      Stage     `json:"stage"`
	Source     Source    `json:"source"`
	Provider   string    `json:"provider,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	At         time.Time `json:"at"`
	ReceivedAt time.Time `json:"received_at"`
	AfterMs    float64   `json:"after_ms"` // from acceptance by the API, or the end of what held it, to arrival of the proof
}
