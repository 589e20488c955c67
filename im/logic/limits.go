package logic

import (
	"crypto/rand"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/herald-push/herald/im"
)

// limits bounds what each user may say. What has not been used for a while is
// forgotten, which gives nobody more than they had: a full bucket is a new one.
type limits struct {
	rate  rate.Limit
	burst int

	mu     sync.Mutex
	users  map[im.Actor]*rate.Limiter
	typers map[typer]time.Time
	swept  time.Time
}

type typer struct {
	who          im.Actor
	conversation string
}

func newLimits(cfg Config) *limits {
	return &limits{rate: rate.Limit(cfg.Rate), burst: cfg.Burst, users: map[im.Actor]*rate.Limiter{}, typers: map[typer]time.Time{}}
}

// sweepEvery is how often unused limits are looked for.
const sweepEvery = time.Minute

func (l *limits) allow(who im.Actor) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	u := l.users[who]
	if u == nil {
		u = rate.NewLimiter(l.rate, l.burst)
		l.users[who] = u
	}
	return u.AllowN(now, 1)
}

// typing allows one a second.
func (l *limits) typing(who im.Actor, conversation string) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	k := typer{who, conversation}
	if now.Sub(l.typers[k]) < time.Second {
		return false
	}
	l.typers[k] = now
	return true
}

func (l *limits) sweep(now time.Time) {
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for who, u := range l.users {
		if u.TokensAt(now) >= float64(l.burst) {
			delete(l.users, who)
		}
	}
	for k, at := range l.typers {
		if now.Sub(at) >= time.Second {
			delete(l.typers, k)
		}
	}
}

// newID names what has no name yet.
func newID() string { return rand.Text() }
