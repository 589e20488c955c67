package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

const (
	// eraseEvery is how often a process looks for erasures to work on.
	eraseEvery = 2 * time.Second
	// eraseLease is how long after its process has died an erasure lies still.
	eraseLease = 30 * time.Second
	// eraseTries is after how many looks that found something an erasure is given
	// up. The first follow soon, for spools empty themselves within seconds.
	eraseTries = 20
	eraseRest  = 3 * time.Second // and as much longer with each try
)

// eraser works on the erasures that were asked for through the API. All it
// knows is in SQL, so that another process, or this one after a restart, goes
// on where it ended.
type eraser struct {
	jobs    *sqlstore.Store
	places  *places
	dismiss func(ctx context.Context, app, device string) error // ends the connection of a device
	rest    time.Duration
	log     *slog.Logger
}

// Run works until ctx ends.
func (e *eraser) Run(ctx context.Context) error {
	tick := time.NewTicker(eraseEvery)
	defer tick.Stop()
	for {
		job, err := e.jobs.TakeErasure(ctx, eraseLease)
		switch {
		case err == nil:
			e.work(ctx, &job)
			continue
		case !errors.Is(err, push.ErrNotFound) && ctx.Err() == nil:
			e.log.WarnContext(ctx, "erasures cannot be looked for", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// work makes one try and writes down what came of it.
func (e *eraser) work(ctx context.Context, job *push.Erasure) {
	err := e.holding(ctx, job, func(ctx context.Context) error { return e.try(ctx, job) })
	switch {
	case err != nil:
		e.log.WarnContext(ctx, "a try to erase a user has failed", "app", job.App, "try", job.Tries, "err", err)
	case clean(job.Stores):
		job.State = push.Erased
	}
	if job.State == push.Erasing && job.Tries >= eraseTries {
		job.State = push.NotAllThere
	}
	wait := time.Duration(job.Tries) * e.rest
	if ctx.Err() != nil {
		wait = 0 // this process ends; the next one may go on at once
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := e.jobs.KeepErasure(closing, job, wait); err != nil {
		e.log.WarnContext(ctx, "how far an erasure is was not kept; it is tried again", "app", job.App, "err", err)
	}
}

// holding keeps a job from other processes while do works on it.
func (e *eraser) holding(ctx context.Context, job *push.Erasure, do func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	held := *job // do changes the job meanwhile
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(eraseLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = e.jobs.HoldErasure(ctx, &held, eraseLease) // two at once do no harm
			}
		}
	}()
	defer func() { end(); <-done }()
	return do(ctx)
}

// try looks, writes down what it is about to remove, removes it and looks again.
func (e *eraser) try(ctx context.Context, job *push.Erasure) error {
	rows, err := e.places.sql.OfUser(ctx, job.App, job.User)
	if err != nil {
		return err
	}
	job.Devices = union(job.Devices, rows.Devices)
	if len(job.Stores) == 0 {
		if job.Stores, err = e.places.erase(ctx, job.App, job.User, job.Devices, true); err != nil {
			return err
		}
		e.hide(ctx, job)
	}
	// The devices lead to all the rest, and their rows will be gone.
	if err := e.jobs.KeepErasure(ctx, job, eraseLease); err != nil {
		return err
	}
	after, err := e.places.erase(ctx, job.App, job.User, job.Devices, false)
	if err != nil {
		return err
	}
	job.Stores = compared(job.Stores, after)
	e.hide(ctx, job)
	for _, d := range job.Devices {
		if err := e.dismiss(ctx, job.App, d); err != nil {
			return err
		}
	}
	return nil
}

// hide keeps where the stores are from those who ask through the API.
func (e *eraser) hide(ctx context.Context, job *push.Erasure) {
	for i := range job.Stores {
		if s := &job.Stores[i]; s.Fault != "" && s.Fault != faultHidden {
			e.log.WarnContext(ctx, "a store could not be looked into for an erasure", "app", job.App, "store", s.Store, "err", s.Fault)
			s.Fault = faultHidden
		}
	}
}

const faultHidden = "it could not be looked into; the log says why"

// compared is what the first look found, or a later one where it found more,
// with what the last one left.
func compared(first, last []push.ErasedPart) []push.ErasedPart {
	all := append([]push.ErasedPart(nil), last...)
	for i := range all {
		for _, f := range first {
			if f.Store == all[i].Store && f.What == all[i].What {
				all[i].Found = max(all[i].Found, f.Found)
			}
		}
	}
	return all
}

func clean(parts []push.ErasedPart) bool {
	for _, p := range parts {
		if p.Left > 0 || p.Fault != "" {
			return false
		}
	}
	return true
}
