package push

import "time"

// Stage is a rung of the receipt ladder, or a way off it.
type Stage string

// The ladder, lowest rung first, the same for all providers.
const (
	Accepted   Stage = "accepted"    // the provider took it
	HandedOver Stage = "handed_over" // left for the device: written to its socket, SMSC handed over
	Delivered  Stage = "delivered"   // the device's software acknowledged
	Displayed  Stage = "displayed"
	Clicked    Stage = "clicked"
)

// Off the ladder.
const (
	Failed     Stage = "failed"     // a provider refused, or every road was used up
	Unknown    Stage = "unknown"    // the request was written and no answer came: not a failure
	Expired    Stage = "expired"    // ttl passed before a road was taken
	Cancelled  Stage = "cancelled"  // the caller took it back in time
	Suppressed Stage = "suppressed" // a rule of the app or the user forbade it
)

// Rank orders stages: proof of a higher rung is never replaced by a lower one.
// Stages off the ladder rank below Accepted, so late proof still counts. An
// unknown word ranks 0.
func (s Stage) Rank() int {
	switch s {
	case Failed, Expired, Cancelled, Suppressed:
		return 1
	case Unknown:
		return 2
	case Accepted:
		return 3
	case HandedOver:
		return 4
	case Delivered:
		return 5
	case Displayed:
		return 6
	case Clicked:
		return 7
	default:
		return 0
	}
}

// Reaches reports whether s is at or above the rung until.
func (s Stage) Reaches(until Stage) bool { return s.Rank() >= until.Rank() }

// Source says who gave the evidence.
type Source string

// Where evidence comes from.
const (
	VendorReply    Source = "vendor_reply"    // the answer to the attempt itself
	VendorCallback Source = "vendor_callback" // the vendor told us later
	DeviceAck      Source = "device_ack"      // PUBACK on the live connection
	AppReport      Source = "app_report"      // the app said so over POST /v1/receipts or the "receipts" topic
	Herald         Source = "herald"          // our own decision: expired, cancelled, suppressed, failed
)

// Receipt is one piece of evidence about one attempt of a delivery. The answer
// to the attempt itself is its first receipt. It is the row that analytics
// keeps, so it carries the device's dimensions with it.
type Receipt struct {
	// ID is the same whenever the same evidence is written twice:
	// "<delivery>/<attempt>/<stage>". Duplicates are dropped by it.
	ID           string `json:"id"`
	App          string `json:"app"`
	Notification string `json:"notification"`
	Delivery     string `json:"delivery"`
	Device       string `json:"device"`
	Class        Class  `json:"class"`
	// Campaign is the caller's name for what the notification is part of.
	Campaign string `json:"campaign,omitempty"`

	// Token is the address that a vendor's report named. Where Delivery is the id
	// that a chunk shares, it leads to the device. It is written down nowhere.
	Token string `json:"-"`

	// Provider is empty when no attempt was made (expired, cancelled …).
	Provider string `json:"provider,omitempty"`
	// ProviderID is the provider's own id for the message.
	ProviderID string `json:"provider_id,omitempty"`
	// Attempt counts the tries of the delivery, all providers together, from 1;
	// 0 when no attempt was made or the reporter does not know.
	Attempt int `json:"attempt"`
	// Road is the provider's place among the roads that the delivery has taken,
	// from 1: a second try of the same road has the same. 0 is none of them.
	Road   int    `json:"road,omitempty"`
	Stage  Stage  `json:"stage"`
	Source Source `json:"source"`

	// Kind, Code and Detail are set for Failed and Unknown: the kind's name
	// ([KindName]), the provider's own code and its own words.
	Kind   string `json:"kind,omitempty"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`

	// At is the time at the source, ReceivedAt when it reached us.
	At         time.Time `json:"at"`
	ReceivedAt time.Time `json:"received_at"`
	// Skew is how far At lay outside of what is possible before the record
	// brought it back: positive where the source's clock is fast, negative where
	// it is slow, 0 where At is as the source said.
	Skew time.Duration `json:"skew_ns,omitempty"`
	// SinceAccepted is ReceivedAt minus the time the API accepted the
	// notification (or its deliver_at when later): the person's waiting time.
	SinceAccepted time.Duration `json:"since_accepted_ns"`
	// Took is the duration of the attempt's request; 0 for later evidence.
	Took time.Duration `json:"took_ns,omitempty"`

	// Why is the choice in words, for the receipt that answers an attempt, and
	// Decision the same in numbers; nil where there was nothing to decide.
	Why      string    `json:"why,omitempty"`
	Decision *Decision `json:"decision,omitempty"`
	// CostMicros is the price in millionths of the app's currency.
	CostMicros int64 `json:"cost_micros,omitempty"`
	Bytes      int   `json:"bytes,omitempty"` // payload bytes sent

	Platform   string `json:"platform,omitempty"`
	Maker      string `json:"maker,omitempty"`
	OS         string `json:"os,omitempty"`
	AppVersion string `json:"app_version,omitempty"`
	Country    string `json:"country,omitempty"`
	Carrier    string `json:"carrier,omitempty"`
	// Trace is [Notification.Trace]; it is not recorded.
	Trace string `json:"-"`
	// Evidence is [Device.Evidence]; it is not recorded.
	Evidence string `json:"-"`
}

// Describe copies the device's dimensions into the receipt.
func (r *Receipt) Describe(d *Device) {
	r.App, r.Device = d.App, d.ID
	r.Platform, r.Maker, r.OS = d.Platform, d.Maker, d.OS
	r.AppVersion, r.Country, r.Carrier = d.AppVersion, d.Country, d.Carrier
	r.Evidence = d.Evidence
}

// Answer is what a provider says to a successful attempt.
type Answer struct {
	ID         string // the provider's own id for the message; may be empty
	Stage      Stage  // Accepted, or HandedOver where the provider can know
	CostMicros int64  // price in millionths of the app's currency; 0 if free
	Bytes      int    // payload bytes as the provider counts them against its limit
}

// Reply is what a provider says to one delivery of several in one request.
type Reply struct {
	Answer Answer
	Err    error // a *Error, as of a single attempt; nil if Answer holds
}

// Payload is what a delivery weighs with a provider, known before sending.
type Payload struct {
	Bytes int
	Limit int // the provider's own limit; 0 if it has none
	// Shortened are the fields that have to be cut to fit: body, title.
	Shortened []string
	// Segments is how many short messages a text takes, CostMicros the price of
	// them in millionths of the app's currency; 0 for what is no text message,
	// and where the price is not known.
	Segments   int
	CostMicros int64
}

// Group is the set of devices that share a provider's fate.
type Group struct {
	Provider string
	Platform string
	Maker    string
	Country  string
}

// Tally counts what came of a group's attempts over some window.
type Tally struct {
	Group
	Hour      time.Time // start of the hour, UTC
	Attempts  uint64    // attempts that got an answer or timed out
	Accepted  uint64    // of these, accepted or handed over
	Delivered uint64    // of these, proven by the device, its app or the vendor
	Failed    uint64
	Unknown   uint64
	// DeliveredMillis is the sum of the proven ones' time from acceptance by
	// the API to proof, in milliseconds.
	DeliveredMillis uint64
}
