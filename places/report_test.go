package places

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func TestReadReportNamesEveryFault(t *testing.T) {
	t.Parallel()
	many := `{"positions":[` + strings.Repeat(`{"lat":1,"lon":2},`, MaxPoints) + `{"lat":1,"lon":2}]}`
	tests := map[string]struct{ body, fields string }{
		"one point":                   {`{"positions":[{"lat":1,"lon":2}]}`, ""},
		"with all there is":           {`{"positions":[{"lat":-90,"lon":180,"accuracy_m":12.5,"at":"2026-03-04T11:59:00Z"}]}`, ""},
		"a clock that runs ahead":     {`{"positions":[{"lat":1,"lon":2,"at":"2026-03-04T12:01:30Z"}]}`, ""},
		"NaN":                         {`{"positions":[{"lat":NaN,"lon":2}]}`, "positions[0].lat"},
		"minus infinity":              {`{"positions":[{"lat":1,"lon":2},{"lat":1,"lon":-Infinity}]}`, "positions[1].lon"},
		"NaN as a text":               {`{"positions":[{"lat":"NaN","lon":2}]}`, "positions[0].lat"},
		"a number beyond all":         {`{"positions":[{"lat":1e999,"lon":2}]}`, "positions[0].lat"},
		"91 degrees north":            {`{"positions":[{"lat":91,"lon":2}]}`, "positions[0].lat"},
		"181 degrees west":            {`{"positions":[{"lat":1,"lon":-181}]}`, "positions[0].lon"},
		"half a position":             {`{"positions":[{"lat":1}]}`, "positions[0].lon"},
		"in the future":               {`{"positions":[{"lat":1,"lon":2,"at":"2026-03-04T12:03:00Z"}]}`, "positions[0].at"},
		"of the day before":           {`{"positions":[{"lat":1,"lon":2,"at":"2026-03-03T11:59:00Z"}]}`, "positions[0].at"},
		"at no time":                  {`{"positions":[{"lat":1,"lon":2,"at":"noon"}]}`, "positions[0].at"},
		"less than exact":             {`{"positions":[{"lat":1,"lon":2,"accuracy_m":-1}]}`, "positions[0].accuracy_m"},
		"several faults":              {`{"positions":[{"lat":91,"lon":181},{"lon":2}]}`, "positions[0].lat positions[0].lon positions[1].lat"},
		"1,001 points":                {many, "positions"},
		"no points":                   {`{"positions":[]}`, "positions"},
		"an empty object":             {`{}`, "positions"},
		"a word nobody knows":         {`{"positions":[{"lat":1,"lon":2,"speed":3}]}`, "positions[0].speed"},
		"not an object":               {`[1]`, ""},
		"not JSON":                    {`lat=1`, ""},
		"nothing":                     {``, ""},
		"deeper than there is to say": {`{"positions":[{"lat":[[[[1]]]],"lon":2}]}`, ""},
		"larger than any report":      {`{"positions":"` + strings.Repeat("x", MaxReport) + `"}`, "positions"},
	}
	p := &Places{cfg: DefaultConfig(), now: func() time.Time { return noon }}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			points, err := p.ReadReport([]byte(tt.body))
			var invalid *push.Invalid
			if !errors.As(err, &invalid) {
				if err != nil || tt.fields != "" || len(points) != 1 {
					t.Fatalf("ReadReport() = %v, %v; want faults of %q", points, err, tt.fields)
				}
				return
			}
			var fields []string
			for _, f := range invalid.Faults {
				fields = append(fields, f.Field)
			}
			slices.Sort(fields)
			if got := strings.Join(fields, " "); got != tt.fields {
				t.Errorf("faults of %q, want %q: %v", got, tt.fields, err)
			}
		})
	}
}

func TestAReportNeedsConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("silent", "", false)
	w.device("off", push.PlaceOff, false)
	here := []push.Position{{Lat: 52.5, Lon: 13.4, At: noon}}
	for device, want := range map[string]error{"silent": ErrNoConsent, "off": ErrNoConsent, "nobody": push.ErrNotFound} {
		if n, err := w.Report(t.Context(), "demo", device, here); !errors.Is(err, want) || n != 0 {
			t.Errorf("report of %s = %d, %v; want %v", device, n, err, want)
		}
		if _, err := w.Position(t.Context(), "demo", device); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("%s was placed: %v", device, err)
		}
	}
}

func TestALastPlaceIsKeptAsFarAsIsAgreedTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("exact", push.PlaceExact, false)
	w.device("coarse", push.PlaceCoarse, true)
	where := point{52.520008, 13.404954}
	for device, within := range map[string][2]float64{"exact": {0, 0.7}, "coarse": {1, 800}} {
		w.at(device, where.lat, where.lon)
		at, err := w.Position(t.Context(), "demo", device)
		if d := distance(where, point{at.Lat, at.Lon}); err != nil || d < within[0] || d > within[1] {
			t.Errorf("%s is kept %.1f m away, %v", device, d, err)
		}
		eventually(t, "the device's record", func() error {
			d, err := w.store.Device(t.Context(), "demo", device)
			if err != nil {
				return err
			}
			if d.Location == nil || d.Location.At.IsZero() || distance(point{d.Location.Lat, d.Location.Lon}, point{at.Lat, at.Lon}) > 0.01 {
				return fmt.Errorf("it says %+v", d.Location)
			}
			return nil
		})
	}
	// Who agrees to less is forgotten to that extent, at once and in both stores.
	if err := w.PutConsent(t.Context(), &push.Consent{App: "demo", Device: "exact", Mode: push.PlaceCoarse}); err != nil {
		t.Fatal(err)
	}
	if err := w.PutConsent(t.Context(), &push.Consent{App: "demo", Device: "coarse", Mode: push.PlaceOff}); err != nil {
		t.Fatal(err)
	}
	for _, device := range []string{"exact", "coarse"} {
		if _, err := w.Position(t.Context(), "demo", device); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("%s is still placed: %v", device, err)
		}
		if d, err := w.store.Device(t.Context(), "demo", device); err != nil || d.Location != nil {
			t.Errorf("the record of %s still says %+v, %v", device, d.Location, err)
		}
	}
	if _, err := w.Report(t.Context(), "demo", "coarse", []push.Position{{At: w.time()}}); !errors.Is(err, ErrNoConsent) {
		t.Errorf("a report after the consent was withdrawn: %v", err)
	}
}

func TestAnOlderPositionDoesNotMoveTheDeviceBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("d", push.PlaceExact, false)
	at := func(minute int, lat float64) push.Position {
		return push.Position{Lat: lat, Lon: 1, At: noon.Add(time.Duration(minute) * time.Minute)}
	}
	for _, step := range []struct {
		points []push.Position
		kept   int
		lat    float64
	}{
		{[]push.Position{at(-9, 1), at(-5, 2)}, 2, 2},
		{[]push.Position{at(-8, 3)}, 0, 2},
		{[]push.Position{at(-6, 4), at(-4, 5)}, 1, 5},
		{[]push.Position{at(-4, 6)}, 0, 5}, // the same report again
	} {
		kept, err := w.Report(t.Context(), "demo", "d", step.points)
		if err != nil || kept != step.kept {
			t.Fatalf("Report(%v) = %d, %v; want %d", step.points, kept, err, step.kept)
		}
		if at, err := w.Position(t.Context(), "demo", "d"); err != nil || distance(point{at.Lat, at.Lon}, point{step.lat, 1}) > 1 {
			t.Errorf("after %v it is at %+v, %v", step.points, at, err)
		}
	}
}

func TestManyReportsAtOnceAreAllTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another()
	run(t, other)
	for i := range 20 {
		w.device(fmt.Sprint("d", i), push.PlaceExact, false)
	}
	var group sync.WaitGroup
	for i := range 400 {
		group.Go(func() {
			room := w.Places
			if i%2 == 1 {
				room = other
			}
			_, err := room.Report(t.Context(), "demo", fmt.Sprint("d", i%20), []push.Position{{Lat: float64(i) / 10, Lon: 1, At: noon.Add(time.Duration(i) * time.Second)}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i := range 20 {
		want := point{float64(380+i) / 10, 1} // the latest of each
		at, err := w.Position(t.Context(), "demo", fmt.Sprint("d", i))
		if err != nil || distance(point{at.Lat, at.Lon}, want) > 1 {
			t.Errorf("d%d is at %+v, %v; want %+v", i, at, err, want)
		}
	}
}

func TestWhoFallsSilentIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("old", push.PlaceExact, true)
	w.at("old", 10, 10)
	w.pass(DefaultConfig().Keep + time.Hour)
	everywhere := push.Audience{Near: &push.Circle{Lat: 10, Lon: 10, Radius: 1000}}
	if ids, err := w.Page(t.Context(), "demo", everywhere, "", 10); err != nil || len(ids) > 0 {
		t.Errorf("after a month it is found: %v, %v", ids, err)
	}
	if n, err := Known(t.Context(), w.rdb, "demo", []string{"old"}); err != nil || n != 0 {
		t.Errorf("after a month Redis knows of it: %d, %v", n, err)
	}
	w.at("old", 11, 11) // and the consent, which SQL has, holds
	if _, err := w.Position(t.Context(), "demo", "old"); err != nil {
		t.Error(err)
	}
}

func TestForgetLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("pole", push.PlaceExact, true)
	w.device("home", push.PlaceExact, true)
	w.at("pole", 89.9, 10)
	w.at("home", 10, 10)
	if n, err := Forget(t.Context(), w.rdb, "demo", []string{"pole", "home", "nobody"}); err != nil || n != 2 {
		t.Errorf("Forget() = %d, %v", n, err)
	}
	for _, device := range []string{"pole", "home"} {
		for _, which := range []string{"", keyPolar, keyNearby, keyTimes} {
			if n := w.rdb.ZCard(t.Context(), shardKey("demo", shardOf(device))+which).Val(); n != 0 {
				t.Errorf("%q of %s has %d entries", which, device, n)
			}
		}
	}
}

func TestReportsOfARedisThatIsAwayAreRefusedAndThenTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.device("d", push.PlaceExact, false)
	w.redis.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	here := []push.Position{{Lat: 1, Lon: 1, At: noon}}
	if _, err := w.Report(ctx, "demo", "d", here); !errors.Is(err, push.ErrAway) {
		t.Fatalf("Report() = %v, want ErrAway", err)
	}
	w.redis.Restart()
	eventually(t, "the report is taken", func() error {
		_, err := w.Report(t.Context(), "demo", "d", here)
		return err
	})
}
