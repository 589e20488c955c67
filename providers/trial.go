package providers

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	// trialSends is how many messages in a row the service must refuse for the
	// credentials, and take none, before they are retracted. One is enough where
	// the service, asked for the credentials themselves, refuses them too: a lane
	// closes at the first refusal, so the next message may be minutes away.
	trialSends = 3
	// trialCheck bounds that question, which the refused message waits for.
	trialCheck = 5 * time.Second
)

// Trials knows which credentials are new, and goes back to those before them.
type Trials interface {
	// OnTrial tells whether this version is unproven and has earlier ones.
	OnTrial(ctx context.Context, app, provider string, version int64) (bool, error)
	// Proven ends the trial: the service took a message.
	Proven(ctx context.Context, app, provider string, version int64) error
	// Retract puts those before in force again. It returns push.ErrNotFound if
	// the version is on trial no more.
	Retract(ctx context.Context, app, provider string, version int64, why string) error
}

// trial watches what becomes of the first messages that go out with new
// credentials. Each process counts for itself.
type trial struct {
	over    atomic.Bool
	refused atomic.Int32
}

// TriedBy says who knows of trials. It is called before the first Send.
func (s *Set) TriedBy(t Trials) { s.trials = t }

// onTrial makes a trial of credentials that are new; nil if they are not, or
// nobody can tell: then they stay, as those without a trial do.
func (s *Set) onTrial(ctx context.Context, app, provider string, version int64) *trial {
	if s.trials == nil {
		return nil
	}
	if on, err := s.trials.OnTrial(ctx, app, provider, version); err != nil || !on {
		return nil
	}
	return new(trial)
}

// try notes the answer to a real message.
func (s *Set) try(ctx context.Context, app, provider string, o *opened, answer error) {
	t := o.trial
	if t == nil || t.over.Load() {
		return
	}
	switch {
	case answer == nil:
		if t.over.CompareAndSwap(false, true) {
			s.settle(ctx, func(ctx context.Context) error { return s.trials.Proven(ctx, app, provider, o.version) })
		}
	case errors.Is(answer, push.ErrCredentials) && push.ScopeOf(answer) == push.ScopeProvider:
		n := t.refused.Add(1)
		if (n >= trialSends || n == 1 && confirms(ctx, o.provider)) && t.over.CompareAndSwap(false, true) {
			why := fmt.Sprintf("the service refused the first %d message(s) with newer credentials: %s", n, reasonOf(answer))
			s.settle(ctx, func(ctx context.Context) error { return s.trials.Retract(ctx, app, provider, o.version, why) })
		}
	case errors.Is(answer, push.ErrUnregistered): // it looked at the message, so it took the credentials
		t.refused.Store(0)
	}
}

// confirms asks a service that can be asked whether it is the credentials.
func confirms(ctx context.Context, p Provider) bool {
	c, ok := p.(Checker)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trialCheck)
	defer cancel()
	_, err := c.Check(ctx)
	return errors.Is(err, push.ErrCredentials)
}

// settle writes down how a trial ended, whatever becomes of the message that
// ended it. While the store is away the trial begins anew when the credentials
// are next opened.
func (s *Set) settle(ctx context.Context, write func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookup)
	defer cancel()
	_ = write(ctx)
}

// reasonOf is what a service said, without what may be behind it.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*push.Error](err); ok && e.Detail != "" {
		return e.Detail
	}
	return push.KindName(err)
}
