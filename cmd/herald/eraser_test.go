package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/push"
)

// erasing runs an eraser until the test ends. It returns the devices whose
// connections it ended, to be read once the erasure is over.
func erasing(t *testing.T, p *places) *[]string {
	t.Helper()
	var dismissed []string
	e := &eraser{
		jobs: p.sql, places: p, log: slog.New(slog.DiscardHandler),
		dismiss: func(_ context.Context, _, device string) error {
			dismissed = append(dismissed, device)
			return nil
		},
	}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &dismissed
}

// ended waits until an erasure is over.
func ended(t *testing.T, p *places, user string) (e push.Erasure) {
	t.Helper()
	eventually(t, 30*time.Second, "the erasure is over", func() (err error) {
		if e, err = p.sql.Erasure(t.Context(), "demo", user); err == nil && e.State == push.Erasing {
			err = fmt.Errorf("it runs: %+v", e)
		}
		return err
	})
	return e
}

func found(e push.Erasure, store, what string) int {
	for _, s := range e.Stores {
		if s.Store == store && s.What == what {
			return s.Found
		}
	}
	return -1
}

func TestAnErasureThatDiedIsEndedByAnother(t *testing.T) {
	p := peopled(t)
	recordPeople(t, p)
	if _, err := p.sql.AskErasure(t.Context(), "demo", "ann"); err != nil {
		t.Fatal(err)
	}
	// A process takes it, looks, removes the rows that lead to the rest, and dies.
	job, err := p.sql.TakeErasure(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	job.Devices = []string{"ann-phone"}
	if job.Stores, err = p.erase(t.Context(), "demo", "ann", nil, true); err != nil {
		t.Fatal(err)
	}
	if err := p.sql.KeepErasure(t.Context(), &job, 0); err != nil {
		t.Fatal(err)
	}
	if err := p.sql.EraseUser(t.Context(), "demo", "ann"); err != nil {
		t.Fatal(err)
	}
	dismissed := erasing(t, p)
	e := ended(t, p, "ann")
	if e.State != push.Erased || e.EndedAt.IsZero() || e.Tries < 2 || !clean(e.Stores) {
		t.Errorf("the erasure: %+v", e)
	}
	for _, part := range [][2]string{{"sql", "devices"}, {"chat", "messages"}, {"redis", "caches, inboxes, caps"}, {"clickhouse", "events"}} {
		if found(e, part[0], part[1]) < 1 {
			t.Errorf("%v: nothing was found: %+v", part, e.Stores)
		}
	}
	if left := exported(t, p, "ann", "ann-phone"); len(left) != 1 {
		t.Errorf("what is left: %v", left)
	}
	if bob := exported(t, p, "bob"); len(bob["device"]) != 1 || len(bob["receipt"]) != 1 || len(bob["message"]) != 1 {
		t.Errorf("bob has lost something: %v", bob)
	}
	if len(*dismissed) == 0 {
		t.Error("the phone's connection stands")
	}
	if _, err := p.sql.TakeErasure(t.Context(), 0); !errors.Is(err, push.ErrNotFound) {
		t.Errorf("an erasure that is over is taken again: %v", err)
	}
}

func TestAnErasureOfWhatIsAwayIsGivenUpAndCanBeAskedForAgain(t *testing.T) {
	p := peopled(t)
	there := p.record
	away, err := analytics.Open(t.Context(), "http://127.0.0.1:1/default")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = away.Close() })
	p.record = away
	if _, err := p.sql.AskErasure(t.Context(), "demo", "ann"); err != nil {
		t.Fatal(err)
	}
	e := &eraser{jobs: p.sql, places: p, log: slog.New(slog.DiscardHandler), dismiss: func(context.Context, string, string) error { return nil }}
	for try := range eraseTries {
		job, err := p.sql.TakeErasure(t.Context(), eraseLease)
		if err != nil {
			t.Fatalf("try %d: %v", try, err)
		}
		e.work(t.Context(), &job)
	}
	got, err := p.sql.Erasure(t.Context(), "demo", "ann")
	if err != nil || got.State != push.NotAllThere || clean(got.Stores) {
		t.Errorf("after the last try: %+v, %v", got, err)
	}
	p.record = there
	if got, err = p.sql.AskErasure(t.Context(), "demo", "ann"); err != nil || got.State != push.Erasing || got.Tries != 0 {
		t.Errorf("asked again: %+v, %v", got, err)
	}
	erasing(t, p)
	if got = ended(t, p, "ann"); got.State != push.Erased {
		t.Errorf("the second erasure: %+v", got)
	}
}
