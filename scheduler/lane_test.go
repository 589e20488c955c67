package scheduler

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

func testLane() *lane {
	cfg := DefaultConfig().Lane
	cfg.Start, cfg.Most, cfg.Trip = 2, 8, 3
	return newLane(cfg, time.Now)
}

// through makes one attempt in the lane that has the answer.
func through(t *testing.T, l *lane, answer error) error {
	t.Helper()
	p, err := l.enter(t.Context(), push.Transactional, 1)
	if err != nil {
		return err
	}
	l.leave(p, answer)
	return nil
}

func TestLaneClosesByAnswer(t *testing.T) {
	cfg := testLane().cfg
	tests := map[string]struct {
		answer error
		times  int
		shut   time.Duration // 0: stays open
	}{
		"all is well":               {nil, 10, 0},
		"the token is dead":         {fault("p", push.ErrUnregistered, 0), 10, 0},
		"slow down":                 {fault("p", push.ErrThrottled, 0), 10, 0},
		"slow down for a minute":    {fault("p", push.ErrThrottled, time.Minute), 1, time.Minute},
		"the quota is used up":      {fault("p", push.ErrQuota, time.Hour), 1, time.Hour},
		"credentials are refused":   {fault("p", push.ErrCredentials, 0), 1, cfg.Credentials},
		"down, but not often":       {fault("p", push.ErrUnavailable, 0), 2, 0},
		"down":                      {fault("p", push.ErrUnavailable, 0), 3, cfg.Pause},
		"it hangs":                  {fault("p", push.ErrUnknown, 0), 3, cfg.Pause},
		"it breaks its contract":    {errors.New("boom"), 3, cfg.Pause},
		"the policy forbids it":     {fault("p", push.ErrPolicy, 0), 10, 0},
		"the device is not there":   {fault("p", push.ErrUnreachable, 0), 10, 0},
		"the message can never fit": {fault("p", push.ErrRejected, 0), 10, 0},
		"one host of many refuses":  {&push.Error{Provider: "p", Kind: push.ErrCredentials, Scope: push.ScopeOrigin}, 10, 0},
		"one device, too often":     {&push.Error{Provider: "p", Kind: push.ErrThrottled, RetryAfter: time.Minute, Scope: push.ScopeToken}, 10, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := testLane()
				for range tt.times {
					if err := through(t, l, tt.answer); err != nil {
						t.Fatalf("closed too early: %v", err)
					}
				}
				var shut *closed
				err := through(t, l, nil)
				switch {
				case tt.shut == 0 && err != nil:
					t.Errorf("enter() = %v, want it open", err)
				case tt.shut > 0 && !errors.As(err, &shut):
					t.Errorf("enter() = %v, want it closed", err)
				case tt.shut > 0 && time.Until(shut.until) != tt.shut:
					t.Errorf("closed for %v, want %v", time.Until(shut.until), tt.shut)
				}
			})
		})
	}
}

func TestLaneIsProbedByOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		down := fault("p", push.ErrUnavailable, 0)
		for range 3 {
			_ = through(t, l, down)
		}
		time.Sleep(l.cfg.Pause)
		probe, err := l.enter(t.Context(), push.Transactional, 1)
		if err != nil || !probe.probe {
			t.Fatalf("enter() after the pause = %v, %v; want a probe", probe, err)
		}
		if _, err := l.enter(t.Context(), push.Transactional, 1); err == nil {
			t.Fatal("a second attempt was let in beside the probe")
		}
		l.leave(probe, down)
		var shut *closed
		if err := through(t, l, nil); !errors.As(err, &shut) || time.Until(shut.until) != 2*l.cfg.Pause {
			t.Fatalf("after a failed probe: %v, want twice the pause", err)
		}
		time.Sleep(2 * l.cfg.Pause)
		if err := through(t, l, nil); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			p, err := l.enter(t.Context(), push.Transactional, 1)
			if p.probe || err != nil {
				t.Fatalf("after a good probe: enter() = %v, %v; want it open", p, err)
			}
			l.leave(p, nil)
		}
	})
}

func TestLateAnswersDoNotOpenALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		late, err := l.enter(t.Context(), push.Transactional, 1)
		if err != nil {
			t.Fatal(err)
		}
		_ = through(t, l, fault("p", push.ErrCredentials, 0))
		l.leave(late, nil)
		if err := through(t, l, nil); err == nil {
			t.Error("a late answer opened the lane")
		}
		l.reopen()
		if err := through(t, l, nil); err != nil {
			t.Errorf("after new credentials: %v", err)
		}
	})
}

func TestLaneFindsItsWidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		rush := func(answer error) {
			var group sync.WaitGroup
			for range 64 {
				group.Go(func() {
					if p, err := l.enter(t.Context(), push.Transactional, 1); err == nil {
						time.Sleep(10 * time.Millisecond)
						l.leave(p, answer)
					}
				})
			}
			group.Wait()
		}
		rush(nil)
		if l.width.limit != float64(l.cfg.Most) {
			t.Errorf("after a good rush the limit is %v, want %d", l.width.limit, l.cfg.Most)
		}
		rush(fault("p", push.ErrThrottled, 0))
		if l.width.limit >= float64(l.cfg.Most) || l.width.limit < 1 {
			t.Errorf("after throttling the limit is %v", l.width.limit)
		}
		if l.inFlight != 0 || l.waiting.len() != 0 {
			t.Errorf("%d places and %d waiting are left over", l.inFlight, l.waiting.len())
		}
	})
}

func TestHangingLaneTurnsOthersAwaySoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		l.width.limit = 4
		for range 4 {
			if _, err := l.enter(t.Context(), push.Transactional, 1); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if _, err := l.enter(t.Context(), push.Transactional, 1); err == nil || time.Since(began) != l.cfg.Patience {
			t.Errorf("turned away after %v with %v, want the lane's patience", time.Since(began), err)
		}
		began = time.Now()
		if _, err := l.enter(t.Context(), push.Transactional, 1); err == nil || time.Since(began) != 0 {
			t.Errorf("turned away after %v with %v, want it at once: nothing moves", time.Since(began), err)
		}
	})
}

func TestClosingLaneSendsThoseWhoWaitAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		first, _ := l.enter(t.Context(), push.Transactional, 1)
		second, _ := l.enter(t.Context(), push.Transactional, 1)
		turned := make(chan error, 1)
		go func() {
			_, err := l.enter(t.Context(), push.Transactional, 1)
			turned <- err
		}()
		synctest.Wait()
		l.leave(first, fault("p", push.ErrQuota, time.Hour))
		if err := <-turned; err == nil {
			t.Error("whoever waited was let into a closed lane")
		}
		l.leave(second, nil)
		if l.inFlight != 0 {
			t.Errorf("%d places are left over", l.inFlight)
		}
	})
}

func TestUsedUpQuotaClosesTheLaneForItsClassOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		p, err := l.enter(t.Context(), push.Marketing, 1)
		if err != nil {
			t.Fatal(err)
		}
		l.leave(p, fault("p", push.ErrQuota, time.Hour))
		var shut *closed
		if _, err := l.enter(t.Context(), push.Marketing, 1); !errors.As(err, &shut) || time.Until(shut.until) != time.Hour {
			t.Errorf("enter(marketing) = %v, want it closed for an hour", err)
		}
		if p, err = l.enter(t.Context(), push.OTP, 1); err != nil {
			t.Errorf("enter(otp) = %v, want it open", err)
		}
		l.leave(p, nil)
		time.Sleep(time.Hour)
		if _, err := l.enter(t.Context(), push.Marketing, 1); err != nil {
			t.Errorf("enter(marketing) after the hour = %v", err)
		}
	})
}

func TestUrgentMessageOvertakesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		l.pace.declare(10, time.Now())
		var mu sync.Mutex
		var order []push.Class
		var group sync.WaitGroup
		join := func(c push.Class) {
			group.Go(func() {
				p, err := l.enter(t.Context(), c, 1)
				if err != nil {
					t.Errorf("enter(%s) = %v", c, err)
					return
				}
				mu.Lock()
				order = append(order, c)
				mu.Unlock()
				l.leave(p, nil)
			})
			synctest.Wait()
		}
		for _, c := range []push.Class{push.Marketing, push.Marketing, push.Marketing, push.Transactional, push.OTP} {
			join(c) // the first finds a place at once
		}
		group.Wait()
		want := []push.Class{push.Marketing, push.OTP, push.Transactional, push.Marketing, push.Marketing}
		if !slices.Equal(order, want) {
			t.Errorf("they went in the order %v, want %v", order, want)
		}
	})
}

func TestLaneKeepsADeclaredRate(t *testing.T) {
	for _, size := range []int{1, 100} { // deliveries in a request
		synctest.Test(t, func(t *testing.T) {
			l := newLane(DefaultConfig().Lane, time.Now)
			l.pace.declare(1000, time.Now())
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var went int
			for {
				p, err := l.enter(ctx, push.Marketing, size)
				if err != nil {
					break
				}
				went += size
				l.leave(p, nil)
			}
			if went < 9_900 || went > 10_300 {
				t.Errorf("%d deliveries in 10 s, %d at a time; want 1,000 a second", went, size)
			}
		})
	}
}

// Whoever would wait too long is told at once, and does not hold up others.
func TestCrowdedLaneTurnsAwayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(DefaultConfig().Lane, time.Now)
		l.pace.declare(1, time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 3 { // one is let in, and two seconds' worth wait
			go func() { _, _ = l.enter(ctx, push.Marketing, 1) }()
		}
		synctest.Wait()
		began := time.Now()
		var shut *closed
		if _, err := l.enter(t.Context(), push.Marketing, 1); !errors.As(err, &shut) || time.Since(began) > 0 {
			t.Errorf("enter() = %v after %v, want it turned away at once", err, time.Since(began))
		} else if wait := time.Until(shut.until); wait != 2*time.Second {
			t.Errorf("told to come back after %v, want 2s: two are before it", wait)
		}
		if _, err := l.enter(t.Context(), push.OTP, 1); err != nil {
			t.Errorf("enter(otp) = %v; nothing as urgent waits", err)
		}
	})
}

func TestOperatorSwitchesALaneOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		l.pace.declare(1, time.Now())
		_ = through(t, l, nil)
		turned := make(chan error, 1)
		go func() {
			_, err := l.enter(t.Context(), push.OTP, 1)
			turned <- err
		}()
		synctest.Wait()
		l.switchOff("the vendor asked us to")
		if err := <-turned; err == nil {
			t.Error("whoever waited was let into a lane that is off")
		}
		l.reopen()
		if err := through(t, l, nil); err == nil {
			t.Error("new credentials switched the lane on")
		}
		l.switchOff("")
		if err := through(t, l, nil); err != nil {
			t.Errorf("switched on again: %v", err)
		}
	})
}
