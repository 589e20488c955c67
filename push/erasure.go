package push

import "time"

// ErasureState is how far an [Erasure] is.
type ErasureState string

// What an erasure may be.
const (
	Erasing     ErasureState = "running"
	Erased      ErasureState = "done"       // a second look found nothing
	NotAllThere ErasureState = "incomplete" // given up: something is left, or could not be looked into
)

// Erasure is the work of removing a user from every store.
type Erasure struct {
	App     string       `json:"-"`
	User    string       `json:"user"`
	State   ErasureState `json:"state"`
	AskedAt time.Time    `json:"asked_at"`
	EndedAt time.Time    `json:"ended_at,omitzero"`
	Tries   int          `json:"tries"`
	// Stores is what the first look found, and what the last one left.
	Stores []ErasedPart `json:"stores"`
	// Devices are the ids that lead to all the rest, kept for when their rows are
	// gone.
	Devices []string `json:"-"`
}

// ErasedPart is what was found of a user in one place, and what is left.
type ErasedPart struct {
	Store string `json:"store"`
	What  string `json:"what"`
	Found int    `json:"found"`
	Left  int    `json:"left"`
	Fault string `json:"fault,omitempty"` // why it could not be looked into
}
