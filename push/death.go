package push

import "time"

// Death says that a provider knows nobody under an address any more. Whichever
// way it is learned, by an answer, from among the answers to many, or from a
// vendor's report, it becomes this event.
type Death struct {
	App      string
	Device   string
	Address  Address
	Source   Source    // VendorReply or VendorCallback
	Code     string    // the provider's own
	Since    time.Time // when the provider learned of it; zero if it does not say
	Fate     Fate
	Why      string // of a fate that is not Forgotten
	Delivery string // that found it out
}

// Fate is what became of a dead address.
type Fate string

// The fates of dead addresses.
const (
	Forgotten Fate = "forgotten"
	Renewed   Fate = "renewed" // the device has registered since: it is kept
	Suspected Fate = "kept"    // too many are dead at once to be true: it is kept
)
