package places

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald/push"
)

// home is a circle of 100 m; a step leads out of it.
func home(on ...push.Crossing) push.Fence {
	return push.Fence{ID: "home", On: on, Shape: push.Shape{Circle: &push.Circle{Lat: 52.5, Lon: 13.4, Radius: 100}}}
}

// hears waits until the bell was rung for just this.
func (w *world) hears(want ...string) {
	w.t.Helper()
	eventually(w.t, "the bell", func() error {
		if got := w.heard(); !slices.Equal(got, want) {
			return fmt.Errorf("rung for %q, want %q", got, want)
		}
		return nil
	})
}

func TestAFenceTellsOfEachCrossingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("d", push.PlaceExact, false)
	f := home(push.Enter, push.Exit, push.Dwell)
	f.DwellSeconds = 600
	w.fence(f)
	w.at("d", 52.6, 13.4) // far away
	w.at("d", 52.5, 13.4)
	w.hears("enter home by d")
	w.at("d", 52.5001, 13.4) // still inside
	w.pass(10 * time.Minute)
	w.at("d", 52.5, 13.4)
	w.hears("enter home by d", "dwell home by d")
	w.pass(10 * time.Minute)
	w.at("d", 52.5, 13.4) // it has been told that it dwells
	w.at("d", 52.6, 13.4)
	w.hears("enter home by d", "dwell home by d", "exit home by d")
	w.at("d", 52.6, 13.5)
	w.at("d", 52.5, 13.4)
	w.hears("enter home by d", "dwell home by d", "exit home by d", "enter home by d")
}

func TestAFenceLeavesADeviceAlone(t *testing.T) {
	t.Parallel()
	polygon := []push.Location{{Lat: 52.499, Lon: 13.399}, {Lat: 52.499, Lon: 13.401}, {Lat: 52.501, Lon: 13.401}, {Lat: 52.501, Lon: 13.399}}
	tests := map[string]struct {
		change func(*push.Fence)
		want   string // what is heard of two visits, ten minutes apart
	}{
		"that it tells always":             {func(*push.Fence) {}, "enter enter"},
		"with corners":                     {func(f *push.Fence) { f.Shape = push.Shape{Polygon: polygon} }, "enter enter"},
		"that it has told of lately":       {func(f *push.Fence) { f.CooldownSeconds = 3600 }, "enter"},
		"that it has not told of for long": {func(f *push.Fence) { f.CooldownSeconds = 500 }, "enter enter"},
		"of which it tells something else": {func(f *push.Fence) { f.On = []push.Crossing{push.Exit} }, "exit exit"},
		"that comes before it opens":       {func(f *push.Fence) { f.Schedule = &push.OpeningTime{From: "12:05", To: "13:00", Timezone: "UTC"} }, "enter"},
		"that comes after it has closed":   {func(f *push.Fence) { f.Schedule = &push.OpeningTime{From: "11:00", To: "12:05", Timezone: "UTC"} }, "enter"},
		"by the clock of another place": {func(f *push.Fence) {
			f.Schedule = &push.OpeningTime{From: "20:00", To: "20:05", Timezone: "Asia/Shanghai"}
		}, "enter"},
		"on a day on which it is not in force": {func(f *push.Fence) {
			f.Schedule = &push.OpeningTime{Days: []string{"thu"}, From: "00:00", To: "24:00", Timezone: "UTC"}
		}, ""},
		"on a day on which it is": {func(f *push.Fence) {
			f.Schedule = &push.OpeningTime{Days: []string{"wed"}, From: "00:00", To: "24:00", Timezone: "UTC"}
		}, "enter enter"},
		"over midnight": {func(f *push.Fence) { f.Schedule = &push.OpeningTime{From: "22:00", To: "12:05", Timezone: "UTC"} }, "enter"},
	}
	w := newWorld(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.mu.Lock()
			w.clock, w.rung = noon, nil
			w.mu.Unlock()
			device := strings.ReplaceAll(name, " ", "-")
			w.device(device, push.PlaceExact, false)
			f := home(push.Enter)
			tt.change(&f)
			w.fence(f)
			for range 2 {
				w.at(device, 52.5, 13.4)
				w.at(device, 52.6, 13.4)
				w.pass(10 * time.Minute)
			}
			// One more, whose bell is the last.
			last := home(push.Enter)
			last.ID = "last"
			last.Circle = &push.Circle{Lat: 10, Lon: 10, Radius: 100}
			w.fence(last)
			w.at(device, 10, 10)
			want := strings.Fields(tt.want)
			for i := range want {
				want[i] += " home by " + device
			}
			want = append(want, "enter last by "+device)
			eventually(t, "the bell", func() error {
				got := w.heard()
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					return fmt.Errorf("rung for %q, want %q", got, want)
				}
				return nil
			})
		})
	}
}

func TestWhatIsTooOldOrTooVagueRingsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("d", push.PlaceExact, false)
	f := home(push.Enter, push.Exit)
	f.MaxAccuracy = 50
	w.fence(f)
	report := func(p push.Position) {
		t.Helper()
		if kept, err := w.Report(t.Context(), "demo", "d", []push.Position{p}); err != nil || kept != 1 {
			t.Fatal(kept, err)
		}
	}
	report(push.Position{Lat: 52.5, Lon: 13.4, At: noon.Add(-time.Hour)}) // from when it was offline
	report(push.Position{Lat: 52.6, Lon: 13.4, At: noon.Add(-50 * time.Minute)})
	report(push.Position{Lat: 52.5, Lon: 13.4, At: noon.Add(-5 * time.Minute), Accuracy: 2000})
	report(push.Position{Lat: 52.5, Lon: 13.4, At: noon.Add(-4 * time.Minute), Accuracy: 10})
	report(push.Position{Lat: 52.6, Lon: 13.4, At: noon.Add(-3 * time.Minute), Accuracy: 2000})
	report(push.Position{Lat: 52.6, Lon: 13.4, At: noon.Add(-2 * time.Minute), Accuracy: 10})
	w.hears("enter home by d", "exit home by d")
}

func TestHowADeviceStandsOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	w := newStillWorld(t)
	first, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(first) }()
	w.device("d", push.PlaceExact, false)
	w.fence(home(push.Enter, push.Exit))
	w.at("d", 52.5, 13.4)
	w.hears("enter home by d")
	end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.redis.Kill()
	w.redis.Restart()
	w.Places = w.another()
	run(t, w.Places)
	eventually(t, "the new process takes a report", func() error {
		w.pass(time.Second)
		_, err := w.Report(t.Context(), "demo", "d", []push.Position{{Lat: 52.5, Lon: 13.4, At: w.time()}})
		return err
	})
	w.at("d", 52.6, 13.4)
	w.hears("enter home by d", "exit home by d")
}

func TestACrossingThatNobodyToldOfIsToldOfByAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("d", push.PlaceExact, false)
	w.fence(home(push.Enter))
	w.refuse(fmt.Errorf("the queue is %w", push.ErrAway))
	w.at("d", 52.5, 13.4)
	outbox := shardKey("demo", shardOf("d")) + keyOutbox
	eventually(t, "the crossing is written down", func() error {
		if n := w.rdb.HLen(t.Context(), outbox).Val(); n != 1 {
			return fmt.Errorf("%d crossings wait", n)
		}
		return nil
	})
	w.pass(time.Minute)
	w.refuse(nil)
	w.hears("enter home by d")
	eventually(t, "the crossing is taken off", func() error {
		if n := w.rdb.HLen(t.Context(), outbox).Val(); n != 0 {
			return fmt.Errorf("%d crossings wait", n)
		}
		return nil
	})
}

func TestTheSameCrossingHasTheSameNameWhoeverFindsIt(t *testing.T) {
	t.Parallel()
	w := newStillWorld(t)
	f := newFence(home(push.Enter))
	var names [2]string
	for i := range names {
		all := newFences()
		all.put(f)
		st := step{app: "demo", device: "d", where: stored(point{52.5, 13.4}), at: noon, now: noon.Add(time.Duration(i) * time.Second)}
		for _, c := range all.evaluate(&record{}, &st, nil) {
			names[i] = c.id
		}
	}
	if names[0] == "" || names[0] != names[1] || len(names[0]) > 64 {
		t.Errorf("one crossing has the names %q", names)
	}
	_ = w
}

func TestAFenceCountsAsSoonAsItIsWrittenAndNoLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another()
	run(t, other)
	w.device("d", push.PlaceExact, false)
	w.fence(home(push.Enter))
	eventually(t, "the other process has it", func() error {
		if n := other.Fences("demo"); n != 1 {
			return fmt.Errorf("it has %d", n)
		}
		return nil
	})
	if err := w.store.DeleteFence(t.Context(), "demo", "home"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "neither has it", func() error {
		if n := other.Fences("demo") + w.Fences("demo"); n != 0 {
			return fmt.Errorf("they have %d", n)
		}
		return nil
	})
	w.at("d", 52.5, 13.4)
	if heard := w.heard(); len(heard) > 0 {
		t.Errorf("a fence that is gone rang: %v", heard)
	}
}

func TestRecordsSurviveTheirText(t *testing.T) {
	t.Parallel()
	ms := rapid.Int64Range(0, 1<<45)
	rapid.Check(t, func(t *rapid.T) {
		r := record{
			mode: rapid.SampledFrom([]push.PlaceMode{push.PlaceOff, push.PlaceCoarse, push.PlaceExact}).Draw(t, "mode"), nearby: rapid.Bool().Draw(t, "nearby"),
			at: ms.Draw(t, "at"),
		}
		for range rapid.IntRange(0, 5).Draw(t, "visits") {
			r.fences = append(r.fences, visit{
				fence: rapid.String().Draw(t, "fence"), inside: rapid.Bool().Draw(t, "inside"), dwelled: rapid.Bool().Draw(t, "dwelled"),
				since: ms.Draw(t, "since"), told: [3]int64{ms.Draw(t, "enter"), ms.Draw(t, "exit"), ms.Draw(t, "dwell")},
			})
		}
		text := r.encode()
		got, ok := decodeRecord(text)
		if !ok || got.encode() != text || got.mode != r.mode || got.nearby != r.nearby || !slices.Equal(got.fences, r.fences) {
			t.Fatalf("%+v became %+v", r, got)
		}
		cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut")
		decodeRecord(text[:cut]) // must not panic
	})
}
