package brain

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Two processes that learn of one device at the same time end where one would
// that had seen everything.
func TestEvidenceOfTwoProcessesIsMerged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New(DefaultConfig(), 6)
		// steps moves a device's beliefs as observations do.
		type move struct {
			provider         int
			gradient, inform float32
		}
		draw := rapid.Custom(func(t *rapid.T) move {
			return move{
				rapid.IntRange(0, 3).Draw(t, "provider"),
				rapid.Float32Range(-0.5, 0.5).Draw(t, "gradient"), rapid.Float32Range(0.01, 0.2).Draw(t, "information"),
			}
		})
		apply := func(e Evidence, moves []move) Evidence {
			for _, m := range moves {
				i := e.make(m.provider, b.cfg.Device)
				g := e.get(i)
				gain := 1 / (1 + m.inform*g.v)
				e.set(i, g.move(m.gradient*gain, m.inform*gain))
			}
			return e
		}
		var before Evidence
		before.relax(someday, b.cfg.Device, b.cfg.HalfLife)
		before = apply(before, rapid.SliceOfN(draw, 0, 10).Draw(t, "before"))
		mine, theirs := rapid.SliceOfN(draw, 0, 5).Draw(t, "mine"), rapid.SliceOfN(draw, 0, 5).Draw(t, "theirs")
		got := b.Merge(apply(before, theirs), before, apply(before, mine), someday)
		want := apply(apply(before, theirs), mine)
		for p := range 4 {
			if (got.slot(p) < 0) != (want.slot(p) < 0) {
				t.Fatalf("provider %d is remembered: %v, want %v", p, got.slot(p) >= 0, want.slot(p) >= 0)
			}
			if got.slot(p) < 0 {
				continue
			}
			g, w := got.get(got.slot(p)), want.get(want.slot(p))
			if math.Abs(float64(g.v-w.v)) > 0.01 || math.Abs(float64(g.m-w.m)) > 0.6 {
				t.Fatalf("provider %d: merged to %+v, one process has %+v", p, g, w)
			}
		}
	})
}

func TestASilenceAfterASilenceSaysLess(t *testing.T) {
	b := New(DefaultConfig(), 3)
	cell := b.Cell(Features{})
	for range 300 { // road 1 works well
		var e Evidence
		track := b.Send(cell, &e, 1, false, someday, true, 1)
		b.Proof(&track, &e, 1, someday)
		b.Settle(&track, &e, someday+Check)
	}
	var none Evidence
	first := b.Send(cell, &none, 1, false, someday, true, 1)
	reach := b.Reach(&first, &none, someday+Check)
	if reach > 0.9 || reach < 0.3 {
		t.Fatalf("after the silence of a good road the device is in reach with %.2f, want a good part of the doubt on the device", reach)
	}
	if poor := b.Send(cell, &none, 2, false, someday, true, 1); b.Reach(&poor, &none, someday+Check) <= reach {
		t.Error("the silence of a road that nobody knows says as much of the device as that of a good one")
	}
	after := func(reach float32, proven bool) float32 {
		var e Evidence
		track := b.Send(cell, &e, 2, false, someday, true, reach)
		if proven {
			b.Proof(&track, &e, 1, someday)
		}
		b.Settle(&track, &e, someday+Check)
		return e.get(e.slot(2)).m
	}
	if whole, part := after(1, false), after(reach, false); whole >= part || part >= 0 {
		t.Errorf("silence moves a device's belief by %.2f after silence and by %.2f else; want it to count, but less", part, whole)
	}
	if got := after(reach, true); got <= 0 {
		t.Errorf("a receipt after a silence moves it by %.2f, want up", got)
	}
}

// Where all devices are of one kind, nothing tells the families of effects
// apart: they must not wander off in opposite directions.
func TestFamiliesThatCannotBeToldApartStayTogether(t *testing.T) {
	b := New(DefaultConfig(), 2)
	cell := b.Cell(Features{Maker: 1, Country: 1, Carrier: 1, OS: 1, App: 1})
	for _, row := range b.kinds[cell].rows[0] { // as if they had
		j := int(row) * b.providers
		switch b.effects.keys[row].Family {
		case ByMaker:
			b.effects.now[j] = gauss{3, 0.5}
		case ByTrio:
			b.effects.now[j] = gauss{-3, 0.3}
		}
	}
	now := someday
	for i := range 60 * 24 { // two months, an attempt an hour
		b.effects.drift(3600)
		now += 3600
		var e Evidence
		track := b.Send(cell, &e, 0, false, now, true, 1)
		if i%10 < 8 {
			b.Proof(&track, &e, 1, now)
		}
		b.Settle(&track, &e, now+Check)
	}
	for k, row := range b.kinds[cell].rows[0] {
		if g := b.effects.now[int(row)*b.providers]; math.Abs(float64(g.m)) > 2 {
			t.Errorf("family %d stands at %+v", k, g)
		}
	}
	if got := b.Arrives(cell, &Evidence{}, 0, false, now); got < 0.75 || got > 0.97 {
		t.Errorf("of a road of which 80 %% is confirmed and 90 %% covered %.2f is believed", got)
	}
}

func TestNobodyIsImpatientWithoutNeed(t *testing.T) {
	b := New(DefaultConfig(), 3)
	cell := b.Cell(Features{})
	for range 300 { // receipts within half a second
		var e Evidence
		track := b.Send(cell, &e, 0, true, someday, true, 1)
		b.Proof(&track, &e, 0.4, someday)
		b.Settle(&track, &e, someday+Check)
	}
	b.Tick(someday)
	b.Tick(someday + 10)
	for _, c := range []struct {
		what                string
		halfWorth, min, max float64
	}{
		{"a call", 10, 1.5, 1.5},
		{"a one-time password", 30, 1.5, 3},
		{"a chat message", 120, 5, 12},
		{"an advertisement", 3 * 3600, 30, 600},
	} {
		w := Wait{Cell: cell, Provider: 0, Online: true, Now: someday, TTL: 3600, HalfWorth: c.halfWorth, Next: 0.9, Twice: 0.05}
		if got := b.Patience(&w, &Evidence{}); got < c.min || got > c.max {
			t.Errorf("%s waits %v s, want between %v and %v", c.what, got, c.min, c.max)
		}
	}
}
