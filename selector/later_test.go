package selector

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
)

// follow plays an attempt that follows another of the same delivery.
func (w *world) follow(d *push.Device, provider string, stage push.Stage, arrives bool) {
	w.t.Helper()
	r := push.Receipt{Delivery: fmt.Sprintf("x.0.%d", w.sent), Provider: provider, Stage: stage, ReceivedAt: w.clock, Class: push.Chat, Attempt: 2}
	r.Describe(d)
	r.Decision = &push.Decision{Policy: "auto"}
	w.Observe(&r)
	if arrives {
		r.Stage, r.Source, r.Decision = push.Delivered, push.VendorCallback, nil
		r.ReceivedAt = w.clock.Add(time.Second)
		w.Observe(&r)
	}
}

func TestTheRoadThatFollowsTeachesToo(t *testing.T) {
	for name, tt := range map[string]struct {
		arrives bool
		better  bool
	}{
		"its receipts speak for it":     {arrives: true, better: true},
		"its silences speak against it": {arrives: false, better: false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Parts{})
			w.send(phone("other"), "xiaomi", true, "auto") // it does prove arrivals
			w.pass(70 * time.Second)
			before := w.Rank(ask(phone("a"), "xiaomi"))[0].Score
			for i := range 60 {
				d := phone(fmt.Sprint(i % 20))
				w.send(d, "fcm", false, "auto")
				w.follow(d, "xiaomi", push.Accepted, tt.arrives)
				w.pass(time.Second)
			}
			w.pass(70 * time.Second)
			after := w.Rank(ask(phone("a"), "xiaomi"))[0].Score
			if after == before || (after > before) != tt.better {
				t.Errorf("xiaomi was worth %.2f and is worth %.2f", before, after)
			}
		})
	}
}

func TestAFollowingSilenceWeighsLessThanAFirst(t *testing.T) {
	worth := func(follows bool) float64 {
		w := newWorld(t, Parts{})
		for i := range 200 { // both work well, elsewhere
			w.send(phone(fmt.Sprint("o", i)), "xiaomi", true, "auto")
			w.send(phone(fmt.Sprint("o", i)), "fcm", true, "auto")
			w.pass(time.Second)
		}
		w.pass(70 * time.Second)
		d := phone("odd")
		for range 3 {
			w.send(d, "fcm", false, "auto")
			w.pass(30 * time.Second)
			if follows {
				w.follow(d, "xiaomi", push.Accepted, false)
			} else {
				w.send(d, "xiaomi", false, "auto")
			}
			w.pass(70 * time.Second)
		}
		d.Evidence = w.memory.kept[push.DeviceKey{App: "demo", ID: "odd"}]
		return w.Rank(ask(d, "xiaomi"))[0].Score
	}
	if after, first := worth(true), worth(false); after <= first+0.02 {
		t.Errorf("three silences after silences leave xiaomi worth %.3f, three first ones %.3f; want them to weigh less", after, first)
	}
}

func TestAnAttemptWithoutAnswerTeachesLessBySilence(t *testing.T) {
	w := newWorld(t, Parts{})
	e := event{stage: push.Unknown, attempt: 1}
	if got := w.reach(&e); got != doubtful {
		t.Errorf("the provider has it with %.2f, want %.2f", got, float32(doubtful))
	}
	e.stage = push.Accepted
	if got := w.reach(&e); got != 1 {
		t.Errorf("a first attempt reaches with %.2f, want 1", got)
	}
}

func TestWorkersThatLearnOfOneDeviceAtOnceLoseNothing(t *testing.T) {
	w := newWorld(t, Parts{})
	key := push.DeviceKey{App: "demo", ID: "a"}
	// Between reading and writing another worker notes that fcm does not reach it.
	var other brain.Evidence
	w.brain.Dead(&other, providerNumber("fcm"), unix(w.clock))
	theirs, times := string(other.Append(nil)), 0
	w.memory.meanwhile = func(d push.DeviceKey) {
		if times++; times == 1 {
			w.memory.kept[d] = theirs
		}
	}
	for range 3 {
		w.send(phone("a"), "xiaomi", true, "auto")
	}
	w.pass(70 * time.Second)
	if times < 2 {
		t.Fatalf("written %d times, want again after it was lost", times)
	}
	d := phone("a")
	d.Evidence = w.memory.kept[key]
	got := w.Rank(ask(d, "fcm", "xiaomi"))
	why := got[0].Why
	if got[0].Provider != "xiaomi" || !strings.Contains(why, "this device +") {
		t.Errorf("first is %s: %s; want xiaomi, for what this worker has learned", got[0].Provider, why)
	}
	if got[1].Score > 0.3 {
		t.Errorf("fcm is worth %.2f; want what the other worker has learned", got[1].Score)
	}
}

func TestATextMessageCostsWhatItIsWorth(t *testing.T) {
	for name, tt := range map[string]struct {
		class push.Class
		works bool
		first string
		words []string
	}{
		"free roads come first where they work":      {push.OTP, true, "fcm", nil},
		"an otp does not wait for a road that fails": {push.OTP, false, "sms", []string{"costs 0.12 of what a message of class otp is worth", "hardly worth its time (fcm 0."}},
		"an advertisement waits for it":              {push.Marketing, false, "fcm", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Parts{})
			w.send(phone("other"), "fcm", true, "auto")
			d := phone("a")
			for i := range 60 {
				w.send(d, "fcm", tt.works && i%10 != 0, "auto")
				w.pass(time.Second)
			}
			w.pass(70 * time.Second)
			d.Evidence = w.memory.kept[push.DeviceKey{App: "demo", ID: "a"}]
			q := ask(d, "sms", "fcm")
			q.Class = tt.class
			got := w.Rank(q)
			if got[0].Provider != tt.first {
				t.Errorf("first is %s (%.2f): %s", got[0].Provider, got[0].Score, got[0].Why)
			}
			for _, want := range tt.words {
				if !strings.Contains(got[0].Why, want) {
					t.Errorf("why = %q, want %q in it", got[0].Why, want)
				}
			}
			if d := got[0].Decision; tt.first == "sms" && (d.Propensity != 1 || d.Explored || len(d.Roads) != 2 || d.Roads[1].Provider != "sms") {
				t.Errorf("decision = %+v, want sms for certain beside fcm", d)
			}
			for _, r := range got[0].Decision.Roads {
				if math.Abs(float64(r.Chance-r.Cost-r.Score)) > 1e-6 || r.Chance <= 0 || (r.Cost > 0) != push.IsSMS(r.Provider) {
					t.Errorf("%s: chance %.3f less cost %.3f is no score of %.3f", r.Provider, r.Chance, r.Cost, r.Score)
				}
				if tt.works && r.Seconds <= 0 {
					t.Errorf("%s: nothing is known of its times after 60 receipts", r.Provider)
				}
			}
		})
	}
}

// The first receipts of a provider come later than its silence would count: they
// teach all the same.
func TestAProvidersFirstLateReceiptTeaches(t *testing.T) {
	w := newWorld(t, Parts{})
	w.late(phone("a"), "xiaomi", "auto")
	if w.memory.kept[push.DeviceKey{App: "demo", ID: "a"}] == "" {
		t.Error("nothing is known of the device after the first proof of its provider")
	}
}

// A device's proof outruns the answer of its provider: the attempt counts as
// proven all the same.
func TestProofMayComeBeforeTheAnswer(t *testing.T) {
	w := newWorld(t, Parts{})
	teach := func(early bool) float64 {
		w := newWorld(t, Parts{})
		w.send(phone("other"), "xiaomi", true, "auto")
		d := phone("a")
		for i := range 20 {
			r := push.Receipt{Delivery: fmt.Sprintf("y.0.%d", i), Provider: "xiaomi", ReceivedAt: w.clock, Class: push.Chat, Attempt: 1}
			r.Describe(d)
			sent, proof := r, r
			sent.Stage, proof.Stage = push.Accepted, push.Delivered
			if early {
				sent, proof = proof, sent
			}
			w.Observe(&sent)
			w.pass(time.Second)
			w.Observe(&proof)
		}
		w.pass(70 * time.Second)
		d.Evidence = w.memory.kept[push.DeviceKey{App: "demo", ID: "a"}]
		return w.Rank(ask(d, "xiaomi"))[0].Score
	}
	before := w.Rank(ask(phone("a"), "xiaomi"))[0].Score
	if usual, early := teach(false), teach(true); early < usual-0.02 || early <= before {
		t.Errorf("twenty early proofs make the road worth %.3f, usual ones %.3f, none %.3f", early, usual, before)
	}
}
