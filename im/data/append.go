package data

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

// pending is a draft on its way into a transaction.
type pending struct {
	ctx   context.Context
	draft *im.Draft
	at    int64
	peer  string // the other user of a direct conversation, if the draft names one

	facts *im.Facts
	said  im.Said
	err   error
	done  chan struct{}
}

// key names a message as its sender does.
type key struct{ sender, clientID string }

// Append says a message. It returns once the message is durable and numbered.
// The same client id of the same sender is said once: again it returns the
// first, and with other words or in another place it is refused.
func (s *Store) Append(ctx context.Context, d *im.Draft) (im.Said, error) {
	p := &pending{ctx: ctx, draft: d, at: s.now().UnixMicro(), done: make(chan struct{})}
	if d.To != "" {
		p.peer, d.Conversation = d.To, im.DirectID(d.Sender, d.To)
	}
	select {
	case s.sends <- p:
	case <-ctx.Done():
		return im.Said{}, fail("append", ctx.Err())
	}
	select {
	case <-p.done:
		return p.said, fail("append", p.err)
	case <-ctx.Done():
		return im.Said{}, fail("append", ctx.Err()) // it may be said all the same
	}
}

// Run says what is appended until ctx ends, and then what waits.
func (s *Store) Run(ctx context.Context) error {
	for {
		select {
		case p := <-s.sends:
			s.commit(context.WithoutCancel(ctx), s.gather(p))
		case <-ctx.Done():
			for {
				select {
				case p := <-s.sends:
					s.commit(context.WithoutCancel(ctx), s.gather(p))
				default:
					return nil
				}
			}
		}
	}
}

// gather takes what waits beside the first, up to a batch.
func (s *Store) gather(first *pending) []*pending {
	batch := []*pending{first}
	for len(batch) < s.cfg.Batch {
		select {
		case p := <-s.sends:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

// commit says a batch, each app in a transaction of its own, and answers all.
func (s *Store) commit(ctx context.Context, batch []*pending) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	byApp := make(map[string][]*pending)
	for _, p := range batch {
		if p.ctx.Err() != nil {
			p.err = p.ctx.Err() // nobody waits for it: not said
			continue
		}
		byApp[p.draft.App] = append(byApp[p.draft.App], p)
	}
	for app, ps := range byApp {
		err := s.db.Transact(ctx, func(tx database.Querier) error {
			w := &writing{tx: tx, app: app, now: s.now()}
			return w.write(ctx, ps)
		})
		for _, p := range ps {
			if err != nil && p.err == nil {
				p.err = err
			}
		}
	}
	for _, p := range batch {
		close(p.done)
	}
}

// writing is one transaction that says messages of one app.
type writing struct {
	tx  database.Querier
	app string
	now time.Time
}

// write says what may be said. A refused draft does not stop the others.
func (w *writing) write(ctx context.Context, ps []*pending) error {
	for _, p := range ps { // a transaction may run again
		p.err, p.facts, p.said = nil, nil, im.Said{}
	}
	fresh, err := w.dropRepeated(ctx, ps)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if err := w.learnFacts(ctx, fresh); err != nil {
		return err
	}
	allowed, twins := judge(fresh)
	if len(allowed) > 0 {
		if err := w.number(ctx, allowed); err != nil {
			return err
		}
		if err := w.insert(ctx, allowed); err != nil {
			return err
		}
		if err := w.tell(ctx, allowed); err != nil {
			return err
		}
	}
	for twin, first := range twins {
		twin.said, twin.err = first.said, sameWords(twin.draft, &first.said.ChatMessage)
		twin.said.Repeated = true
	}
	return nil
}

// dropRepeated answers those that were said before, and returns the others.
func (w *writing) dropRepeated(ctx context.Context, ps []*pending) ([]*pending, error) {
	keys := make([][2]string, len(ps))
	for i, p := range ps {
		keys[i] = [2]string{p.draft.Sender, p.draft.ClientID}
	}
	old, err := database.Collect(ctx, w.tx, findByClient, []any{asJSON(keys), w.app}, message(w.app))
	if err != nil || len(old) == 0 {
		return ps, err
	}
	known := make(map[key]*im.ChatMessage, len(old))
	for i := range old {
		known[key{old[i].Sender, old[i].ClientID}] = &old[i]
	}
	var fresh []*pending
	for _, p := range ps {
		first := known[key{p.draft.Sender, p.draft.ClientID}]
		if first == nil {
			fresh = append(fresh, p)
			continue
		}
		p.said, p.err = im.Said{ChatMessage: *first, Repeated: true}, sameWords(p.draft, first)
	}
	return fresh, nil
}

// sameWords refuses a client id that was used for something else. The body of
// what was edited or recalled since cannot be compared.
func sameWords(d *im.Draft, first *im.ChatMessage) error {
	changed := first.Recalled || !first.EditedAt.IsZero()
	if d.Conversation == first.Conversation && d.Kind == first.Kind && (changed || bytes.Equal(d.Body, first.Body)) {
		return nil
	}
	return &im.Refusal{Code: "conflict", Field: "client_id", Detail: "was used for another message"}
}

// learnFacts reads what the drafts are judged by, making the direct
// conversations that are not there yet.
func (w *writing) learnFacts(ctx context.Context, ps []*pending) error {
	missing, err := w.readFacts(ctx, ps)
	if err != nil {
		return err
	}
	var made []*pending
	for _, p := range missing {
		if p.peer != "" {
			made = append(made, p)
		} else {
			p.err = notFound("conversation")
		}
	}
	if len(made) > 0 {
		if err := w.makeDirect(ctx, made); err != nil {
			return err
		}
		if missing, err = w.readFacts(ctx, made); err != nil || len(missing) > 0 {
			return errors.Join(err, errorIf(len(missing) > 0, "a direct conversation that was made is not there"))
		}
	}
	for _, p := range ps {
		if number := about(p.draft); number != 0 && p.facts != nil {
			found, err := database.Collect(ctx, w.tx, findBySeq, []any{w.app, p.draft.Conversation, number}, message(w.app))
			if err != nil {
				return err
			}
			if len(found) == 1 {
				p.facts.Target = &found[0]
			}
		}
	}
	return nil
}

// about is the message that a draft is about, 0 if none.
func about(d *im.Draft) uint64 { return max(d.Target, d.ReplyTo) }

func errorIf(wrong bool, what string) error {
	if wrong {
		return errors.New(what)
	}
	return nil
}

// readFacts fills in the facts and returns the drafts whose conversation is not
// there.
func (w *writing) readFacts(ctx context.Context, ps []*pending) (missing []*pending, err error) {
	type place struct{ conversation, sender string }
	asked := make(map[place][]*pending, len(ps))
	var list [][2]string
	for _, p := range ps {
		at := place{p.draft.Conversation, p.draft.Sender}
		if asked[at] == nil {
			list = append(list, [2]string{at.conversation, at.sender})
		}
		asked[at] = append(asked[at], p)
	}
	_, err = database.Collect(ctx, w.tx, readFacts, []any{asJSON(list), w.app}, func(scan database.Scanner) (struct{}, error) {
		f := im.Facts{Conversation: im.Conversation{App: w.app}}
		me := im.Member{}
		var sender string
		var muted, gone int
		var until int64
		c := &f.Conversation
		err := scan(&c.ID, &sender, &c.Kind, &muted, &c.Head, &c.Members, &me.Role, &until, &gone, &f.Blocked, &f.Friends)
		c.Muted, me.User, me.MutedUntil = muted != 0, sender, at(until)
		if gone == 0 {
			f.Sender = &me
		}
		for _, p := range asked[place{c.ID, sender}] {
			own := f
			p.facts = &own
		}
		return struct{}{}, err
	})
	for _, p := range ps {
		if p.facts == nil {
			missing = append(missing, p)
		}
	}
	return missing, err
}

// makeDirect makes direct conversations with their two members.
func (w *writing) makeDirect(ctx context.Context, ps []*pending) error {
	conversations, members := make([]string, 0, len(ps)), make([][2]string, 0, 2*len(ps))
	for _, p := range ps {
		d := p.draft
		if !slices.Contains(conversations, d.Conversation) {
			conversations = append(conversations, d.Conversation)
			members = append(members, [2]string{d.Conversation, d.Sender}, [2]string{d.Conversation, p.peer})
		}
	}
	if _, err := w.tx.Exec(ctx, makeDirect, asJSON(conversations), w.app, w.now.UnixMicro()); err != nil {
		return err
	}
	_, err := w.tx.Exec(ctx, addDirect, asJSON(members), w.app)
	return err
}

// judge lets the drafts' checks decide. Two of one client id in one batch are
// the same message: the second is the first one's twin.
func judge(ps []*pending) (allowed []*pending, twins map[*pending]*pending) {
	first := make(map[key]*pending, len(ps))
	twins = make(map[*pending]*pending)
	for _, p := range ps {
		if p.err != nil {
			continue
		}
		if p.draft.Check != nil {
			if p.err = p.draft.Check(p.facts); p.err != nil {
				continue
			}
		}
		k := key{p.draft.Sender, p.draft.ClientID}
		if before := first[k]; before != nil {
			twins[p] = before
			continue
		}
		first[k] = p
		allowed = append(allowed, p)
	}
	return allowed, twins
}

// number gives each draft the next number of its conversation.
func (w *writing) number(ctx context.Context, ps []*pending) error {
	count := make(map[string]int, len(ps))
	for _, p := range ps {
		count[p.draft.Conversation]++
	}
	list := make([][2]any, 0, len(count))
	for id, n := range count {
		list = append(list, [2]any{id, n})
	}
	slices.SortFunc(list, func(a, b [2]any) int { // two processes lock in one order
		if a[0].(string) < b[0].(string) {
			return -1
		}
		return 1
	})
	next := make(map[string]uint64, len(count))
	members := make(map[string]int, len(count))
	rosters := make(map[string]uint64, len(count))
	_, err := database.Collect(ctx, w.tx, raiseHeads, []any{asJSON(list), w.app}, func(scan database.Scanner) (struct{}, error) {
		var id string
		var head, roster uint64
		var m int
		err := scan(&id, &head, &m, &roster)
		next[id], members[id], rosters[id] = head-uint64(count[id])+1, m, roster
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	for _, p := range ps {
		id := p.draft.Conversation
		p.said.ChatMessage = p.draft.ChatMessage
		p.said.Seq, p.said.At = next[id], at(p.at)
		p.facts.Conversation.Members, p.said.Roster = members[id], rosters[id]
		next[id]++
	}
	return nil
}

// insert writes the messages, and what recalls and edits do to their targets.
func (w *writing) insert(ctx context.Context, ps []*pending) error {
	rows := make([][]any, len(ps))
	for i, p := range ps {
		m := &p.said
		rows[i] = []any{
			m.Conversation, m.Seq, m.Sender, m.ClientID, m.Kind, string(m.Body), m.ReplyTo,
			asJSON(m.Mentions), m.Target, p.at,
		}
	}
	if _, err := w.tx.Exec(ctx, insertMessages, asJSON(rows), w.app); err != nil {
		return err
	}
	for _, p := range ps {
		var err error
		switch p.draft.Kind {
		case im.KindRecall:
			_, err = w.tx.Exec(ctx, recall, w.app, p.draft.Conversation, p.draft.Target)
		case im.KindEdit:
			_, err = w.tx.Exec(ctx, edit, w.app, p.draft.Conversation, p.draft.Target, string(p.draft.Body), p.at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tell moves the members' view of the conversations on, and sets when those
// who take nothing are to be rung for.
func (w *writing) tell(ctx context.Context, ps []*pending) error {
	due := make(map[string]int64) // of small conversations
	var mentioned [][3]any
	type speaker struct{ conversation, user string }
	last := make(map[speaker]uint64)
	for _, p := range ps {
		d := p.draft
		if d.Sender != "" {
			last[speaker{d.Conversation, d.Sender}] = p.said.Seq
		}
		ring := w.now.Add(d.RingAfter).UnixMicro()
		for _, user := range d.Mentions {
			mentioned = append(mentioned, [3]any{d.Conversation, user, ring})
		}
		if p.facts.Conversation.Members <= im.SmallGroup {
			due[d.Conversation] = ring
		}
	}
	hearers, err := w.tellSmall(ctx, due)
	if err != nil {
		return err
	}
	if len(mentioned) > 0 {
		if _, err := w.tx.Exec(ctx, ringMentioned, asJSON(mentioned), w.app); err != nil {
			return err
		}
	}
	speakers := make([][3]any, 0, len(last))
	for s, seq := range last {
		speakers = append(speakers, [3]any{s.conversation, s.user, seq})
	}
	if _, err := w.tx.Exec(ctx, advanceSpeakers, asJSON(speakers), w.app); err != nil {
		return err
	}
	for _, p := range ps {
		p.said.Hearers = hearers[p.draft.Conversation]
	}
	return nil
}

// tellSmall tells each member of the conversations, which are pairs of their id
// and when to ring, and returns who they are.
func (w *writing) tellSmall(ctx context.Context, due map[string]int64) (map[string][]string, error) {
	if len(due) == 0 {
		return nil, nil
	}
	hearers := make(map[string][]string, len(due))
	var users []string
	var members [][3]any
	list := database.List(slices.Collect(maps.Keys(due)))
	_, err := database.Collect(ctx, w.tx, findHearers, []any{list, w.app}, func(scan database.Scanner) (struct{}, error) {
		var conversation, user string
		err := scan(&conversation, &user)
		hearers[conversation] = append(hearers[conversation], user)
		users = append(users, user)
		members = append(members, [3]any{conversation, user, due[conversation]})
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	if _, err := w.tx.Exec(ctx, bumpUsers, database.List(users), w.app); err != nil {
		return nil, err
	}
	_, err = w.tx.Exec(ctx, moveMembers, asJSON(members), w.app)
	return hearers, err
}
