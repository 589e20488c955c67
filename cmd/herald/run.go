package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
)

// part is anything with a life of its own. Run blocks until ctx ends, puts its
// work in order and returns nil. Returning earlier ends the whole house.
type part interface {
	Run(ctx context.Context) error
}

// named gives a part the name that an error of its is told under.
type named struct {
	name string
	part
}

func (n named) Run(ctx context.Context) error {
	if err := n.part.Run(ctx); err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	return nil
}

// runFunc makes a part of a function.
type runFunc func(ctx context.Context) error

func (f runFunc) Run(ctx context.Context) error { return f(ctx) }

// runStages runs every part until ctx ends or one part returns.
//
// Stages are named in the order a notification travels: doors first, recorder
// last. They start from the last and stop from the first, so a part never
// hands work to one that is not there.
func runStages(ctx context.Context, stages ...[]part) error {
	ctx, end := context.WithCancel(ctx)
	defer end()

	stops := make([]func() error, len(stages))
	for i, stage := range slices.Backward(stages) {
		stageCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		var group errgroup.Group
		for _, p := range stage {
			group.Go(func() error {
				defer end()
				return p.Run(stageCtx)
			})
		}
		stops[i] = func() error { stop(); return group.Wait() }
	}

	<-ctx.Done()
	var errs []error
	for _, stop := range stops {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}
