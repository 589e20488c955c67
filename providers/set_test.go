package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

func TestSetOpensOnceForManySenders(t *testing.T) {
	f := &fakes{}
	f.put("demo", "one", 1)
	s := f.set()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if answer, err := s.Send(t.Context(), "demo", "apns", &push.Delivery{}); err != nil || answer.ID != "one" {
				t.Errorf("Send() = %q, %v", answer.ID, err)
			}
		})
	}
	wg.Wait()
	if f.opens.Load() != 1 || f.reads.Load() != 1 {
		t.Errorf("%d opens and %d reads, want 1 and 1", f.opens.Load(), f.reads.Load())
	}
}

func TestSetNoticesWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		s := f.set()
		send := func() string {
			answer, err := s.Send(t.Context(), "demo", "apns", &push.Delivery{})
			if err != nil {
				return push.KindName(err)
			}
			return answer.ID
		}
		steps := []struct {
			when string
			do   func()
			want string
		}{
			{"before there are credentials", func() {}, "credentials"},
			{"just after they came", func() { f.put("demo", "one", 1) }, "credentials"},
			{"some seconds later", func() { time.Sleep(recheck) }, "one"},
			{"some seconds later still", func() { time.Sleep(recheck) }, "one"},
			{"when they changed in this process", func() { f.put("demo", "two", 2); s.Changed("demo", "apns") }, "two"},
			{"while the store is away", func() { f.away.Store(true); time.Sleep(recheck) }, "two"},
			{"when it is back with others", func() { f.away.Store(false); f.put("demo", "three", 3); time.Sleep(recheck) }, "three"},
			{"when they are bad", func() { f.put("demo", "bad", 4); time.Sleep(recheck) }, "credentials"},
			{"when they are gone", func() { f.drop("demo"); time.Sleep(recheck) }, "credentials"},
		}
		for _, step := range steps {
			step.do()
			if got := send(); got != step.want {
				t.Errorf("%s: Send() = %s, want %s", step.when, got, step.want)
			}
		}
		if f.opens.Load() != 4 {
			t.Errorf("%d opens, want 4: one for each version", f.opens.Load())
		}
		if f.retired.Load() != 3 {
			t.Errorf("%d old providers were let go, want 3", f.retired.Load())
		}
	})
}

func TestSetFirstOpeningHonoursTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{hang: make(chan struct{})}
		s := f.set()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		for range 2 {
			if _, err := s.Send(ctx, "demo", "apns", &push.Delivery{}); !errors.Is(err, push.ErrUnavailable) {
				t.Errorf("Send() error = %v, want unavailable", err)
			}
		}
		if took := time.Since(begin); took != 100*time.Millisecond {
			t.Errorf("Send() took %v", took)
		}
	})
}

func TestSetKnowsFixedProvidersForEveryApp(t *testing.T) {
	s := NewSet(&fakes{}, nil, map[string]Provider{"live": &fake{id: "live"}})
	answer, err := s.Send(t.Context(), "any", "live", &push.Delivery{})
	if err != nil || answer.ID != "live" {
		t.Errorf("Send() = %q, %v", answer.ID, err)
	}
	if _, err := s.Send(t.Context(), "any", "pigeon", &push.Delivery{}); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("unknown provider: error = %v", err)
	}
}

func TestSetHandsCallbacksToTheAppsProvider(t *testing.T) {
	f := &fakes{}
	f.put("demo", "one", 1)
	s := f.set()
	rs, answer, err := s.Callback(t.Context(), "apns", httptest.NewRequestWithContext(t.Context(), "POST", "/v1/callbacks/apns?app=demo", nil), nil)
	if err != nil || len(rs) != 1 || rs[0].ProviderID != "one" || string(answer) != `{"heard":"one"}` {
		t.Errorf("Callback() = %v, %s, %v", rs, answer, err)
	}
	_, _, err = s.Callback(t.Context(), "apns", httptest.NewRequestWithContext(t.Context(), "POST", "/v1/callbacks/apns", nil), nil)
	if !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Callback() without app: error = %v, want credentials", err)
	}
}

func TestSetSaysWhomToReportTo(t *testing.T) {
	f := &fakes{}
	f.put("demo", "one", 1)
	s := f.set()
	var got []push.Receipt
	s.Reports(func(_ context.Context, rs []push.Receipt) error {
		got = append(got, rs...)
		return nil
	})
	if _, err := s.Send(t.Context(), "demo", "apns", &push.Delivery{}); err != nil || len(got) != 1 || got[0].ProviderID != "one" {
		t.Errorf("Send() error = %v, reported %+v", err, got)
	}
}

// fakes is a store of credentials and an opener of fake providers.
type fakes struct {
	mu                    sync.Mutex
	secrets               map[string]string
	version               int64
	away                  atomic.Bool
	hang                  chan struct{}
	opens, reads, retired atomic.Int64
}

func (f *fakes) set() *Set {
	return NewSet(f, map[string]Opener{"apns": f.open}, nil)
}

func (f *fakes) put(app, secret string, version int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secrets, f.version = map[string]string{app: secret}, version
}

func (f *fakes) drop(app string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.secrets, app)
}

func (f *fakes) Credentials(ctx context.Context, app, _ string) ([]byte, int64, error) {
	f.reads.Add(1)
	if f.hang != nil {
		select {
		case <-f.hang:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	if f.away.Load() {
		return nil, 0, push.ErrAway
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	secret, ok := f.secrets[app]
	if !ok {
		return nil, 0, push.ErrNotFound
	}
	return fmt.Appendf(nil, `{"secret":%q}`, secret), f.version, nil
}

func (f *fakes) open(credentials []byte) (Provider, error) {
	f.opens.Add(1)
	var c struct{ Secret string }
	if json.Unmarshal(credentials, &c) != nil || c.Secret == "bad" {
		return nil, &push.Invalid{Faults: []push.Fault{{Field: "key", Detail: "is missing"}}}
	}
	return &fake{id: c.Secret, of: f}, nil
}

type fake struct {
	id     string
	of     *fakes
	report func(context.Context, []push.Receipt) error // nil if nobody wants it
}

// Reports makes it a provider that hears of each message by its connection.
func (p *fake) Reports(report func(context.Context, []push.Receipt) error) { p.report = report }

func (p *fake) Send(ctx context.Context, _ *push.Delivery) (push.Answer, error) {
	if p.report != nil {
		_ = p.report(ctx, []push.Receipt{{ProviderID: p.id}}) // a fake brings nothing twice
	}
	return push.Answer{ID: p.id, Stage: push.Accepted}, nil
}
func (p *fake) Weigh(*push.Delivery) (push.Payload, error) { return push.Payload{}, nil }

func (p *fake) Callback(*http.Request, []byte) ([]push.Receipt, error) {
	return []push.Receipt{{ProviderID: p.id}}, nil
}

func (p *fake) CallbackAnswer() []byte { return fmt.Appendf(nil, `{"heard":%q}`, p.id) }

func (p *fake) CloseIdleConnections() { p.of.retired.Add(1) }
