package push

import "time"

// Question asks for the order of the roads to one device.
type Question struct {
	Device   *Device
	Delivery string // its ID; the same question gets the same answer
	Attempts int    // that were made before
	Class    Class
	Left     time.Duration // of the ttl
	Online   bool          // the live connection is believed to stand
	Policy   Policy
	// Providers are the roads in question, in the order of the route.
	Providers []string
	// Tried tells which were used before, Closed why one cannot be used now;
	// nil is none.
	Tried  func(provider string) bool
	Closed func(provider string) string
	// Words asks for every choice's reason, not only that of the first.
	Words bool
}

// Choice is one road for one device with the reason it stands where it does.
type Choice struct {
	Provider string
	Score    float64 // the selector's expected value in [0, 1]
	Why      string  // in words, such as "fcm 94 % of 212 delivered for xiaomi in CN over 7 days"
	// Skip is why the road must not be taken now; empty if it may.
	Skip string
	// Decision is how it came to stand first; nil for the others.
	Decision *Decision
}

// Decision is how a road was chosen, in numbers: what it takes to say later
// what another policy would have brought.
type Decision struct {
	Policy     string  `json:"policy"`     // "auto", "static", "shadow" …: who decided
	Propensity float64 `json:"propensity"` // the probability with which this road was to be chosen
	Explored   bool    `json:"explored"`   // another had a higher value
	Online     bool    `json:"online"`     // the live connection was believed to stand
	// Wished is what the selector would have taken, where it was not heard.
	Wished string      `json:"wished,omitempty"`
	Roads  []Candidate `json:"roads"`
}

// Candidate is one road that a decision weighed.
type Candidate struct {
	Provider string `json:"provider"`
	// Score is the chance less the cost: what taking the road is worth, in the
	// worth of one message that arrives.
	Score      float32 `json:"score"`
	Propensity float32 `json:"propensity"` // with which it was to be chosen
	// Chance is how probably the message arrives by it within its time to live,
	// with the road as it is now; Seconds is in how long half of what arrives has,
	// 0 while that is not known; Cost is what its price and a second copy's
	// annoyance take away, 0 for what is free.
	Chance  float32 `json:"chance"`
	Seconds float32 `json:"seconds,omitempty"`
	Cost    float32 `json:"cost,omitempty"`
}

// DeviceKey names a device.
type DeviceKey struct{ App, ID string }

// RoadTally counts what came of the attempts by one provider to one kind of
// device in one hour: what the selector's memory is rebuilt from.
type RoadTally struct {
	App, Provider, Platform, Maker, OS, Country, Carrier string

	Hour      time.Time
	Tried     uint64             // attempts that the provider took
	Delivered uint64             // of these, proven
	Delays    map[float64]uint64 // proofs by the seconds they took, at most
	// Clicked are deliveries that the app itself reported, ClickedReceived those
	// of them that a receipt came for besides.
	Clicked, ClickedReceived uint64
}
