package selector

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
)

// event is what a receipt has to teach.
type event struct {
	key      uint64 // of the attempt
	provider string
	kind     kind
	device   string
	class    push.Class
	stage    push.Stage
	fault    string // kind of a failure
	report   bool   // a person has seen it: it arrived, whether its receipt came or not
	online   bool
	at       float64
	attempt  int
	delivery string // of a later attempt: where the earlier ones are found
	cost     int64
	evidence string
	policy   string
}

// group is whose counts it belongs to.
func (e *event) group() push.Group {
	return push.Group{Provider: e.provider, Platform: e.kind.platform, Maker: e.kind.maker, Country: e.kind.country}
}

// Observe takes in one receipt as it happens; what it teaches counts a moment
// later.
func (s *Selector) Observe(r *push.Receipt) {
	if r.Provider == "" {
		return
	}
	e := event{
		key: attemptKey(r.Delivery, r.Provider), provider: r.Provider, kind: kindOfReceipt(r), device: r.Device,
		class: r.Class, stage: r.Stage, fault: r.Kind, report: r.Source == push.AppReport && r.Stage != push.Delivered,
		online: r.Provider == push.Live, at: unix(r.ReceivedAt), attempt: r.Attempt, cost: r.CostMicros, evidence: r.Evidence,
	}
	if r.Attempt > 1 {
		e.delivery = r.Delivery
	}
	if r.Decision != nil {
		e.online, e.policy = r.Decision.Online, r.Decision.Policy
	}
	s.inbox.Lock()
	defer s.inbox.Unlock()
	if len(s.inbox.events) < s.cfg.Waiting {
		s.inbox.events = append(s.inbox.events, e)
	}
}

// attemptKey names a road of a delivery, the same in every process.
func attemptKey(delivery, provider string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(delivery)) // never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(provider))
	return h.Sum64()
}

// lesson is one step of learning that changes a device's evidence: an attempt
// that has reached its check, or proof that comes after it.
type lesson struct {
	*track
	proof  bool    // else it is the check
	report bool    // the app itself says so
	at     float64 // when it came
}

// digest learns from everything that has come in since the last call.
func (s *Selector) digest(ctx context.Context) {
	s.inbox.Lock()
	events := s.inbox.events
	s.inbox.events = s.spare
	s.inbox.Unlock()
	s.spare = nil

	now := unix(s.now())
	s.mu.Lock()
	var lessons []lesson
	for i := range events {
		if t := s.take(&events[i]); t != nil {
			lessons = s.prove(lessons, t, events[i].report, events[i].at)
		}
	}
	s.early.forget(now)
	for t := range s.waiting.due(now, s.cfg.Check.Seconds()) {
		if s.proving[*t.proof] { // else its silence says nothing
			lessons = append(lessons, lesson{t, false, false, now})
		}
		if t.arm != nil {
			t.arm.count(t.Proven())
		}
		t.over = true
	}
	s.mu.Unlock()
	clear(events) // the texts in it
	s.spare = events[:0]
	s.learn(ctx, lessons)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.brain.Tick(now)
}

// prove notes that an attempt has arrived. What comes after the check is a
// lesson of its own. Callers hold mu.
func (s *Selector) prove(lessons []lesson, t *track, report bool, at float64) []lesson {
	if t.over {
		if t.arm != nil && !t.Proven() {
			t.arm.arrive()
			t.arm = nil // once
		}
		return append(lessons, lesson{t, true, report, at})
	}
	var unused brain.Evidence
	if report {
		s.brain.Clicked(&t.Track, &unused, at)
	} else {
		s.brain.Proof(&t.Track, &unused, max(0, at-t.Sent()), at)
	}
	return lessons
}

// take counts an event, and returns the attempt that it proves to have arrived.
// Callers hold mu.
func (s *Selector) take(e *event) *track {
	g := e.group()
	if e.cost > 0 {
		s.spend(e.kind.app, e.cost)
	}
	switch e.stage {
	case push.Accepted, push.HandedOver, push.Unknown:
		if e.stage == push.Unknown {
			s.tallies.see(g, tally{attempts: 1})
		} else {
			s.tallies.see(g, tally{attempts: 1, accepted: 1})
		}
		s.send(e)
	case push.Failed:
		switch e.fault {
		case push.KindName(push.ErrUnavailable):
			s.brain.Refused(s.names.cell(s.brain, e.kind), providerNumber(e.provider), e.at)
			s.tallies.see(g, tally{attempts: 1})
		case push.KindName(push.ErrUnregistered), push.KindName(push.ErrRejected):
			// A dead token or a bad message says nothing about the road.
		default:
			s.tallies.see(g, tally{attempts: 1})
		}
	case push.Delivered, push.Displayed, push.Clicked:
		if e.stage == push.Delivered {
			s.proving[proof{e.kind.app, e.provider}] = true
		}
		t := s.waiting.tracks[e.key]
		switch {
		case t == nil: // another process made the attempt, or its answer is not known yet
			s.peer.orphan(e)
			s.early.put(e.key, proofOf{e.at, e.report})
		case !t.Proven() || e.report:
			if !t.Proven() {
				s.tallies.see(g, tally{delivered: 1})
			}
			return t
		}
	case push.Expired, push.Cancelled, push.Suppressed:
	}
	return nil
}

// send begins to wait for the receipt of an attempt. One that follows another
// teaches by its receipt as the first does, and by its silence less: perhaps the
// device can be reached by no road. So does one of which it is not known whether
// the provider has it.
func (s *Selector) send(e *event) {
	if !s.waiting.wants(e.key) {
		return
	}
	p := s.waiting.proof(e.kind.app, e.provider)
	cell := s.names.cell(s.brain, e.kind)
	evidence := brain.DecodeEvidence(e.evidence)
	*s.waiting.add(e.key) = track{
		Track: s.brain.Send(cell, &evidence, providerNumber(e.provider), e.online, e.at, s.proving[*p], s.reach(e)),
		key:   e.key, device: strings.Clone(e.device), proof: p, // a part of a text would keep the whole
		arm: s.armOf(e),
	}
	if p, ok := s.early.take(e.key); ok {
		s.prove(nil, s.waiting.tracks[e.key], p.report, p.at)
		s.tallies.see(e.group(), tally{delivered: 1})
	}
}

const (
	// doubtful is how probably a provider that did not answer has the message.
	doubtful = 0.5
	// followed is how probably a device can be reached after a silence of which
	// nothing is known: another worker made that attempt.
	followed = 0.6
)

// reach is the probability that the device can be reached at all and that the
// provider has the message, as far as earlier attempts tell.
func (s *Selector) reach(e *event) float32 {
	reach := float32(1)
	if e.stage == push.Unknown {
		reach = doubtful
	}
	if e.attempt <= 1 {
		return reach
	}
	after := float32(followed)
	var stranger brain.Evidence
	for _, provider := range numbered {
		if t := s.waiting.tracks[attemptKey(e.delivery, provider)]; t != nil && provider != e.provider {
			if t.Proven() {
				return reach
			}
			after = min(after, s.brain.Reach(&t.Track, &stranger, e.at))
		}
	}
	return reach * after
}

const (
	// mostLessons bounds one trip to the memory.
	mostLessons = 2000
	// mergeTries is how often it is tried to add to a device's evidence that
	// other workers change at the same time.
	mergeTries = 4
)

// learn takes the steps: it reads the evidence of the devices concerned, changes
// it together with the shared beliefs, and writes it back. While the memory is
// away, shared beliefs learn on as if nothing were known of the devices.
func (s *Selector) learn(ctx context.Context, lessons []lesson) {
	for len(lessons) > 0 {
		n := min(len(lessons), mostLessons)
		s.learnSome(ctx, lessons[:n])
		lessons = lessons[n:]
	}
}

func (s *Selector) learnSome(ctx context.Context, lessons []lesson) {
	places := make(map[push.DeviceKey]int, len(lessons))
	var devices []push.DeviceKey
	for _, l := range lessons {
		if _, ok := places[l.Device()]; !ok {
			places[l.Device()] = len(devices)
			devices = append(devices, l.Device())
		}
	}
	was := make([]string, len(devices))
	away := s.parts.Memory == nil
	if !away {
		found, err := s.parts.Memory.Evidence(ctx, devices)
		if err == nil {
			was = found
		}
		away = err != nil
	}
	evidence := make([]brain.Evidence, len(was))
	for i, text := range was {
		evidence[i] = brain.DecodeEvidence(text)
	}
	s.mu.Lock()
	for _, l := range lessons {
		e := &evidence[places[l.Device()]]
		switch {
		case !l.proof:
			s.brain.Settle(&l.Track, e, l.at)
		case l.report:
			s.brain.Clicked(&l.Track, e, l.at)
		default:
			s.brain.Proof(&l.Track, e, max(0, l.at-l.Sent()), l.at)
		}
		if l.proof { // of a provider whose silence said nothing at the check
			s.brain.Settle(&l.Track, e, l.at)
		}
	}
	s.mu.Unlock()
	if !away {
		s.complain(ctx, "devices' evidence is not kept", s.keepEvidence(ctx, devices, was, evidence))
	}
}

// keepEvidence writes what devices have taught. Where another worker has written
// meanwhile, what was learned here is added to that.
func (s *Selector) keepEvidence(ctx context.Context, devices []push.DeviceKey, was []string, evidence []brain.Evidence) error {
	for range mergeTries {
		texts := make([]string, len(evidence))
		for i := range evidence {
			texts[i] = string(evidence[i].Append(nil))
		}
		stands, err := s.parts.Memory.KeepEvidence(ctx, devices, was, texts)
		if err != nil {
			return err
		}
		lost := 0
		s.mu.Lock()
		for i := range devices {
			if stands[i] == texts[i] {
				continue
			}
			merged := s.brain.Merge(brain.DecodeEvidence(stands[i]), brain.DecodeEvidence(was[i]), evidence[i], unix(s.now()))
			devices[lost], was[lost], evidence[lost] = devices[i], stands[i], merged
			lost++
		}
		s.mu.Unlock()
		if lost == 0 {
			return nil
		}
		devices, was, evidence = devices[:lost], was[:lost], evidence[:lost]
	}
	return fmt.Errorf("selector: evidence of %d devices changes all the time", len(devices))
}

// Patience is how long silence on a road is worth bearing before the next is
// taken, learned from how its receipts come; 0 is no opinion.
func (s *Selector) Patience(provider string, d *push.Device, n *push.Notification, hasNext bool) time.Duration {
	if !hasNext {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.proving[proof{d.App, provider}] {
		return 0 // its silence says nothing
	}
	now := s.now()
	e := brain.DecodeEvidence(d.Evidence)
	w := brain.Wait{
		Cell: s.names.cell(s.brain, kindOf(d)), Provider: providerNumber(provider), Online: provider == push.Live,
		Now: unix(now), TTL: max(1, n.ExpiresAt.Sub(now).Seconds()),
		HalfWorth: halfWorth(n.Class), Twice: annoyance(n.Class),
	}
	for _, a := range d.Addresses {
		if a.Provider != provider && !push.IsSMS(a.Provider) {
			w.Next = max(w.Next, s.brain.Arrives(w.Cell, &e, providerNumber(a.Provider), false, w.Now))
		}
	}
	if w.Next == 0 { // an SMS is what is left
		w.Next, w.Price = 0.97, price(n.Class)
	}
	return time.Duration(s.brain.Patience(&w, &e) * float64(time.Second))
}
