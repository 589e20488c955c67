package scheduler

import (
	"errors"
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
	probe, err := l.enter(t.Context())
	if err != nil {
		return err
	}
	l.leave(probe, answer)
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
		probe, err := l.enter(t.Context())
		if err != nil || !probe {
			t.Fatalf("enter() after the pause = %v, %v; want a probe", probe, err)
		}
		if _, err := l.enter(t.Context()); err == nil {
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
			if probe, err := l.enter(t.Context()); probe || err != nil {
				t.Fatalf("after a good probe: enter() = %v, %v; want it open", probe, err)
			}
		}
	})
}

func TestLateAnswersDoNotOpenALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		late, err := l.enter(t.Context())
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
					if probe, err := l.enter(t.Context()); err == nil {
						time.Sleep(10 * time.Millisecond)
						l.leave(probe, answer)
					}
				})
			}
			group.Wait()
		}
		rush(nil)
		if l.limit != float64(l.cfg.Most) {
			t.Errorf("after a good rush the limit is %v, want %d", l.limit, l.cfg.Most)
		}
		rush(fault("p", push.ErrThrottled, 0))
		if l.limit >= float64(l.cfg.Most) || l.limit < 1 {
			t.Errorf("after throttling the limit is %v", l.limit)
		}
		if l.inFlight != 0 || len(l.waiting) != 0 {
			t.Errorf("%d places and %d waiting are left over", l.inFlight, len(l.waiting))
		}
	})
}

func TestHangingLaneTurnsOthersAwaySoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		l.limit = 4
		for range 4 {
			if _, err := l.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if _, err := l.enter(t.Context()); err == nil || time.Since(began) != l.cfg.Patience {
			t.Errorf("turned away after %v with %v, want the lane's patience", time.Since(began), err)
		}
		began = time.Now()
		if _, err := l.enter(t.Context()); err == nil || time.Since(began) != 0 {
			t.Errorf("turned away after %v with %v, want it at once: nothing moves", time.Since(began), err)
		}
	})
}

func TestClosingLaneSendsThoseWhoWaitAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLane()
		first, _ := l.enter(t.Context())
		second, _ := l.enter(t.Context())
		turned := make(chan error, 1)
		go func() {
			_, err := l.enter(t.Context())
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
