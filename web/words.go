package web

import (
	"context"
	"errors"
	"time"
)

// Errors that the interfaces below answer with. The pages turn them into words;
// any other error is logged and shown to nobody.
var (
	ErrNotFound = errors.New("web: not found")                   // no such thing in this app: a 404 page
	ErrDenied   = errors.New("web: not a valid key or link")     // login: try again
	ErrAway     = errors.New("web: the store does not answer")   // a notice on the page instead of numbers
	ErrTaken    = errors.New("web: this device is not for demo") // device page: choose another name
)

// Identity is who looks at the pages. It says nothing of what they may: that is
// asked anew with each page.
type Identity struct {
	Kind    string `json:"k"`           // "link", "key" or "person"
	Subject string `json:"u,omitempty"` // a key's id, or a person's e-mail address
	Name    string `json:"n"`           // as the pages and the audit show it
}

// Login knows who may come in. Link and Key answer [ErrDenied] to strangers.
type Login interface {
	// Link spends a one-time login token, such as [Links] makes.
	Link(ctx context.Context, token string) (Identity, error)
	// Key checks an API key. Keys that may not read are denied.
	Key(ctx context.Context, key string) (Identity, error)
	// Roles tells what somebody who came in may do now. None at all signs them
	// out. It is asked with every page.
	Roles(ctx context.Context, who Identity) (Roles, error)
}

// Visits keeps who came and who left, for all processes.
type Visits interface {
	// Came writes a sign-in down; without that nobody is let in. by is link, key
	// or oidc, from the address they came from.
	Came(ctx context.Context, who Identity, by, from string) error
	// Left ends a session until its cookie would have ended by itself.
	Left(ctx context.Context, who Identity, session string, until time.Time, from string) error
	// Gone reports whether a session has left, whatever process it told.
	Gone(ctx context.Context, session string) (bool, error)
}

// App is a tenant, as the app chooser shows it.
type App struct{ ID, Name string }

// Apps lists the tenants in the order to be shown; the first is the default.
type Apps interface {
	Apps(ctx context.Context) ([]App, error)
}

// Numbers answers what came of an app's notifications. Series have one point
// per step of the lens, each at a multiple of the step since 1970; points without
// events may be missing.
type Numbers interface {
	// Choices are the words that the app's attempts over [from, to) had.
	Choices(ctx context.Context, app string, from, to time.Time) (Choices, error)
	// Basis tells of how many deliveries each one that is counted for a lens
	// stands: 1 where all are counted, more where a sample is.
	Basis(ctx context.Context, l Lens) (scale uint64, err error)
	Overview(ctx context.Context, l Lens) (Overview, error)
	Roads(ctx context.Context, l Lens) (Roads, error)
	Choice(ctx context.Context, l Lens) (Choice, error)
	Journeys(ctx context.Context, l Lens) (Journeys, error)
}

// Totals are what came of some deliveries.
type Totals struct {
	Counts Counts
	// P50Millis and P95Millis are the time from acceptance by the API until the
	// proof of delivery arrived. Without deliveries they mean nothing.
	P50Millis, P95Millis float64
	CostMicros           int64 // millionths of the app's currency
}

// Overview is what came of one app over some window.
type Overview struct {
	Totals
	TwiceMicros int64  // of the cost, for what Counts.PaidTwice counts
	Before      Totals // the same window, earlier
	Versus      string // how much earlier, such as "the same time last week"
	Classes     []ClassTotals
	Movers      []Mover
	Series      []Point
	Providers   []Provider
}

// ClassTotals are those of one class.
type ClassTotals struct {
	Class string
	Totals
}

// Mover is a group of devices on one provider that fares otherwise than before,
// beyond chance.
type Mover struct {
	Provider, Maker, Country   string
	Attempts, AttemptsBefore   uint64
	Delivered, DeliveredBefore uint64
	Impact                     float64 // deliveries won, or lost if below 0
	Why                        string
}

// Roads is how an app's providers do.
type Roads struct {
	Providers []Provider // with the lens's group of devices
	Everybody []Provider // with all devices, where the lens has a group
	Kinds     []KindPoint
	Heat      []HeatCell
}

// KindPoint is how many attempts failed in one way in one step.
type KindPoint struct {
	At   time.Time
	Kind string
	N    uint64
}

// HeatCell is how many proofs of one step took about as long.
type HeatCell struct {
	At     time.Time
	Bucket int // ends at 2^(Bucket+4) ms; the last of [HeatBuckets] has no end
	N      uint64
}

// HeatBuckets is how many buckets of waiting time there are.
const HeatBuckets = 17

// Counts are deliveries, each counted on every rung that it has reached: one
// that was clicked is in Accepted, Delivered, Displayed and Clicked.
type Counts struct {
	Notifications uint64 `json:"notifications"`
	Deliveries    uint64 `json:"deliveries"`
	Accepted      uint64 `json:"accepted"`
	Delivered     uint64 `json:"delivered"`
	Displayed     uint64 `json:"displayed"`
	Clicked       uint64 `json:"clicked"`
	Failed        uint64 `json:"failed"`
	Unknown       uint64 `json:"unknown"`
	Expired       uint64 `json:"expired"`
	Cancelled     uint64 `json:"cancelled"`
	Suppressed    uint64 `json:"suppressed"`
	PaidTwice     uint64 `json:"paid_twice"` // an SMS was paid for, and then an earlier road proved to have arrived
}

// Waiting are the deliveries without a last word: not tried, in hand, or taken
// by a provider and not proven so far.
func (c Counts) Waiting() uint64 {
	over := c.Delivered + c.Failed + c.Expired + c.Cancelled + c.Suppressed
	return c.Deliveries - min(over, c.Deliveries)
}

// Point is one step of an [Overview]: the events that arrived in it.
type Point struct {
	At                                              time.Time // the step's start
	Accepted, Delivered, Displayed, Clicked, Failed uint64
	P50Millis, P95Millis                            float64 // as in Overview; nothing if Delivered is 0
}

// Provider is one row of the table of providers.
type Provider struct {
	Name                 string
	Attempts             uint64
	Accepted             uint64
	Delivered            uint64
	Failed               uint64
	Unknown              uint64
	P50Millis, P95Millis float64 // as in Overview; nothing if Delivered is 0
	CostMicros           int64
}

// Notifications finds one message. Unknown ones are [ErrNotFound].
type Notifications interface {
	// Recent lists the newest notifications of an app, newest first.
	Recent(ctx context.Context, app string, limit int) ([]Notification, error)
	Notification(ctx context.Context, app, id string) (Notification, error)
	// Deliveries lists a notification's deliveries in a stable order, starting
	// behind the cursor after; next is "" at the end.
	Deliveries(ctx context.Context, app, id, after string, limit int) (list []Delivery, next string, err error)
	// Delivery is the whole story of one notification on one device.
	Delivery(ctx context.Context, app, id, device string) (Delivery, error)
}

// Notification is what was asked and how far it has come.
type Notification struct {
	ID         string
	Class      string
	State      string // scheduled, queued, sending, paused, done, cancelled
	Title      string // "" where it is not known
	AcceptedAt time.Time
	DeliverAt  time.Time // zero means at once
	ExpiresAt  time.Time
	Audience   uint64 // how many devices are meant; 0 while nobody knows
	Counts     Counts
}

// Delivery is one notification for one device, oldest evidence first.
type Delivery struct {
	ID         string
	Device     string
	Stage      string // the highest rung proven; "" if nothing was tried yet
	AcceptedAt time.Time
	Attempts   []Attempt
	Receipts   []Proof
}

// Attempt is one try through one provider.
type Attempt struct {
	Number             int
	Provider           string
	Stage              string // accepted, handed_over, failed or unknown
	Kind, Code, Detail string // why it failed, in our word and the provider's
	Why                string // why this road was taken
	Decision           *Decision
	At                 time.Time
	TookMillis         float64
	CostMicros         int64
}

// Decision is how the road of an attempt was chosen, in numbers.
type Decision struct {
	Policy, Wished   string
	Propensity       float64 // with which this road was to be chosen
	Explored, Online bool
	Roads            []Candidate
}

// Candidate is one road that a decision weighed.
type Candidate struct {
	Provider     string
	Chance, Cost float64 // that it arrives in time; in the worth of a message
	Seconds      float64 // in which half of what arrives has; 0 is not known
	Score        float64 // the chance less the cost
	Propensity   float64
}

// Proof is one piece of evidence that came after an attempt or without one.
type Proof struct {
	Stage    string
	Source   string
	Provider string
	Detail   string
	At       time.Time // at the source
	AfterMs  float64   // from acceptance by the API to arrival of the proof
}

// Status says how the events travel from the spool to ClickHouse.
type Status struct {
	Spool         int64         `json:"spool"`       // events that wait on disk
	SpoolBytes    int64         `json:"spool_bytes"` // their size
	Lag           time.Duration `json:"-"`           // age of the oldest event that waits
	ClickHouse    string        `json:"clickhouse"`  // "embedded 26.5", a host, or "" when there is none
	ClickHouseErr string        `json:"-"`           // in words, when there is one and it does not answer
	Redis         string        `json:"redis"`       // such as "child process, append-only file"
	RedisWarning  string        `json:"-"`           // in words, such as that the queue dies with the process
}

// Devices and Tokens let a page of the browser be a device.
type Devices interface {
	// Register makes sure that the device exists and has a live address. It
	// leaves everything else of a device that is there as it was, and answers
	// [ErrTaken] for one that a page must not play.
	Register(ctx context.Context, app, user, device string) error
}

// Tokens makes the passwords of devices.
type Tokens interface {
	Mint(ctx context.Context, app, device string) (token string, expires time.Time, err error)
}
