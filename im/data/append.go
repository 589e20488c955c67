package data

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
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
	if !d.At.IsZero() {
		p.at = d.At.UnixMicro()
	}
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
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { s.tidy(ctx) })
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

// tidy has SQLite move what was committed from its log into the file, beside the
// writer: else whoever commits next would have to, with everybody waiting.
func (s *Store) tidy(ctx context.Context) {
	const pause = 100 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !s.written.Swap(false) {
			continue
		}
		if err := s.db.Checkpoint(ctx); err != nil && ctx.Err() == nil {
			s.log.DebugContext(ctx, "the log was not moved into the file; a writer will", "err", err)
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
		err := s.commitOf(ctx, app, ps)
		s.written.Store(true)
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

// commitOf says messages of one app in one transaction.
func (s *Store) commitOf(ctx context.Context, app string, ps []*pending) error {
	if s.memo != nil {
		s.memo.mu.Lock()
		defer s.memo.mu.Unlock()
	}
	err := s.db.Transact(ctx, func(tx database.Querier) error {
		w := &writing{tx: tx, app: app, now: s.now(), memo: s.memo}
		if s.memo != nil {
			var version int64
			if err := tx.QueryRow(ctx, dataVersion).Scan(&version); err != nil {
				return err
			}
			s.memo.check(version)
		}
		return w.write(ctx, ps)
	})
	if err != nil && s.memo != nil {
		for _, p := range ps { // what was learned in it may never have been
			s.memo.drop(app, p.draft.Conversation)
		}
	}
	return err
}

// writing is one transaction that says messages of one app.
type writing struct {
	tx  database.Querier
	app string
	now time.Time

	memo  *memo             // nil where nothing is remembered
	known map[string]*known // of the conversations at hand
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

// learnFacts finds what the drafts are judged by, making the direct conversations
// that are not there yet.
func (w *writing) learnFacts(ctx context.Context, ps []*pending) error {
	var err error
	if w.known, err = w.know(ctx, conversations(ps)); err != nil {
		return err
	}
	var made []*pending
	for _, p := range ps {
		if w.known[p.draft.Conversation] != nil {
			continue
		}
		if p.peer == "" {
			p.err = notFound("conversation")
			continue
		}
		made = append(made, p)
	}
	if len(made) > 0 {
		if err := w.makeDirect(ctx, made); err != nil {
			return err
		}
		more, err := w.know(ctx, conversations(made))
		if err != nil {
			return err
		}
		maps.Copy(w.known, more)
	}
	var large []*pending
	for _, p := range ps {
		switch k := w.known[p.draft.Conversation]; {
		case p.err != nil:
		case k == nil:
			return errors.New("a direct conversation that was made is not there")
		case k.hearers == nil:
			large = append(large, p)
		default:
			p.facts = k.facts(p.draft.Sender)
		}
	}
	if err := w.readFacts(ctx, large); err != nil {
		return err
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

// conversations lists where the drafts go, each once.
func conversations(ps []*pending) []string {
	ids := make([]string, 0, len(ps))
	seen := make(map[string]bool, len(ps))
	for _, p := range ps {
		if id := p.draft.Conversation; !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// about is the message that a draft is about, 0 if none.
func about(d *im.Draft) uint64 { return max(d.Target, d.ReplyTo) }

// readFacts fills in the facts of drafts for large groups.
func (w *writing) readFacts(ctx context.Context, ps []*pending) error {
	if len(ps) == 0 {
		return nil
	}
	type place struct{ conversation, sender string }
	asked := make(map[place][]*pending, len(ps))
	var list [][2]string
	for _, p := range ps {
		p.facts = w.known[p.draft.Conversation].facts("") // a stranger's, until found
		where := place{p.draft.Conversation, p.draft.Sender}
		if asked[where] == nil {
			list = append(list, [2]string{where.conversation, where.sender})
		}
		asked[where] = append(asked[where], p)
	}
	_, err := database.Collect(ctx, w.tx, readSenders, []any{asJSON(list), w.app}, func(scan database.Scanner) (struct{}, error) {
		var where place
		var role im.Role
		var until int64
		err := scan(&where.conversation, &where.sender, &role, &until)
		for _, p := range asked[where] {
			p.facts.Sender = &im.Member{User: where.sender, Role: role, MutedUntil: at(until)}
		}
		return struct{}{}, err
	})
	return err
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
	_, err := database.Collect(ctx, w.tx, raiseHeads, []any{asJSON(list), w.app}, func(scan database.Scanner) (struct{}, error) {
		var id string
		var head uint64
		err := scan(&id, &head)
		next[id], w.known[id].Head = head-uint64(count[id])+1, head
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	for _, p := range ps {
		id := p.draft.Conversation
		p.said.ChatMessage = p.draft.ChatMessage
		p.said.Seq, p.said.At = next[id], at(p.at)
		p.said.Roster = w.known[id].roster
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
