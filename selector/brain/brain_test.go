package brain

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

const someday = 1_800_000_000.0

// anyFeatures draws a kind of device out of a few hundred.
func anyFeatures(t *rapid.T) Features {
	small := func(name string, most uint16) uint16 { return rapid.Uint16Range(0, most).Draw(t, name) }
	return Features{
		Maker: small("maker", 6), Country: small("country", 5), Carrier: small("carrier", 2), OS: small("os", 3), App: small("app", 2),
	}
}

func TestEvidenceIsWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e Evidence
		for range rapid.IntRange(0, 12).Draw(t, "roads") {
			i := e.make(rapid.IntRange(0, MostProviders-1).Draw(t, "provider"), 2)
			e.set(i, gauss{
				rapid.Float32Range(-20, 20).Draw(t, "mean"), rapid.Float32Range(0, 9).Draw(t, "variance"),
			})
		}
		e.relax(someday+rapid.Float64Range(0, 1e8).Draw(t, "later"), 2, 3600)
		b := e.Append(nil)
		if len(b) != EvidenceSize {
			t.Fatalf("encoded to %d bytes, want %d", len(b), EvidenceSize)
		}
		if got := DecodeEvidence(string(b)); got != e {
			t.Fatalf("decoded %+v, want %+v", got, e)
		}
	})
}

func TestEvidenceOfAnotherLengthIsNone(t *testing.T) {
	for _, s := range []string{"", "x", string(make([]byte, EvidenceSize-1)), string(make([]byte, EvidenceSize+1))} {
		if e := DecodeEvidence(s); e.Known() {
			t.Errorf("%d bytes decoded to %+v, want a stranger", len(s), e)
		}
	}
}

func TestAMoreThanFullDeviceForgetsWhatItKnowsLeast(t *testing.T) {
	var e Evidence
	for p := range Slots {
		e.set(e.make(p, 2), gauss{1, 0.5})
	}
	e.set(e.slot(3), gauss{0.1, 1.9})
	e.make(17, 2)
	if e.slot(3) >= 0 {
		t.Error("the road that it knew least about is still there")
	}
	for _, p := range []int{0, 1, 2, 4, 5, 17} {
		if e.slot(p) < 0 {
			t.Errorf("provider %d has no slot", p)
		}
	}
}

func TestADeviceForgetsSlowly(t *testing.T) {
	var e Evidence
	e.relax(someday, 2, 3600)
	e.set(e.make(1, 2), gauss{4, 0.5})
	e.relax(someday+3600, 2, 3600)
	if g := e.get(e.slot(1)); math.Abs(float64(g.m)-2) > 0.01 || math.Abs(float64(g.v)-(2-1.5/4)) > 0.01 {
		t.Errorf("after a half-life %+v is left, want mean 2 and variance 1.625", g)
	}
	e.relax(someday+100*3600, 2, 3600)
	if g := e.get(e.slot(1)); math.Abs(float64(g.m)) > 0.01 || math.Abs(float64(g.v)-2) > 0.01 {
		t.Errorf("after a hundred half-lives %+v is left, want a stranger", g)
	}
}

func TestALateReceiptTakesTheSilenceBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFeatures(t)
		provider, online := rapid.IntRange(0, 5).Draw(t, "provider"), rapid.Bool().Draw(t, "online")
		late, never := New(DefaultConfig(), 6), New(DefaultConfig(), 6)
		var lateDevice, neverDevice Evidence
		late.Cell(f)
		never.Cell(f)
		history := rapid.SliceOfN(rapid.Bool(), 0, 30).Draw(t, "history")
		for _, b := range []*Brain{late, never} {
			e := &lateDevice
			if b == never {
				e = &neverDevice
			}
			for i, came := range history {
				at := someday + float64(i)
				track := b.Send(b.Cell(f), e, provider, online, at, true, 1)
				if came {
					b.Proof(&track, e, 2, at)
					b.Settle(&track, e, at)
				} else {
					b.Settle(&track, e, at)
				}
			}
		}
		at := someday + 100
		a := late.Send(late.Cell(f), &lateDevice, provider, online, at, true, 1)
		late.Settle(&a, &lateDevice, at+60)
		if a.silent {
			late.unstep(&a, &late.kinds[late.Cell(f)], &lateDevice, at+61)
		}
		neverDevice.relax(at+61, 2, late.cfg.HalfLife)
		got := late.belief(&late.kinds[0], &lateDevice, provider, online, at+61)
		want := never.belief(&never.kinds[0], &neverDevice, provider, online, at+61)
		if math.Abs(float64(got.m-want.m)) > 0.01 || math.Abs(float64(got.v-want.v)) > 0.01 {
			t.Fatalf("after silence and taking it back %+v, want the untouched %+v", got, want)
		}
	})
}

func TestBeliefsStayBeliefs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New(DefaultConfig(), 6)
		devices := make([]Evidence, 3)
		var tracks []Track
		var owners []int
		now := someday
		for range rapid.IntRange(1, 300).Draw(t, "events") {
			now += rapid.Float64Range(0, 30).Draw(t, "pause")
			who := rapid.IntRange(0, 2).Draw(t, "device")
			switch rapid.IntRange(0, 4).Draw(t, "event") {
			case 0, 1:
				cell := b.Cell(anyFeatures(t))
				tracks = append(tracks, b.Send(cell, &devices[who], rapid.IntRange(0, 5).Draw(t, "provider"), rapid.Bool().Draw(t, "online"), now, true, 1))
				owners = append(owners, who)
			case 2:
				if n := len(tracks); n > 0 {
					b.Settle(&tracks[n-1], &devices[owners[n-1]], now)
				}
			case 3:
				if n := len(tracks); n > 0 {
					b.Proof(&tracks[n-1], &devices[owners[n-1]], 5, now)
				}
			case 4:
				b.Tick(now)
			}
		}
		for i, g := range b.effects.now {
			if !(g.v > 0) || g.v > b.cfg.Spread[b.effects.keys[i/6].Family]*1.01 || math.IsNaN(float64(g.m)) {
				t.Fatalf("effect %+v of %+v is no belief", g, b.effects.keys[i/6])
			}
		}
		for _, e := range devices {
			for i := range Slots {
				if g := e.get(i); e.roads>>(i*slotBits)&slotMask != 0 && (!(g.v > 0) || g.v > 2.01) {
					t.Fatalf("a device's difference %+v is no belief", g)
				}
			}
		}
	})
}

func TestPropensitiesSumToOneAndLeaveNobodyOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New(DefaultConfig(), MostRoads)
		var e Evidence
		cell := b.Cell(anyFeatures(t))
		for range rapid.IntRange(0, 40).Draw(t, "evidence") {
			track := b.Send(cell, &e, rapid.IntRange(0, MostRoads-1).Draw(t, "provider"), true, someday, true, 1)
			if rapid.Bool().Draw(t, "came") {
				b.Proof(&track, &e, 1, someday)
				b.Settle(&track, &e, someday)
			} else {
				b.Settle(&track, &e, someday)
			}
		}
		ask := Ask{
			Cell: cell, Online: true, Now: someday, TTL: 600, Explore: rapid.Float32Range(0.1, 1).Draw(t, "explore"),
			Roads: rapid.Uint32Range(1, 1<<MostRoads-1).Draw(t, "roads"), Chance: rapid.Float32Range(0, 0.999).Draw(t, "chance"),
		}
		var d Decision
		b.Choose(&ask, &e, &d)
		sum := 0.0
		for _, r := range d.Roads[:d.N] {
			if r.Propensity <= 0 {
				t.Fatalf("road %d is never taken: %+v", r.Provider, r)
			}
			sum += float64(r.Propensity)
		}
		if math.Abs(sum-1) > 1e-4 {
			t.Fatalf("propensities sum to %v", sum)
		}
		ask.Explore = 0
		b.Choose(&ask, &e, &d)
		if d.Chosen != d.Best || d.Roads[d.Best].Propensity != 1 || d.Explored {
			t.Fatalf("without exploration %+v was taken, not the best", d.Roads[d.Chosen])
		}
	})
}

func TestTwoBrainsLearnFromEachOther(t *testing.T) {
	one, two := New(DefaultConfig(), 3), New(DefaultConfig(), 3)
	f := Features{Maker: 1, Country: 2}
	for _, b := range []*Brain{one, two} {
		for i := range 200 {
			var e Evidence
			track := b.Send(b.Cell(f), &e, 1, false, someday, true, 1)
			if i%10 < 7 {
				b.Proof(&track, &e, 1, someday)
				b.Settle(&track, &e, someday)
			} else {
				b.Settle(&track, &e, someday)
			}
		}
	}
	fresh := New(DefaultConfig(), 3)
	fresh.Learn(one.Changes(nil))
	fresh.Learn(two.Changes(nil))
	var e Evidence
	got := fresh.belief(&fresh.kinds[fresh.Cell(f)], &e, 1, false, someday)
	alone := one.belief(&one.kinds[one.Cell(f)], &e, 1, false, someday)
	if math.Abs(float64(got.m-alone.m)) > 0.4 || got.v >= alone.v {
		t.Errorf("from both it learned %+v, want about the mean of %+v and less doubt", got, alone)
	}
	if again := one.Changes(nil); len(again) != 0 {
		t.Errorf("%d changes were told twice", len(again))
	}
}

func TestAnOutageIsNoticedBlamedAndForgiven(t *testing.T) {
	cell := func(b *Brain, country uint16) int32 { return b.Cell(Features{Country: country, Maker: country % 2}) }
	tests := map[string]struct {
		sick    func(country uint16) bool
		refuses bool
	}{
		"silent everywhere":     {sick: func(uint16) bool { return true }},
		"silent in one country": {sick: func(c uint16) bool { return c == 1 }},
		"refuses everywhere":    {sick: func(uint16) bool { return true }, refuses: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := New(DefaultConfig(), 2)
			var e Evidence
			now := someday
			run := func(seconds int, outage bool) {
				for range seconds {
					for i := range uint16(20) {
						country := i % 4
						bad := outage && tt.sick(country)
						if bad && tt.refuses {
							b.Refused(cell(b, country), 1, now)
							continue
						}
						e = Evidence{}
						track := b.Send(cell(b, country), &e, 1, false, now, true, 1)
						if !bad && i < 18 {
							b.Proof(&track, &e, 0.4, now)
							b.Settle(&track, &e, now)
						}
					}
					now++
					b.Tick(now)
				}
			}
			run(120, false)
			for c := range uint16(4) {
				if h := b.health.of(&b.kinds[cell(b, c)], 1); h != 1 {
					t.Fatalf("country %d is sick (%.2f) on a good day", c, h)
				}
			}
			run(30, true)
			for c := range uint16(4) {
				h := b.health.of(&b.kinds[cell(b, c)], 1)
				if tt.sick(c) && h > 0.3 {
					t.Errorf("30 s into the outage country %d is believed healthy: %.2f", c, h)
				}
				if !tt.sick(c) && h < 1 {
					t.Errorf("country %d is blamed for another's outage: %.2f", c, h)
				}
			}
			run(30, false)
			for c := range uint16(4) {
				if h := b.health.of(&b.kinds[cell(b, c)], 1); h < 1 {
					t.Errorf("30 s after the outage country %d is still sick: %.2f", c, h)
				}
			}
		})
	}
}

// A road that holds its breath for a moment is not sick, however many receipts
// come late by it.
func TestAHiccupIsNoOutage(t *testing.T) {
	b := New(DefaultConfig(), 2)
	cell := b.Cell(Features{})
	var e Evidence
	now := someday
	var late []Track
	second := func(holds bool) {
		for range 400 {
			track := b.Send(cell, &e, 1, false, now, true, 1)
			late = append(late, track)
		}
		if !holds {
			for i := range late {
				b.Proof(&late[i], &e, now-late[i].Sent()+0.4, now)
				b.Settle(&late[i], &e, now)
			}
			late = late[:0]
		}
		now++
		b.Tick(now)
		if h := b.health.of(&b.kinds[cell], 1); h < 1 {
			t.Fatalf("the road is judged sick: %.2f", h)
		}
	}
	for range 60 {
		second(false)
	}
	for range 5 {
		second(true)
		second(true)
		for range 10 {
			second(false)
		}
	}
}

func TestAnOutageDoesNotPoisonWhatIsKnown(t *testing.T) {
	b := New(DefaultConfig(), 2)
	cell := b.Cell(Features{})
	var e Evidence
	now := someday
	var waiting []Track
	second := func(outage bool) {
		for range 20 {
			track := b.Send(cell, &e, 1, false, now, true, 1)
			if !outage {
				b.Proof(&track, &e, 0.4, now)
				b.Settle(&track, &e, now)
			} else {
				waiting = append(waiting, track)
			}
		}
		now++
		for len(waiting) > 0 && now-waiting[0].Sent() >= Check {
			b.Settle(&waiting[0], &e, now)
			waiting = waiting[1:]
		}
		b.Tick(now)
	}
	for range 120 {
		second(false)
	}
	before := b.belief(&b.kinds[cell], &e, 1, false, now).m
	for range 300 {
		second(true)
	}
	if after := b.belief(&b.kinds[cell], &e, 1, false, now).m; before-after > 0.7 {
		t.Errorf("an outage of five minutes brought the belief from %.2f to %.2f logits", before, after)
	}
}

func BenchmarkChoose(b *testing.B) {
	brain := New(DefaultConfig(), 16)
	var cells []int32
	for m := range uint16(20) {
		for c := range uint16(20) {
			cells = append(cells, brain.Cell(Features{Maker: m, Country: c}))
		}
	}
	devices := make([]Evidence, 1<<16)
	for i := range devices {
		for p := range 6 {
			devices[i].set(devices[i].make(p, 2), gauss{float32(i%7) / 3, 1})
		}
		devices[i].at = someday - 3600
	}
	ask := Ask{Online: true, Roads: 0b111111, Now: someday, TTL: 120, Explore: 1}
	var d Decision
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i += 7919
		ask.Cell, ask.Chance = cells[i%len(cells)], float32(i%1000)/1000
		brain.Choose(&ask, &devices[i&(1<<16-1)], &d)
	}
}

func BenchmarkReceipt(b *testing.B) {
	brain := New(DefaultConfig(), 16)
	cell := brain.Cell(Features{Maker: 1})
	var e Evidence
	b.ReportAllocs()
	for b.Loop() {
		track := brain.Send(cell, &e, 3, true, someday, true, 1)
		brain.Proof(&track, &e, 2, someday)
		brain.Settle(&track, &e, someday)
	}
}
