package data

import (
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// known is what a message in a conversation is judged by, and who hears it.
type known struct {
	im.Conversation

	roster  uint64
	hearers []hearer // nil for more than [im.SmallGroup] members
}

// hearer is a member as the others' messages need it.
type hearer struct {
	user  string
	role  im.Role
	muted time.Time
	// blocked and friends tell how the other user of a direct conversation stands
	// to this one.
	blocked, friends bool
}

// facts are what a sender's message is judged by.
func (k *known) facts(sender string) *im.Facts {
	f := &im.Facts{Conversation: k.Conversation}
	for i := range k.hearers {
		if h := &k.hearers[i]; h.user == sender {
			f.Sender = &im.Member{User: sender, Role: h.role, MutedUntil: h.muted}
			f.Blocked, f.Friends = h.blocked, h.friends
			return f
		}
	}
	return f
}

// memo remembers what is known of conversations between transactions. That is
// exact in SQLite, which has one writer at a time: what this process changes it
// drops while it holds the lock, and a change by another process shows in the
// version of the data and drops everything. PostgreSQL has no memo.
type memo struct {
	mu      sync.Mutex // held through every transaction that uses or changes what is known
	version int64      // of the data
	of      map[memoKey]*known
	members int // in all of them
}

type memoKey struct{ app, conversation string }

// maxMemo bounds the members that are remembered: some 50 MB.
const maxMemo = 400_000

// begin locks the memo for a transaction, and empties it if another process was
// at the data.
func (m *memo) check(version int64) {
	if version != m.version || m.members > maxMemo {
		m.of, m.members, m.version = map[memoKey]*known{}, 0, version
	}
}

func (m *memo) put(app string, k *known) {
	if k.hearers != nil {
		m.of[memoKey{app, k.ID}] = k
		m.members += len(k.hearers)
	}
}

func (m *memo) drop(app string, conversations ...string) {
	for _, id := range conversations {
		if k := m.of[memoKey{app, id}]; k != nil {
			m.members -= len(k.hearers)
			delete(m.of, memoKey{app, id})
		}
	}
}

// changing makes a change to what may be known of conversations; without any, of
// all. Their facts are read anew afterwards.
func (s *Store) changing(app string, conversations []string, do func() error) error {
	if s.memo == nil {
		return do()
	}
	s.memo.mu.Lock()
	defer s.memo.mu.Unlock()
	err := do()
	if conversations == nil {
		s.memo.check(-1)
	}
	s.memo.drop(app, conversations...)
	return err
}

// know finds what is known of conversations; what is not there is missing.
func (w *writing) know(ctx context.Context, ids []string) (map[string]*known, error) {
	found := make(map[string]*known, len(ids))
	var unknown []string
	for _, id := range ids {
		if w.memo == nil {
			unknown = append(unknown, id)
		} else if k := w.memo.of[memoKey{w.app, id}]; k != nil {
			found[id] = k
		} else {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return found, nil
	}
	_, err := database.Collect(ctx, w.tx, readKnown, []any{database.List(unknown), w.app, im.SmallGroup}, func(scan database.Scanner) (struct{}, error) {
		k := &known{Conversation: im.Conversation{App: w.app}}
		var h hearer
		var muted int
		var until int64
		err := scan(&k.ID, &k.Kind, &muted, &k.Head, &k.Members, &k.roster, &h.user, &h.role, &until, &h.blocked, &h.friends)
		if first := found[k.ID]; first != nil {
			k = first
		} else {
			k.Muted = muted != 0
			found[k.ID] = k
			if k.Members <= im.SmallGroup {
				k.hearers = []hearer{}
			}
		}
		if h.muted = at(until); h.user != "" {
			k.hearers = append(k.hearers, h)
		}
		return struct{}{}, err
	})
	if err == nil && w.memo != nil {
		for _, id := range unknown {
			if k := found[id]; k != nil {
				w.memo.put(w.app, k)
			}
		}
	}
	return found, err
}
