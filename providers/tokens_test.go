package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

// desk grants tokens t1, t2 … each after a while, or refuses.
type desk struct {
	life   time.Duration
	takes  time.Duration
	asked  int
	refuse error
}

func (d *desk) fetch(ctx context.Context) (string, time.Duration, error) {
	d.asked++
	token, err := fmt.Sprintf("t%d", d.asked), d.refuse
	select {
	case <-time.After(d.takes):
	case <-ctx.Done():
		err = &push.Error{Kind: push.ErrUnavailable, Detail: "too slow", Err: ctx.Err()}
	}
	if err != nil {
		return "", 0, err
	}
	return token, d.life, nil
}

func (d *desk) tokens() *Tokens { return &Tokens{Provider: "fake", Fetch: d.fetch} }

// tokensTest runs a test with a desk whose tokens last an hour, at a time of
// its own.
func tokensTest(t *testing.T, f func(t *testing.T, d *desk, ts *Tokens)) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{life: time.Hour}
		f(t, d, d.tokens())
		synctest.Wait()
	})
}

func expectToken(t *testing.T, ts *Tokens, want string) {
	t.Helper()
	if got, err := ts.Get(t.Context()); err != nil || got != want {
		t.Errorf("Get() = %q, %v, want %s", got, err, want)
	}
}

func TestTokenIsFetchedByOneForAll(t *testing.T) {
	tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
		d.takes = time.Second
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { expectToken(t, ts, "t1") })
		}
		wg.Wait()
		if d.asked != 1 {
			t.Errorf("%d tokens were fetched, want 1", d.asked)
		}
	})
}

func TestFailedFetchIsTheErrorOfAllWhoWait(t *testing.T) {
	tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
		d.takes, d.refuse = time.Second, &push.Error{Kind: push.ErrCredentials}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if _, err := ts.Get(t.Context()); !errors.Is(err, push.ErrCredentials) {
					t.Errorf("Get() error = %v, want credentials", err)
				}
			})
		}
		wg.Wait()
		if d.asked != 1 {
			t.Errorf("%d tokens were asked for, want 1", d.asked)
		}
	})
}

func TestTokenIsRenewedWhileItStillServes(t *testing.T) {
	type step struct {
		later time.Duration
		want  string
	}
	tests := map[string]struct {
		life, early, last time.Duration
		steps             []step
	}{
		"an hour": {time.Hour, 0, 0, []step{
			{0, "t1"}, {55*time.Minute - time.Second, "t1"}, {time.Second, "t1"}, {time.Second, "t2"},
		}},
		"nobody came until the last moment": {time.Hour, 0, 0, []step{{0, "t1"}, {time.Hour - 20*time.Second, "t2"}}},
		"a day, renewed an hour early": {24 * time.Hour, time.Hour, time.Minute, []step{
			{0, "t1"}, {22 * time.Hour, "t1"}, {2*time.Hour - time.Second, "t2"}, {time.Hour, "t2"}, {22 * time.Hour, "t2"}, {time.Second, "t3"},
		}},
		"ten seconds": {10 * time.Second, 0, 0, []step{
			{0, "t1"}, {4 * time.Second, "t1"}, {time.Second, "t1"}, {time.Second, "t2"}, {8 * time.Second, "t3"},
		}},
		"no time at all": {0, 0, 0, []step{{0, "t1"}, {0, "t2"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
				d.life, ts.RefreshEarly, ts.LastMoment = tt.life, tt.early, tt.last
				for _, s := range tt.steps {
					time.Sleep(s.later)
					expectToken(t, ts, s.want)
					synctest.Wait()
				}
			})
		})
	}
}

func TestLifeCountsFromTheAsking(t *testing.T) {
	tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
		d.takes = 8 * time.Second
		expectToken(t, ts, "t1")
		time.Sleep(time.Hour - 28*time.Second)
		expectToken(t, ts, "t2")
	})
}

func TestTokenServesWhileItCannotBeRenewed(t *testing.T) {
	tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
		expectToken(t, ts, "t1")
		d.refuse = &push.Error{Kind: push.ErrUnavailable}
		time.Sleep(56 * time.Minute)
		for range 3 {
			expectToken(t, ts, "t1")
			synctest.Wait()
		}
		if d.asked != 2 {
			t.Errorf("asked %d times, want twice: a failed renewal too has its pause", d.asked)
		}
		time.Sleep(4 * time.Minute)
		if _, err := ts.Get(t.Context()); !errors.Is(err, push.ErrUnavailable) {
			t.Errorf("Get() error = %v after the token's end, want unavailable", err)
		}
	})
}

func TestFailureServesAWhileBeforeTheNextAsking(t *testing.T) {
	tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
		d.refuse = &push.Error{Kind: push.ErrCredentials}
		for range 3 {
			if _, err := ts.Get(t.Context()); !errors.Is(err, push.ErrCredentials) {
				t.Errorf("Get() error = %v, want credentials", err)
			}
		}
		if d.asked != 1 {
			t.Errorf("asked %d times within a second, want once", d.asked)
		}
		d.refuse = nil
		time.Sleep(time.Second)
		expectToken(t, ts, "t2")
	})
}

func TestCallerWaitsNoLongerThanItsContext(t *testing.T) {
	tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
		d.takes = 5 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ts.Get(ctx)
		var e *push.Error
		if !errors.As(err, &e) || e.Provider != "fake" || !errors.Is(err, push.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Get() error = %v, want unavailable, for the deadline", err)
		}
		expectToken(t, ts, "t1") // the fetch goes on for the others
		if d.asked != 1 {
			t.Errorf("asked %d times, want once", d.asked)
		}
	})
}

func TestFetchThatHangsIsGivenUp(t *testing.T) {
	tokensTest(t, func(t *testing.T, d *desk, ts *Tokens) {
		d.takes = time.Hour
		begin := time.Now()
		if _, err := ts.Get(t.Context()); !errors.Is(err, push.ErrUnavailable) || time.Since(begin) != fetchTimeout {
			t.Errorf("Get() error = %v after %v", err, time.Since(begin))
		}
	})
}

func TestRefusedToken(t *testing.T) {
	tests := map[string]struct {
		age   time.Duration
		young bool
		next  string
	}{
		"an old one: the next attempt gets another":   {time.Minute, false, "t2"},
		"a new one is kept: no other is fetched soon": {time.Minute - 1, true, "t1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tokensTest(t, func(t *testing.T, _ *desk, ts *Tokens) {
				expectToken(t, ts, "t1")
				time.Sleep(tt.age)
				if young := ts.Refused("t1"); young != tt.young {
					t.Errorf("Refused() = %v, want %v", young, tt.young)
				}
				expectToken(t, ts, tt.next)
			})
		})
	}
}

func TestTokenRefusedToManyIsFetchedAnewOnce(t *testing.T) {
	tokensTest(t, func(t *testing.T, _ *desk, ts *Tokens) {
		expectToken(t, ts, "t1")
		time.Sleep(30 * time.Minute)
		ts.Refused("t1")
		expectToken(t, ts, "t2")
		if ts.Refused("t1") {
			t.Error("Refused() takes the old token for the new one")
		}
		expectToken(t, ts, "t2")
	})
}

// endpoint is a token endpoint that need not be connected to.
type endpoint http.HandlerFunc

func (e endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	e(w, r)
	return w.Result(), nil
}

// says answers with a status and a body.
func says(status int, body string) endpoint {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://elsewhere.example/")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const clientSecret = "client-s3cret"

func oauthForm(e endpoint) *OAuthForm {
	return &OAuthForm{Provider: "fake", Address: "https://login.example/token", ClientID: "10001", ClientSecret: clientSecret, Transport: e}
}

func TestOAuthFormIsAsRFC6749Says(t *testing.T) {
	o := oauthForm(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.String() != "https://login.example/token" || r.URL.RawQuery != "" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("client_id") != "10001" || r.PostFormValue("client_secret") != clientSecret {
			t.Errorf("the token endpoint was sent %v", r.PostForm)
		}
		says(200, `{"access_token":"a1","expires_in":600,"token_type":"Bearer"}`)(w, r)
	})
	if token, life, err := o.Fetch(t.Context()); err != nil || token != "a1" || life != 10*time.Minute {
		t.Errorf("Fetch() = %q, %v, %v", token, life, err)
	}
}

func TestOAuthFormBelievesNoOddLife(t *testing.T) {
	for said, want := range map[string]time.Duration{
		`"expires_in":3599`: 3599 * time.Second, `"expires_in":86400`: 24 * time.Hour,
		`"expires_in":0`: time.Hour, `"expires_in":-1`: time.Hour, `"expires_in":99999999999`: time.Hour, `"scope":""`: time.Hour,
	} {
		_, life, err := oauthForm(says(200, `{"access_token":"a1",`+said+`}`)).Fetch(t.Context())
		if err != nil || life != want {
			t.Errorf("%s: life = %v, %v, want %v", said, life, err, want)
		}
	}
}

func TestOAuthFormRefusals(t *testing.T) {
	tests := map[string]struct {
		answer endpoint
		want   error
	}{
		"secret is wrong":            {says(400, `{"error":1101,"sub_error":20044,"error_description":"`+clientSecret+`"}`), push.ErrCredentials},
		"client is unknown":          {says(401, `{"error":"invalid_client","error_description":"`+clientSecret+`"}`), push.ErrCredentials},
		"endpoint is down":           {says(503, clientSecret), push.ErrUnavailable},
		"endpoint lost patience":     {says(408, clientSecret), push.ErrUnavailable},
		"too many fetches":           {says(429, clientSecret), push.ErrUnavailable},
		"endpoint answers html":      {says(200, `<html>`+clientSecret), push.ErrUnavailable},
		"endpoint is somewhere else": {says(307, clientSecret), push.ErrUnavailable},
		"there is no token":          {says(200, `{}`), push.ErrUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := oauthForm(tt.answer).Fetch(t.Context())
			var e *push.Error
			if !errors.As(err, &e) || e.Provider != "fake" || !errors.Is(err, tt.want) {
				t.Errorf("Fetch() error = %v, want %v", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), clientSecret) {
				t.Errorf("Fetch() error tells what the endpoint wrote: %v", err)
			}
		})
	}
}

func TestOAuthFormThatCannotBeSent(t *testing.T) {
	o := oauthForm(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.Transport = &http.Transport{}
	_, _, err := o.Fetch(ctx)
	if !errors.Is(err, push.ErrUnavailable) || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), o.Address) {
		t.Errorf("Fetch() error = %v, want unavailable, without the address", err)
	}
}
