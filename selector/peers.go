package selector

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/herald-push/herald/selector/brain"
)

// news is what a worker tells the others: what it has learned since it last
// did, and receipts of attempts that it did not make.
type news struct {
	From    uint64
	Words   [5][]string // makers, countries, carriers, systems, apps, by number
	Changes []brain.Change
	Orphans []orphan
	Proving []proofNews
	Arms    []armNews
}

// snapshot is all that is believed in common.
type snapshot struct {
	Words   [5][]string
	Beliefs []brain.Belief
	Curves  brain.Curves
	Proving []proofNews
	Arms    []armNews
}

// orphan is a receipt that came to a process which did not make the attempt.
type orphan struct {
	Key    uint64
	At     float64
	Report bool
}

type proofNews struct{ App, Provider string }

// peer is this worker among the others.
type peer struct {
	id      uint64
	after   string // the place up to which news were heard
	orphans []orphan
	proving map[proof]bool // told already
}

// mostOrphans bounds what one exchange carries.
const mostOrphans = 200_000

func newPeer() peer { return peer{id: rand.Uint64(), proving: map[proof]bool{}} }

func (p *peer) orphan(e *event) {
	if len(p.orphans) < mostOrphans {
		p.orphans = append(p.orphans, orphan{e.key, e.at, e.report})
	}
}

func (n *names) all() [5]*dictionary {
	return [...]*dictionary{&n.makers, &n.countries, &n.carriers, &n.systems, &n.apps}
}

func (n *names) words() (w [5][]string) {
	for i, d := range n.all() {
		w[i] = slices.Clone(d.words)
	}
	return w
}

// translate turns another process's numbers into this one's.
func (n *names) translate(words [5][]string, f brain.Features) brain.Features {
	dicts := n.all()
	at := func(i int, number uint16) uint16 {
		if int(number) >= len(words[i]) {
			return 0
		}
		return dicts[i].number(words[i][number])
	}
	return brain.Features{
		Maker: at(0, f.Maker), Country: at(1, f.Country), Carrier: at(2, f.Carrier), OS: at(3, f.OS), App: at(4, f.App),
	}
}

// exchange tells the others what was learned here, and learns what they tell.
func (s *Selector) exchange(ctx context.Context) error {
	s.mu.Lock()
	mine := s.newsNow()
	s.mu.Unlock()
	if mine.worthTelling() {
		text, err := encode(mine)
		if err == nil {
			err = s.parts.Peers.Tell(ctx, text)
		}
		if err != nil {
			// What is not told is known here all the same; the next snapshot has it
			// if this worker makes it.
			return fmt.Errorf("selector: tell: %w", err)
		}
	}
	return s.hear(ctx)
}

// newsNow gathers what the others do not know. Callers hold mu.
func (s *Selector) newsNow() *news {
	n := &news{From: s.peer.id, Changes: s.brain.Changes(nil), Orphans: s.peer.orphans}
	s.peer.orphans = nil
	for p := range s.proving {
		if !s.peer.proving[p] {
			s.peer.proving[p] = true
			n.Proving = append(n.Proving, proofNews{p.app, p.provider})
		}
	}
	n.Arms = s.armsNow(true)
	if len(n.Changes) > 0 {
		n.Words = s.names.words()
	}
	return n
}

func (n *news) worthTelling() bool {
	return len(n.Changes)+len(n.Orphans)+len(n.Proving)+len(n.Arms) > 0
}

// hear learns from all that was told since it last listened.
func (s *Selector) hear(ctx context.Context) error {
	all, last, err := s.parts.Peers.Hear(ctx, s.peer.after)
	if err != nil {
		return fmt.Errorf("selector: hear: %w", err)
	}
	s.peer.after = last
	var lessons []lesson
	s.mu.Lock()
	for _, text := range all {
		var n news
		if decode(text, &n) != nil || n.From == s.peer.id {
			continue
		}
		lessons = append(lessons, s.believe(&n)...)
	}
	s.mu.Unlock()
	s.learn(ctx, lessons)
	return nil
}

// believe takes news in. Callers hold mu.
func (s *Selector) believe(n *news) (lessons []lesson) {
	for i := range n.Changes {
		n.Changes[i].Row.Features = s.names.translate(n.Words, n.Changes[i].Row.Features)
	}
	s.brain.Learn(n.Changes)
	for _, p := range n.Proving {
		s.proving[proof{p.App, p.Provider}] = true
		s.peer.proving[proof{p.App, p.Provider}] = true
	}
	s.addArms(n.Arms)
	for _, o := range n.Orphans {
		switch t := s.waiting.tracks[o.Key]; {
		case t == nil:
			s.early.put(o.Key, proofOf{o.At, o.Report})
		case !t.Proven() || o.Report:
			lessons = s.prove(lessons, t, o.Report, o.At)
		}
	}
	return lessons
}

// restore begins with the last snapshot; ok is false if there is none.
func (s *Selector) restore(ctx context.Context) (ok bool, err error) {
	text, at, err := s.parts.Peers.Snapshot(ctx)
	if err != nil {
		return false, fmt.Errorf("selector: snapshot: %w", err)
	}
	s.peer.after = at
	var snap snapshot
	if text == nil || decode(text, &snap) != nil {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range snap.Beliefs {
		snap.Beliefs[i].Row.Features = s.names.translate(snap.Words, snap.Beliefs[i].Row.Features)
	}
	s.brain.Believe(snap.Beliefs)
	for i := range snap.Curves.Country {
		c := &snap.Curves.Country[i]
		c.Country = s.names.translate(snap.Words, brain.Features{Country: c.Country}).Country
	}
	s.brain.SetCurves(snap.Curves)
	for _, p := range snap.Proving {
		s.proving[proof{p.App, p.Provider}] = true
		s.peer.proving[proof{p.App, p.Provider}] = true
	}
	s.addArms(snap.Arms)
	return true, nil
}

// keep leaves a snapshot for those who start later.
func (s *Selector) keep(ctx context.Context, every time.Duration) error {
	s.mu.Lock()
	snap := snapshot{Words: s.names.words(), Beliefs: s.brain.Beliefs(), Curves: s.brain.Curves()}
	for p := range s.proving {
		snap.Proving = append(snap.Proving, proofNews{p.app, p.provider})
	}
	snap.Arms = s.armsNow(false)
	s.mu.Unlock()
	text, err := encode(&snap)
	if err == nil {
		err = s.parts.Peers.KeepSnapshot(ctx, text, s.peer.after, every)
	}
	if err != nil {
		return fmt.Errorf("selector: keep a snapshot: %w", err)
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func decode(text []byte, v any) error { return gob.NewDecoder(bytes.NewReader(text)).Decode(v) }
