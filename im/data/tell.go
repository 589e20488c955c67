package data

import (
	"context"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// mine is one member's part in what was said.
type mine struct{ conversation, user string }

// tell moves the members' view of the conversations on, lets speakers have read
// what they said, and notes whom to ring for unless they take it.
func (w *writing) tell(ctx context.Context, ps []*pending) error {
	own := make(map[mine]uint64)             // the number of the speaker's last word
	waits := make(map[int64]map[mine]uint64) // when to ring → for whom, for which number
	small := make(map[string]*known)
	for _, p := range ps {
		d, k := p.draft, w.known[p.draft.Conversation]
		if d.Sender != "" {
			own[mine{k.ID, d.Sender}] = p.said.Seq
		}
		if k.hearers == nil {
			continue
		}
		small[k.ID] = k
		p.said.Hearers = make([]string, len(k.hearers))
		for i := range k.hearers {
			p.said.Hearers[i] = k.hearers[i].user
		}
		if d.RingAfter >= neverRings {
			continue
		}
		due := w.now.Add(d.RingAfter).UnixMicro()
		if waits[due] == nil {
			waits[due] = make(map[mine]uint64)
		}
		for i := range k.hearers {
			if h := &k.hearers[i]; h.user != d.Sender && h.role != im.Asking {
				waits[due][mine{k.ID, h.user}] = p.said.Seq
			}
		}
	}
	if err := w.moveMembers(ctx, small, own); err != nil {
		return err
	}
	if err := w.note(ctx, waits); err != nil {
		return err
	}
	return w.ringMentioned(ctx, ps)
}

// neverRings is from when on a ring is none: something else will have been said.
const neverRings = 365 * 24 * time.Hour

// moveMembers gives each hearer's view of the conversations the next version, and
// speakers their cursors.
func (w *writing) moveMembers(ctx context.Context, small map[string]*known, own map[mine]uint64) error {
	var users []string
	for _, k := range small {
		for i := range k.hearers {
			users = append(users, k.hearers[i].user)
		}
	}
	versions := make(map[string]int64, len(users))
	if len(users) > 0 {
		_, err := database.Collect(ctx, w.tx, bumpUsers, []any{database.List(users), w.app}, func(scan database.Scanner) (struct{}, error) {
			var user string
			var version int64
			err := scan(&user, &version)
			versions[user] = version
			return struct{}{}, err
		})
		if err != nil {
			return err
		}
	}
	rows := make([][4]any, 0, len(users)+len(own))
	for _, k := range small {
		for i := range k.hearers {
			m := mine{k.ID, k.hearers[i].user}
			rows = append(rows, [4]any{m.conversation, m.user, versions[m.user], own[m]})
		}
	}
	for m, seq := range own {
		if small[m.conversation] == nil {
			rows = append(rows, [4]any{m.conversation, m.user, 0, seq})
		}
	}
	_, err := w.tx.Exec(ctx, moveMembers, asJSON(rows), w.app)
	return err
}

// note keeps whom to ring for, and when, unless they have taken it by then.
func (w *writing) note(ctx context.Context, waits map[int64]map[mine]uint64) error {
	for due, of := range waits {
		rows := make([][3]any, 0, len(of))
		for m, seq := range of {
			rows = append(rows, [3]any{m.conversation, m.user, seq})
		}
		if len(rows) == 0 {
			continue
		}
		if _, err := w.tx.Exec(ctx, noteWait, w.app, due, asJSON(rows)); err != nil {
			return err
		}
	}
	return nil
}

// ringMentioned sets when those are rung for who were called by name, also if
// they wish silence.
func (w *writing) ringMentioned(ctx context.Context, ps []*pending) error {
	var mentioned [][4]any
	for _, p := range ps {
		for _, user := range p.draft.Mentions {
			mentioned = append(mentioned, [4]any{p.draft.Conversation, user, w.now.Add(p.draft.RingAfter).UnixMicro(), p.draft.Sender})
		}
	}
	if len(mentioned) == 0 {
		return nil
	}
	_, err := w.tx.Exec(ctx, ringMentioned, asJSON(mentioned), w.app)
	return err
}
