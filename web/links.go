package web

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// Links makes one-time login tokens and remembers those that are not spent, in
// memory and hashed: a restart forgets them. It is safe for concurrent use.
type Links struct {
	now func() time.Time

	mu   sync.Mutex
	open map[[sha256.Size]byte]link
}

type link struct {
	who     Identity
	expires time.Time
}

// NewLinks makes an empty set; now is time.Now but in tests.
func NewLinks(now func() time.Time) *Links {
	return &Links{now: now, open: map[[sha256.Size]byte]link{}}
}

// Make returns a new token that signs who in once, within life.
func (l *Links) Make(who Identity, life time.Duration) string {
	token := rand.Text()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[sha256.Sum256([]byte(token))] = link{who, l.now().Add(life)}
	return token
}

// Spend returns whom the token signs in. The token is worth nothing afterwards;
// one that is unknown, spent or too old answers [ErrDenied].
func (l *Links) Spend(token string) (Identity, error) {
	sum := sha256.Sum256([]byte(token))
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.open[sum]
	delete(l.open, sum)
	if !ok || !l.now().Before(found.expires) {
		return Identity{}, ErrDenied
	}
	return found.who, nil
}
