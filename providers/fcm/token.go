package fcm

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/herald-push/herald/push"
)

const (
	fetchTimeout = 10 * time.Second // of one request to the token endpoint
	refreshEarly = 5 * time.Minute  // before the end of a token, while it still serves
	lastMoment   = 20 * time.Second // before the end of a token it serves no more
	fetchPause   = time.Second      // after a failed fetch; its error serves meanwhile
	young        = time.Minute      // a token refused at this age is not simply old
)

// tokens keeps the access token of a service account. A caller waits for a
// fetch no longer than its own context lasts.
type tokens struct {
	oauth  *jwt.Config
	client *http.Client

	mu     sync.Mutex
	token  *oauth2.Token
	since  time.Time // when token came
	err    error     // of the last fetch
	errAt  time.Time
	flight chan struct{} // closed when the fetch under way ends; nil if none is
}

// get returns a token that is good for the next request. Its error is a
// *push.Error: nothing has been sent.
func (t *tokens) get(ctx context.Context) (string, error) {
	for {
		t.mu.Lock()
		left := time.Duration(0)
		if t.token != nil {
			left = time.Until(t.token.Expiry)
		}
		if left > refreshEarly {
			defer t.mu.Unlock()
			return t.token.AccessToken, nil
		}
		resting := t.err != nil && time.Since(t.errAt) < fetchPause
		if t.flight == nil && !resting {
			t.flight = make(chan struct{})
			go t.fetch(t.flight)
		}
		if left > lastMoment {
			defer t.mu.Unlock()
			return t.token.AccessToken, nil
		}
		if resting {
			defer t.mu.Unlock()
			return "", t.err
		}
		flight := t.flight
		t.mu.Unlock()

		select {
		case <-flight:
		case <-ctx.Done():
			return "", &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no access token in time", Err: ctx.Err()}
		}
	}
}

// fetch gets a token for all who wait. It ends within fetchTimeout.
func (t *tokens) fetch(flight chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	token, err := t.oauth.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, t.client)).Token()

	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = nil
	if err != nil {
		t.err, t.errAt = tokenError(err), time.Now()
	} else {
		t.token, t.since = token, time.Now()
		if token.Expiry.IsZero() { // the endpoint did not say; Google's last an hour
			token.Expiry = t.since.Add(30 * time.Minute)
		}
	}
	t.flight = nil
	close(flight)
}

// drop forgets a token that was refused. It reports false if the token was
// young: then a new one would be refused too.
func (t *tokens) drop(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == nil || t.token.AccessToken != token {
		return true // somebody has seen to it
	}
	wasYoung := time.Since(t.since) < young
	t.token = nil
	return !wasYoung
}

// tokenError sorts what the token endpoint said. What it wrote stays out of the
// error, for it may repeat what it was sent.
func tokenError(err error) error {
	e := &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no access token"}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		e.Err = err
		return e
	}
	e.Code = strconv.Itoa(refused.Response.StatusCode)
	if s := refused.Response.StatusCode; s >= 400 && s < 500 && s != http.StatusTooManyRequests && s != http.StatusRequestTimeout {
		e.Kind, e.Detail = push.ErrCredentials, "the token endpoint refuses the service account"
	}
	return e
}
