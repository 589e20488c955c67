package apns

import (
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// A window of tokenHealth, and how many bad tokens in it make a verdict.
const (
	healthWindow = 10 * time.Minute
	manyBad      = 20
)

// tokenHealth tells a dead token from a mistaken environment. Apple answers
// BadDeviceToken to both; to forget tokens in the second case would lose every
// device of the app.
type tokenHealth struct {
	mu    sync.Mutex
	since time.Time
	goods int
	bads  int
}

// good notes that Apple knew a token.
func (h *tokenHealth) good() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turn()
	h.goods++
}

// bad notes a BadDeviceToken and says what to make of it: the token is to be
// forgotten if Apple knows most of the app's other tokens, the credentials are
// wrong if it knows few, and before there is enough to tell it is the message
// alone that cannot go.
func (h *tokenHealth) bad() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turn()
	h.bads++
	switch {
	case h.goods > h.bads:
		return push.ErrUnregistered
	case h.bads >= manyBad:
		return push.ErrCredentials
	default:
		return push.ErrRejected
	}
}

func (h *tokenHealth) turn() {
	if now := time.Now(); now.Sub(h.since) > healthWindow {
		h.since, h.goods, h.bads = now, 0, 0
	}
}
