package providers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

// touchy is a service that wants some addresses left alone.
type touchy struct {
	answers map[string]error // by address
	asked   []string
}

func (p *touchy) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	return Alone(ctx, p, d)
}

func (p *touchy) SendBatch(_ context.Context, ds []*push.Delivery) []push.Reply {
	replies := make([]push.Reply, len(ds))
	for i, d := range ds {
		p.asked = append(p.asked, d.Address.Token)
		replies[i] = push.Reply{Answer: push.Answer{ID: d.Address.Token, Stage: push.Accepted}, Err: p.answers[d.Address.Token]}
	}
	return replies
}

func (p *touchy) Batch(*push.Notification) int               { return 100 }
func (p *touchy) Weigh(*push.Delivery) (push.Payload, error) { return push.Payload{}, nil }
func (p *touchy) tells(address string, err error)            { p.answers = map[string]error{address: err} }
func (p *touchy) since() (asked []string)                    { asked, p.asked = p.asked, nil; return asked }
func (p *touchy) set() *Set                                  { return NewSet(&fakes{}, nil, map[string]Provider{"mi": p}) }
func to(address string) *push.Delivery {
	return &push.Delivery{Notification: &push.Notification{}, Address: push.Address{Token: address}}
}
func throttled(scope push.Scope, after time.Duration) *push.Error {
	return &push.Error{Provider: "mi", Kind: push.ErrThrottled, Code: "520", Scope: scope, RetryAfter: after}
}

func TestWhatBindsOneAddressHoldsItsMessagesAlone(t *testing.T) {
	tests := map[string]struct {
		answer error
		held   time.Duration
	}{
		"too many for the device, for a while":                 {throttled(push.ScopeToken, time.Minute), time.Minute},
		"too many for the device, for a time that nobody says": {throttled(push.ScopeToken, 0), leastHold},
		"too many for the app":                                 {throttled(push.ScopeProvider, time.Minute), 0}, // the lane holds them
		"too many for one service":                             {throttled(push.ScopeOrigin, time.Minute), 0},
		"the device turned it down":                            {&push.Error{Kind: push.ErrPolicy, Scope: push.ScopeToken, RetryAfter: time.Minute}, 0},
		"it was taken":                                         {nil, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &touchy{}
				s := p.set()
				send := func(app, address string) error {
					_, err := s.Send(t.Context(), app, "mi", to(address))
					return err
				}
				p.tells("a", tt.answer)
				if got, want := push.KindName(send("demo", "a")), push.KindName(tt.answer); got != want {
					t.Fatalf("Send() is %q, want %q", got, want)
				}
				p.tells("", nil)
				p.since()
				time.Sleep(time.Second)
				err := send("demo", "a")
				if tt.held == 0 {
					if err != nil || len(p.since()) != 1 {
						t.Fatalf("the next: Send() error = %v", err)
					}
					return
				}
				e, _ := errors.AsType[*push.Error](err)
				if e == nil || !errors.Is(e, push.ErrThrottled) || e.Scope != push.ScopeToken || e.Code != "520" || e.RetryAfter != tt.held-time.Second {
					t.Fatalf("the next: Send() error = %+v, want held for %v more", e, tt.held-time.Second)
				}
				if asked := p.since(); len(asked) != 0 {
					t.Errorf("the service was asked for %v", asked)
				}
				if err := errors.Join(send("demo", "b"), send("other", "a")); err != nil {
					t.Errorf("another device, and another app's: %v", err)
				}
				time.Sleep(tt.held - time.Second)
				if err := send("demo", "a"); err != nil || s.holds.some.Load() {
					t.Errorf("when its time is over: Send() error = %v", err)
				}
			})
		})
	}
}

func TestHeldAddressesStayOutOfABatch(t *testing.T) {
	p := &touchy{}
	s := p.set()
	ds := []*push.Delivery{to("a"), to("b"), to("c")}
	p.tells("b", throttled(push.ScopeToken, time.Hour))
	for round := range 2 {
		replies := s.SendBatch(t.Context(), "demo", "mi", ds)
		if len(replies) != 3 || replies[0].Answer.ID != "a" || !errors.Is(replies[1].Err, push.ErrThrottled) || replies[2].Answer.ID != "c" {
			t.Errorf("round %d: replies = %+v, want all but b's taken", round, replies)
		}
	}
	if asked := fmt.Sprint(p.since()); asked != "[a b c a c]" {
		t.Errorf("the service was asked for %s, want b once", asked)
	}
	if replies := s.SendBatch(t.Context(), "demo", "mi", ds[1:2]); len(replies) != 1 || !errors.Is(replies[0].Err, push.ErrThrottled) || len(p.since()) != 0 {
		t.Errorf("a batch of none but held ones: %+v", replies)
	}
}

func TestHeldAddressesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h holds
		p := &touchy{}
		for i := range maxHolds + 10 {
			h.learn("demo", "mi", p, to(fmt.Sprint(i)), throttled(push.ScopeToken, time.Minute))
		}
		if len(h.by) != maxHolds || h.of("demo", "mi", p, to(fmt.Sprint(maxHolds+1))) != nil {
			t.Errorf("%d are remembered, want %d", len(h.by), maxHolds)
		}
		time.Sleep(time.Minute)
		h.learn("demo", "mi", p, to("x"), throttled(push.ScopeToken, time.Minute))
		if len(h.by) != 1 || h.of("demo", "mi", p, to("x")) == nil {
			t.Errorf("%d are remembered after their time, want the new one", len(h.by))
		}
	})
}
