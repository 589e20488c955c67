package live

import (
	"math/rand/v2"
	"time"
)

// Heartbeat is what is known of how long a network carries a silence. The zero
// value begins the search.
type Heartbeat struct {
	Seconds int       `json:"seconds"`
	Settled time.Time `json:"settled,omitzero"` // no longer ones are tried before
	Good    int       `json:"good"`             // silences in a row that went well
	Bad     int       `json:"bad"`
}

// The search: a minute more after three silences that went well, back and stay
// for a day after two that did not.
const (
	firstBeat, leastBeat, mostBeat = 210, 30, 600
	stepUp, stepDown               = 60, 80
)

// next is how long to be silent; most is the server's wish, 0 for none.
func (h *Heartbeat) next(most uint16) time.Duration {
	if h.Seconds == 0 {
		h.Seconds = firstBeat
	}
	s := h.Seconds
	if most > 0 {
		s = min(s, int(most))
	}
	return time.Duration(s) * time.Second
}

// went notes how a silence ended.
func (h *Heartbeat) went(well bool, now time.Time) {
	h.next(0)
	switch {
	case well:
		h.Bad = 0
		if h.Good++; h.Good >= 3 && now.After(h.Settled) {
			h.Seconds, h.Good = min(mostBeat, h.Seconds+stepUp), 0
		}
	default:
		h.Good = 0
		if h.Bad++; h.Bad >= 2 {
			h.Seconds, h.Bad, h.Settled = max(leastBeat, h.Seconds-stepDown), 0, now.Add(24*time.Hour)
		}
	}
}

// calm is how long a connection must have lasted for the pauses to begin anew.
const calm = time.Minute

// pause is the time before try n, from 0: anything up to 30 s, at most doubling,
// so that devices that were lost together do not come back together.
func pause(n int) time.Duration {
	const first, longest = 500 * time.Millisecond, 30 * time.Second
	most := longest
	if n < 6 {
		most = first << n
	}
	return 100*time.Millisecond + rand.N(most)
}

// Bounds of what the server asks for, in seconds.
const mostRetry = 600

// later is the time before a try that the server wants to be no earlier than
// retry: doubled with each try n from 0, up to ten minutes, and then anything
// between that and twice as long.
func later(retry time.Duration, n int) time.Duration {
	least := min(retry<<min(n, 10), mostRetry*time.Second)
	return least + rand.N(least)
}
