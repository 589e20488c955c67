package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

func TestStagesStopInTheOrderOfTheJourney(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var stopped []string
		stage := func(name string) []part {
			return []part{runFunc(func(ctx context.Context) error {
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				stopped = append(stopped, name)
				return nil
			})}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- runStages(ctx, stage("doors"), stage("workers"), stage("recorder")) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("runStages() = %v", err)
		}
		if want := []string{"doors", "workers", "recorder"}; !slices.Equal(stopped, want) {
			t.Errorf("stopped in order %v, want %v", stopped, want)
		}
	})
}

func TestOnePartThatFailsEndsTheHouse(t *testing.T) {
	fault := errors.New("port is taken")
	waits := runFunc(func(ctx context.Context) error { <-ctx.Done(); return nil })
	fails := named{"api", runFunc(func(context.Context) error { return fault })}
	err := runStages(t.Context(), []part{fails}, []part{waits})
	if !errors.Is(err, fault) || !strings.HasPrefix(err.Error(), "api: ") {
		t.Errorf("runStages() = %v, want the fault under its part's name", err)
	}
}
