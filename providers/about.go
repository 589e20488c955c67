package providers

import "encoding/json"

// About is what a provider declares of itself and of its service. The document
// docs/providers.md and the command `herald providers` are made from it.
type About struct {
	Name     string `json:"name"`     // registry name
	Service  string `json:"service"`  // what it speaks to, in words
	Payload  string `json:"payload"`  // the limit
	Batch    int    `json:"batch"`    // the most devices of one request
	Kept     string `json:"kept"`     // how long the service keeps a message for a device that is away
	Replaces string `json:"replaces"` // the field by which a newer message replaces an older one
	Proof    string `json:"proof"`    // how arrival becomes known

	// Can says what becomes of each of [Features]; what is not in it the
	// service lacks.
	Can map[Feature]State `json:"can"`

	// Codes is the provider's error table, JSON as [ParseCodes] reads it; nil if
	// the configuration of each app brings its own.
	Codes []byte `json:"-"`

	// CheckOverrides tells what is wrong with what a notification says to this
	// provider alone; nil if it takes nothing.
	CheckOverrides func(raw []byte) error `json:"-"`

	// Unseen tells whether what a notification says to this provider alone makes
	// it show nothing, so that it needs no title; nil if nothing can.
	Unseen func(raw []byte) bool `json:"-"`
}

// SaysDataOnly is the [About.Unseen] of providers whose word for it is data_only.
func SaysDataOnly(raw []byte) bool {
	var o struct {
		DataOnly bool `json:"data_only"`
	}
	return json.Unmarshal(raw, &o) == nil && o.DataOnly
}

// Feature is something that a notification may want of a road.
type Feature string

// Features are all of them, in the order documents show them.
var Features = [...]Feature{
	DataOnly, Replacing, TTL, Urgency, Channel, ClickAction, BadgeCount, Sound, Image, Localised, LiveActivity,
	Batches, Receipt, DeadTokens, Cost, Test,
}

// The features.
const (
	DataOnly     Feature = "data only, unseen"
	Replacing    Feature = "a newer one replaces"
	TTL          Feature = "time to live"
	Urgency      Feature = "urgency or priority"
	Channel      Feature = "channel or category"
	ClickAction  Feature = "what a tap opens"
	BadgeCount   Feature = "badge"
	Sound        Feature = "sound"
	Image        Feature = "image"
	Localised    Feature = "texts in the app's languages"
	LiveActivity Feature = "Live Activities"
	Batches      Feature = "many devices in a request"
	Receipt      Feature = "receipt by the service"
	DeadTokens   Feature = "dead addresses are reported"
	Cost         Feature = "cost known before sending"
	Test         Feature = "check that sends nothing"
)

// State is what becomes of a feature.
type State byte

// The states.
const (
	Lacks    State = iota // the service has no such thing
	NotBuilt              // it has, and Herald does not use it yet
	Can                   // it has, and Herald does
)

// String is the state as documents show it.
func (s State) String() string {
	switch s {
	case Can:
		return "yes"
	case NotBuilt:
		return "not yet"
	default:
		return "–"
	}
}

// MarshalJSON writes "yes", "not yet" or null.
func (s State) MarshalJSON() ([]byte, error) {
	if s == Lacks {
		return []byte("null"), nil
	}
	return json.Marshal(s.String())
}

// All makes a table of features that a provider can, for [About].
func All(features ...Feature) map[Feature]State {
	can := make(map[Feature]State, len(features))
	for _, f := range features {
		can[f] = Can
	}
	return can
}

// But adds features that the service has and Herald does not use yet.
func But(can map[Feature]State, notBuilt ...Feature) map[Feature]State {
	for _, f := range notBuilt {
		can[f] = NotBuilt
	}
	return can
}
