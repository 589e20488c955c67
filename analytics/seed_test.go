package analytics

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func smallSeed() SeedConfig {
	c := DefaultSeedConfig("seed", 3000, time.Now())
	c.Batch, c.Days = 1000, 2
	return c
}

func TestSeedGoesOnWhereItWasInterrupted(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := store.Seed(ctx, smallSeed(), 1, func(n int) {
		if n > 0 {
			cancel() // after the first batch
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted seed says %v", err)
	}
	half, err := store.Rows(t.Context())
	if err != nil || half == 0 || half >= 3000 {
		t.Fatalf("%d events after the first batch, %v", half, err)
	}
	var told []int
	for range 2 { // the second time there is nothing to do
		told = nil
		if err := store.Seed(t.Context(), smallSeed(), 2, func(n int) { told = append(told, n) }); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.Rows(t.Context())
	want := 0
	for b := range 3 {
		want += len(smallSeed().batch(b))
	}
	if err != nil || int(all) != want || !reflect.DeepEqual(told, []int{want}) {
		t.Errorf("%d events, told %v, %v; want %d", all, told, err, want)
	}
}

func TestSeedInventsWhatCanHappen(t *testing.T) {
	c := smallSeed()
	rs := c.batch(1)
	if again := c.batch(1); !reflect.DeepEqual(rs, again) {
		t.Error("the same seed invents something else")
	}
	stages, skewed, first := map[push.Stage]int{}, 0, c.Until.AddDate(0, 0, -c.Days)
	for i := range rs {
		r := rs[i]
		stages[r.Stage]++
		if r.Skew != 0 {
			skewed++
		}
		if accepted := r.ReceivedAt.Add(-r.SinceAccepted); accepted.Before(first) || accepted.After(c.Until) {
			t.Fatalf("accepted at %s, outside of %s to %s", accepted, first, c.Until)
		}
		if paid := r.CostMicros > 0; paid != (r.Provider == push.SMS && r.Stage == push.Accepted) {
			t.Fatalf("a cost of %d for %s %s", r.CostMicros, r.Provider, r.Stage)
		}
		if r.Road < 1 || r.Attempt < 1 || r.Class == "" || r.Country == "" {
			t.Fatalf("something is missing in %+v", r)
		}
	}
	if stages[push.Accepted] == 0 || stages[push.Delivered] == 0 || stages[push.Displayed] == 0 || stages[push.Failed] == 0 || skewed == 0 {
		t.Errorf("stages %v, %d clocks that are wrong", stages, skewed)
	}
}

func TestSeedSaysWhatIsWrong(t *testing.T) {
	invalid := new(push.Invalid)
	err := SeedConfig{Batch: 1}.Validate()
	if !errors.As(err, &invalid) || len(invalid.Faults) != 4 {
		t.Errorf("faults: %v", err)
	}
}
