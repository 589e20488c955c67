package webpush

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/herald-push/herald/push"
)

func TestOneServicesFaultsBindItAlone(t *testing.T) {
	tests := map[string]struct {
		status int
		after  int   // Retry-After
		first  error // of the first attempt there
		binds  push.Scope
		opens  int   // attempts it sees before it is left alone
		shut   error // of the attempts after
	}{
		"refuses our key":       {status: 403, first: push.ErrCredentials, binds: push.ScopeToken, opens: trip, shut: push.ErrCredentials},
		"knows no token of us":  {status: 401, first: push.ErrCredentials, binds: push.ScopeToken, opens: trip, shut: push.ErrCredentials},
		"is down":               {status: 503, first: push.ErrUnavailable, binds: push.ScopeOrigin, opens: trip, shut: push.ErrUnavailable},
		"is too busy for us":    {status: 429, after: 60, first: push.ErrThrottled, binds: push.ScopeOrigin, opens: 1, shut: push.ErrThrottled},
		"has lost the browsers": {status: 410, first: push.ErrUnregistered, binds: push.ScopeToken, opens: 9},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			bad := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				if tt.after > 0 {
					w.Header().Set("Retry-After", strconv.Itoa(tt.after))
				}
				w.WriteHeader(tt.status)
			})
			good := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
			p := open(t, map[string]any{"allow_private": true})
			for i := range 9 {
				_, err := p.Send(t.Context(), at(t, bad, i))
				want, scope := tt.first, tt.binds
				if i >= tt.opens {
					want, scope = tt.shut, push.ScopeOrigin
				} else if i == tt.opens-1 && tt.shut != nil {
					scope = push.ScopeOrigin
				}
				if !errors.Is(err, want) || push.ScopeOf(err) != scope {
					t.Errorf("attempt %d: error = %v that binds %q, want %v that binds %q", i+1, err, push.ScopeOf(err), want, scope)
				}
				if e, ok := errors.AsType[*push.Error](err); i >= tt.opens && (!ok || e.RetryAfter <= 0) {
					t.Errorf("attempt %d: error = %+v does not say for how long", i+1, err)
				}
				if _, err := p.Send(t.Context(), at(t, good, i)); err != nil {
					t.Errorf("the other service: %v", err)
				}
			}
			if n := int(asked.Load()); n != tt.opens {
				t.Errorf("it was asked %d times, want %d", n, tt.opens)
			}
		})
	}
}

func TestOneSubscriptionOfAnotherKeyClosesNothing(t *testing.T) {
	clock := time.Unix(1_800_000_000, 0)
	o := newOrigins()
	o.now = func() time.Time { return clock }
	refused := func() *push.Error { return &push.Error{Provider: name, Kind: push.ErrCredentials} }
	for range 50 { // a few of another key among many of ours
		for range trip - 1 {
			e := refused()
			if o.learn("a", e); e.Scope != push.ScopeToken {
				t.Fatalf("a single refusal binds %q", e.Scope)
			}
		}
		o.learn("a", nil)
	}
	if e := o.closed("a"); e != nil {
		t.Errorf("closed: %v", e)
	}
}

func TestOriginOpensAgainAndIsLeftAloneLongerEachTime(t *testing.T) {
	clock := time.Unix(1_800_000_000, 0)
	o := newOrigins()
	o.now = func() time.Time { return clock }
	down := func() { o.learn("a", &push.Error{Provider: name, Kind: push.ErrUnknown}) }
	for range trip - 1 {
		down()
	}
	for _, pause := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
		down()
		e := o.closed("a")
		if e == nil || e.RetryAfter != pause {
			t.Fatalf("closed = %+v, want for %v", e, pause)
		}
		if !errors.Is(e.Kind, push.ErrUnavailable) {
			t.Errorf("kind = %v: nothing was sent, so it is not unknown", e.Kind)
		}
		if clock = clock.Add(pause); o.closed("a") != nil {
			t.Fatalf("still closed after %v", pause)
		}
	}
	o.learn("a", nil)
	for range trip - 1 {
		down()
	}
	if e := o.closed("a"); e != nil {
		t.Errorf("after it was well, %d failures close it: %v", trip-1, e)
	}
}

func TestNoNumberOfOriginsFillsTheMemory(t *testing.T) {
	o := newOrigins()
	for i := range 3 * maxOrigins {
		o.learn(strconv.Itoa(i), &push.Error{Provider: name, Kind: push.ErrThrottled, RetryAfter: time.Hour})
	}
	if len(o.by) > maxOrigins {
		t.Errorf("%d origins are remembered, want at most %d", len(o.by), maxOrigins)
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// at is a delivery to the i-th browser at a push service.
func at(t *testing.T, service string, i int) *push.Delivery {
	t.Helper()
	d := delivery(push.DeliveryID("n1", 0, i))
	var s library.Subscription
	if err := json.Unmarshal([]byte(token), &s); err != nil {
		t.Fatal(err)
	}
	s.Endpoint = service + "/p/" + strconv.Itoa(i)
	d.Address.Token = subscriptionJSON(t, s)
	return d
}
